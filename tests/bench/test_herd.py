"""The herd bench, small: that it measures what it says, with real processes on servers of their own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bench.bursts import burst_of
from bench.contenders import CARILLON
from bench.herd import Asked, herd
from bench.work import next_minute, tasks

NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


@pytest.mark.faults
@pytest.mark.timeout(400)
def test_a_small_herd_is_fired_and_run_once_each() -> None:
    burst = herd(CARILLON, Asked(count=20, groups=1, kill=None, down=0, patience=90)).burst
    assert (burst.lost, burst.doubled) == (0, 0)
    assert burst.committed and burst.started and burst.finished
    assert 0 <= burst.committed <= burst.started <= burst.finished


def test_what_jobs_wrote_down_becomes_times_after_the_instant() -> None:
    zero = NOON.timestamp()
    lines = [f"{number} {zero + 0.1} {zero + 0.2 * number} {zero + 0.3 * number}" for number in (1, 2, 2)]
    burst = burst_of(lines, 3, NOON)
    assert (burst.lost, burst.doubled) == (1, 1)
    assert burst.first_started == pytest.approx(0.2, abs=0.001) and burst.started == pytest.approx(0.4, abs=0.001)
    assert burst.enqueued == pytest.approx(0.1, abs=0.001) and burst.finished == pytest.approx(0.6, abs=0.001)


def test_every_schedule_is_due_at_the_instant_in_its_own_zone() -> None:
    by_zone = {task.zone: task.cron for task in tasks(10, NOON)}
    assert by_zone["UTC"] == by_zone["Europe/Paris"] == "0 * * * *" and by_zone["Asia/Kolkata"] == "30 * * * *"
    assert [task.number for task in tasks(3, NOON)] == [1, 2, 3]


def test_the_instant_is_a_whole_minute_that_leaves_enough_time() -> None:
    assert next_minute(NOON, 0) == NOON
    assert next_minute(NOON, 1) == next_minute(NOON + timedelta(seconds=59), 1) == NOON + timedelta(minutes=1)
    assert next_minute(NOON + timedelta(seconds=59), 2) == NOON + timedelta(minutes=2)
