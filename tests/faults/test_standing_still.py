"""Who stands still for longer than its lease keeps nothing locked, whatever the timeouts of the database make of it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from domain.kernel import db as kernel
from domain.kernel.config import Config
from domain.kernel.db import db, transaction
from domain.kernel.ids import new_id
from domain.runs.claims import claim_runs
from domain.runs.heartbeats import SCHEDULER, WORKER
from domain.runs.runs import PURE
from tests.faults.fleet import LEASE_SECONDS, Fleet, execute, rows, scalar, wait_until
from tests.faults.guards import GUARDED
from tests.faults.invariants import check_invariants, counts, wait_for_all
from tests.faults.seeds import counting_steps, seed_one_time_schedules, seed_workflow
from tests.faults.ticking import (
    UNDECIDED,
    as_somebody_with_few_connections,
    assert_all_decided,
    held,
    scheduler_on,
    seed_due,
    tick,
)
from tests.servers import serving
from workers import reaper
from workers.process import Life, process_app
from workers.scheduler import Scheduler, _patiently

RUNS = 5
# Much longer than a lease.
HELD_SECONDS = 4 * LEASE_SECONDS
SUCCEEDED = "SELECT count(*) FROM runs WHERE status = 'succeeded'"
MUCH = b"SELECT repeat('x', 1000) FROM generate_series(1, 100000)"


def half_asked(sent: Any) -> None:
    """It has sent what is to be done, but not that this is all."""
    sent.enter_pipeline_mode()
    sent.send_query_params(b"SELECT 1", None)
    sent.send_flush_request()
    sent.flush()


def not_heard(sent: Any) -> None:
    """It has asked for more than fits on the way, and does not read it."""
    sent.send_query(MUCH)
    sent.flush()


# No limit of a transaction, as before PostgreSQL 17; and one that does not help.
STANDING = pytest.mark.parametrize(
    ("stand", "transaction_seconds"), [(half_asked, 0), (not_heard, 1)], ids=["half asked", "not heard"]
)


def a_process(env: dict[str, str], kind: str, transaction_seconds: int) -> Life:
    """One that has said once that it is alive. No timeout of the database lets it hold anything for long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(kernel.TIMEOUTS, kind, dict.fromkeys(kernel.TIMEOUTS[kind], 1))
        patch.setitem(kernel.TRANSACTION_SECONDS, kind, transaction_seconds)
        life = Life(process_app(Config.from_env(env), kind, 1), kind, LEASE_SECONDS)
    life.beat()
    return life


@contextmanager
def standing_still(life: Life, stand: Callable[[Any], None], *locked: str) -> Iterator[None]:
    """The process has `locked` tables row by row when it stops."""
    with life.app.app_context():
        held: Any = db.engine.raw_connection()
        for table in locked:
            held.driver_connection.execute(f"SELECT FROM {table} FOR UPDATE")
        stand(held.driver_connection.pgconn)
        try:
            yield
        finally:
            held.invalidate()
            db.engine.dispose()


def claim_all(app: Flask, worker_id: UUID) -> None:
    with app.app_context(), transaction():
        assert len(claim_runs(PURE, worker_id, RUNS, None, 600)) == RUNS


def unguard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody ends the sessions of others."""
    monkeypatch.setattr(reaper, "end_standing_sessions", lambda *_: [])


def wait_if_guarded(is_guarded: bool, is_done: Callable[[], bool]) -> None:
    if is_guarded:
        wait_until(is_done, "another one that goes on")
        return
    with pytest.raises(AssertionError, match="not within"):
        wait_until(is_done, "another one that goes on", HELD_SECONDS)


@GUARDED
@STANDING
def test_runs_that_a_worker_keeps_locked_while_it_stands_still_go_on_with_another(
    fleet: Fleet,
    monkeypatch: pytest.MonkeyPatch,
    stand: Callable[[Any], None],
    transaction_seconds: int,
    is_guarded: bool,
) -> None:
    """Control: they go on when it wakes up or dies, and not before."""
    if not is_guarded:
        unguard(monkeypatch)
    seed_due(fleet, RUNS)
    with scheduler_on(fleet.env, monkeypatch) as scheduler:
        tick(scheduler)
        worker = a_process(fleet.env, WORKER, transaction_seconds)
        claim_all(worker.app, worker.id)
        with standing_still(worker, stand, "schedule_cursors", "runs"):
            fleet.be_patient()
            fleet.worker()
            wait_if_guarded(is_guarded, lambda: goes_on(fleet, scheduler))
        wait_until(lambda: goes_on(fleet, scheduler), "another worker that goes on")
    check_invariants(fleet.app)


def goes_on(fleet: Fleet, scheduler: Scheduler) -> bool:
    """Whether all runs have succeeded, after what a scheduler does for it each second."""
    for job in (scheduler.reap, scheduler.dispatch):
        _patiently(job)
    return bool(scalar(fleet.app, SUCCEEDED) == RUNS)


@GUARDED
@STANDING
def test_what_a_scheduler_keeps_locked_while_it_stands_still_is_decided_by_another(
    fleet: Fleet,
    monkeypatch: pytest.MonkeyPatch,
    stand: Callable[[Any], None],
    transaction_seconds: int,
    is_guarded: bool,
) -> None:
    """Control: nobody decides it."""
    if not is_guarded:
        unguard(monkeypatch)
    seed_due(fleet)
    with scheduler_on(fleet.env, monkeypatch) as scheduler:

        def decided() -> bool:
            _patiently(scheduler.reap)
            tick(scheduler)
            return not scalar(fleet.app, UNDECIDED)

        with standing_still(a_process(fleet.env, SCHEDULER, transaction_seconds), stand, "schedule_cursors"):
            wait_if_guarded(is_guarded, decided)
        wait_until(decided, "another scheduler that decides it")
    assert_all_decided(fleet)


def test_runs_are_taken_from_the_dead_although_the_cursor_of_one_is_in_other_hands(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever holds it lives, or does not stand still for long enough yet: nobody waits for that."""
    seed_due(fleet, RUNS)
    taken = "SELECT count(*) FROM runs WHERE status = 'queued' AND claim_epoch = 2"
    one = "schedule_id IN (SELECT schedule_id FROM schedule_cursors LIMIT 1)"
    with scheduler_on(fleet.env, monkeypatch, lock_timeout=1) as scheduler:
        tick(scheduler)
        # It has no heart at all.
        claim_all(fleet.app, new_id())

        def reaped(count: int) -> bool:
            _patiently(scheduler.reap)
            return bool(scalar(fleet.app, taken) == count)

        with held(fleet, f"SELECT FROM schedule_cursors WHERE {one} FOR UPDATE"):
            wait_until(lambda: reaped(RUNS - 1), "runs that are taken", 30)
        wait_until(lambda: reaped(RUNS), "the last one", 30)


@pytest.mark.parametrize("is_allowed", [True, False], ids=["guarded", "unguarded"])
def test_a_user_of_the_database_without_further_rights_ends_sessions_of_its_own(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, is_allowed: bool
) -> None:
    """Control: where even that is taken from it, what is held stays held; all else is taken from the dead."""
    seed_due(fleet, RUNS)
    with as_somebody_with_few_connections(fleet, 20) as env, scheduler_on(env, monkeypatch) as scheduler:
        if not is_allowed:
            execute(fleet.app, "REVOKE EXECUTE ON FUNCTION pg_terminate_backend FROM PUBLIC")
        tick(scheduler)
        worker = a_process(env, WORKER, 0)
        claim_all(worker.app, worker.id)

        def left() -> int:
            _patiently(scheduler.reap)
            return int(scalar(fleet.app, "SELECT count(*) FROM runs WHERE claimed_by IS NOT NULL"))

        with standing_still(worker, half_asked, "runs WHERE id IN (SELECT id FROM runs LIMIT 1)"):
            wait_until(lambda: left() <= 1, "runs that nobody holds")
            wait_if_guarded(is_allowed, lambda: left() == 0)
        wait_until(lambda: left() == 0, "the last one")


def test_a_worker_that_wakes_up_without_its_session_writes_nothing_and_goes_on_with_other_work(fleet: Fleet) -> None:
    """Before the database would have ended its idle transaction."""
    workflow_id = seed_workflow(fleet.app, counting_steps(), is_pure=False)
    fleet.scheduler()
    frozen = fleet.worker("engine.mid_step=stop@2")
    fleet.await_processes(2)
    seed_one_time_schedules(fleet.app, workflow_id, 1, in_seconds=0)
    wait_until(lambda: fleet.said("their database sessions were ended"), "the end of the session")
    fleet.be_patient()
    other = fleet.worker()
    wait_for_all(fleet.app, 1)
    fleet.kill(other)
    fleet.send(frozen, signal.SIGCONT)
    wait_until(lambda: fleet.said("what is claimed is given back"), "the late worker's end")
    seed_one_time_schedules(fleet.app, workflow_id, 1, in_seconds=0, name="Later")
    wait_for_all(fleet.app, 2)
    assert counts(fleet.app) == [2, 2, 2]
    check_invariants(fleet.app)


def test_the_sessions_of_a_process_are_known_by_the_id_of_its_heart(fleet: Fleet, tmp_path: Path) -> None:
    """Those of a web process and of a forked worker as well."""
    fleet.be_patient()
    fleet.scheduler()
    fleet.worker()
    with serving(fleet.env, tmp_path / "web.log"):
        fleet.await_processes(3)
        hearts = {
            row.name
            for row in rows(fleet.app, "SELECT concat_ws(' ', 'carillon-' || kind, id) AS name FROM heartbeats")
        }
        named = rows(
            fleet.app,
            """SELECT DISTINCT application_name AS name FROM pg_stat_activity
            WHERE datname = current_database() AND application_name LIKE 'carillon-%'""",
        )
        assert len(hearts) == 3
        assert {row.name for row in named} == hearts | {"carillon-command", "carillon-listener"}
