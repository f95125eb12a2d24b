"""Runs that are long, or many: a loop of two thousand turns whose workers die, and ten thousand runs in one process."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

import pytest

from tests.faults.fleet import Fleet, rows, scalar, wait_until
from tests.faults.invariants import check_invariants, wait_for_all
from tests.faults.seeds import PURE_STEPS, counting_steps, seed_runs, seed_workflow

pytestmark = pytest.mark.faults

TURNS, DEATHS = 2_000, 10
RUNS = 10_000
# The first runs fill caches and pools; from there on nothing may pile up.
WARM_UP = 3_000
MOST_GROWTH_KB = 24_000


def loop_of(turns: int) -> list[dict[str, Any]]:
    items = {"$expr": f"[1..{turns}]"}
    return [{"id": "loop", "type": "control.forEach", "items": items, "itemVar": "turn", "body": counting_steps(1)}]


@pytest.mark.timeout(300)
def test_a_loop_of_two_thousand_turns_ends_right_although_ten_workers_die_in_it(fleet: Fleet) -> None:
    workflow_id = seed_workflow(fleet.app, loop_of(TURNS), is_pure=False)
    fleet.scheduler()
    seed_runs(fleet.app, workflow_id, 1)
    points = ("engine.before_step_commit", "engine.after_step_commit", "engine.mid_step")
    for death in range(DEATHS):
        doomed = fleet.worker(f"{points[death % len(points)]}=kill9@{120 + 7 * death}")
        wait_until(lambda doomed=doomed: doomed.poll() is not None, f"death {death + 1}")
    fleet.worker()
    wait_for_all(fleet.app, 1)
    assert scalar(fleet.app, "SELECT value FROM store_items WHERE namespace = 'counts'") == TURNS
    recorded = rows(fleet.app, "SELECT count(*) AS steps, max(claim_epoch) AS epoch FROM run_steps")[0]
    assert recorded.steps == TURNS + 1
    assert recorded.epoch > DEATHS
    check_invariants(fleet.app)


@pytest.mark.timeout(300)
def test_a_worker_that_carries_out_ten_thousand_runs_does_not_grow(fleet: Fleet) -> None:
    workflow_id = seed_workflow(fleet.app, PURE_STEPS, is_pure=True)
    fleet.scheduler()
    fleet.worker()
    fleet.await_processes(2)
    pid = scalar(fleet.app, "SELECT pid FROM heartbeats WHERE kind = 'worker'")
    seed_runs(fleet.app, workflow_id, WARM_UP)
    wait_for_all(fleet.app, WARM_UP)
    before = resident_kb(pid)
    seed_runs(fleet.app, workflow_id, RUNS - WARM_UP)
    wait_for_all(fleet.app, RUNS)
    assert resident_kb(pid) - before < MOST_GROWTH_KB
    assert scalar(fleet.app, "SELECT pid FROM heartbeats WHERE kind = 'worker'") == pid


def resident_kb(pid: int) -> int:
    """What a process holds in memory, as Linux tells it."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() // 1_024
