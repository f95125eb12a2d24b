"""A run with an effect ends in the transaction that claims the next one: both happen, or neither."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import event, text

from domain import execution
from domain.kernel.db import db
from domain.runs.runs import EFFECT
from tests.faults.fleet import execute, rows, scalar
from tests.faults.guards import GUARDED
from tests.faults.inside import Inside
from tests.faults.invariants import check_invariants, counts
from tests.faults.seeds import counting_steps, seed_runs, seed_workflow
from workers import reaper
from workers.worker import WorkerLife

RUNS = 4


@pytest.fixture
def worker(inside: Inside) -> WorkerLife:
    """One that finds RUNS of one step each."""
    seed_runs(inside.app, seed_workflow(inside.app, counting_steps(1), is_pure=False), RUNS)
    execute(inside.app, "UPDATE runs SET ready_at = clock_timestamp()")
    return inside.worker()


def work(inside: Inside, worker: WorkerLife) -> None:
    inside.act(lambda: worker.work(EFFECT))


def test_it_takes_one_transaction_for_the_step_and_one_for_the_end(inside: Inside, worker: WorkerLife) -> None:
    commits = []

    def note(connection: object) -> None:
        commits.append(connection)

    with inside.app.app_context():
        event.listen(db.engine, "commit", note)
        try:
            worker.work(EFFECT)
        finally:
            event.remove(db.engine, "commit", note)
    assert inside.statuses() == {"succeeded": RUNS}
    # The first claim, and the definition, which is read once.
    assert len(commits) == 2 + 2 * RUNS


@GUARDED
def test_who_dies_in_between_leaves_the_next_one_to_others(
    inside: Inside, worker: WorkerLife, is_guarded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_guarded:
        monkeypatch.setattr(reaper, "reap_lost", lambda _now: 0)
    inside.dies("worker.after_finish", lambda: worker.work(EFFECT))
    assert inside.statuses() == {"succeeded": 1, "running": 1, "queued": RUNS - 2}
    inside.forget_leases()
    inside.go_on()
    if is_guarded:
        assert inside.statuses() == {"succeeded": RUNS}
        assert counts(inside.app) == [RUNS]
        check_invariants(inside.app)
    else:
        assert inside.statuses() == {"succeeded": RUNS - 1, "running": 1}


@GUARDED
def test_who_dies_before_has_done_neither(
    inside: Inside, worker: WorkerLife, is_guarded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_guarded:
        record = execution._record

        def apart(*given: Any) -> None:
            record(*given)
            db.session.commit()

        monkeypatch.setattr(execution, "_record", apart)
    inside.dies("worker.before_final_commit", lambda: worker.work(EFFECT))
    ended = "running" if is_guarded else "succeeded"
    assert inside.statuses() == {ended: 1, "queued": RUNS - 1}
    inside.forget_leases()
    inside.go_on()
    assert inside.statuses() == {"succeeded": RUNS}
    assert counts(inside.app) == [RUNS]


def test_who_is_to_stop_claims_nothing_more(
    inside: Inside, worker: WorkerLife, monkeypatch: pytest.MonkeyPatch
) -> None:
    interpret = execution.interpret

    def stop_meanwhile(*given: Any) -> Any:
        worker.is_stopping = True
        return interpret(*given)

    monkeypatch.setattr(execution, "interpret", stop_meanwhile)
    work(inside, worker)
    assert rows(inside.app, "SELECT status, claim_epoch, count(*) FROM runs GROUP BY 1, 2 ORDER BY 2") == [
        ("queued", 0, RUNS - 1),
        ("succeeded", 1, 1),
    ]
    work(inside, worker)
    assert inside.statuses() == {"succeeded": 1, "queued": RUNS - 1}


def test_an_end_that_the_database_refuses_keeps_no_other_run_from_being_done(
    inside: Inside, worker: WorkerLife, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = scalar(inside.app, "SELECT id FROM runs ORDER BY ready_at, id LIMIT 1")
    record, seen = execution._record, []

    def refuse(ended: Any, *given: Any) -> None:
        record(ended, *given)
        if ended[0][0].run_id == refused and not seen:
            seen.append(refused)
            db.session.execute(text("SELECT 1 / 0"))

    monkeypatch.setattr(execution, "_record", refuse)
    work(inside, worker)
    assert inside.statuses() == {"failed": 1, "succeeded": RUNS - 1}
    assert scalar(inside.app, "SELECT error ->> 'code' FROM runs WHERE status = 'failed'") == "UNRECORDABLE"
    assert rows(inside.app, "SELECT DISTINCT claim_epoch FROM runs") == [(1,)]
    assert counts(inside.app) == [RUNS]
