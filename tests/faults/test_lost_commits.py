"""A COMMIT that was carried out and whose answer was lost (C3): nobody can know, so everybody looks again."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from bench.proxy import CommitProxy
from domain import execution
from domain.execution import Worker
from domain.firing import tick as tick_module
from domain.firing.tick import fire_due
from domain.kernel import clock
from domain.kernel.config import Config
from domain.kernel.db import db, transaction
from domain.kernel.ids import new_id
from domain.runs.heartbeats import beat
from domain.runs.reaping import reap_lost
from domain.runs.runs import EFFECT
from tests.faults.fleet import Fleet, execute, scalar
from tests.faults.invariants import check_invariants, counts
from tests.faults.proxies import proxied
from tests.faults.seeds import counting_steps, seed_runs, seed_workflow
from tests.faults.ticking import assert_all_decided, decide_due, scheduler_on, seed_due, stored_violations
from workers.process import process_app

UNFINISHED = "SELECT count(*) FROM runs WHERE finished_at IS NULL"
# More than two runs of three steps have.
COMMITS_MAX = 30


@pytest.mark.parametrize("repeats", ["by reading anew", "blindly", "blindly and without the key"])
def test_a_commit_whose_answer_was_lost_is_not_done_again(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, repeats: str
) -> None:
    """A tick reads anew what is due. Even one that wrote again what it had in hand would be stopped by the key of the
    ledger; control: without reading and without the key everything is decided twice."""
    seed_due(fleet)
    written: list[Any] = []
    write_or_halve = tick_module.write_or_halve
    monkeypatch.setattr(
        tick_module, "write_or_halve", lambda steps, *how: written.append(steps) or write_or_halve(steps, *how)
    )
    with proxied(fleet.env) as (proxy, env), scheduler_on(env, monkeypatch) as scheduler:
        with scheduler.app.app_context():
            proxy.drop_commits(1)
            with pytest.raises(OperationalError), transaction():
                fire_due(clock.database_now())
        assert proxy.dropped == 1
        if repeats == "by reading anew":
            assert decide_due(scheduler.app) == 0
        else:
            if "without the key" in repeats:
                execute(fleet.app, "ALTER TABLE occurrences DROP CONSTRAINT pk_occurrences")
            with scheduler.app.app_context(), transaction():
                tick_module._write(written[0], clock.database_now())
    if "without the key" in repeats:
        assert "an instant decided twice" in stored_violations(fleet.app)
    else:
        assert_all_decided(fleet)


def work(env: dict[str, str], proxy: CommitProxy, lost: int) -> bool:
    """Work until nothing is ready, as a worker that never hears of its commit number `lost`; whether there was one."""
    app = process_app(Config.from_env(env), "worker", 4)
    worker = Worker(new_id(), run_deadline_seconds=600)
    seen, dropped = 0, proxy.dropped

    def lose(_connection: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == lost:
            proxy.drop_commits(1)

    with app.app_context():
        with transaction():
            beat(worker.id, "worker", "test", 1, "test", 600)
        event.listen(db.engine, "commit", lose)
        try:
            while worker.work(EFFECT, lambda: True):
                pass
        except SQLAlchemyError:
            assert proxy.dropped == dropped + 1
        finally:
            db.engine.dispose()
    return proxy.dropped > dropped


def take_from_it(fleet: Fleet) -> None:
    """Its lease runs out."""
    execute(fleet.app, "DELETE FROM heartbeats")
    with fleet.app.app_context(), transaction():
        reap_lost(clock.database_now())


def seed_ready(fleet: Fleet, workflow_id: UUID) -> None:
    """Two runs: the end of the first is the claim of the second."""
    seed_runs(fleet.app, workflow_id, 2)
    execute(fleet.app, "UPDATE runs SET ready_at = clock_timestamp() WHERE ready_at IS NULL")


def test_whichever_commit_a_worker_never_hears_of_nothing_is_done_twice(fleet: Fleet) -> None:
    workflow_id = seed_workflow(fleet.app, counting_steps(), is_pure=False)
    with proxied(fleet.env) as (proxy, env):
        for lost in range(1, COMMITS_MAX):
            seed_ready(fleet, workflow_id)
            is_lost = work(env, proxy, lost)
            take_from_it(fleet)
            work(fleet.env, proxy, 0)
            assert scalar(fleet.app, UNFINISHED) == 0
            assert counts(fleet.app) == [2 * lost] * 3
            if not is_lost:
                break
    assert 4 < lost < COMMITS_MAX - 1
    check_invariants(fleet.app)


def test_control_who_does_not_read_what_is_on_record_does_it_twice(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And has no key to stop it."""
    workflow_id = seed_workflow(fleet.app, counting_steps(), is_pure=False)
    monkeypatch.setattr(execution, "recorded_steps", lambda _ids: {})
    execute(fleet.app, "ALTER TABLE run_steps DROP CONSTRAINT pk_run_steps CASCADE")
    with proxied(fleet.env) as (proxy, env):
        seed_ready(fleet, workflow_id)
        assert work(env, proxy, 3)
        take_from_it(fleet)
        work(fleet.env, proxy, 0)
    assert max(counts(fleet.app)) == 3
    assert "a step recorded as done twice" in stored_violations(fleet.app)
