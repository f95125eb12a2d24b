"""A government changes the rules of a zone: cursors were set by the old ones, instants come by the new ones (D10)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import text

from domain.firing import due
from domain.schedules.schedules import Schedule
from tests.domain.firing.ledger import NOON, a_live_schedule, a_target, cursor, ledger, minute, runs, tick_until_idle
from tests.factories import a_tenant

pytestmark = pytest.mark.usefixtures("db")


@pytest.fixture
def workflow(db: Any) -> Any:
    return a_target(a_tenant())


def a_daily_schedule(workflow: Any, name: str = "Daily", now: datetime = NOON, **values: Any) -> Schedule:
    """Due at 13:00, by the rules of now."""
    return a_live_schedule(workflow, name, now=now, cron="0 13 * * *", timezone="Africa/Abidjan", **values)


def by_old_rules(db: Any, instant: datetime, changed_at: datetime = NOON) -> None:
    """As if the cursors had been set when 13:00 there was `instant`."""
    db.execute(text("UPDATE schedule_cursors SET next_fire_at = :at, wake_at = :at"), {"at": instant})
    db.execute(text("UPDATE schedules SET updated_at = :at"), {"at": changed_at})


@pytest.mark.parametrize("is_noticed", [True, False], ids=["guarded", "unguarded"])
def test_an_instant_that_has_moved_before_its_cursor_fires_when_the_cursor_is_due(
    workflow: Any, db: Any, monkeypatch: pytest.MonkeyPatch, is_noticed: bool
) -> None:
    """Late, once, and on record; afterwards in time. Control: otherwise nobody would ever know of it."""
    if not is_noticed:
        monkeypatch.setattr(due, "_by_one_start", lambda row: [row])
    schedule = a_daily_schedule(workflow)
    by_old_rules(db, minute(120))
    for number in (60, 119, 120, 121):
        tick_until_idle(minute(number))
    assert ledger(schedule) == ([(60, "fired", None)] if is_noticed else [])
    assert cursor(schedule).next_fire_at == minute(60 + 24 * 60)
    tick_until_idle(minute(60 + 24 * 60))
    assert len(runs(schedule)) == (2 if is_noticed else 1)


def test_one_that_is_not_made_up_is_on_record_as_missed(workflow: Any, db: Any) -> None:
    schedule = a_daily_schedule(workflow, catch_up="skip")
    by_old_rules(db, minute(120))
    tick_until_idle(minute(120))
    assert ledger(schedule) == [(60, "missed", "late")]


def test_an_instant_that_has_moved_behind_its_cursor_fires_in_time(workflow: Any, db: Any) -> None:
    schedule = a_daily_schedule(workflow)
    by_old_rules(db, minute(30))
    tick_until_idle(minute(30))
    assert ledger(schedule) == []
    assert (cursor(schedule).next_fire_at, cursor(schedule).wake_at) == (minute(60), minute(60))
    tick_until_idle(minute(60))
    assert ledger(schedule) == [(60, "fired", None)]


def test_what_was_decided_by_the_old_rules_is_not_decided_again(workflow: Any, db: Any) -> None:
    """Of two that are alike, each goes on where its own ledger ends."""
    old, new = a_daily_schedule(workflow), a_daily_schedule(workflow, "New")
    tick_until_idle(minute(60))
    db.execute(text("DELETE FROM runs WHERE schedule_id = :id"), {"id": new.id})
    db.execute(text("DELETE FROM occurrences WHERE schedule_id = :id"), {"id": new.id})
    by_old_rules(db, minute(120))
    tick_until_idle(minute(120))
    assert ledger(old) == ledger(new) == [(60, "fired", None)]
    assert len(runs(old)) == len(runs(new)) == 1


def test_nothing_is_owed_from_before_a_schedule_was_made_or_changed(workflow: Any, db: Any) -> None:
    schedule = a_daily_schedule(workflow, now=minute(90))
    by_old_rules(db, minute(120), changed_at=minute(90))
    tick_until_idle(minute(120))
    assert ledger(schedule) == []
    assert cursor(schedule).next_fire_at == minute(60 + 24 * 60)
