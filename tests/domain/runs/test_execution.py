"""A worker and its chunk: what goes wrong with one run is that run's own affair."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from domain import execution
from domain.engine.nodes.registry import NODE_TYPES
from domain.execution import Worker, give_back_strays
from domain.kernel.db import db as database
from domain.kernel.db import transacted, transaction
from domain.runs import claims
from domain.runs.claims import claim_runs
from domain.runs.runs import PURE, Run
from tests.domain.firing.ledger import a_target
from tests.domain.runs.queue import DEADLINE_SECONDS, NOW, a_worker, ready_runs
from tests.factories import a_tenant

pytestmark = pytest.mark.usefixtures("db")
ECHO = {
    "steps": [
        {"id": "copy", "type": "transform.assign", "config": {"assign": {"vars.n": {"$expr": "payload.n"}}}},
        {"id": "end", "type": "control.return", "value": {"n": {"$expr": "vars.n"}}},
    ]
}


@pytest.fixture
def workflow(db: Any) -> Any:
    return a_target(a_tenant(), definition=ECHO)


@pytest.fixture
def worker(db: Any) -> Worker:
    return Worker(a_worker(), DEADLINE_SECONDS)


def pure_runs(db: Any, workflow: Any, count: int) -> list[UUID]:
    """Their ids: a worker closes the session that made them."""
    runs = [ready_runs(workflow, 1, input_json={"n": number})[0].id for number in range(count)]
    db.execute(text("UPDATE runs SET lane = 'pure'"))
    return runs


def rows(runs: list[UUID]) -> list[Run]:
    return [database.session.get_one(Run, run_id, populate_existing=True) for run_id in runs]


def outcomes(runs: list[UUID]) -> list[tuple[str, Any]]:
    return [(row.status, row.error["code"] if row.error else row.output) for row in rows(runs)]


def test_a_chunk_is_claimed_executed_and_ended(workflow: Any, worker: Worker, db: Any) -> None:
    runs = pure_runs(db, workflow, 3)
    assert worker.work(PURE) is False
    assert outcomes(runs) == [("succeeded", {"n": number}) for number in range(3)]
    assert worker.held == set()


def test_what_a_slow_chunk_has_not_begun_is_given_back_for_others(
    workflow: Any, worker: Worker, db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = pure_runs(db, workflow, 3)
    monkeypatch.setattr(execution, "END_AFTER_SECONDS", 0.0)
    assert worker.work(PURE) is True
    assert [row.status for row in rows(runs)] == ["succeeded", "queued", "queued"]
    left = rows(runs)[1]
    assert (left.claimed_by, left.claim_epoch, left.started_at, left.deadline_at) == (None, 2, None, None)
    assert left.losses == 0 and worker.held == set()
    assert [worker.work(PURE) for _ in range(3)] == [True, False, False]
    assert outcomes(runs) == [("succeeded", {"n": number}) for number in range(3)]


def test_runs_with_large_inputs_are_claimed_a_few_at_a_time(
    workflow: Any, worker: Worker, db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = pure_runs(db, workflow, 3)
    monkeypatch.setattr(claims, "CHUNK_BYTES", 1)
    assert [worker.work(PURE) for _ in range(4)] == [True, True, False, False]
    assert [row.status for row in rows(runs)] == ["succeeded"] * 3


@pytest.mark.parametrize("table", ["runs", "run_steps"])
def test_a_run_whose_result_the_database_refuses_fails_alone(
    workflow: Any, worker: Worker, db: Any, table: str
) -> None:
    runs = pure_runs(db, workflow, 5)
    rule = {"runs": "output ->> 'n' IS DISTINCT FROM '2'", "run_steps": f"run_id <> '{runs[2]}'"}[table]
    db.execute(text(f"ALTER TABLE {table} ADD CONSTRAINT poison CHECK ({rule})"))
    worker.work(PURE)
    assert outcomes(runs) == [
        ("failed", "UNRECORDABLE") if number == 2 else ("succeeded", {"n": number}) for number in range(5)
    ]


def test_a_definition_that_breaks_the_compiler_fails_its_own_runs_only(
    workflow: Any, worker: Worker, db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = a_target(a_tenant("globex"), "Broken", definition=ECHO)
    runs = [*pure_runs(db, broken, 1), *pure_runs(db, workflow, 2)]
    returning = NODE_TYPES["control.return"]
    compiled: list[str] = []

    class Exploding:
        def compile(self, step: Any, compiler: Any) -> Any:
            compiled.append(step["id"])
            if len(compiled) == 1:
                raise RecursionError("maximum recursion depth exceeded")
            return returning.compile(step, compiler)

    monkeypatch.setitem(NODE_TYPES, "control.return", Exploding())
    worker.work(PURE)
    assert outcomes(runs)[0] == ("failed", "INVALID_WORKFLOW_DEFINITION")
    assert [status for status, _ in outcomes(runs)[1:]] == ["succeeded", "succeeded"]


@pytest.mark.parametrize("error", [RuntimeError("boom"), MemoryError()], ids=repr)
def test_a_run_that_the_engine_cannot_bear_fails_alone(
    workflow: Any, worker: Worker, db: Any, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = pure_runs(db, workflow, 3)
    interpret = execution.interpret

    def exploding(version: Any, claim: Any, log: Any) -> Any:
        if claim.input_json["n"] == 1:
            raise error
        return interpret(version, claim, log)

    monkeypatch.setattr(execution, "interpret", exploding)
    while worker.work(PURE):
        pass
    assert [status for status, _ in outcomes(runs)] == ["succeeded", "failed", "succeeded"]


def collision() -> OperationalError:
    return OperationalError("UPDATE", {}, psycopg.errors.DeadlockDetected("deadlock detected"))


def test_a_chunk_that_collides_with_another_transaction_is_ended_in_a_second_try(
    workflow: Any, worker: Worker, db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = pure_runs(db, workflow, 2)
    finish, tries = execution.finish_runs, []

    def colliding(*args: Any) -> Any:
        tries.append(args)
        if len(tries) == 1:
            raise collision()
        return finish(*args)

    monkeypatch.setattr(execution, "finish_runs", colliding)
    worker.work(PURE)
    assert [status for status, _ in outcomes(runs)] == ["succeeded", "succeeded"]
    assert len(tries) == 2


def test_collisions_are_not_retried_for_ever(db: Any) -> None:
    tries: list[int] = []

    def colliding() -> None:
        tries.append(1)
        raise collision()

    with pytest.raises(OperationalError):
        transacted(colliding)
    assert len(tries) == 3


def test_what_is_held_on_paper_only_is_given_back_after_two_beats(workflow: Any, worker: Worker, db: Any) -> None:
    runs = pure_runs(db, workflow, 2)
    with transaction():
        claims = claim_runs(PURE, worker.id, 9, NOW, DEADLINE_SECONDS)
    worker.held = {(claims[0].run_id, claims[0].epoch)}
    assert give_back_strays(worker) == 0
    assert give_back_strays(worker) == 1
    assert [row.status for row in rows(runs)] == ["running", "queued"]


def test_a_database_that_goes_away_in_the_middle_leaves_nothing_in_hand(
    workflow: Any, worker: Worker, db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = pure_runs(db, workflow, 2)

    def gone(*_args: Any) -> Any:
        raise OperationalError("SELECT", {}, psycopg.OperationalError("server closed the connection"))

    with monkeypatch.context() as away:
        away.setattr(execution, "finish_runs", gone)
        with pytest.raises(OperationalError):
            worker.work(PURE)
    assert worker.held == set()
    assert [row.status for row in rows(runs)] == ["running", "running"]
    give_back_strays(worker)
    assert give_back_strays(worker) == 2
    worker.work(PURE)
    assert [status for status, _ in outcomes(runs)] == ["succeeded", "succeeded"]
