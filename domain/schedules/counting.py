"""What became of instants of schedules, counted for Prometheus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.kernel.metrics import LATENESS, OCCURRENCES, count, observe
from domain.schedules.occurrences import TIMING
from domain.timing.outcomes import Outcome


def count_decided(target: str, outcome: str, reason: str | None = None, number: int = 1) -> None:
    """`number` instants of a schedule with this kind of target, in one row of the ledger."""
    count(OCCURRENCES, number, target=target, outcome=str(outcome), reason=str(reason or ""))


def count_written(entries: Iterable[Any], targets: Mapping[UUID, str], origin: str, now: datetime) -> None:
    """Rows of the ledger: those of `entries` whose id is in `targets`, which names the kind of each one's target."""
    written = [(entry, targets[entry.id]) for entry in entries if entry.id in targets]
    numbers: Counter[tuple[str, str, str | None]] = Counter()
    late: dict[str, list[float]] = {}
    for entry, target in written:
        numbers[target, entry.outcome, entry.reason] += entry.count
        if entry.outcome == Outcome.FIRED and origin == TIMING:
            late.setdefault(target, []).append((now - entry.scheduled_for).total_seconds())
    for (target, outcome, reason), number in numbers.items():
        count_decided(target, outcome, reason, number)
    for target, seconds in late.items():
        observe(LATENESS, seconds, target=target)
