"""A schedule that nobody ticked, and backfills of it."""

from __future__ import annotations

from typing import Any

import pytest

from domain.firing.backfilling import plan_backfill, start_backfill
from domain.kernel.errors import Refused
from domain.runs.runs import Run
from domain.schedules.backfills import Backfill, BackfillProgress, backfills_of
from domain.schedules.schedules import Schedule
from tests.domain.firing.ledger import (
    a_live_schedule,
    minute,
    runs,
    tick_until_idle,
)
from tests.domain.firing.test_lifecycle import Cast


def outage(cast: Cast, **values: Any) -> Schedule:
    """Due every minute; nobody looked from noon until half past, and the instant at 12:30 fired."""
    schedule = a_live_schedule(cast.workflow, **{"catch_up": "skip"} | values)
    tick_until_idle(minute(30.5))
    return schedule


def start(cast: Cast, schedule: Schedule, first: float = 1, last: float = 5, at_a_time: int = 2) -> Backfill:
    span = minute(first), minute(last)
    return start_backfill(cast.actor, schedule.id, *span, at_a_time, f"key {first} {last}", minute(30.7))


def refusal(cast: Cast, schedule: Schedule, first: float, last: float, now: float = 30.7) -> tuple[str, str]:
    """Where and why both the plan and the start are refused."""
    span, found = (minute(first), minute(last)), []
    with pytest.raises(Refused) as planned:
        plan_backfill(cast.tenant.id, schedule.id, *span, minute(now))
    with pytest.raises(Refused) as started:
        start_backfill(cast.actor, schedule.id, *span, 1, f"refused {first} {last}", minute(now))
    for refused in (planned, started):
        found += [(problem.path, problem.code) for problem in refused.value.problems]
    assert found[0] == found[1]
    return found[0]


def made_up(schedule: Schedule) -> list[Run]:
    return [run for run in runs(schedule) if run.backfill_id is not None]


def progress(cast: Cast, schedule: Schedule) -> BackfillProgress:
    return backfills_of(cast.tenant.id, schedule.id)[0]
