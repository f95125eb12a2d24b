"""What keeps several schedulers apart, one guard after the other: locks that are passed by, the key of the ledger, and one
clock for all of them. Each has a control without it.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy.exc import OperationalError
from sqlalchemy.sql import Select

from domain.firing import tick as tick_module
from domain.firing.due import due_steps
from domain.firing.tick import fire_due
from domain.kernel import clock
from domain.kernel.db import transaction
from tests.faults.fleet import Fleet, execute, rows, scalar
from tests.faults.ticking import (
    SCHEDULES,
    UNDECIDED,
    assert_all_decided,
    decide_due,
    scheduler_on,
    seed_due,
    stored_violations,
    tick,
)
from workers import scheduler as scheduler_module

SCHEDULERS = 3


def without_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Select, "with_for_update", lambda query, **_how: query)


def without_the_key(app: Flask) -> None:
    execute(app, "ALTER TABLE occurrences DROP CONSTRAINT pk_occurrences")


def tick_at_once(app: Flask, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """All look for what is due before any of them writes; how many each has decided."""
    all_have_looked = threading.Barrier(SCHEDULERS)

    def look_together(*given: Any) -> Any:
        steps = due_steps(*given)
        all_have_looked.wait(30)
        return steps

    monkeypatch.setattr(tick_module, "due_steps", look_together)

    def decide(_number: int) -> int:
        with app.app_context(), transaction():
            return fire_due(clock.database_now(), SCHEDULES // SCHEDULERS)

    with ThreadPoolExecutor(SCHEDULERS) as pool:
        return list(pool.map(decide, range(SCHEDULERS)))


@pytest.mark.parametrize("guards", [{"locks", "key"}, {"key"}, set()], ids=["guarded", "key alone", "unguarded"])
def test_three_schedulers_that_look_at_the_same_moment_decide_each_instant_once(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, guards: set[str]
) -> None:
    """With the locks all three do work; the key alone still lets nothing be decided twice. Control: with neither it is."""
    seed_due(fleet, SCHEDULES - SCHEDULES % SCHEDULERS)
    if "locks" not in guards:
        without_locks(monkeypatch)
    if "key" not in guards:
        without_the_key(fleet.app)
    decided = tick_at_once(fleet.app, monkeypatch)
    assert decided == [SCHEDULES // SCHEDULERS] * SCHEDULERS
    monkeypatch.setattr(tick_module, "due_steps", due_steps)
    decide_due(fleet.app)
    if guards:
        assert_all_decided(fleet, SCHEDULES - SCHEDULES % SCHEDULERS)
        assert len(rows(fleet.app, "SELECT DISTINCT decided_at FROM occurrences")) >= (3 if "locks" in guards else 1)
    else:
        assert "an instant decided twice" in stored_violations(fleet.app)


@pytest.mark.parametrize("is_passed_by", [True, False], ids=["guarded", "unguarded"])
def test_what_another_scheduler_holds_is_passed_by(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, is_passed_by: bool
) -> None:
    """Control: who waited for it would do nothing else meanwhile."""
    seed_due(fleet)
    if not is_passed_by:
        lock = Select.with_for_update
        monkeypatch.setattr(Select, "with_for_update", lambda query, **how: lock(query, **how | {"skip_locked": False}))
    with scheduler_on(fleet.env, monkeypatch, lock_timeout=1) as other, other.app.app_context():
        with fleet.app.app_context(), transaction():
            assert fire_due(clock.database_now(), 5) == 5
            if is_passed_by:
                assert decide_due(other.app) == SCHEDULES - 5
            else:
                with pytest.raises(OperationalError, match="lock timeout"):
                    decide_due(other.app)
        decide_due(other.app)
    assert_all_decided(fleet)


@pytest.mark.parametrize("minutes", [5, -5])
@pytest.mark.parametrize("whose_clock", ["the database's", "its own"], ids=["guarded", "unguarded"])
def test_a_scheduler_whose_clock_is_wrong_fires_neither_early_nor_late(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, minutes: int, whose_clock: str
) -> None:
    """What is due in two minutes and what has just come due. Control: by its own clock it fires the one, or not the other."""
    seed_due(fleet)
    early = "UPDATE schedules SET run_at = run_at + interval '2 minutes' WHERE name LIKE '%1'"
    execute(fleet.app, early)
    execute(
        fleet.app,
        "UPDATE schedule_cursors c SET next_fire_at = run_at, wake_at = run_at FROM schedules WHERE id = schedule_id",
    )
    due = scalar(fleet.app, UNDECIDED)
    assert 0 < due < SCHEDULES
    with scheduler_on(fleet.env, monkeypatch) as scheduler:
        if whose_clock == "its own":
            next_wake = tick_module.next_wake
            monkeypatch.setattr(scheduler_module, "next_wake", lambda: (clock.now(), next_wake()[1]))
            monkeypatch.setattr(clock, "database_now", clock.now)
        with time_machine.travel(clock.now() + timedelta(minutes=minutes), tick=True):
            tick(scheduler)
    decided = scalar(fleet.app, "SELECT count(*) FROM occurrences")
    if whose_clock == "its own":
        assert decided == (SCHEDULES if minutes > 0 else 0)
    else:
        assert decided == due
        assert scalar(fleet.app, "SELECT count(*) FROM occurrences WHERE scheduled_for > clock_timestamp()") == 0
