"""`kill -9` while runs wait, are woken, are tried again or call each other: each ends once, and right."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from domain.kernel.db import transaction
from tests.domain.runs.journey import a_flow
from tests.factories import a_tenant
from tests.faults.fleet import Fleet, rows, scalar, wait_until
from tests.faults.invariants import check_invariants, wait_for_all
from tests.faults.seeds import counting_steps, seed_runs

COUNT = 12
PAUSE = {"type": "time.wait", "config": {"mode": "duration", "durationMs": 700}}
FAILING = {
    "type": "control.if",
    "condition": {"$expr": "payload.n"},
    "then": [],
    "onError": "continue",
    "retry": {"maxAttempts": 3, "backoffMs": 200, "retryOn": ["ValidationError"]},
}


def seed_family(app: Flask) -> None:
    """A workflow that counts, waits, fails twice in vain, and calls another that counts, waits and returns."""
    with app.app_context(), transaction():
        tenant = a_tenant()
        first, second = counting_steps(2)
        child = a_flow(tenant, "Child", second, PAUSE, {"type": "control.return", "value": 1}, key="child")
        call: dict[str, Any] = {"type": "control.callWorkflow", "workflowKey": "child"}
        parent = a_flow(tenant, "Parent", first, PAUSE, FAILING, call, key="parent")
        assert child.id != parent.id
        parent_id = parent.id
    seed_runs(app, parent_id, COUNT)


def await_the_end(fleet: Fleet) -> None:
    wait_for_all(fleet.app, 2 * COUNT)
    counted = rows(fleet.app, "SELECT value FROM store_items WHERE namespace = 'counts'")
    assert [int(row.value) for row in counted] == [COUNT, COUNT]
    attempts = "SELECT DISTINCT count(*) FROM run_steps WHERE step_id = 's2' AND status = 'failed' GROUP BY run_id"
    assert rows(fleet.app, attempts) == [(3,)]
    assert scalar(fleet.app, "SELECT count(*) FROM runs WHERE parent_run_id IS NOT NULL") == COUNT
    check_invariants(fleet.app)


@pytest.mark.parametrize(
    "failpoint",
    ["engine.before_step_commit=kill9@9", "engine.after_step_commit=kill9@14", "worker.after_claim=kill9@20"],
)
def test_a_worker_killed_among_waits_and_calls_repeats_nothing(fleet: Fleet, failpoint: str) -> None:
    seed_family(fleet.app)
    fleet.scheduler()
    doomed = fleet.worker(failpoint)
    wait_until(lambda: doomed.poll() is not None, "the worker's death")
    fleet.worker()
    await_the_end(fleet)


def test_a_scheduler_killed_while_it_wakes_runs_loses_none(fleet: Fleet) -> None:
    seed_family(fleet.app)
    fleet.worker()
    # It wakes at least four times: two moments and two retries follow each other, however many runs wake together.
    doomed = fleet.scheduler("wake.before_commit=kill9@3")
    wait_until(lambda: doomed.poll() is not None, "the scheduler's death")
    fleet.scheduler()
    fleet.scheduler()
    await_the_end(fleet)
