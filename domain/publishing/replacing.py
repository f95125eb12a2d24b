"""One workflow in the place of another: the old one stays as a tombstone with its runs, its schedules go to the new one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text

from domain.accounts.audit import Actor, record_change
from domain.accounts.tenants import owned
from domain.kernel.db import db
from domain.publishing.rebinding import Fitting, Misfit, fitting, rebind, schedule_ids
from domain.publishing.sealing import seal_payloads
from domain.runs.announcing import announce_work
from domain.runs.canceling import request_cancel
from domain.runs.claims import lock_cursors_of
from domain.runs.runs import QUEUED, RUNNING, WAITING, Run
from domain.schedules.schedules import Schedule
from domain.workflows.versions import WorkflowVersion
from domain.workflows.workflows import Workflow

UNPUBLISHED_REASON = "The workflow has no published version. Publish it first."
_UNFINISHED = (QUEUED, RUNNING, WAITING)

_MOVE = text("""
    UPDATE schedules SET workflow_id = :workflow_id, workflow_version = :version, revision = revision + 1,
        updated_at = :now
    WHERE id = ANY(:ids)
""")


def scheduled(tenant_id: UUID, workflow_ids: Sequence[UUID]) -> dict[UUID, list[UUID]]:
    """The living schedules of these workflows, in the order in which cursors are locked; one query for all."""
    living = owned(tenant_id, Schedule).where(Schedule.workflow_id.in_(workflow_ids)).order_by(Schedule.id)
    found: defaultdict[Any, list[UUID]] = defaultdict(list)
    for schedule_id, workflow_id in db.session.execute(living.with_only_columns(Schedule.id, Schedule.workflow_id)):
        found[workflow_id].append(schedule_id)
    return dict(found)


def unfinished_runs(tenant_id: UUID, workflow_ids: Sequence[UUID]) -> dict[UUID, int]:
    """How many runs of each of these workflows are queued, running or waiting; those without any are left out."""
    going = select(Run.workflow_id, func.count()).where(
        Run.tenant_id == tenant_id, Run.workflow_id.in_(workflow_ids), Run.status.in_(_UNFINISHED)
    )
    return {row[0]: row[1] for row in db.session.execute(going.group_by(Run.workflow_id)) if row[0]}


def retire_workflows(actor: Actor, workflows: Sequence[Workflow], now: datetime, reason: str) -> int:
    """Make tombstones of settled workflows that the caller holds, and ask their unfinished runs to end; how many.

    What nobody works on ends at once; a run that is worked on ends at its next step. Versions and runs stay readable.
    """
    ids = [workflow.id for workflow in workflows]
    going = select(Run.id).where(
        Run.tenant_id == actor.tenant_id, Run.workflow_id.in_(ids), Run.status.in_(_UNFINISHED)
    )
    run_ids = sorted(db.session.scalars(going))
    if run_ids:
        lock_cursors_of(run_ids)
        ended = [request_cancel(run_id, now, reason) for run_id in run_ids]
        announce_work()
    for workflow in workflows:
        workflow.deleted_at = workflow.updated_at = now
    db.session.flush()
    return sum(one != "finished" for one in ended) if run_ids else 0


def schedule_fit(
    workflow: Workflow, schema_mode: str, schema_ref: str | None, schema: dict[str, Any] | None
) -> Fitting:
    """What becomes of the living schedules of `workflow` with another version; `schema` is None where there is none."""
    if schema is not None:
        return fitting(workflow.tenant_id, workflow.id, schema_ref, schema, schema_mode)
    anything = fitting(workflow.tenant_id, workflow.id, schema_ref, {}, schema_mode)
    bound: list[Any] = [*anything.going_on, *anything.recovering, *anything.misfits]
    return Fitting((), (), tuple(Misfit(one.id, one.name, one.status, UNPUBLISHED_REASON) for one in bound))


def carry_over(actor: Actor, old: Workflow, new: Workflow, latest: WorkflowVersion | None, now: datetime) -> Fitting:
    """Give the settled schedules of `old` to `new`, which runs `latest`: those that fit go on, the others become invalid,
    and what was invalid and fits is paused until someone resumes it."""
    ids = schedule_ids(old.tenant_id, old.id)
    mode, ref = (latest.payload_schema_mode, latest.payload_schema_ref) if latest else ("", None)
    fit = schedule_fit(old, mode, ref, latest.payload_schema if latest else None)
    values = {"ids": ids, "workflow_id": new.id, "version": latest.version if latest else None, "now": now}
    if latest is None:
        # Only what cannot fire may be without a version.
        rebind(actor, fit, 0, now)
        db.session.execute(_MOVE, values)
    else:
        db.session.execute(_MOVE, values)
        seal_payloads(new.tenant_id, new.id, latest.payload_schema or {})
        rebind(actor, fit, latest.version, now)
    record_replaced(actor, old, new, len(ids), len(fit.newly_invalid))
    return fit


def record_replaced(actor: Actor, old: Workflow, new: Workflow, moved: int = 0, invalid: int = 0) -> None:
    """Put on record that `new` is in the place of `old`, and what that meant for its schedules."""
    after = {"by": str(new.id), "schedulesMoved": moved, "schedulesInvalid": invalid}
    record_change(actor, "workflow.replaced", old, after=after)
