"""The watch over the invariants: what is broken is told once, to those who may act, and taken back when it is mended."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text

from domain import invariant_checks, invariants
from domain.accounts.notifications import Notification
from domain.accounts.permissions import VIEWER
from domain.accounts.users import User
from domain.invariant_checks import CHECK_EVERY, TOLD_FOR, InvariantCheck, check_invariants, standing, watch_of
from domain.invariant_sources import SCHEDULES
from domain.invariants import INVARIANTS, Invariant
from domain.kernel import clock
from domain.kernel.ids import new_id
from domain.schedules.occurrences import Occurrence
from domain.schedules.schedules import Schedule
from domain.workflows.workflows import Workflow
from tests.factories import a_published_workflow, a_run, a_schedule, a_tenant, a_user

MINUTE = timedelta(minutes=1)


@pytest.fixture
def now(db: Any) -> datetime:
    return clock.database_now()


@pytest.fixture
def sync(db: Any) -> Workflow:
    return a_published_workflow(a_tenant())


@pytest.fixture
def alice(sync: Workflow, db: Any) -> User:
    from domain.accounts.tenants import Tenant

    acme = db.get_one(Tenant, sync.tenant_id)
    a_user(acme, "bob@acme.test", VIEWER)
    a_user(a_tenant("globex"), "charlie@globex.test")
    return a_user(acme)


def told(db: Any) -> list[Notification]:
    return list(db.scalars(select(Notification).order_by(Notification.id).execution_options(populate_existing=True)))


def break_a_wait(sync: Workflow, db: Any) -> Any:
    run = a_run(sync, "waiting")
    db.flush()
    return run.id


def test_where_all_holds_nobody_is_told_anything(sync: Workflow, alice: User, now: datetime, db: Any) -> None:
    assert watch_of(sync.tenant_id).checked_at is None and standing(now)[1] is None
    assert check_invariants(now) == []
    assert told(db) == []
    assert watch_of(sync.tenant_id) == invariant_checks.Watch(now, ())
    broken, seconds = standing(now + MINUTE)
    assert seconds == 60 and broken == {one.name: False for one in INVARIANTS}


def test_those_who_may_act_are_told_once_and_it_is_taken_back_when_it_is_mended(
    sync: Workflow, alice: User, now: datetime, db: Any
) -> None:
    run_id = break_a_wait(sync, db)
    for minutes in range(3):
        assert check_invariants(now + minutes * MINUTE) == ["wait_missing"]
    (notice,) = told(db)
    assert notice.user_id == alice.id and notice.link == "/system" and notice.severity == "error"
    assert "waits for nothing" in notice.title and str(run_id) in notice.body and "report it" in notice.body
    assert standing(now)[0]["wait_missing"]
    db.execute(text("UPDATE runs SET status = 'queued'"))
    assert check_invariants(now + 3 * MINUTE) == []
    (notice,) = told(db)
    assert notice.read_at == now + 3 * MINUTE and notice.title.startswith("Mended:") and notice.severity == "info"
    db.execute(text("UPDATE runs SET status = 'waiting'"))
    assert check_invariants(now + 4 * MINUTE) == ["wait_missing"]
    assert [one.read_at is None for one in told(db)] == [False, True]


def test_a_tenant_sees_its_own_rows_and_only_that_there_are_others(
    sync: Workflow, alice: User, now: datetime, db: Any
) -> None:
    run_id = break_a_wait(sync, db)
    check_invariants(now)
    (mine,) = watch_of(sync.tenant_id).broken
    assert (mine.ids, mine.elsewhere, mine.since) == ((run_id,), False, now)
    (theirs,) = watch_of(a_tenant("initech").id).broken
    assert (theirs.ids, theirs.elsewhere) == ((), True)


def test_what_may_be_so_for_a_moment_counts_when_it_lasts(sync: Workflow, alice: User, now: datetime, db: Any) -> None:
    a_run(sync, "running", started_at=now - timedelta(hours=1))
    assert check_invariants(now) == []
    assert told(db) == []
    assert check_invariants(now + MINUTE) == ["lost"]
    assert len(told(db)) == 1


def test_another_one_in_its_place_is_not_the_same_lasting_one(
    sync: Workflow, alice: User, now: datetime, db: Any
) -> None:
    for minutes in range(3):
        db.execute(text("DELETE FROM runs"))
        a_run(sync, "running", started_at=now - timedelta(hours=1))
        assert check_invariants(now + minutes * MINUTE) == []


def test_of_several_schedulers_one_checks_each_minute(sync: Workflow, now: datetime, db: Any) -> None:
    assert check_invariants(now) == []
    assert check_invariants(now + CHECK_EVERY / 2) is None
    assert check_invariants(now + MINUTE) == []


def test_who_comes_while_another_one_checks_leaves_it_to_them(app: Any, sync: Workflow, now: datetime, db: Any) -> None:
    from sqlalchemy import create_engine

    engine = create_engine(app.config["SQLALCHEMY_DATABASE_URI"])
    with engine.connect() as other:
        other.execute(text("SELECT pg_advisory_lock(hashtext('invariants'))"))
        assert check_invariants(now) is None
        other.execute(text("SELECT pg_advisory_unlock(hashtext('invariants'))"))
    engine.dispose()
    assert check_invariants(now) == []


def test_what_is_found_on_one_page_stays_found_while_others_are_read(
    sync: Workflow, alice: User, now: datetime, db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = break_a_wait(sync, db)
    for _ in range(3):
        a_run(sync, "waiting")
    scope = invariant_checks.Scope
    monkeypatch.setattr(invariant_checks, "Scope", lambda *values, **more: scope(*values, **more, page=1))
    long_after = now + timedelta(hours=1)
    for minutes in range(4):
        assert check_invariants(long_after + minutes * MINUTE) == ["wait_missing"]
    row = db.get_one(InvariantCheck, "wait_missing")
    assert str(run_id) in {one["id"] for one in row.found} and len(row.found) == 4


@pytest.fixture
def schedule(sync: Workflow, now: datetime) -> Schedule:
    return a_schedule(sync, next_fire_at=now + timedelta(days=99))


def fire_in_vain(db: Any, schedule: Schedule, at: datetime, **values: Any) -> UUID:
    """A fired occurrence without its run, which cannot be."""
    at = at.replace(microsecond=0)
    values = {"outcome": "fired", "origin_key": "timing", "scheduled_for": at, "decided_at": at} | values
    row = Occurrence(id=new_id(), tenant_id=schedule.tenant_id, schedule_id=schedule.id, **values)
    db.add(row)
    db.flush()
    return row.id


def skip(db: Any, schedule: Schedule, at: datetime) -> None:
    fire_in_vain(db, schedule, at, outcome="skipped", reason="overlap")


def test_history_that_cannot_be_mended_is_told_for_a_week(
    schedule: Schedule, alice: User, now: datetime, db: Any
) -> None:
    fire_in_vain(db, schedule, now)
    db.execute(text("UPDATE schedules SET status = 'paused', paused_at = clock_timestamp()"))
    assert check_invariants(now) == ["fired_without_run"]
    assert check_invariants(now + TOLD_FOR - MINUTE) == ["fired_without_run"]
    assert check_invariants(now + TOLD_FOR + MINUTE) == []
    (notice,) = told(db)
    assert notice.title.startswith("No longer told:") and "holds again" not in notice.body


def test_each_row_of_history_is_told_for_a_week_of_its_own(
    schedule: Schedule, alice: User, now: datetime, db: Any
) -> None:
    fire_in_vain(db, schedule, now)
    db.execute(text("UPDATE schedules SET status = 'paused', paused_at = clock_timestamp()"))
    assert check_invariants(now) == ["fired_without_run"]
    later = now + TOLD_FOR - timedelta(days=1)
    second = fire_in_vain(db, schedule, later)
    db.execute(text("UPDATE schedules SET paused_at = :later"), {"later": later + MINUTE})
    assert check_invariants(later + MINUTE) == ["fired_without_run"]
    assert check_invariants(now + TOLD_FOR + MINUTE) == ["fired_without_run"]
    assert [one["id"] for one in db.get_one(InvariantCheck, "fired_without_run").found] == [str(second)]


def test_what_can_still_be_mended_is_told_until_it_is(
    sync: Workflow, alice: User, now: datetime, db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_a_wait(sync, db)
    for _ in range(3):
        a_run(sync, "queued")
    scope = invariant_checks.Scope
    monkeypatch.setattr(invariant_checks, "Scope", lambda *values, **more: scope(*values, **({"page": 1} | more)))
    long_after = now + timedelta(hours=1)
    for minutes in range(5):
        check_invariants(long_after + minutes * MINUTE)
    for minutes in range(5):
        after_a_week = long_after + TOLD_FOR + timedelta(hours=1)
        assert check_invariants(after_a_week + minutes * MINUTE) == ["wait_missing"]
    assert len(told(db)) == 1


def test_what_was_decided_while_nobody_checked_is_looked_at_afterwards(
    schedule: Schedule, now: datetime, db: Any
) -> None:
    assert check_invariants(now) == []
    fire_in_vain(db, schedule, now + MINUTE)
    assert check_invariants(now + timedelta(minutes=20)) == ["fired_without_run"]


def test_a_burst_that_is_more_than_a_page_is_looked_at_page_by_page(
    schedule: Schedule, now: datetime, db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invariants, "ROWS_MAX", 2)
    for seconds in range(175, 170, -1):
        skip(db, schedule, now - timedelta(seconds=seconds))
    fire_in_vain(db, schedule, now - timedelta(seconds=170))
    found = [check_invariants(now + minutes * MINUTE) for minutes in range(7)]
    assert found[0] == [] and found[-1] == ["fired_without_run"]


def test_a_watch_that_cannot_keep_up_says_how_far_it_has_come(
    schedule: Schedule, now: datetime, db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invariants, "ROWS_MAX", 2)
    for seconds in range(170, 110, -10):
        skip(db, schedule, now - timedelta(seconds=seconds))
    check_invariants(now)
    _, seconds = standing(now)
    assert seconds is not None and seconds > 150
    assert watch_of(schedule.tenant_id).checked_at < now - timedelta(seconds=150)


def test_one_that_cannot_be_checked_keeps_nobody_from_the_others(
    sync: Workflow, alice: User, now: datetime, db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_a_wait(sync, db)
    monkeypatch.setattr(invariant_checks, "CHECK_SECONDS", 1)
    slow = Invariant("slow", "something", SCHEDULES, "WHERE pg_sleep(20) IS NOT NULL")
    monkeypatch.setattr(invariant_checks, "INVARIANTS", (slow, *INVARIANTS))
    a_schedule(sync)
    assert "wait_missing" in (check_invariants(now) or [])
    assert watch_of(sync.tenant_id).checked_at is None, "not all have been checked"
