"""A schedule run by hand: its payload, now, with an occurrence of its own beside those of its timing."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from domain.accounts.audit import Actor, record_change
from domain.accounts.request_keys import answer_request, claim_request
from domain.accounts.tenants import Tenant, load
from domain.firing.holds import EDITION_REQUIRED
from domain.kernel.db import db
from domain.kernel.errors import Conflict, Held
from domain.runs.admission import unfinished_runs
from domain.runs.announcing import announce_work
from domain.runs.launch import earlier_run_id, insert_run, launchable_version
from domain.runs.runs import BY_HAND, Run
from domain.schedules.cursors import locked_cursor
from domain.schedules.occurrences import Occurrence, run_now_origin
from domain.schedules.schedules import INVALID, Schedule
from domain.timing.decisions import QUEUE_LIMIT
from domain.timing.outcomes import Outcome
from domain.workflows.built_in_schemas import is_clock_ref
from domain.workflows.versions import WorkflowVersion, version_of
from domain.workflows.workflows import Workflow


def run_schedule_now(actor: Actor, schedule_id: UUID, request_key: str, now: datetime) -> Run:
    """Start a run with the schedule's payload; repeating the request gives the run it started.

    Allowed when active, paused or completed. Raises Held with the reason otherwise: invalid, workflow paused, the
    overlap policy. Raises Conflict when somebody moved it to another workflow meanwhile.
    """
    if earlier := claim_request(actor.tenant_id, request_key, "schedules.run_now"):
        return load(actor.tenant_id, Run, earlier_run_id(earlier))
    schedule = load(actor.tenant_id, Schedule, schedule_id)
    workflow = load(actor.tenant_id, Workflow, schedule.workflow_id, lock="share")
    published = startable_version(workflow)
    locked_cursor(schedule_id)
    schedule = load(actor.tenant_id, Schedule, schedule_id, lock="share")
    if schedule.workflow_id != workflow.id:
        raise Conflict
    _check_allowed(schedule)
    nominal = now.replace(microsecond=0)
    version = version_of(actor.tenant_id, workflow.id, schedule.workflow_version or published.version)
    clock = _clock(schedule, nominal)
    payload = clock if is_clock_ref(version.payload_schema_ref) else schedule.payload_json
    metadata = {**clock, "scheduleName": schedule.name}
    run = insert_run(actor, workflow, version, payload, BY_HAND, metadata, schedule_id=schedule.id)
    _record_occurrence(actor, schedule, run, request_key, nominal, now)
    answer_request(actor.tenant_id, request_key, {"runId": str(run.id)})
    record_change(actor, "schedule.run_now", schedule, after={"runId": str(run.id)})
    announce_work()
    return run


def startable_version(workflow: Workflow) -> WorkflowVersion:
    """The published version; raises Held with the reason when nothing of its schedules may be started now."""
    if not db.session.get_one(Tenant, workflow.tenant_id, populate_existing=True).has_schedules:
        raise Held(EDITION_REQUIRED, code="EDITION_REQUIRED")
    return launchable_version(workflow)


def check_valid(schedule: Schedule) -> None:
    """Raises Held when its payload does not fit the version it is bound to."""
    if schedule.status == INVALID:
        message = f"{schedule.name} cannot run: {schedule.invalid_reason}. Mend its payload first."
        raise Held(message, code="SCHEDULE_INVALID")


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


def _clock(schedule: Schedule, nominal: datetime) -> dict[str, Any]:
    """The clock contract `trigger.clock.v1` of a run by hand."""
    instant = nominal.strftime("%Y-%m-%dT%H:%M:%SZ")
    contract = {
        "triggerType": "manual",
        "scheduleId": str(schedule.id),
        "scheduledFor": instant,
        "firedAt": instant,
        "timezone": schedule.timezone,
        "workflowId": str(schedule.workflow_id),
        "workflowVersion": schedule.workflow_version,
    }
    return contract | ({"cron": schedule.cron} if schedule.cron else {})


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
