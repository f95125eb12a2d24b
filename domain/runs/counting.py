"""What became of runs and calls, counted for Prometheus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from domain.kernel.metrics import CALL_SECONDS, CALLS, RUN_SECONDS, RUNS, count, observe


def count_ended(runs: Sequence[Any]) -> None:
    """Runs that ended: rows with `target_kind`, `status`, and `seconds` from the start; None when nobody had begun."""
    numbers = Counter((run.target_kind, run.status) for run in runs)
    for (target, status), number in numbers.items():
        took = [run.seconds for run in runs if (run.target_kind, run.status) == (target, status)]
        count(RUNS, number, target=target, status=status)
        observe(RUN_SECONDS, (float(each) for each in took if each is not None), target=target, status=status)


def count_call(result: str, duration_ms: int | None = None) -> None:
    """A call of an extension that has ended; `result` is `succeeded` or the code of the failure."""
    count(CALLS, result=result)
    if duration_ms is not None:
        observe(CALL_SECONDS, [duration_ms / 1000])
