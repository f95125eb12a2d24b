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
from domain.kernel.errors import Held, NotFound, Refused
from domain.kernel.names import parse_name
from domain.runs.announcing import announce_work
from domain.runs.call_limits import check_call_rate
from domain.runs.launch import earlier_run_id, insert_call, insert_run, launchable_version
from domain.runs.runs import BY_HAND, Run
from domain.schedules.copies import payload_to_copy
from domain.schedules.drafts import Checks, ScheduleDraft, checked_payload, parse_attempts
from domain.schedules.schedules import ENDPOINT, WORKFLOW, Schedule
from domain.schedules.targets import EndpointTarget, Target, bound_target, check_runnable
from domain.timing.fields import parse_cron
from domain.timing.zones import parse_local, parse_zone
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
    still be missing. Raises Refused at `workflowId`, `endpointId`, `timezone`, `rehearseFor`, `maxAttempts`, `payload…`,
    Throttled when extensions were called too often by hand.
    """
    if earlier := claim_request(actor.tenant_id, request_key, "schedules.rehearse"):
        return load(actor.tenant_id, Run, earlier_run_id(earlier))
    schedule = load(actor.tenant_id, Schedule, schedule_id) if schedule_id else None
    target = _target(actor, draft, schedule, now)
    checks = Checks()
    timezone = checks.attempt(lambda: parse_zone(draft.timezone))
    nominal = checks.attempt(lambda: _nominal(scheduled_for, timezone, now), now, "rehearseFor")
    stored = _kept(target, schedule, like_id)
    payload = checks.attempt(lambda: checked_payload(draft, target, stored))
    attempts = parse_attempts(draft, checks)
    checks.finish()
    told = _told(draft, schedule_id or NOT_SAVED, timezone, nominal, now)
    run = _insert(actor, target, payload, told, _name(draft, target), attempts)
    answer_request(actor.tenant_id, request_key, {"runId": str(run.id)})
    kind = ENDPOINT if draft.is_endpoint else WORKFLOW
    after = {"runId": str(run.id), kind: target.label, "scheduledFor": told["scheduledFor"]}
    record_change(actor, "schedule.rehearsed", schedule or run, after=after)
    announce_work()
    return run


def rehearsal(tenant_id: UUID, run_id: UUID) -> Run:
    """A rehearsal of the tenant; raises NotFound for any other run."""
    run = load(tenant_id, Run, run_id)
    if not run.is_rehearsal:
        raise NotFound
    return run


def _kept(target: Target, schedule: Schedule | None, like_id: UUID | None) -> Any:
    """What kept marks stand for. Raises NotFound when what is copied is gone."""
    if like_id is None:
        return schedule.payload_json if schedule else None
    load(target.tenant_id, Schedule, like_id)
    return payload_to_copy(target, like_id)


def _target(actor: Actor, draft: ScheduleDraft, schedule: Schedule | None, now: datetime) -> Target:
    """What saving would bind to, if it can be started now; held with FOR SHARE."""
    if draft.is_endpoint:
        check_call_rate(actor.tenant_id, now)
    target = bound_target(actor.tenant_id, draft, schedule)
    try:
        if isinstance(target, EndpointTarget):
            check_runnable(target)
        else:
            launchable_version(load(actor.tenant_id, Workflow, target.version.workflow_id))
    except Held as held:
        path = "endpointId" if isinstance(target, EndpointTarget) else "workflowId"
        raise Refused.at(path, held.message, held.code) from held
    return target


def _insert(
    actor: Actor, target: Target, payload: Any, told: dict[str, Any], name: str | None, max_attempts: int
) -> Run:
    marked = {"rehearsal": True, "scheduleName": name}
    if isinstance(target, EndpointTarget):
        metadata, which = {**told, **marked}, (target.install, target.endpoint)
        return insert_call(actor, *which, payload, BY_HAND, metadata, is_rehearsal=True, max_attempts=max_attempts)
    clock = {**told, "workflowId": str(target.version.workflow_id), "workflowVersion": target.version.version}
    given = clock if target.takes_clock else payload
    return insert_run(actor, target.version, given, BY_HAND, {**clock, **marked}, is_rehearsal=True)


def _nominal(scheduled_for: str, timezone: str | None, now: datetime) -> datetime:
    if not scheduled_for.strip() or timezone is None:
        return now.replace(microsecond=0)
    return parse_local(scheduled_for, timezone)


def _told(draft: ScheduleDraft, schedule_id: UUID, timezone: str, nominal: datetime, now: datetime) -> dict[str, Any]:
    """What every rehearsal is told; with the workflow and its version the clock contract `trigger.clock.v1`."""
    told = {
        "triggerType": "manual",
        "scheduleId": str(schedule_id),
        "scheduledFor": _iso(nominal),
        "firedAt": _iso(now),
        "timezone": timezone,
    }
    return told | _cron(draft)


def _cron(draft: ScheduleDraft) -> dict[str, Any]:
    if draft.trigger_type != "recurring":
        return {}
    pattern = Checks().attempt(lambda: parse_cron(draft.cron))
    return {"cron": pattern.text} if pattern else {}


def _name(draft: ScheduleDraft, target: Target) -> str | None:
    if isinstance(target, EndpointTarget) and not str(draft.name or "").strip():
        return target.label
    return Checks().attempt(lambda: parse_name(draft.name, "name"))


def _iso(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")
