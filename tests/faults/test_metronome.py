"""The metronome of a real scheduler process in trouble: a wall clock that is set back, a tick that breaks, one that takes
longer than its second.
"""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.faults.fleet import Fleet, scalar, wait_until
from tests.faults.invariants import check_invariants
from tests.faults.seeds import PURE_STEPS, seed_one_time_schedules, seed_workflow
from tests.faults.ticking import SCHEDULES, assert_all_decided, decide_due, seed_due

EXIT_OF_THE_WATCHDOG = 70

# On SIGUSR1 its own clock, which tells APScheduler when to ring, is an hour behind.
SET_BACK = """
import signal, time_machine
from datetime import UTC, datetime, timedelta
from workers import scheduler

def set_back(*_signal):
    time_machine.travel(datetime.now(UTC) - timedelta(hours=1), tick=True).start()

signal.signal(signal.SIGUSR1, set_back)
"""
UNWATCHED = "scheduler.Scheduler.watch = lambda _self: None"
GO = "scheduler.main()"
# The first tick breaks as badly as anything can, the second takes as long as four.
TROUBLED = """
import itertools, time
from workers import scheduler

numbers, next_wake = itertools.count(1), scheduler.next_wake

def troubled():
    number = next(numbers)
    if number == 1:
        raise SystemExit
    if number == 2:
        time.sleep(4)
    return next_wake()

scheduler.next_wake = troubled
"""


def start(fleet: Fleet, *lines: str) -> subprocess.Popen[bytes]:
    process = fleet.start([sys.executable, "-c", "\n".join(lines)])
    fleet.await_processes(1)
    return process


def is_all_decided(fleet: Fleet) -> bool:
    return bool(scalar(fleet.app, "SELECT count(*) FROM occurrences") == SCHEDULES)


def test_a_scheduler_whose_metronome_stands_still_ends_and_the_next_one_decides_all(fleet: Fleet) -> None:
    stuck = start(fleet, SET_BACK, GO)
    fleet.send(stuck, signal.SIGUSR1)
    assert stuck.wait(60) == EXIT_OF_THE_WATCHDOG
    seed_due(fleet)
    decide_due(fleet.app)
    assert_all_decided(fleet)


def test_control_without_its_watchdog_it_would_live_on_and_decide_nothing(fleet: Fleet) -> None:
    stuck = start(fleet, SET_BACK, UNWATCHED, GO)
    fleet.send(stuck, signal.SIGUSR1)
    workflow_id = seed_workflow(fleet.app, PURE_STEPS, is_pure=True)
    # After the tick that was under way.
    seed_one_time_schedules(fleet.app, workflow_id, SCHEDULES, in_seconds=2)
    with pytest.raises(AssertionError, match="not within"):
        wait_until(lambda: scalar(fleet.app, "SELECT count(*) FROM occurrences"), "a decision", 5)
    assert stuck.poll() is None


def test_a_tick_that_breaks_and_one_that_takes_four_seconds_cost_no_instant(fleet: Fleet) -> None:
    workflow_id = seed_workflow(fleet.app, PURE_STEPS, is_pure=True)
    seed_one_time_schedules(fleet.app, workflow_id, SCHEDULES, in_seconds=0, over_seconds=4)
    start(fleet, TROUBLED, GO)
    wait_until(lambda: is_all_decided(fleet), "all decisions")
    assert fleet.said("SystemExit")
    assert_all_decided(fleet)
    check_invariants(fleet.app)
