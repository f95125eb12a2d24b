"""Clocks that jump, machines that sleep, zones that vanish, backups that are old. What holds is shown beside a control:
the same fault with the guard off.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from domain.firing import due
from domain.firing import tick as tick_module
from domain.firing.ledger import Entry, Mark, write_entries
from domain.firing.tick import fire_due
from domain.invariants import broken_invariants
from domain.kernel import clock
from domain.kernel.errors import DomainError
from domain.kernel.ids import new_id
from domain.schedules.schedules import Schedule
from domain.timing import decisions
from tests.domain.firing.ledger import (
    NOON,
    a_live_schedule,
    a_target,
    cursor,
    ledger,
    minute,
    occurrences,
    runs,
    tick_until_idle,
)
from tests.factories import a_tenant

pytestmark = pytest.mark.usefixtures("db")
HALF_A_SECOND = timedelta(milliseconds=500)
TEN_YEARS = timedelta(days=3652)
EARLY = "an instant that was decided before its time"
DROP_KEY = "ALTER TABLE occurrences DROP CONSTRAINT pk_occurrences"


@pytest.fixture
def workflow(db: Any) -> Any:
    return a_target(a_tenant())


def move_cursors(db: Any, instant: datetime) -> None:
    """As if nobody knew what was decided before, and everything began with the clock."""
    moved = "UPDATE schedule_cursors SET next_fire_at = :at, wake_at = :at"
    db.execute(text(moved), {"at": instant.replace(second=0, microsecond=0)})


def decided(schedule: Schedule) -> Counter[float]:
    """How often each instant is on record, by its minutes after noon."""
    return Counter(number for number, _, _ in ledger(schedule))


# The clock that everybody reads is set back (D3), or shows a second twice (D9)


@pytest.mark.parametrize(
    ("cron", "clock", "instants"),
    [
        ("0 * * * *", [minute(n) for n in (60, 120, 60, 61, 120, 180)], [60, 120, 180]),
        ("* * * * *", [minute(1), minute(1) + HALF_A_SECOND, minute(1) - HALF_A_SECOND, minute(1), minute(2)], [1, 2]),
    ],
    ids=["an hour back", "a leap second"],
)
@pytest.mark.parametrize("guards", [{"cursor", "key"}, {"key"}, set()], ids=["guarded", "key alone", "unguarded"])
def test_no_instant_comes_twice_although_the_clock_shows_it_twice(
    workflow: Any, db: Any, cron: str, clock: list[datetime], instants: list[float], guards: set[str]
) -> None:
    """The cursor only moves on, and the key of the ledger alone would be enough. Control: with neither, it comes twice."""
    schedule = a_live_schedule(workflow, cron=cron, overlap="allow")
    if "key" not in guards:
        db.execute(text(DROP_KEY))
    for now in clock:
        if "cursor" not in guards and now.replace(second=0, microsecond=0) > NOON:
            move_cursors(db, now)
        fire_due(now)
    found = decided(schedule)
    assert sorted(found) == instants
    assert (max(found.values()) == 1) is bool(guards)
    assert len(runs(schedule)) == sum(found.values())


# It is set ahead by mistake, and back again (D4)


@pytest.mark.parametrize("most", [decisions.CATCH_UP_LIMIT, 150], ids=["guarded", "unguarded"])
def test_a_clock_that_was_ten_years_ahead_for_a_moment_starts_a_hundred_runs_at_most(
    workflow: Any, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """Control: the bound is what counts, not something else."""
    monkeypatch.setattr(decisions, "CATCH_UP_LIMIT", most)
    schedule = a_live_schedule(workflow, cron="*/5 * * * *", catch_up="all", overlap="allow")
    tick_until_idle(minute(5))
    tick_until_idle(minute(7.5) + TEN_YEARS)
    assert len(runs(schedule)) == 1 + most
    accounted = sum(row.count for row in occurrences(schedule))
    assert accounted == 1 + TEN_YEARS // timedelta(minutes=5)


@pytest.mark.parametrize(("ahead", "found"), [(timedelta(0), set()), (TEN_YEARS, {EARLY})])
def test_that_the_clock_was_ahead_is_found_by_the_check_of_the_invariants(
    workflow: Any, ahead: timedelta, found: set[str]
) -> None:
    now = clock.database_now()
    schedule = a_live_schedule(workflow, now=now - timedelta(minutes=3))
    tick_until_idle(now + ahead)
    assert ledger(schedule)
    assert set(broken_invariants()) == found


def test_after_it_was_set_back_nothing_fires_again_and_a_new_schedule_fires_at_once(workflow: Any) -> None:
    """What was decided is never rewritten, so the old one stands still until the clock gets there."""
    old = a_live_schedule(workflow)
    tick_until_idle(minute(1) + TEN_YEARS)
    rows = len(ledger(old))
    new = a_live_schedule(workflow, "Its copy", now=minute(1.5))
    for number in range(2, 5):
        tick_until_idle(minute(number))
    assert len(ledger(old)) == rows and cursor(old).next_fire_at == minute(2) + TEN_YEARS
    assert ledger(new) == [(2, "fired", None), (3, "fired", None), (4, "fired", None)]


# Nobody looks for a while: machines that sleep, schedulers that are down (D5, D6, D13)

AWAY = {"3 minutes": (12.5, 1), "3 hours": (187.5, 36), "3 days": (4327.5, 864)}
FIRED = {
    "skip": {"3 minutes": 0, "3 hours": 0, "3 days": 0},
    "latest": {"3 minutes": 1, "3 hours": 1, "3 days": 1},
    "all": {"3 minutes": 1, "3 hours": 36, "3 days": 100},
}


@pytest.mark.parametrize("away", AWAY)
@pytest.mark.parametrize("catch_up", FIRED)
@pytest.mark.parametrize("is_remembered", [True, False], ids=["guarded", "unguarded"])
def test_what_came_due_while_nobody_looked_is_made_up_as_the_policy_says_and_all_of_it_is_on_record(
    workflow: Any, db: Any, away: str, catch_up: str, is_remembered: bool
) -> None:
    """Control: whoever begins anew with the clock, as timers in memory do, knows nothing of it."""
    schedule = a_live_schedule(workflow, cron="*/5 * * * *", catch_up=catch_up, overlap="allow")
    tick_until_idle(minute(5))
    until, came_due = AWAY[away]
    if not is_remembered:
        move_cursors(db, minute(until))
    tick_until_idle(minute(until))
    accounted = sum(row.count for row in occurrences(schedule)) - 1
    if is_remembered:
        assert (len(runs(schedule)) - 1, accounted) == (FIRED[catch_up][away], came_due)
    else:
        assert accounted == 0


# A schedule that cannot be decided (C6, D11)


@pytest.mark.parametrize("broken", ["cron = 'rubbish'", "timezone = 'Mars/Olympus_Mons'"])
@pytest.mark.parametrize("is_set_apart", [True, False], ids=["guarded", "unguarded"])
def test_a_pattern_or_a_zone_that_nobody_knows_any_more_delays_only_itself(
    workflow: Any, db: Any, monkeypatch: pytest.MonkeyPatch, broken: str, is_set_apart: bool
) -> None:
    """Control: a tick that does not set it apart decides nothing, and never will."""
    sound = [a_live_schedule(workflow, f"Sound {number}") for number in range(5)]
    poisoned = a_live_schedule(workflow, "Poisoned")
    db.execute(text(f"UPDATE schedules SET {broken} WHERE id = :id"), {"id": poisoned.id})
    if not is_set_apart:
        monkeypatch.setattr(due, "_verdict", due._decided)
        with pytest.raises(DomainError), db.begin_nested():
            fire_due(minute(1))
        assert [ledger(schedule) for schedule in sound] == [[]] * 5
        return
    fire_due(minute(1))
    assert [ledger(schedule) for schedule in sound] == [[(1, "fired", None)]] * 5
    assert ledger(poisoned) == []
    assert "could not be computed" in str(cursor(poisoned).last_error)
    assert (cursor(poisoned).next_fire_at, cursor(poisoned).wake_at) == (minute(1), minute(6))


@pytest.mark.parametrize("is_halved", [True, False], ids=["guarded", "unguarded"])
def test_a_row_that_the_database_refuses_delays_only_itself(
    workflow: Any, db: Any, monkeypatch: pytest.MonkeyPatch, is_halved: bool
) -> None:
    """Control: written in one piece, one row takes all others with it."""
    sound = [a_live_schedule(workflow, f"Sound {number}") for number in range(5)]
    poisoned = a_live_schedule(workflow, "Poisoned")
    db.execute(text(f"ALTER TABLE occurrences ADD CONSTRAINT poison CHECK (schedule_id <> '{poisoned.id}')"))
    if not is_halved:
        monkeypatch.setattr(tick_module, "write_or_halve", lambda steps, write, _put_back: write(steps))
        with pytest.raises(IntegrityError), db.begin_nested():
            fire_due(minute(1))
    else:
        fire_due(minute(1))
    assert [len(ledger(schedule)) for schedule in sound] == [1 if is_halved else 0] * 5
    assert ledger(poisoned) == []


# Two releases at once write the same key (D15, D16)


def write_fired(schedule: Schedule, instant: datetime) -> None:
    write_entries([Entry(new_id(), schedule.id, Mark(instant, "fired", ready=True))], minute(2))


@pytest.mark.parametrize("is_kept", [True, False], ids=["guarded", "unguarded"])
def test_two_who_write_one_instant_in_different_ways_write_one_row(workflow: Any, db: Any, is_kept: bool) -> None:
    schedule = a_live_schedule(workflow)
    if not is_kept:
        db.execute(text(DROP_KEY))
    write_fired(schedule, minute(1))
    write_fired(schedule, minute(1).astimezone(timezone(timedelta(hours=5, minutes=30))))
    expected = 1 if is_kept else 2
    assert (len(ledger(schedule)), len(runs(schedule))) == (expected, expected)


@pytest.mark.parametrize("is_kept", [True, False], ids=["guarded", "unguarded"])
def test_an_instant_between_two_seconds_is_refused(workflow: Any, db: Any, is_kept: bool) -> None:
    """Control: without the check a drift of 400 microseconds is another instant, with a run of its own."""
    schedule = a_live_schedule(workflow)
    write_fired(schedule, minute(1))
    drifted = minute(1) + timedelta(microseconds=400)
    if is_kept:
        with pytest.raises(IntegrityError, match="whole_seconds"), db.begin_nested():
            write_fired(schedule, drifted)
    else:
        db.execute(text("ALTER TABLE occurrences DROP CONSTRAINT ck_occurrences_whole_seconds"))
        write_fired(schedule, drifted)
    assert len(runs(schedule)) == (1 if is_kept else 2)


# A backup that is an hour old is put back (C14)


@pytest.mark.parametrize(("catch_up", "again"), [("skip", 0), ("latest", 1), ("all", 12)])
def test_after_an_old_backup_is_put_back_the_lost_hour_is_decided_again_by_the_policy(
    workflow: Any, db: Any, catch_up: str, again: int
) -> None:
    schedule = a_live_schedule(workflow, cron="*/5 * * * *", catch_up=catch_up, overlap="allow")
    tick_until_idle(minute(5))
    backup = db.begin_nested()
    for number in range(10, 66, 5):
        tick_until_idle(minute(number))
    lost = {run.id for run in runs(schedule)[1:]}
    assert len(lost) == 12
    backup.rollback()
    tick_until_idle(minute(67.5))
    started = {run.id for run in runs(schedule)[1:]}
    assert len(started) == again and not started & lost
    assert sum(row.count for row in occurrences(schedule)) == 13
