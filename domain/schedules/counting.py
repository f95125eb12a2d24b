"""What became of instants of schedules, counted for Prometheus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from itertools import repeat
from typing import Any

from domain.kernel.metrics import LATENESS, OCCURRENCES, count, observe
from domain.schedules.occurrences import TIMING
from domain.timing.outcomes import Outcome


def count_decided(target: str, outcome: str, reason: str | None = None, number: int = 1) -> None:
    """`number` instants of a schedule with this kind of target, in one row of the ledger."""
    count(OCCURRENCES, number, target=target, outcome=str(outcome), reason=str(reason or ""))


def count_written(written: Iterable[tuple[Any, str, int]], origin: str, now: datetime) -> None:
    """Rows of the ledger, as (what they say of an instant, the kind of their schedules' targets, how many)."""
    numbers: Counter[tuple[str, str, str | None]] = Counter()
    for mark, target, rows in written:
        numbers[target, mark.outcome, mark.reason] += mark.number * rows
        if mark.outcome == Outcome.FIRED and origin == TIMING:
            late = (now - mark.scheduled_for).total_seconds()
            observe(LATENESS, repeat(late, rows), target=target)
    for (target, outcome, reason), number in numbers.items():
        count_decided(target, outcome, reason, number)
