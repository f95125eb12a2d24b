"""Limits of calls and the circuit of an install under many hands at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import text

from domain.accounts.tenants import Tenant
from domain.execution import Worker
from domain.extensions.circuits import FAILURES_LIMIT, Passage, close_circuit, note_failure, pass_circuit
from domain.extensions.installs import Install
from domain.kernel.clock import database_now
from domain.kernel.db import db, transaction
from domain.kernel.ids import first_id_at, new_id
from domain.runs.call_admission import admit_calls
from domain.runs.heartbeats import WORKER, beat
from domain.runs.runs import CALL, EFFECT
from tests.calls import a_call_run
from tests.domain.engine.endpoint_runs import configure
from tests.domain.firing.ledger import a_target
from tests.factories import a_run
from tests.faults.calls import seed_calls, seed_install
from tests.faults.fleet import Fleet, rows, scalar, wait_until
from tests.runners import LocalRunner

HANDS = 8


def at_once(app: Flask, work: Callable[[int], Any], hands: int = HANDS) -> list[Any]:
    """`work(number)` in as many threads, begun together."""
    together = threading.Barrier(hands)

    def begin(number: int) -> Any:
        with app.app_context():
            together.wait(30)
            return work(number)

    with ThreadPoolExecutor(hands) as pool:
        return list(pool.map(begin, range(hands)))


def seed_workflow_calls(app: Flask, tenant_id: UUID, count: int) -> list[UUID]:
    """`count` ready runs of a workflow whose one step calls the extension."""
    config = {
        "actionId": "extension.invoke",
        "version": 1,
        "inputMapping": {"extension": "com.acme.rmm-sync", "path": "/api/sync"},
    }
    steps = {"steps": [{"id": "call", "type": "action.call", "config": config}]}
    with app.app_context(), transaction():
        calling = a_target(db.session.get_one(Tenant, tenant_id), definition=steps, is_pure=False)
        return [a_run(calling, "queued", ready_at=database_now()).id for _ in range(count)]


def test_limits_of_install_and_tenant_hold_while_many_admit_and_work(
    fleet: Fleet, runner: LocalRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch, runner.settings(), calls_per_install=2, calls_per_tenant=3)
    installs = [seed_install(fleet.app, slug) for slug in ("acme", "globex")]
    for install_id in installs:
        seed_calls(fleet.app, install_id, 30)
    going = """
        SELECT install_id, count(*) AS calls FROM runs WHERE status IN ('queued', 'running') AND ready_at IS NOT NULL
        GROUP BY install_id
    """
    seen: set[int] = set()

    def all_is_done(worker: Worker) -> bool:
        with transaction():
            beat(worker.id, WORKER, "test", 1, "test", 60)
            admit_calls(database_now())
        worker.work(CALL)
        seen.update(row.calls for row in rows(fleet.app, going))
        return bool(scalar(fleet.app, "SELECT count(*) = 0 FROM runs WHERE finished_at IS NULL"))

    def work(_number: int) -> None:
        worker = Worker(new_id(), run_deadline_seconds=600)
        wait_until(lambda: all_is_done(worker), "the end of all calls")

    at_once(fleet.app, work)
    assert scalar(fleet.app, "SELECT count(*) FROM runs WHERE status = 'succeeded'") == 60
    assert seen and max(seen) <= 2
    overlapping = """
        SELECT max((SELECT count(*) FROM invocations b WHERE b.install_id = a.install_id
            AND b.started_at <= a.started_at AND b.finished_at > a.started_at)) FROM invocations a
    """
    assert scalar(fleet.app, overlapping) <= 2


def test_who_admits_counts_alone(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """An older call comes back from waiting while somebody else's admission is not committed yet."""
    configure(monkeypatch, None, calls_per_install=2)
    install_id = seed_install(fleet.app)
    seed_calls(fleet.app, install_id, 2)

    def admit() -> int:
        with fleet.app.app_context(), transaction():
            return admit_calls(database_now())

    def come_back() -> None:
        with fleet.app.app_context(), transaction():
            older = first_id_at(datetime(2020, 1, 1, tzinfo=UTC))
            a_call_run(db.session.get_one(Install, install_id), "queued", id=older)

    with ThreadPoolExecutor(2) as pool:
        with fleet.app.app_context(), transaction():
            assert admit_calls(database_now()) == 2
            pool.submit(come_back).result(30)
            other = pool.submit(admit)
            wait([other], timeout=2)
        other.result(30)
    assert scalar(fleet.app, "SELECT count(*) FROM runs WHERE ready_at IS NOT NULL") == 2


def test_admission_does_not_wait_for_a_run_that_somebody_holds(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as who uninstalls: he cancels one run after the other, and the two could wait for each other."""
    configure(monkeypatch, None)
    first, second = seed_calls(fleet.app, seed_install(fleet.app), 2)

    def admit() -> int:
        with fleet.app.app_context(), transaction():
            db.session.execute(text("SET LOCAL lock_timeout = '2s'"))
            return admit_calls(database_now())

    with ThreadPoolExecutor(1) as pool, fleet.app.app_context(), transaction():
        db.session.execute(text("SELECT id FROM runs WHERE id = :id FOR NO KEY UPDATE"), {"id": first})
        assert pool.submit(admit).result(60) == 1
    assert scalar(fleet.app, "SELECT id FROM runs WHERE ready_at IS NOT NULL") == second
    assert admit() == 1


def test_who_ends_a_tenant_and_a_call_of_its_workflow_do_not_wait_for_each_other(
    fleet: Fleet, runner: LocalRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deleting takes the tenant, and in the end every run that goes on."""
    configure(monkeypatch, runner.settings())
    tenant_id = scalar(fleet.app, "SELECT tenant_id FROM installs WHERE id = :id", id=seed_install(fleet.app))
    run_id = seed_workflow_calls(fleet.app, tenant_id, 1)[0]
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"

    def work() -> None:
        with fleet.app.app_context():
            worker = Worker(new_id(), run_deadline_seconds=600)
            with transaction():
                beat(worker.id, WORKER, "test", 1, "test", 60)
            worker.work(EFFECT)

    with ThreadPoolExecutor(1) as pool:
        with fleet.app.app_context(), transaction():
            db.session.get_one(Tenant, tenant_id, with_for_update={"key_share": True})
            working = pool.submit(work)
            wait_until(lambda: scalar(fleet.app, waiting) == 1, "the call waits")
            db.session.execute(text("SELECT id FROM runs WHERE id = :id FOR NO KEY UPDATE NOWAIT"), {"id": run_id})
        working.result(60)
    assert scalar(fleet.app, "SELECT status FROM runs") == "succeeded"


def test_calls_of_workflows_keep_the_limit_when_all_begin_at_once(
    fleet: Fleet, runner: LocalRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch, runner.settings(), calls_per_install=2)
    tenant_id = scalar(fleet.app, "SELECT tenant_id FROM installs WHERE id = :id", id=seed_install(fleet.app))
    runner.script({"do": "delay", "seconds": 3})
    seed_workflow_calls(fleet.app, tenant_id, HANDS)

    def work(_number: int) -> None:
        worker = Worker(new_id(), run_deadline_seconds=600)
        with transaction():
            beat(worker.id, WORKER, "test", 1, "test", 60)
        worker.work(EFFECT)

    at_once(fleet.app, work)
    together = """
        SELECT max((SELECT count(*) FROM invocations b WHERE b.status = 'succeeded'
            AND b.started_at <= a.started_at AND b.finished_at > a.started_at)) FROM invocations a
    """
    assert scalar(fleet.app, together) <= 2
    busy = "SELECT count(*) FROM invocations WHERE error_code = 'CALLS_BUSY'"
    assert scalar(fleet.app, busy) + len(runner.calls()) == HANDS and scalar(fleet.app, busy) > 0


def test_of_many_callers_one_is_the_probe(fleet: Fleet) -> None:
    install_id = seed_install(fleet.app)
    tenant_id = scalar(fleet.app, "SELECT tenant_id FROM installs")
    for _ in range(10):
        with fleet.app.app_context(), transaction():
            now = database_now()
            for _ in range(FAILURES_LIMIT):
                note_failure(tenant_id, install_id, Passage(), "no answer", now)
        later = now + timedelta(seconds=300)

        def ask(_number: int, later: Any = later) -> Passage:
            with transaction():
                return pass_circuit(install_id, later, 60)

        asked = at_once(fleet.app, ask)
        assert len([one for one in asked if one.probe]) == 1
        assert all(one.probe or one.closed_until for one in asked)
        with fleet.app.app_context(), transaction():
            close_circuit(install_id)


def test_failures_at_the_same_time_are_all_counted(fleet: Fleet) -> None:
    install_id: UUID = seed_install(fleet.app)
    tenant_id = scalar(fleet.app, "SELECT tenant_id FROM installs")

    def fail(_number: int) -> bool:
        with transaction():
            return note_failure(tenant_id, install_id, Passage(), "no answer", database_now())

    opened = at_once(fleet.app, fail)
    [circuit] = rows(fleet.app, "SELECT failures, open_until IS NOT NULL AS is_open FROM install_circuits")
    # Those after the fifth find it open and change nothing.
    assert (circuit.failures, circuit.is_open, opened.count(True)) == (FAILURES_LIMIT, True, 1)
