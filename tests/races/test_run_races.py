"""Several hands on one run, or on several things in several orders: real commits in several threads."""

from __future__ import annotations

from typing import Any

from domain.kernel import clock
from domain.kernel.db import transaction
from domain.kernel.ids import new_id
from domain.runs.canceling import request_cancel
from domain.runs.claims import claim_runs
from domain.runs.reaping import reap_lost
from domain.runs.runs import PURE
from tests.faults.fleet import Fleet, execute, scalar
from tests.faults.seeds import PURE_STEPS, seed_runs, seed_workflow
from tests.races.together import while_locked


def a_running_run(fleet: Fleet) -> Any:
    """Claimed by a worker without a heartbeat."""
    seed_runs(fleet.app, seed_workflow(fleet.app, PURE_STEPS, is_pure=True), 1)
    execute(fleet.app, "UPDATE runs SET ready_at = clock_timestamp()")
    with fleet.app.app_context(), transaction():
        claim_runs(PURE, new_id(), 1, clock.database_now(), 600)
    return scalar(fleet.app, "SELECT id FROM runs")


def test_canceling_a_run_while_it_is_taken_from_a_dead_worker_ends_it(fleet: Fleet) -> None:
    run_id = a_running_run(fleet)
    answer = while_locked(
        fleet.app,
        lambda: reap_lost(clock.database_now()),
        lambda: request_cancel(run_id, clock.database_now()),
    )
    assert answer == "canceled"
    assert scalar(fleet.app, "SELECT status FROM runs") == "canceled"


def test_canceling_a_run_while_a_worker_claims_it_asks_the_worker(fleet: Fleet) -> None:
    run_id = a_running_run(fleet)
    execute(fleet.app, "UPDATE runs SET status = 'queued', claimed_by = NULL")
    answer = while_locked(
        fleet.app,
        lambda: claim_runs(PURE, new_id(), 1, clock.database_now(), 600),
        lambda: request_cancel(run_id, clock.database_now()),
    )
    assert answer == "requested"
    assert scalar(fleet.app, "SELECT status FROM runs WHERE cancel_requested_at IS NOT NULL") == "running"
