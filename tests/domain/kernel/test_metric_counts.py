"""Counting in many processes, and the totals that one of them can tell."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram
from sqlalchemy import func, select, update

from domain.kernel import clock
from domain.kernel.db import transaction
from domain.kernel.metric_counts import FOLDED, MetricCount, Tally, fold_counts, totals
from domain.kernel.metrics import count, observe

pytestmark = pytest.mark.usefixtures("db")
NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
RUNS = ("test_runs_total", (("status", "failed"),))


class Process:
    """Stands for one: what it counts is its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.runs = Counter("test_runs", "Runs.", ("status",), registry=self.registry)
        self.seconds = Histogram("test_seconds", "Seconds.", buckets=(1, 5), registry=self.registry)
        self.tally = Tally(self.registry)

    def fail(self, times: int) -> None:
        count(self.runs, times, status="failed")


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """The time of the database, which a test may set."""
    times = [NOW]
    monkeypatch.setattr(clock, "database_now", lambda: times[0])
    return times


def rows(db: Any) -> int:
    return int(db.scalar(select(func.count()).select_from(MetricCount).where(MetricCount.name == RUNS[0])))


def test_the_total_is_the_sum_over_all_processes(db: Any) -> None:
    one, other = Process(), Process()
    one.fail(2)
    other.fail(3)
    assert RUNS not in totals()
    one.tally.write()
    other.tally.write()
    assert totals()[RUNS] == 5
    one.fail(1)
    one.tally.write()
    assert (totals()[RUNS], rows(db)) == (6, 2)


def test_values_are_counted_by_their_size() -> None:
    process = Process()
    observe(process.seconds, [0.5, 2, 60])
    process.tally.write()
    sums = totals()
    assert [sums["test_seconds_bucket", (("le", bound),)] for bound in ("1.0", "5.0", "+Inf")] == [1, 2, 3]
    assert (sums["test_seconds_count", ()], sums["test_seconds_sum", ()]) == (3, 62.5)


def test_only_what_has_changed_is_written() -> None:
    process = Process()
    process.fail(1)
    observe(process.seconds, [0.5])
    assert process.tally.write() == 6
    assert process.tally.write() == 0
    process.fail(1)
    assert process.tally.write() == 1


def test_what_was_written_without_an_answer_is_not_counted_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    process = Process()
    process.fail(2)
    written = process.tally._written
    process.tally.write()
    # As if the commit had been done and its answer lost.
    process.tally._written = written
    process.fail(1)
    process.tally.write()
    assert totals()[RUNS] == 3


def test_a_write_that_fails_is_made_up_for(db: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    process = Process()
    process.fail(2)

    def away() -> datetime:
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(clock, "database_now", away)
        with pytest.raises(ConnectionError):
            process.tally.write()
    assert RUNS not in totals()
    process.tally.write()
    assert totals()[RUNS] == 2


def test_rolled_back_work_is_not_counted() -> None:
    process = Process()

    def fail() -> None:
        with transaction():
            process.fail(1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert process.tally.write() == 0


def test_ended_processes_are_folded_and_the_total_stays(db: Any, at: list[datetime]) -> None:
    ended = [Process() for _ in range(3)]
    for process in ended:
        process.fail(2)
        process.tally.write()
    for hours, left in ((1, 3), (3, 1)):
        fold_counts(NOW + timedelta(hours=hours))
        assert (totals()[RUNS], rows(db)) == (6, left)
    at[0] = NOW + timedelta(hours=3)
    late = Process()
    late.fail(1)
    late.tally.write()
    fold_counts(NOW + timedelta(hours=6))
    assert (totals()[RUNS], rows(db)) == (7, 1)
    assert db.scalar(select(MetricCount.process_key).where(MetricCount.name == RUNS[0])) == FOLDED


def test_a_process_that_slept_while_its_rows_were_folded_goes_on_under_another_key(db: Any, at: list[datetime]) -> None:
    process = Process()
    process.fail(5)
    process.tally.write()
    at[0] = NOW + timedelta(days=1)
    fold_counts(at[0])
    process.fail(1)
    process.tally.write()
    assert totals()[RUNS] == 6
    for hour in range(1, 6):
        at[0] += timedelta(hours=hour)
        process.fail(1)
        process.tally.write()
        fold_counts(at[0])
        assert totals()[RUNS] == 6 + hour


def test_counts_never_go_below_zero(db: Any) -> None:
    process = Process()
    process.fail(1)
    process.tally.write()
    with pytest.raises(Exception, match="ck_metric_counts_value"), db.begin_nested():
        db.execute(update(MetricCount).values(value=-1))
