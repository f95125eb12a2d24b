"""A worker that lost a run writes nothing for it, and says so to Prometheus."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from domain.execution import Worker, _record
from domain.kernel import clock
from domain.kernel.db import transaction
from domain.kernel.errors import LostClaim
from domain.kernel.metrics import counted
from domain.runs.claims import Ending, prove_claim
from tests.domain.firing.ledger import a_target
from tests.domain.runs.queue import a_worker, claimed, fresh, ready_runs
from tests.factories import a_tenant

pytestmark = pytest.mark.usefixtures("db")


def lost() -> float:
    return counted().get(("carillon_claims_lost_total", ()), 0)


def take_away(db: Any, run_id: Any) -> None:
    db.execute(text("UPDATE runs SET claim_epoch = claim_epoch + 1 WHERE id = :id"), {"id": run_id})


def test_runs_that_were_taken_before_their_end_was_written_are_counted(db: Any) -> None:
    mine, theirs = ready_runs(a_target(a_tenant()), 2)
    worker = a_worker()
    claims = claimed(worker)
    take_away(db, theirs.id)
    before = lost()
    with transaction():
        ended = [(Ending(claim.run_id, claim.epoch, "succeeded"), []) for claim in claims]
        _record(ended, worker, clock.database_now())
    assert (fresh(mine).status, fresh(theirs).status) == ("succeeded", "running")
    assert lost() - before == 1


def test_a_run_that_is_taken_between_two_steps_is_counted(db: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (run,) = ready_runs(a_target(a_tenant()), 1)
    worker = Worker(a_worker(), 60)
    before = lost()

    def is_taken(_version: Any, claim: Any, _log: Any) -> Any:
        take_away(db, claim.run_id)
        prove_claim(claim.run_id, claim.worker_id, claim.epoch)

    monkeypatch.setattr("domain.execution.interpret", is_taken)
    worker.work(run.lane)
    assert fresh(run).status == "running"
    assert lost() - before == 1
    with pytest.raises(LostClaim):
        prove_claim(run.id, worker.id, 1)
