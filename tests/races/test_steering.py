"""Pauses that end, skips and backfills while several schedulers, workers and people are at them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from domain.accounts.audit import Actor
from domain.firing.backfilling import cancel_backfill, start_backfill
from domain.firing.lifecycle import delete_schedule, pause_schedule, resume_schedule
from domain.firing.skipping import skip_next
from domain.firing.tick import fire_due
from domain.kernel import clock
from domain.kernel.db import db, transacted, transaction
from domain.kernel.errors import DomainError
from domain.runs.admission import admit_waiting
from domain.workflows.workflows import Workflow
from tests.domain.firing.ledger import NOON, a_live_schedule, minute
from tests.faults.fleet import Fleet, execute, rows, scalar, wait_until
from tests.faults.invariants import check_invariants, wait_for_all
from tests.faults.seeds import PURE_STEPS, seed_workflow
from tests.races.test_limits import MOST_AT_ONCE, work_until_done

MANY = 40
INSTANTS = "SELECT sum(count) FROM occurrences WHERE origin_key = 'timing' AND schedule_id = :id"
TWICE = """
    SELECT o.schedule_id, o.scheduled_for FROM occurrences o JOIN runs r ON r.id = o.id
    WHERE r.status <> 'canceled' GROUP BY 1, 2 HAVING count(*) > 1
"""


def seed(fleet: Fleet, count: int = 1, since: datetime = NOON, limit: int | None = None, **values: Any) -> list[UUID]:
    """Schedules of one workflow, due every minute since `since` and not looked at yet."""
    workflow_id = seed_workflow(fleet.app, PURE_STEPS, is_pure=True, limit=limit)
    values = {"catch_up": "skip", "payload": {"n": 1}, "now": since} | values
    with fleet.app.app_context(), transaction():
        workflow = db.session.get_one(Workflow, workflow_id)
        return [a_live_schedule(workflow, f"Schedule {number}", **values).id for number in range(count)]


def actor_of(fleet: Fleet) -> Actor:
    return Actor(scalar(fleet.app, "SELECT id FROM tenants"))


def together(fleet: Fleet, *acts: Callable[[], Any]) -> list[Any]:
    """Each in a thread and transactions of its own; their answers."""

    def inside(act: Callable[[], Any]) -> Any:
        with fleet.app.app_context():
            return act()

    with ThreadPoolExecutor(len(acts)) as pool:
        return [future.result() for future in [pool.submit(inside, act) for act in acts]]


def tick(now: datetime, batch: int = 7, times: int = 20) -> None:
    """What a scheduler does at `now`, looking again and again: what another one holds is passed over."""
    for _ in range(times):
        transacted(lambda: fire_due(now, batch))


def check_in_its_time(fleet: Fleet) -> None:
    """The invariants, of ticks with a clock of their own: by the database's everything would be overdue."""
    execute(fleet.app, "UPDATE schedule_cursors SET wake_at = clock_timestamp() WHERE wake_at < clock_timestamp()")
    check_invariants(fleet.app)


def attempt(work: Callable[[], Any]) -> Any:
    """What the work answers, None when it is refused."""
    with suppress(DomainError):
        return transacted(work)
    return None


def test_a_pause_that_ends_under_two_schedulers_and_a_person_leaves_one_row(fleet: Fleet) -> None:
    ids, actor = seed(fleet, MANY), actor_of(fleet)
    with fleet.app.app_context(), transaction():
        for one in ids:
            pause_schedule(actor, one, "", minute(0.5), until=minute(10))
    just_before = minute(10) - timedelta(microseconds=1)

    def resume(order: list[UUID], catch_up: str) -> int:
        done = [attempt(lambda one=one: resume_schedule(actor, one, just_before, catch_up=catch_up)) for one in order]
        return sum(schedule is not None for schedule in done)

    resumed = together(
        fleet,
        lambda: tick(minute(10.5)),
        lambda: tick(minute(10.5), batch=5),
        lambda: resume(ids, "skip"),
        lambda: resume(ids[::-1], "latest"),
    )
    with fleet.app.app_context():
        tick(minute(10.5))
    assert rows(fleet.app, "SELECT DISTINCT status, paused_until FROM schedules") == [("active", None)]
    paused = "SELECT count(*), count(DISTINCT schedule_id) FROM occurrences WHERE reason = 'paused'"
    assert rows(fleet.app, paused) == [(MANY, MANY)]
    assert [scalar(fleet.app, INSTANTS, id=one) for one in ids] == [10] * MANY
    by_people = "SELECT count(*) FROM audit_entries WHERE action = 'schedule.resumed' AND reason IS NULL"
    assert scalar(fleet.app, by_people) == resumed[2] + resumed[3]
    assert scalar(fleet.app, "SELECT count(*) FROM audit_entries WHERE action = 'schedule.resumed'") == MANY
    check_in_its_time(fleet)


def test_a_scheduler_killed_while_it_ends_pauses_leaves_one_row_each(fleet: Fleet) -> None:
    with fleet.app.app_context(), transaction():
        now = clock.database_now()
    ids, actor = seed(fleet, MANY, since=now - timedelta(minutes=30)), actor_of(fleet)
    with fleet.app.app_context(), transaction():
        for one in ids:
            pause_schedule(actor, one, "", now - timedelta(minutes=29), until=now - timedelta(minutes=2))
    for failpoint in ("tick.after_lock=kill9", "tick.before_commit=kill9"):
        assert fleet.scheduler(failpoint).wait(60) == -9
    fleet.scheduler()
    still = "SELECT count(*) FROM schedules WHERE status = 'paused'"
    wait_until(lambda: scalar(fleet.app, still) == 0, "the end of every pause")
    paused = "SELECT count(*), count(DISTINCT schedule_id) FROM occurrences WHERE reason = 'paused'"
    assert rows(fleet.app, paused) == [(MANY, MANY)]
    assert scalar(fleet.app, "SELECT count(*) FROM audit_entries WHERE action = 'schedule.resumed'") == MANY
    check_invariants(fleet.app)


def test_an_instant_is_either_skipped_or_fired_when_both_are_tried_at_once(fleet: Fleet) -> None:
    ids, actor = seed(fleet, MANY), actor_of(fleet)
    before = minute(1) - timedelta(microseconds=1)

    def skip() -> set[UUID]:
        done = [attempt(lambda one=one: skip_next(actor, one, minute(1), before).id) for one in ids]
        return {one for one in done if one}

    skipped, *_ = together(fleet, skip, lambda: tick(minute(1)), lambda: tick(minute(1), batch=3))
    with fleet.app.app_context():
        tick(minute(1))
    found = rows(fleet.app, "SELECT schedule_id, outcome FROM occurrences")
    assert dict(map(tuple, found)) == {one: "skipped" if one in skipped else "fired" for one in ids}
    assert scalar(fleet.app, "SELECT count(*) FROM schedules WHERE skip_next_at IS NOT NULL") == 0
    check_in_its_time(fleet)


def test_a_backfill_asked_for_eight_times_with_one_key_is_one(fleet: Fleet) -> None:
    (schedule_id,), actor = seed(fleet), actor_of(fleet)

    def start() -> UUID:
        return transacted(
            lambda: start_backfill(actor, schedule_id, minute(1), minute(20), 3, "one click", minute(30.5)).id
        )

    assert len(set(together(fleet, *[start] * 8))) == 1
    assert scalar(fleet.app, "SELECT count(*) FROM backfills") == 1
    assert scalar(fleet.app, "SELECT count(*) FROM runs WHERE backfill_id IS NOT NULL") == 20
    assert scalar(fleet.app, "SELECT count(*) FROM audit_entries WHERE action = 'schedule.backfill'") == 1
    check_in_its_time(fleet)


def test_backfills_beside_each_other_and_beside_ticks_give_no_instant_two_runs(fleet: Fleet) -> None:
    (schedule_id,), actor = seed(fleet), actor_of(fleet)

    def start(key: str, number: int) -> Any:
        span = minute(number % 5 + 1), minute(20 + number)
        return attempt(lambda: start_backfill(actor, schedule_id, *span, 2, key, minute(40.2)))

    def ticks() -> None:
        for number in range(1, 41):
            tick(minute(number), times=1)

    together(fleet, ticks, ticks, *[lambda number=number: start(f"key {number}", number) for number in range(6)])
    with fleet.app.app_context():
        tick(minute(40.2))
    assert rows(fleet.app, TWICE) == []
    assert scalar(fleet.app, INSTANTS, id=schedule_id) == 40
    assert scalar(fleet.app, "SELECT count(*) > 0 FROM backfills")
    runs = "SELECT count(*) FROM runs WHERE backfill_id IS NOT NULL"
    assert scalar(fleet.app, runs) == scalar(fleet.app, "SELECT sum(count) FROM backfills")
    check_in_its_time(fleet)


def test_a_backfill_beside_a_deletion_is_there_as_a_whole_or_not_at_all(fleet: Fleet) -> None:
    ids, actor = seed(fleet, MANY), actor_of(fleet)

    def start_all() -> int:
        def start(one: UUID) -> Any:
            span = minute(1), minute(5)
            return attempt(lambda: start_backfill(actor, one, *span, 2, f"key {one}", minute(30.5)))

        return sum(start(one) is not None for one in ids)

    def delete_all() -> None:
        for one in ids[::-1]:
            attempt(lambda one=one: delete_schedule(actor, one, minute(30.5)))

    started, _ = together(fleet, start_all, delete_all)
    assert rows(fleet.app, "SELECT count(*), coalesce(sum(count), 0) FROM backfills") == [(started, started * 5)]
    assert scalar(fleet.app, "SELECT count(*) FROM runs WHERE backfill_id IS NOT NULL") == started * 5
    assert scalar(fleet.app, "SELECT count(*) FROM schedules WHERE deleted_at IS NULL") == 0
    late = "SELECT count(*) FROM backfills b JOIN schedules s ON s.id = b.schedule_id WHERE b.created_at > s.updated_at"
    assert scalar(fleet.app, late) == 0
    check_invariants(fleet.app)


def test_a_backfills_concurrency_holds_under_eight_admitting_workers(fleet: Fleet) -> None:
    (schedule_id,), actor = seed(fleet), actor_of(fleet)
    with fleet.app.app_context(), transaction():
        start_backfill(actor, schedule_id, minute(1), minute(60), 3, "key", minute(60.5))
    execute(fleet.app, "DELETE FROM runs WHERE backfill_id IS NULL")
    execute(fleet.app, "DELETE FROM occurrences WHERE origin_key = 'timing' AND outcome = 'fired'")
    made_up = scalar(fleet.app, "SELECT count(*) FROM runs")
    work_until_done(fleet.app, made_up)
    assert scalar(fleet.app, MOST_AT_ONCE) <= 3
    assert rows(fleet.app, "SELECT status, count(*) FROM runs GROUP BY 1") == [("succeeded", made_up)]


def test_several_admitters_at_once_let_no_more_go_than_the_backfill_allows(fleet: Fleet) -> None:
    (schedule_id,), actor = seed(fleet), actor_of(fleet)
    with fleet.app.app_context(), transaction():
        start_backfill(actor, schedule_id, minute(1), minute(50), 4, "key", minute(60.5))

    def admit() -> None:
        for _ in range(15):
            transacted(lambda: admit_waiting(clock.database_now()))

    together(fleet, *[admit] * 8)
    going = "SELECT count(*) FROM runs WHERE backfill_id IS NOT NULL AND ready_at IS NOT NULL AND finished_at IS NULL"
    assert scalar(fleet.app, going) == 4


def test_canceling_beside_workers_ends_what_has_not_started_and_nothing_twice(fleet: Fleet) -> None:
    (schedule_id,), actor = seed(fleet), actor_of(fleet)
    with fleet.app.app_context(), transaction():
        backfill_id = start_backfill(actor, schedule_id, minute(1), minute(59), 5, "key", minute(60.5)).id
    total = scalar(fleet.app, "SELECT count(*) FROM runs")

    def cancel() -> int:
        ended = text("SELECT count(*) FROM runs WHERE finished_at IS NOT NULL")
        wait_until(lambda: transacted(lambda: db.session.scalar(ended)) > 5, "the end of some of its runs")
        return transacted(lambda: cancel_backfill(actor, schedule_id, backfill_id, clock.database_now()))

    def work() -> None:
        work_until_done(fleet.app, total)

    canceled, _ = together(fleet, cancel, work)
    assert scalar(fleet.app, "SELECT count(*) FROM runs WHERE status = 'canceled'") == canceled
    assert scalar(fleet.app, "SELECT count(*) FROM runs WHERE status = 'canceled' AND started_at IS NOT NULL") == 0
    assert scalar(fleet.app, "SELECT count(*) FROM runs WHERE status = 'succeeded'") == total - canceled
    check_in_its_time(fleet)


def test_a_killed_worker_costs_a_backfill_nothing(fleet: Fleet) -> None:
    (schedule_id,), actor = seed(fleet, limit=2), actor_of(fleet)
    with fleet.app.app_context(), transaction():
        start_backfill(actor, schedule_id, minute(1), minute(20), 2, "key", minute(20.5))
        delete_schedule(actor, schedule_id, minute(20.5))
    total = scalar(fleet.app, "SELECT count(*) FROM runs")
    fleet.scheduler()
    doomed = fleet.worker("worker.after_claim=kill9@3")
    assert doomed.wait(60) != 0
    fleet.worker()
    wait_for_all(fleet.app, total)
    assert rows(fleet.app, TWICE) == []
    check_invariants(fleet.app)
