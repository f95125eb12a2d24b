"""What firing tests look at: the ledger and the runs of a schedule, as plain values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select

from domain.accounts.audit import Actor
from domain.accounts.tenants import Tenant
from domain.firing.lifecycle import create_schedule
from domain.firing.tick import fire_due
from domain.kernel.db import db
from domain.runs.runs import Run
from domain.schedules.cursors import ScheduleCursor
from domain.schedules.drafts import ScheduleDraft
from domain.schedules.occurrences import Occurrence
from domain.schedules.schedules import Schedule
from domain.workflows.workflows import Workflow
from tests.factories import a_version, a_workflow

NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


def a_target(
    tenant: Tenant, name: str = "Invoice sync", *, limit: int | None = None, ref: str = "payload.Open.v1", **values: Any
) -> Workflow:
    """A published workflow, unlimited unless told otherwise; `values` go to its version."""
    workflow = a_workflow(tenant, name, concurrency_limit=limit, draft_schema_ref=ref)
    a_version(workflow, **values)
    return workflow


def a_live_schedule(workflow: Workflow, name: str = "Every minute", *, now: datetime = NOON, **values: Any) -> Schedule:
    """A schedule made by the command itself; every minute from `now` on, in UTC, unless told otherwise."""
    draft = ScheduleDraft(**{"workflow_id": workflow.id, "name": name, "cron": "* * * * *"} | values)
    return create_schedule(Actor(workflow.tenant_id), draft, now)


def a_held_back_schedule(workflow: Workflow, **values: Any) -> Schedule:
    """Due at 13:00 and every day after, but not looked at for half an hour at least: that is its spread."""
    for number in range(64):
        schedule = a_live_schedule(workflow, f"Spread {number}", cron="0 13 * * *", spread_seconds=3600, **values)
        looked_at = cursor(schedule).wake_at
        if looked_at is not None and looked_at > minute(90):
            return schedule
    raise AssertionError("no schedule with a late offset among 64")


def minute(number: float) -> datetime:
    """`number` minutes after noon."""
    return NOON + timedelta(minutes=number)


def ledger(schedule: Schedule) -> list[tuple[float, str, str | None]]:
    """(minutes after noon, outcome, reason) in time order."""
    rows = select(Occurrence).where(Occurrence.schedule_id == schedule.id).order_by(Occurrence.scheduled_for)
    return [
        ((row.scheduled_for - NOON).total_seconds() / 60, row.outcome, row.reason) for row in db.session.scalars(rows)
    ]


def occurrences(schedule: Schedule) -> list[Occurrence]:
    rows = select(Occurrence).where(Occurrence.schedule_id == schedule.id).order_by(Occurrence.scheduled_for)
    return list(db.session.scalars(rows.execution_options(populate_existing=True)))


def runs(schedule: Schedule) -> list[Run]:
    rows = select(Run).where(Run.schedule_id == schedule.id).order_by(Run.id)
    return list(db.session.scalars(rows.execution_options(populate_existing=True)))


def cursor(schedule: Schedule) -> ScheduleCursor:
    return db.session.get_one(ScheduleCursor, schedule.id, populate_existing=True)


def tick_until_idle(now: datetime) -> None:
    """What a scheduler does at `now`."""
    while fire_due(now):
        pass
