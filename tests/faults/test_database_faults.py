"""A database that ends connections, loses answers, refuses, is full, read-only or held up, under a tick that goes on with
the next second. Each guard has a control: without it the same fault does harm.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from sqlalchemy import event, text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError, OperationalError

from domain.firing import tick as tick_module
from domain.kernel import clock
from domain.kernel import db as kernel
from domain.kernel.config import Config
from domain.kernel.db import TIMEOUTS, db, transacted, transaction
from domain.kernel.ids import new_id
from domain.pruning import prune
from domain.runs.claims import claim_runs
from domain.runs.heartbeats import beat
from domain.runs.runs import PURE
from tests.faults.fleet import Fleet, execute, rows, scalar, wait_until
from tests.faults.seeds import PURE_STEPS, seed_runs, seed_workflow
from tests.faults.ticking import (
    SCHEDULES,
    UNDECIDED,
    accept_occurrences,
    as_somebody_with_few_connections,
    assert_all_decided,
    decide_due,
    held,
    on_hit,
    read_only,
    refuse_occurrences,
    scheduler_on,
    seed_due,
    stored_violations,
    tick,
)
from workers import scheduler as scheduler_module
from workers.process import process_app
from workers.reaper import Reaper

END_CONNECTIONS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE :role
"""
FEW_CONNECTED = "SELECT count(*) FROM pg_stat_activity WHERE usename LIKE 'few%' AND datname = current_database()"


# A database that was away (C1)


@pytest.mark.parametrize("is_patient", [True, False], ids=["guarded", "unguarded"])
def test_nobody_is_taken_for_dead_because_the_database_was_away(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, is_patient: bool
) -> None:
    """No lease could be renewed meanwhile. Control: at the first look every run would be taken from its living worker."""
    fleet.be_patient()
    seed_runs(fleet.app, seed_workflow(fleet.app, PURE_STEPS, is_pure=True), 1)
    execute(fleet.app, "UPDATE runs SET ready_at = clock_timestamp()")
    worker_id = new_id()
    with fleet.app.app_context(), transaction():
        beat(worker_id, "worker", "test", 1, "test", 60)
        claim_runs(PURE, worker_id, 1, clock.database_now(), 600)
    execute(fleet.app, "UPDATE heartbeats SET lease_until = clock_timestamp() - interval '1 s'")
    if not is_patient:
        monkeypatch.setattr(Reaper, "_seconds_with_database", lambda _self: math.inf)
    with scheduler_on(fleet.env, monkeypatch) as scheduler:
        scheduler.reap()
    [run] = rows(fleet.app, "SELECT status, claim_epoch, claimed_by FROM runs")
    assert ((run.status, run.claim_epoch, run.claimed_by) == ("running", 1, worker_id)) is is_patient
    assert (run.status == "queued") is not is_patient


# Connections that are ended (C2)


@pytest.mark.parametrize("is_whole", [True, False], ids=["guarded", "unguarded"])
def test_a_connection_that_is_ended_inside_a_tick_leaves_nothing_of_it_and_the_next_tick_decides_all(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, is_whole: bool
) -> None:
    """Control: a tick that commits its ledger before its cursors leaves half of itself behind."""
    seed_due(fleet)
    if not is_whole:
        write_entries = tick_module.write_entries

        def write_and_commit(*given: Any) -> None:
            write_entries(*given)
            db.session().get_transaction().commit()  # type: ignore[union-attr]

        monkeypatch.setattr(tick_module, "write_entries", write_and_commit)
        monkeypatch.setattr(tick_module, "write_or_halve", lambda steps, write, _put_back: write(steps))
    with scheduler_on(fleet.env, monkeypatch) as scheduler:
        on_hit(
            monkeypatch, "tick.before_commit", lambda: execute(fleet.app, END_CONNECTIONS, role="carillon-scheduler%")
        )
        tick(scheduler)
        if is_whole:
            assert scalar(fleet.app, "SELECT count(*) FROM occurrences") == 0
            on_hit(monkeypatch, "tick.before_commit", lambda: None)
            tick(scheduler)
            assert_all_decided(fleet)
        else:
            assert "a cursor that is not past what was decided" in stored_violations(fleet.app)


@pytest.mark.parametrize("is_looked_at", [True, False], ids=["guarded", "unguarded"])
def test_a_connection_that_was_ended_while_it_lay_in_the_pool_costs_a_request_nothing(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, is_looked_at: bool
) -> None:
    """Each is looked at before it is used. Control: without that the next request fails."""
    if not is_looked_at:
        monkeypatch.setattr(kernel, "leave_ended", lambda *_: None)
    web = process_app(Config.from_env(fleet.env), "web", 2)
    with web.app_context():
        with transaction():
            clock.database_now()
        assert scalar(fleet.app, END_CONNECTIONS, role="carillon-web%")
        if is_looked_at:
            with transaction():
                clock.database_now()
        else:
            with pytest.raises(OperationalError), transaction():
                clock.database_now()
        db.engine.dispose()


def test_one_that_a_scheduler_finds_ended_costs_a_tick_and_no_instant(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed_due(fleet)
    with scheduler_on(fleet.env, monkeypatch) as scheduler:
        with scheduler.app.app_context(), transaction():
            clock.database_now()
        assert scalar(fleet.app, END_CONNECTIONS, role="carillon-scheduler%")
        tick(scheduler)
        tick(scheduler)
    assert_all_decided(fleet)


# What two transactions do to each other, and what a database is out of (C4, C7)


@pytest.mark.parametrize("tries", [kernel.COLLISION_TRIES, 1], ids=["guarded", "unguarded"])
def test_of_two_who_wait_for_each_other_both_end_whole(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, tries: int
) -> None:
    """PostgreSQL ends one of them, and its work is done again from the beginning. Control: with one try it is not done."""
    seed_due(fleet, 2)
    monkeypatch.setattr(kernel, "COLLISION_TRIES", tries)
    first, second = [row.schedule_id for row in rows(fleet.app, "SELECT schedule_id FROM schedule_cursors")]
    both_hold_one = threading.Barrier(2)
    mark = text("UPDATE schedule_cursors SET last_error = concat(last_error, '+') WHERE schedule_id = :id")

    def mark_both(ids: list[Any]) -> str:
        is_first_try = threading.Event()

        def work() -> str:
            db.session.execute(mark, {"id": ids[0]})
            if not is_first_try.is_set():
                is_first_try.set()
                both_hold_one.wait(30)
            db.session.execute(mark, {"id": ids[1]})
            return "whole"

        with fleet.app.app_context():
            try:
                return transacted(work)
            except DBAPIError as error:
                return str(error.orig).partition("\n")[0]

    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(mark_both, [[first, second], [second, first]]))
    marks = [row.last_error for row in rows(fleet.app, "SELECT last_error FROM schedule_cursors")]
    if tries > 1:
        assert (ended, marks) == (["whole", "whole"], ["++", "++"])
    else:
        assert (sorted(ended), marks) == (["deadlock detected", "whole"], ["+", "+"])


@pytest.mark.parametrize("sqlstate", ["40001", "40P01", "53100", "53200"])
@pytest.mark.parametrize("is_told_apart", [True, False], ids=["guarded", "unguarded"])
def test_what_says_nothing_about_the_values_undoes_the_tick_and_blames_no_schedule(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, sqlstate: str, is_told_apart: bool
) -> None:
    """Serialisation failure, deadlock, a full disk, no memory: the next tick decides all, in the same minute. Control:
    taken for poison, every schedule would be left alone for five minutes."""
    seed_due(fleet)
    if not is_told_apart:
        monkeypatch.setattr(kernel, "is_about_values", lambda _error: True)
    with scheduler_on(fleet.env, monkeypatch) as scheduler:
        refuse_occurrences(fleet.app, sqlstate)
        tick(scheduler)
        accept_occurrences(fleet.app)
        blamed = scalar(fleet.app, "SELECT count(*) FROM schedule_cursors WHERE last_error IS NOT NULL")
        assert scalar(fleet.app, "SELECT count(*) FROM occurrences") == 0
        tick(scheduler)
    if is_told_apart:
        assert blamed == 0
        assert_all_decided(fleet)
    else:
        assert blamed == SCHEDULES
        assert scalar(fleet.app, "SELECT count(*) FROM occurrences") == 0


# Locks that somebody holds (C5, C11, C13)


@pytest.mark.parametrize("seconds", [1, 0], ids=["guarded", "unguarded"])
def test_a_tick_that_finds_a_table_locked_gives_up_and_decides_all_when_it_is_free(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    """Control: without a limit it waits as long as the lock is held, and holds what it has locked itself."""
    seed_due(fleet)
    with scheduler_on(fleet.env, monkeypatch, lock_timeout=seconds) as scheduler, ThreadPoolExecutor(1) as pool:
        with held(fleet, "LOCK TABLE schedules IN ACCESS EXCLUSIVE MODE"):
            ticking = pool.submit(tick, scheduler)
            if seconds:
                ticking.result(30)
            else:
                with pytest.raises(TimeoutError):
                    ticking.result(3)
        ticking.result(30)
        tick(scheduler)
    assert_all_decided(fleet)


def assert_decided_by_another(fleet: Fleet, is_freed: bool) -> None:
    """Once what is locked is freed; else not within some seconds."""
    if is_freed:
        wait_until(lambda: decide_due(fleet.app) == SCHEDULES, "another one that decides it")
    else:
        with pytest.raises(AssertionError, match="not within"):
            wait_until(lambda: decide_due(fleet.app), "another one that decides it", 5)


@pytest.mark.parametrize("seconds", [1, 0], ids=["guarded", "unguarded"])
def test_what_a_frozen_scheduler_has_locked_is_decided_by_another(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    """The database ends the transaction in which nothing happens. Control: without that nobody gets at it."""
    seed_due(fleet)
    is_frozen, may_go_on = threading.Event(), threading.Event()

    def freeze() -> None:
        if not is_frozen.is_set():
            is_frozen.set()
            assert may_go_on.wait(60)

    on_hit(monkeypatch, "tick.after_lock", freeze)
    with (
        scheduler_on(fleet.env, monkeypatch, idle_in_transaction_session_timeout=seconds) as scheduler,
        ThreadPoolExecutor(1) as pool,
    ):
        frozen = pool.submit(tick, scheduler)
        try:
            assert is_frozen.wait(30)
            assert_decided_by_another(fleet, bool(seconds))
        finally:
            may_go_on.set()
        frozen.result(30)
    assert_all_decided(fleet)


@pytest.mark.parametrize("seconds", [3, 0], ids=["guarded", "unguarded"])
def test_who_is_frozen_in_the_middle_of_a_statement_keeps_nothing_locked(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    """It has sent what is to be done, but not that this is all. Control: no other timeout ends that, however short."""
    seed_due(fleet)
    monkeypatch.setitem(TIMEOUTS, "worker", dict.fromkeys(TIMEOUTS["worker"], 1))
    monkeypatch.setitem(kernel.TRANSACTION_SECONDS, "worker", seconds)
    worker = process_app(Config.from_env(fleet.env), "worker", 1)
    with worker.app_context():
        frozen: Any = db.engine.raw_connection()
        frozen.driver_connection.execute("SELECT FROM schedule_cursors FOR UPDATE")
        sent = frozen.driver_connection.pgconn
        sent.enter_pipeline_mode()
        sent.send_query_params(b"SELECT 1", None)
        sent.send_flush_request()
        sent.flush()
        try:
            assert_decided_by_another(fleet, bool(seconds))
        finally:
            frozen.invalidate()
            db.engine.dispose()


@pytest.mark.parametrize("sweep", [prune, lambda _now: db.session.execute(text("TRUNCATE request_keys"))])
def test_a_backup_under_way_stands_in_nobodys_way(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, sweep: Callable[[Any], Any]
) -> None:
    """pg_dump holds every table it reads. Control: forgetting by TRUNCATE would wait for it."""
    seed_due(fleet)
    tables = ", ".join(f'"{name}"' for name in kernel.Base.metadata.tables)
    reading = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY", f"LOCK TABLE {tables} IN ACCESS SHARE MODE"
    with scheduler_on(fleet.env, monkeypatch, lock_timeout=1) as scheduler, held(fleet, *reading):
        tick(scheduler)
        assert_all_decided(fleet)
        with scheduler.app.app_context():
            if sweep is prune:
                with transaction():
                    prune(clock.database_now())
            else:
                with pytest.raises(OperationalError, match="lock timeout"), transaction():
                    sweep(None)


# A database that takes no writes, or no connections (C8, C9)


@pytest.fixture(params=[True, False], ids=["guarded", "unguarded"])
def is_left(request: pytest.FixtureRequest) -> Iterator[bool]:
    """Whether a connection that takes no writes is left for another one."""
    if request.param:
        yield True
        return
    event.remove(Engine, "handle_error", kernel._leave_read_only)
    yield False
    event.listen(Engine, "handle_error", kernel._leave_read_only)


def test_a_database_that_was_read_only_for_a_while_is_written_to_as_soon_as_it_can_be(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, is_left: bool
) -> None:
    """As when the primary changes. Control: connections that were made meanwhile would stay read-only for half an hour."""
    seed_due(fleet)
    with scheduler_on(fleet.env, monkeypatch) as scheduler:
        with read_only(fleet):
            tick(scheduler)
        assert scalar(fleet.app, UNDECIDED) == SCHEDULES
        tick(scheduler)
    if is_left:
        assert_all_decided(fleet)
    else:
        assert scalar(fleet.app, UNDECIDED) == SCHEDULES


@pytest.mark.parametrize("is_known", [True, False], ids=["guarded", "unguarded"])
def test_a_server_without_a_free_connection_is_waited_for(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, is_known: bool
) -> None:
    """Control: were it not known for what it is, each second would end in an unexpected error."""
    seed_due(fleet)
    with as_somebody_with_few_connections(fleet, 2) as env, scheduler_on(env, monkeypatch) as scheduler:
        url = env["DATABASE_URL"].replace("postgresql+psycopg", "postgresql", 1)
        with psycopg.connect(url), psycopg.connect(url):
            if is_known:
                tick(scheduler)
            else:
                monkeypatch.setattr(scheduler_module, "is_database_away", lambda _error: False)
                with pytest.raises(OperationalError, match="too many connections"):
                    tick(scheduler)
        wait_until(lambda: not scalar(fleet.app, FEW_CONNECTED), "connections that are gone")
        tick(scheduler)
        with scheduler.app.app_context():
            db.engine.dispose()
    assert_all_decided(fleet)
