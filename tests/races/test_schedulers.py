"""Several schedulers at once: each instant is decided by exactly one of them."""

from __future__ import annotations

import threading
from datetime import datetime

import pytest

from domain.firing.tick import fire_due
from tests.faults.fleet import Fleet, execute, rows, scalar
from tests.faults.invariants import check_invariants, wait_for_all
from tests.faults.seeds import PURE_STEPS, seed_one_time_schedules, seed_workflow
from tests.servers import config_for
from workers import herds, scheduler
from workers.broker import make_sender


def test_three_schedulers_fire_two_thousand_schedules_of_one_instant_once_each(fleet: Fleet) -> None:
    workflow_id = seed_workflow(fleet.app, PURE_STEPS, is_pure=True)
    for _ in range(3):
        fleet.scheduler()
    fleet.worker()
    fleet.await_processes(4)
    seed_one_time_schedules(fleet.app, workflow_id, 2000, in_seconds=2)
    wait_for_all(fleet.app, 2000)
    check_invariants(fleet.app)
    assert rows(fleet.app, "SELECT outcome, count(*), count(DISTINCT schedule_id) FROM occurrences GROUP BY 1") == [
        ("fired", 2000, 2000)
    ]
    assert scalar(fleet.app, "SELECT count(*) FROM schedules WHERE status = 'completed'") == 2000
    assert scalar(fleet.app, "SELECT count(*) FROM run_steps") == 6000


def test_one_poisoned_row_among_a_thousand_delays_only_itself(fleet: Fleet) -> None:
    workflow_id = seed_workflow(fleet.app, PURE_STEPS, is_pure=True)
    seed_one_time_schedules(fleet.app, workflow_id, 1000, in_seconds=1)
    poisoned = scalar(fleet.app, "SELECT id FROM schedules WHERE name = 'Schedule 500'")
    execute(fleet.app, f"ALTER TABLE occurrences ADD CONSTRAINT poison CHECK (schedule_id <> '{poisoned}')")
    fleet.scheduler()
    fleet.worker()
    wait_for_all(fleet.app, 999)
    later, error = rows(
        fleet.app,
        "SELECT wake_at > clock_timestamp() + interval '1 minute', last_error FROM schedule_cursors WHERE schedule_id = :id",
        id=poisoned,
    )[0]
    assert later and "could not be recorded" in error
    execute(fleet.app, "ALTER TABLE occurrences DROP CONSTRAINT poison")
    execute(fleet.app, "UPDATE schedule_cursors SET wake_at = clock_timestamp() WHERE schedule_id = :id", id=poisoned)
    wait_for_all(fleet.app, 1000)
    check_invariants(fleet.app)


def test_a_tick_that_is_stopped_between_lock_and_commit_holds_nobody_up_for_long(fleet: Fleet) -> None:
    """The database ends the idle transaction of a frozen scheduler; another one decides what it had locked."""
    workflow_id = seed_workflow(fleet.app, PURE_STEPS, is_pure=True)
    frozen = fleet.scheduler("tick.after_lock=stop")
    fleet.worker()
    fleet.await_processes(2)
    seed_one_time_schedules(fleet.app, workflow_id, 50, in_seconds=0)
    fleet.await_stop(frozen)
    fleet.scheduler()
    wait_for_all(fleet.app, 50)
    fleet.kill(frozen)
    check_invariants(fleet.app)


def test_a_herd_is_decided_in_two_lanes_at_a_time_and_each_instant_once(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed_one_time_schedules(fleet.app, seed_workflow(fleet.app, PURE_STEPS, is_pure=True), 60, in_seconds=-1)
    monkeypatch.setattr(scheduler, "HERD", 4)
    monkeypatch.setattr(herds, "BATCH", 7)
    both = threading.Barrier(herds.LANES)
    met: set[str] = set()

    def fired_beside_the_other(now: datetime, batch: int) -> int:
        lane = threading.current_thread().name
        if lane.startswith("herd") and lane not in met:
            met.add(lane)
            both.wait(60)
        return fire_due(now, batch)

    monkeypatch.setattr(scheduler, "fire_due", fired_beside_the_other)
    config = config_for(fleet.env["DATABASE_URL"], fleet.env["REDIS_URL"])
    alone = scheduler.Scheduler(fleet.app, config, make_sender(config.redis_url))
    with fleet.app.app_context():
        assert alone._fire()
        assert not alone._fire()
    assert not alone.herd.is_held()
    assert len(met) == herds.LANES
    assert scalar(fleet.app, "SELECT count(*) FROM runs JOIN occurrences USING (id)") == 60
    check_invariants(fleet.app)
