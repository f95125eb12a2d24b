"""`kill -9` of schedulers: every due occurrence is on record exactly once, and every fired one has its run."""

from __future__ import annotations

import random
import time

import pytest

from tests.faults.fleet import Fleet, scalar, wait_until
from tests.faults.invariants import check_invariants, wait_for_all
from tests.faults.seeds import PURE_STEPS, seed_one_time_schedules, seed_workflow

SEED = 20260320


@pytest.mark.parametrize(
    "failpoint",
    [
        "tick.after_lock=kill9@2",
        "tick.before_commit=kill9@2",
        "tick.after_commit=kill9@2",
        "dispatch.before_send=kill9@3",
        "dispatch.mid_send=kill9@2",
    ],
)
def test_a_scheduler_killed_inside_its_tick_loses_and_doubles_nothing(fleet: Fleet, failpoint: str) -> None:
    workflow_id = seed_workflow(fleet.app, PURE_STEPS, is_pure=True)
    fleet.worker()
    doomed = fleet.scheduler(failpoint)
    fleet.await_processes(2)
    # One by itself, so that the others are decided in a second tick, however slow the machine is.
    seed_one_time_schedules(fleet.app, workflow_id, 1, in_seconds=0, name="First")
    decided = "SELECT count(*) FROM occurrences"
    wait_until(lambda: doomed.poll() is not None or scalar(fleet.app, decided), "the first decision")
    seed_one_time_schedules(fleet.app, workflow_id, 299, in_seconds=1, over_seconds=3)
    assert doomed.wait(60) == -9
    fleet.scheduler()
    wait_for_all(fleet.app, 300)
    check_invariants(fleet.app)
    assert scalar(fleet.app, "SELECT count(*) FROM occurrences WHERE outcome = 'fired'") == 300


def test_schedulers_killed_at_random_moments_lose_and_double_nothing(fleet: Fleet) -> None:
    moments = random.Random(SEED)
    workflow_id = seed_workflow(fleet.app, PURE_STEPS, is_pure=True)
    fleet.worker()
    living = [fleet.scheduler(), fleet.scheduler()]
    fleet.await_processes(3)
    seed_one_time_schedules(fleet.app, workflow_id, 1200, in_seconds=1, over_seconds=12)
    until = time.monotonic() + 12
    while time.monotonic() < until:
        time.sleep(moments.uniform(0.3, 1.5))
        fleet.kill(living.pop(moments.randrange(len(living))))
        living.append(fleet.scheduler())
    wait_for_all(fleet.app, 1200)
    check_invariants(fleet.app)
    decided = "SELECT count(*) = 1200 FROM occurrences"
    assert wait_until(lambda: scalar(fleet.app, decided), "every occurrence on record")
