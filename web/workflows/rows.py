"""Workflows in the words and shapes of the list."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup

from domain.publishing import RecentRun, WorkflowRow
from domain.timing.words import absolute, duration_words
from web.bars import Bar, BarOutcome, last_bars

_OUTCOMES: dict[str, BarOutcome] = {
    "succeeded": "ok",
    "failed": "failed",
    "canceled": "canceled",
}


@dataclass(frozen=True)
class ListedWorkflow:
    """One line of the list. `rate`: the share of its latest runs that succeeded, such as `95 % ok`; empty without any."""

    row: WorkflowRow
    bars: Markup
    rate: str
    icon: str
    trigger: str


def listed(row: WorkflowRow, zone: str, now: datetime) -> ListedWorkflow:
    icon, trigger = trigger_of(row)
    bars = last_bars([_bar(run, zone, now) for run in row.recent], nothing="No run has ended yet")
    return ListedWorkflow(row, bars, rate_words(row.success_rate), icon, trigger)


def trigger_of(row: WorkflowRow) -> tuple[str, str]:
    """What starts it besides people: an icon and words. What runs counts, not what the draft plans."""
    if row.event_name:
        return "bolt", row.event_name
    return ("calendar", "Scheduled") if row.schedules else ("play", "No trigger")


def rate_words(fraction: float | None) -> str:
    """The share that succeeded, such as `95 % ok`; never rounded to all or none of them when it was neither."""
    if fraction is None:
        return ""
    percent = round(fraction * 100)
    return f"{min(max(percent, 1), 99) if 0 < fraction < 1 else percent} % ok"


def _bar(run: RecentRun, zone: str, now: datetime) -> Bar:
    took = f" in {duration_words(run.seconds)}" if run.seconds is not None else ""
    label = f"{absolute(run.finished_at, zone, now)}: {run.status}{took}"
    return Bar(_OUTCOMES.get(run.status, "canceled"), run.seconds, label)
