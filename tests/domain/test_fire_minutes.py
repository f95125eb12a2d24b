"""Sums of the ledger by minute: how late the installation fired, and what became of a tenant's instants."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from domain import fire_minutes
from domain.fire_minutes import (
    EVERYBODY,
    KEPT,
    MINUTES,
    FireMinute,
    lateness_by_minute,
    outcomes_of_hour,
    prune_minutes,
    sum_minutes,
    worst_of,
)
from domain.kernel import clock
from domain.kernel.ids import new_id
from domain.schedules.occurrences import Occurrence
from domain.schedules.schedules import Schedule
from tests.factories import a_published_workflow, a_schedule, a_tenant

MINUTE = timedelta(minutes=1)


@pytest.fixture
def now(db: Any) -> datetime:
    return clock.database_now().replace(second=30, microsecond=0)


@pytest.fixture
def sync(db: Any) -> Schedule:
    return a_schedule(a_published_workflow(a_tenant()))


def decide(db: Any, schedule: Schedule, at: datetime, late: float = 0, outcome: str = "fired", **values: Any) -> None:
    values = {"origin_key": "timing", "scheduled_for": at} | values
    if outcome != "fired":
        values["reason"] = "overlap"
    row = Occurrence(
        id=new_id(), tenant_id=schedule.tenant_id, schedule_id=schedule.id, outcome=outcome,
        decided_at=at + timedelta(seconds=late), **values,
    )  # fmt: skip
    db.add(row)
    db.flush()


def test_an_hour_without_fires_has_sixty_empty_minutes(db: Any, now: datetime) -> None:
    assert sum_minutes(now)
    minutes = lateness_by_minute(now)
    assert len(minutes) == MINUTES and minutes[-1].at == now.replace(second=0)
    assert {(minute.fired, minute.most) for minute in minutes} == {(0, None)}
    assert worst_of(minutes) is None


def test_lateness_is_told_of_what_its_timing_fired(db: Any, sync: Schedule, now: datetime) -> None:
    start = now.replace(second=0)
    for second in range(20):
        decide(db, sync, start + timedelta(seconds=second), late=0.01 * (second + 1))
    decide(db, sync, start + timedelta(seconds=21), late=3, origin_key="run_now:1")
    decide(db, sync, start + timedelta(seconds=22), late=4, outcome="skipped")
    decide(db, sync, start - 5 * MINUTE, late=2)
    sum_minutes(now)
    minutes = lateness_by_minute(now)
    last = minutes[-1]
    assert (last.fired, last.p50, last.p99, last.most) == (21, 0.1, 0.2, 0.2)
    assert (minutes[-6].fired, minutes[-6].most) == (1, 2.0)
    assert worst_of(minutes) == 2.0


def test_a_tenant_is_told_of_its_own_instants_alone(db: Any, sync: Schedule, now: datetime) -> None:
    other = a_schedule(a_published_workflow(a_tenant("globex")))
    at = now.replace(second=0)
    decide(db, sync, at)
    decide(db, sync, at - 2 * MINUTE, 90, "missed", through=at - MINUTE, count=60)
    decide(db, other, at)
    decide(db, sync, at - 61 * MINUTE)
    sum_minutes(now)
    assert outcomes_of_hour(sync.tenant_id, now) == {"fired": 1, "missed": 60}
    assert outcomes_of_hour(other.tenant_id, now) == {"fired": 1}
    assert lateness_by_minute(now)[-1].fired == 2


def test_what_is_committed_late_is_added_at_the_next_time(db: Any, sync: Schedule, now: datetime) -> None:
    at = now.replace(second=0)
    decide(db, sync, at)
    sum_minutes(now)
    decide(db, sync, at - timedelta(seconds=10))
    decide(db, sync, at + timedelta(seconds=40))
    sum_minutes(now + MINUTE)
    sum_minutes(now + MINUTE)
    assert [minute.fired for minute in lateness_by_minute(now + MINUTE)][-3:] == [1, 2, 0]


def test_an_hour_is_added_up_in_parts_that_a_statement_may_take(
    db: Any, sync: Schedule, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the first hour of an installation that fires thousands each second could never be added up."""
    for minutes in range(60):
        decide(db, sync, now.replace(second=5) - minutes * MINUTE)
    spans: list[timedelta] = []
    execute = db.execute

    def watched(query: Any, values: Any = None) -> Any:
        if query is fire_minutes._SUM:
            spans.append(values["until"] - values["since"])
        return execute(query, values)

    monkeypatch.setattr(db, "execute", watched)
    sum_minutes(now)
    assert max(spans) <= timedelta(minutes=10) and len(spans) >= 6
    assert [minute.fired for minute in lateness_by_minute(now)] == [1] * MINUTES


def test_sums_that_no_page_shows_are_forgotten(db: Any, sync: Schedule, now: datetime) -> None:
    decide(db, sync, now.replace(second=0))
    sum_minutes(now)
    assert prune_minutes(now + KEPT - MINUTE) == 0
    assert prune_minutes(now + KEPT + MINUTE) == 2
    assert db.scalars(select(FireMinute).where(FireMinute.tenant_id == EVERYBODY)).all() == []
