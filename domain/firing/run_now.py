"""A schedule run by hand: its payload, now, with an occurrence of its own beside those of its timing."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from domain.accounts.audit import Actor, record_change
from domain.accounts.request_keys import answer_request, claim_request
from domain.accounts.tenants import load
from domain.firing.starting import check_valid, startable_target
from domain.kernel.db import db
from domain.kernel.errors import Held
from domain.runs.admission import unfinished_runs
from domain.runs.announcing import announce_work
from domain.runs.call_limits import check_call_rate
from domain.runs.launch import earlier_run_id, insert_call, insert_run
from domain.runs.runs import BY_HAND, Run
from domain.schedules.counting import count_decided
from domain.schedules.cursors import locked_cursor
from domain.schedules.occurrences import Occurrence, run_now_origin
from domain.schedules.schedules import ENDPOINT, Schedule
from domain.schedules.targets import EndpointTarget, Target
from domain.timing.decisions import QUEUE_LIMIT
from domain.timing.outcomes import Outcome
from domain.workflows.built_in_schemas import is_clock_ref
from domain.workflows.versions import version_of


def run_schedule_now(actor: Actor, schedule_id: UUID, request_key: str, now: datetime) -> Run:
    """Start a run with the schedule's payload; repeating the request gives the run it started.

    Allowed when active, paused or completed. Raises Held with the reason otherwise: invalid, workflow paused, extension
    disabled, the overlap policy. Raises Throttled when extensions were called too often by hand, Conflict when somebody
    gave it another target meanwhile.
    """
    if earlier := claim_request(actor.tenant_id, request_key, "schedules.run_now"):
        return load(actor.tenant_id, Run, earlier_run_id(earlier))
    schedule = load(actor.tenant_id, Schedule, schedule_id)
    if schedule.target_kind == ENDPOINT:
        check_call_rate(actor.tenant_id, now)
    target = startable_target(schedule)
    locked_cursor(schedule_id)
    schedule = load(actor.tenant_id, Schedule, schedule_id, lock="share")
    target.check_bound(schedule)
    _check_allowed(schedule)
    nominal = now.replace(microsecond=0)
    run = _insert(actor, schedule, target, nominal)
    _record_occurrence(actor, schedule, run, request_key, nominal, now)
    answer_request(actor.tenant_id, request_key, {"runId": str(run.id)})
    record_change(actor, "schedule.run_now", schedule, after={"runId": str(run.id)})
    announce_work()
    return run


def _insert(actor: Actor, schedule: Schedule, target: Target, nominal: datetime) -> Run:
    told = _told(schedule, nominal)
    if isinstance(target, EndpointTarget):
        metadata = {**told, "scheduleName": schedule.name}
        return insert_call(
            actor,
            target.install,
            target.endpoint,
            schedule.payload_json,
            BY_HAND,
            metadata,
            schedule_id=schedule.id,
            max_attempts=schedule.max_attempts,
        )
    bound = target.version
    version = version_of(actor.tenant_id, bound.workflow_id, schedule.workflow_version or bound.version)
    clock = told | {"workflowId": str(schedule.workflow_id), "workflowVersion": schedule.workflow_version}
    payload = clock if is_clock_ref(version.payload_schema_ref) else schedule.payload_json
    metadata = {**clock, "scheduleName": schedule.name}
    return insert_run(actor, version, payload, BY_HAND, metadata, schedule_id=schedule.id)


def _check_allowed(schedule: Schedule) -> None:
    check_valid(schedule)
    if schedule.overlap == "allow":
        return
    going = unfinished_runs(schedule.id)
    if schedule.overlap == "skip" and going:
        message = f"An earlier run of {schedule.name} is still going, and its overlap policy is to skip."
        raise Held(message, code="OVERLAP")
    if going >= QUEUE_LIMIT:
        raise Held(f"{going} runs of {schedule.name} are waiting already; no more may queue.", code="QUEUE_FULL")


def _told(schedule: Schedule, nominal: datetime) -> dict[str, Any]:
    """What every run by hand is told; with the workflow and its version the clock contract `trigger.clock.v1`."""
    instant = nominal.strftime("%Y-%m-%dT%H:%M:%SZ")
    told = {
        "triggerType": "manual",
        "scheduleId": str(schedule.id),
        "scheduledFor": instant,
        "firedAt": instant,
        "timezone": schedule.timezone,
    }
    return told | ({"cron": schedule.cron} if schedule.cron else {})


def _record_occurrence(
    actor: Actor, schedule: Schedule, run: Run, request_key: str, nominal: datetime, now: datetime
) -> None:
    db.session.add(
        Occurrence(
            id=run.id,
            schedule_id=schedule.id,
            tenant_id=schedule.tenant_id,
            scheduled_for=nominal,
            origin_key=run_now_origin(request_key),
            outcome=str(Outcome.FIRED),
            decided_at=now,
            actor_id=actor.user_id,
        )
    )
    db.session.flush()
    count_decided(schedule.target_kind, Outcome.FIRED)
