"""A rehearsal: what a schedule would run, now, as a marked test run, before it is saved or for any instant.

It has no occurrence and belongs to no schedule, so it counts for nothing: not for overlap, not for what failed lately.
Its steps are real.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from domain.accounts.audit import Actor, record_change
from domain.accounts.request_keys import answer_request, claim_request
from domain.accounts.tenants import load
from domain.firing.lifecycle import bindable_version
from domain.kernel.errors import Held, NotFound, Refused
from domain.kernel.names import parse_name
from domain.runs.announcing import announce_work
from domain.runs.launch import earlier_run_id, insert_run, launchable_version
from domain.runs.runs import BY_HAND, Run
from domain.schedules.drafts import Checks, ScheduleDraft, checked_payload
from domain.schedules.schedules import Schedule
from domain.timing.fields import parse_cron
from domain.timing.zones import parse_local, parse_zone
from domain.workflows.built_in_schemas import is_clock_ref
from domain.workflows.versions import WorkflowVersion
from domain.workflows.workflows import Workflow

NOT_SAVED = UUID(int=0)
"""What the clock contract says for `scheduleId` while there is none: the nil UUID (RFC 9562 §5.9)."""


def rehearse(
    actor: Actor,
    draft: ScheduleDraft,
    scheduled_for: str,
    request_key: str,
    now: datetime,
    schedule_id: UUID | None = None,
    like_id: UUID | None = None,
) -> Run:
    """Start a rehearsal of the draft; repeating the request gives the run it started.

    `scheduled_for`: the instant it is told, a wall time in the draft's zone; empty: now. `schedule_id`: what is being
    edited, `like_id`: what is being copied; kept marks in the payload stand for what it holds. Name and pattern may
    still be missing. Raises Refused at `workflowId`, `timezone`, `rehearseFor`, `payload…`.
    """
    if earlier := claim_request(actor.tenant_id, request_key, "schedules.rehearse"):
        return load(actor.tenant_id, Run, earlier_run_id(earlier))
    schedule = load(actor.tenant_id, Schedule, schedule_id) if schedule_id else None
    origin = load(actor.tenant_id, Schedule, like_id) if like_id else schedule
    workflow, version = _target(actor, draft)
    checks = Checks()
    timezone = checks.attempt(lambda: parse_zone(draft.timezone))
    nominal = checks.attempt(lambda: _nominal(scheduled_for, timezone, now), now, "rehearseFor")
    stored = origin.payload_json if origin else None
    payload = checks.attempt(lambda: checked_payload(draft.payload, version, stored))
    checks.finish()
    clock = _clock(draft, version, schedule_id or NOT_SAVED, timezone, nominal, now)
    metadata = {**clock, "rehearsal": True, "scheduleName": _name(draft)}
    given = clock if is_clock_ref(version.payload_schema_ref) else payload
    run = insert_run(actor, workflow, version, given, BY_HAND, metadata, is_rehearsal=True)
    answer_request(actor.tenant_id, request_key, {"runId": str(run.id)})
    told = {"runId": str(run.id), "workflow": workflow.name, "scheduledFor": clock["scheduledFor"]}
    record_change(actor, "schedule.rehearsed", schedule or run, after=told)
    announce_work()
    return run


def rehearsal(tenant_id: UUID, run_id: UUID) -> Run:
    """A rehearsal of the tenant; raises NotFound for any other run."""
    run = load(tenant_id, Run, run_id)
    if not run.is_rehearsal:
        raise NotFound
    return run


def _target(actor: Actor, draft: ScheduleDraft) -> tuple[Workflow, WorkflowVersion]:
    """The version that saving would bind to, if it can be started now; its workflow is share-locked."""
    if draft.workflow_id is None:
        raise Refused.at("workflowId", "Choose the workflow to run.", "WORKFLOW_REQUIRED")
    workflow = load(actor.tenant_id, Workflow, draft.workflow_id, lock="share")
    try:
        launchable_version(workflow)
        return workflow, bindable_version(workflow)
    except Held as held:
        raise Refused.at("workflowId", held.message, held.code) from held


def _nominal(scheduled_for: str, timezone: str | None, now: datetime) -> datetime:
    if not scheduled_for.strip() or timezone is None:
        return now.replace(microsecond=0)
    return parse_local(scheduled_for, timezone)


def _clock(
    draft: ScheduleDraft, version: WorkflowVersion, schedule_id: UUID, timezone: str, nominal: datetime, now: datetime
) -> dict[str, Any]:
    """The clock contract `trigger.clock.v1` of a rehearsal."""
    contract = {
        "triggerType": "manual",
        "scheduleId": str(schedule_id),
        "scheduledFor": _iso(nominal),
        "firedAt": _iso(now),
        "timezone": timezone,
        "workflowId": str(version.workflow_id),
        "workflowVersion": version.version,
    }
    return contract | _cron(draft)


def _cron(draft: ScheduleDraft) -> dict[str, Any]:
    if draft.trigger_type != "recurring":
        return {}
    pattern = Checks().attempt(lambda: parse_cron(draft.cron))
    return {"cron": pattern.text} if pattern else {}


def _name(draft: ScheduleDraft) -> str | None:
    return Checks().attempt(lambda: parse_name(draft.name, "name"))


def _iso(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")
