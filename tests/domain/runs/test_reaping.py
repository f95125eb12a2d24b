"""Runs of dead workers go on elsewhere, and none of them goes on for ever."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from domain.runs.canceling import request_cancel
from domain.runs.claims import note_progress, prove_claim
from domain.runs.heartbeats import beat, dead_kinds, end_heartbeat, prune_heartbeats
from domain.runs.reaping import LOSSES_LIMIT, reap_lost
from tests.domain.firing.ledger import a_live_schedule, a_target, cursor
from tests.domain.runs.queue import DEADLINE_SECONDS, NOW, a_worker, claimed, fresh, ready_runs
from tests.factories import a_tenant

pytestmark = pytest.mark.usefixtures("db")
LATER = NOW + timedelta(minutes=2)


@pytest.fixture
def workflow(db: Any) -> Any:
    return a_target(a_tenant())


def test_runs_of_a_living_worker_are_left_alone(workflow: Any) -> None:
    ready_runs(workflow, 2)
    claimed(a_worker(lease_until=LATER))
    assert reap_lost(LATER) == 0


def test_runs_of_a_worker_whose_lease_ran_out_are_ready_again_under_a_higher_epoch(workflow: Any) -> None:
    (run,) = ready_runs(workflow, 1)
    claimed(a_worker(lease_until=NOW))
    assert reap_lost(LATER) == 1
    row = fresh(run)
    assert (row.status, row.claimed_by, row.claim_epoch, row.losses) == ("queued", None, 2, 1)
    assert row.ready_at is not None, "it keeps its slot"
    assert reap_lost(LATER) == 0


def test_a_worker_that_said_goodbye_frees_its_runs_at_once(workflow: Any) -> None:
    ready_runs(workflow, 1)
    worker = a_worker(lease_until=LATER)
    claimed(worker)
    end_heartbeat(worker)
    assert reap_lost(NOW) == 1


def test_a_run_that_is_lost_again_and_again_without_progress_fails_visibly(workflow: Any) -> None:
    schedule = a_live_schedule(workflow)
    (run,) = ready_runs(workflow, 1, schedule_id=schedule.id)
    for _ in range(LOSSES_LIMIT):
        assert fresh(run).status == "queued"
        claimed(a_worker(lease_until=NOW))
        reap_lost(LATER)
    row = fresh(run)
    assert (row.status, row.error["code"]) == ("failed", "worker_lost")
    assert cursor(schedule).last_run_status == "failed" and "worker died" in str(cursor(schedule).last_error)


def test_progress_forgives_earlier_losses(workflow: Any) -> None:
    (run,) = ready_runs(workflow, 1)
    for _ in range(LOSSES_LIMIT * 2):
        worker = a_worker(lease_until=NOW)
        (claim,) = claimed(worker)
        prove_claim(run.id, worker, claim.epoch)
        note_progress(run.id)
        reap_lost(LATER)
    assert (fresh(run).status, fresh(run).losses) == ("queued", 1)


def test_a_run_past_its_deadline_ends_although_its_worker_lives(workflow: Any) -> None:
    (run,) = ready_runs(workflow, 1)
    much_later = NOW + timedelta(seconds=DEADLINE_SECONDS + 1)
    claimed(a_worker(lease_until=much_later + timedelta(minutes=1)))
    assert reap_lost(much_later - timedelta(seconds=1)) == 0
    assert reap_lost(much_later) == 1
    assert (fresh(run).status, fresh(run).error["code"]) == ("failed", "timed_out")


def test_a_run_that_was_to_be_canceled_ends_canceled_when_its_holder_is_gone(workflow: Any) -> None:
    (run,) = ready_runs(workflow, 1)
    claimed(a_worker(lease_until=NOW))
    request_cancel(run.id, NOW)
    reap_lost(LATER)
    assert fresh(run).status == "canceled"


def test_one_reaping_takes_what_is_lost_and_leaves_the_rest(workflow: Any) -> None:
    ready_runs(workflow, 3)
    claimed(a_worker(lease_until=NOW), 2)
    claimed(a_worker(lease_until=LATER), 1)
    assert reap_lost(LATER) == 2


def test_a_beat_renews_the_lease_and_says_which_kind_lives(db: Any) -> None:
    worker = a_worker(lease_until=NOW)
    assert dead_kinds(LATER) == ["scheduler", "worker"]
    beat(worker, "worker", "test", 1, "test", 60)
    now = db.execute(text("SELECT clock_timestamp()")).scalar_one()
    assert dead_kinds(now) == ["scheduler"]


def test_leases_of_processes_long_gone_are_forgotten(db: Any) -> None:
    a_worker(lease_until=NOW - timedelta(hours=25))
    a_worker(lease_until=NOW - timedelta(hours=23))
    assert prune_heartbeats(NOW) == 1
