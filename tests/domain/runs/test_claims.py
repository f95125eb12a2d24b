"""Who may work on a run, and what becomes of whoever may no more."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from domain.kernel.errors import LostClaim
from domain.kernel.ids import new_id
from domain.runs import claims
from domain.runs.canceling import request_cancel
from domain.runs.claims import Ending, claims_of, finish_runs, prove_claim, release_claims
from tests.domain.firing.ledger import a_live_schedule, a_target, cursor
from tests.domain.runs.queue import DEADLINE_SECONDS, NOW, a_worker, claimed, end, fresh, ready_runs, waiting_runs
from tests.factories import a_run, a_tenant

pytestmark = pytest.mark.usefixtures("db")


@pytest.fixture
def workflow(db: Any) -> Any:
    return a_target(a_tenant())


def test_a_claim_names_the_worker_raises_the_epoch_and_sets_the_deadline(workflow: Any) -> None:
    (run,) = ready_runs(workflow, 1)
    worker = a_worker()
    (claim,) = claimed(worker)
    row = fresh(run)
    assert (claim.run_id, claim.worker_id, claim.epoch) == (run.id, worker, 1)
    assert (row.status, row.claimed_by, row.claim_epoch, row.started_at) == ("running", worker, 1, NOW)
    assert row.deadline_at == NOW + timedelta(seconds=DEADLINE_SECONDS)


def test_only_ready_runs_of_the_lane_are_claimed_the_longest_ready_first(workflow: Any, db: Any) -> None:
    late = ready_runs(workflow, 1, ready_at=NOW - timedelta(seconds=1))
    early = ready_runs(workflow, 1, ready_at=NOW - timedelta(seconds=2))
    other_lane = ready_runs(workflow, 1, ready_at=NOW - timedelta(seconds=3))
    db.execute(text("UPDATE runs SET lane = 'pure' WHERE id = :id"), {"id": other_lane[0].id})
    waiting_runs(workflow, 1)
    worker = a_worker()
    assert [claim.run_id for claim in claimed(worker, 1)] == [early[0].id]
    assert [claim.run_id for claim in claimed(worker, 9)] == [late[0].id]
    assert claimed(worker) == []


def test_a_second_claim_keeps_the_start_and_the_deadline_of_the_first(workflow: Any) -> None:
    (run,) = ready_runs(workflow, 1)
    worker = a_worker()
    (claim,) = claimed(worker)
    release_claims({(claim.run_id, claim.epoch)}, worker)
    (again,) = claimed(worker, now=NOW + timedelta(minutes=5))
    assert again.started_at == NOW and again.epoch == 3
    assert fresh(run).deadline_at == NOW + timedelta(seconds=DEADLINE_SECONDS)


def test_runs_that_were_lost_are_claimed_by_few_and_then_alone_so_that_they_take_no_other_one_down(
    workflow: Any, db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that ends its process would otherwise fail the runs of its chunk with it."""
    monkeypatch.setattr(claims, "FEW", 3)
    for losses in (2, 1):
        lost = ready_runs(workflow, 2 * losses, ready_at=NOW - timedelta(minutes=losses))
        db.execute(
            text("UPDATE runs SET losses = :n WHERE id = ANY(:ids)"), {"n": losses, "ids": [run.id for run in lost]}
        )
    ready_runs(workflow, 5)
    worker = a_worker()
    chunks = [[claim.losses for claim in claimed(worker)] for _ in range(7)]
    assert chunks == [[2], [2], [2], [2], [1, 1], [0] * 5, []]


def test_no_more_than_few_runs_that_were_lost_are_claimed_together(
    workflow: Any, db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "FEW", 3)
    lost = ready_runs(workflow, 4)
    db.execute(text("UPDATE runs SET losses = 1 WHERE id = ANY(:ids)"), {"ids": [run.id for run in lost]})
    worker = a_worker()
    assert [len(claimed(worker)) for _ in range(3)] == [3, 1, 0]


def test_a_lost_run_behind_others_is_left_for_a_claim_of_its_own(workflow: Any, db: Any) -> None:
    ready_runs(workflow, 2)
    (lost,) = ready_runs(workflow, 1)
    db.execute(text("UPDATE runs SET losses = 1 WHERE id = :id"), {"id": lost.id})
    worker = a_worker()
    assert [[claim.losses for claim in claimed(worker)] for _ in range(3)] == [[0, 0], [1], []]


def test_only_the_holder_of_the_epoch_proves_its_claim(workflow: Any) -> None:
    ready_runs(workflow, 1)
    worker = a_worker()
    (claim,) = claimed(worker)
    assert prove_claim(claim.run_id, worker, 1) is False
    for someone, epoch in ((worker, 0), (worker, 2), (new_id(), 1)):
        with pytest.raises(LostClaim):
            prove_claim(claim.run_id, someone, epoch)


def test_whoever_lost_a_run_cannot_end_it(workflow: Any) -> None:
    (run,) = ready_runs(workflow, 1)
    loser, winner = a_worker(), a_worker()
    (old,) = claimed(loser)
    release_claims({(old.run_id, old.epoch)}, loser)
    (new,) = claimed(winner)
    assert finish_runs([Ending(run.id, old.epoch, "failed", error={"message": "x"})], loser, NOW) == set()
    assert fresh(run).status == "running"
    assert finish_runs([Ending(run.id, new.epoch, "succeeded", output={"a": 1})], winner, NOW) == {run.id}
    row = fresh(run)
    assert (row.status, row.output, row.claimed_by, row.finished_at) == ("succeeded", {"a": 1}, None, NOW)


def test_a_run_ends_once(workflow: Any) -> None:
    (run,) = ready_runs(workflow, 1)
    worker = a_worker()
    (claim,) = claimed(worker)
    finish_runs([Ending(run.id, claim.epoch, "succeeded")], worker, NOW)
    assert finish_runs([Ending(run.id, claim.epoch, "failed")], worker, NOW) == set()
    assert fresh(run).status == "succeeded"


def test_the_cursor_knows_the_last_success_and_the_latest_run_of_any_outcome(workflow: Any) -> None:
    schedule = a_live_schedule(workflow)
    worker = a_worker()
    for number, status in enumerate(("succeeded", "failed", "canceled")):
        (run,) = ready_runs(workflow, 1, schedule_id=schedule.id)
        (claim,) = claimed(worker)
        error = {"message": "No such region"} if status == "failed" else None
        finish_runs([Ending(run.id, claim.epoch, status, error=error)], worker, NOW + timedelta(minutes=number))
    row = cursor(schedule)
    assert (row.last_run_at, row.last_finished_at) == (NOW, NOW + timedelta(minutes=2))
    assert (row.last_run_status, row.last_error) == ("canceled", "No such region")


def test_claims_on_paper_are_given_back_under_a_higher_epoch_without_counting_as_a_loss(workflow: Any) -> None:
    (run,) = ready_runs(workflow, 1)
    worker = a_worker()
    claimed(worker)
    assert claims_of(worker) == {(run.id, 1)}
    assert release_claims({(run.id, 1)}, new_id()) == 0
    assert release_claims({(run.id, 1)}, worker) == 1
    row = fresh(run)
    assert (row.status, row.claim_epoch, row.claimed_by, row.losses) == ("queued", 2, None, 0)
    assert row.ready_at is not None


@pytest.mark.parametrize("status", ["queued", "waiting"])
def test_canceling_what_nobody_works_on_ends_it_at_once(workflow: Any, status: str) -> None:
    schedule = a_live_schedule(workflow)
    run = a_run(workflow, status, schedule_id=schedule.id)
    assert request_cancel(run.id, NOW) == "canceled"
    assert (fresh(run).status, fresh(run).finished_at) == ("canceled", NOW)
    assert cursor(schedule).last_run_status == "canceled"


def test_canceling_a_running_run_leaves_it_to_its_holder(workflow: Any) -> None:
    (run,) = ready_runs(workflow, 1)
    worker = a_worker()
    claimed(worker)
    assert request_cancel(run.id, NOW) == "requested"
    assert request_cancel(run.id, NOW + timedelta(minutes=1)) == "requested"
    assert (fresh(run).status, fresh(run).cancel_requested_at) == ("running", NOW)
    assert prove_claim(run.id, worker, 1) is True


def test_a_run_that_has_ended_cannot_be_canceled(workflow: Any) -> None:
    (run,) = ready_runs(workflow, 1)
    end(run)
    assert request_cancel(run.id, NOW) == "finished"
    assert fresh(run).status == "succeeded"
