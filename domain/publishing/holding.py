"""Pausing, resuming and deleting a workflow, with what that means for its schedules."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from domain.accounts.audit import Actor, record_change
from domain.accounts.tenants import load, owned
from domain.firing.lifecycle import end_schedule
from domain.firing.tick import settle
from domain.kernel.db import db
from domain.kernel.errors import Refused, StaleTransition
from domain.publishing.rebinding import schedule_ids
from domain.schedules.schedules import Schedule
from domain.workflows.workflows import Workflow

REASON_MAX_CHARACTERS = 500
# Some languages and emoji need them; they neither hide nor reorder text.
JOINERS = "\u200c\u200d"


def pause_workflow(actor: Actor, workflow_id: UUID, reason: str, now: datetime) -> Workflow:
    """Refuse new starts of any kind from `now` on; runs that exist go on. What was due before `now` still fires.

    Raises Refused at `reason` and StaleTransition when it is paused already.
    """
    reason = parse_reason(reason)
    workflow = load(actor.tenant_id, Workflow, workflow_id, lock="change")
    if workflow.paused_at is not None:
        raise StaleTransition(f"{workflow.name} is paused already.")
    settle(schedule_ids(actor.tenant_id, workflow.id), now)
    hold_workflow(actor, workflow, reason, now)
    return workflow


def hold_workflow(actor: Actor, workflow: Workflow, reason: str, now: datetime) -> None:
    """Write down the pause of a workflow that the caller holds and whose schedules are settled."""
    workflow.paused_at = now
    workflow.paused_by = actor.user_id
    workflow.pause_reason = reason or None
    workflow.updated_at = now
    db.session.flush()
    record_change(
        actor, "workflow.paused", workflow, before={"paused": False}, after={"paused": True}, reason=reason or None
    )


def resume_workflow(actor: Actor, workflow_id: UUID, now: datetime) -> Workflow:
    """Let it start again. What came due during the pause is on record as refused, and nothing of it is caught up; runs
    that ended before do not count for auto-pause any more.

    Raises StaleTransition when it is not paused.
    """
    workflow = load(actor.tenant_id, Workflow, workflow_id, lock="change")
    if workflow.paused_at is None:
        raise StaleTransition(f"{workflow.name} is not paused.")
    settle(schedule_ids(actor.tenant_id, workflow.id), now)
    workflow.paused_at = workflow.paused_by = workflow.pause_reason = None
    workflow.failures_counted_from = now
    workflow.updated_at = now
    db.session.flush()
    record_change(actor, "workflow.resumed", workflow, before={"paused": True}, after={"paused": False})
    return workflow


def delete_workflow(actor: Actor, workflow_id: UUID, now: datetime) -> int:
    """Delete a workflow and end its schedules; how many were ended. Versions and runs stay readable."""
    workflow = load(actor.tenant_id, Workflow, workflow_id, lock="change")
    name = workflow.name
    ids = schedule_ids(actor.tenant_id, workflow.id)
    settle(ids, now)
    for schedule in db.session.scalars(
        owned(actor.tenant_id, Schedule).where(Schedule.workflow_id == workflow.id)
    ).all():
        end_schedule(actor, schedule, f"The workflow {name} was deleted", now)
    workflow.deleted_at = now
    workflow.updated_at = now
    db.session.flush()
    record_change(actor, "workflow.deleted", workflow, after={"schedulesEnded": len(ids)})
    return len(ids)


def parse_reason(text: str, path: str = "reason") -> str:
    """Why someone holds something, as one line; may be empty. Raises Refused at `path` for what is too long or unseen."""
    reason = " ".join(text.split())
    if len(reason) > REASON_MAX_CHARACTERS:
        message = f"A reason has at most {REASON_MAX_CHARACTERS} characters; this one has {len(reason)}."
        raise Refused.at(path, message, "REASON_TOO_LONG")
    if not all(character.isprintable() or character in JOINERS for character in reason):
        message = "A reason cannot contain invisible characters. Remove them."
        raise Refused.at(path, message, "REASON_CHARACTERS")
    return reason
