"""What happens to instants that have come due: the one rule shared by tick, preview and Explain panel.

An instant at most 60 s late is on time. Late ones are made up as the catch-up policy says; the rest becomes gap rows,
one per stretch and reason, with an exact count, so that an outage costs a row and not a row per minute. Whatever is to
fire passes the overlap policy, oldest first, each seeing the ones before it.

Everything here is computed from arguments; nothing is read and nothing is written.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Literal

from domain.timing.epoch import check_aware
from domain.timing.outcomes import Outcome, Reason
from domain.timing.timing import Timing

ON_TIME_SECONDS = 60
CATCH_UP_LIMIT = 100
CATCH_UP_WINDOW_SECONDS = 86_400
QUEUE_LIMIT = 100
MAX_ROWS = 200

Overlap = Literal["queue", "skip", "allow"]
CatchUp = Literal["latest", "all", "skip"]

_SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Policy:
    """How a schedule treats runs that would overlap and instants that come late.

    ``max_lateness_seconds`` bounds both: what is later than that is missed, whatever the catch-up policy.
    """

    overlap: Overlap = "queue"
    catch_up: CatchUp = "latest"
    max_lateness_seconds: int | None = None


@dataclass(frozen=True)
class Row:
    """One line of the ledger. A gap row stands for ``count`` instants from ``scheduled_for`` to ``through``.

    ``through`` is None when it stands for one instant; ``reason`` is None only when it fired.
    """

    scheduled_for: datetime
    outcome: Outcome
    reason: Reason | None = None
    through: datetime | None = None
    count: int = 1


@dataclass(frozen=True)
class Decision:
    """The rows in time order, and the first instant they leave undecided.

    ``more`` says that the bound on rows cut the batch: ``next_fire_at`` is due already, decide again.
    """

    rows: tuple[Row, ...]
    next_fire_at: datetime | None
    more: bool = False


def decide(
    timing: Timing,
    first_undecided: datetime,
    horizon: datetime,
    now: datetime,
    policy: Policy,
    unfinished: int,
    max_rows: int = MAX_ROWS,
    skip_at: datetime | None = None,
) -> Decision:
    """Decides every instant in [first_undecided, horizon]; ``horizon`` is not after ``now``.

    ``unfinished`` counts the schedule's runs that have not ended. At most ``max_rows`` rows stand for single instants.
    ``skip_at``: an instant that somebody wants skipped, however late it is looked at; nothing is made up in its place.
    Raises ValueError for naive datetimes.
    """
    check_aware(first_undecided, horizon, now)
    if horizon < first_undecided:
        return Decision((), timing.next_after(first_undecided - _SECOND))
    not_too_late = _not_too_late_from(first_undecided, now, policy)
    due_from = _due_from(timing, not_too_late, horizon, now, policy)
    rows = [
        *_late_rows(timing, first_undecided, min(not_too_late - _SECOND, horizon), Reason.TOO_LATE, skip_at),
        *_late_rows(timing, not_too_late, min(due_from - _SECOND, horizon), Reason.LATE, skip_at),
    ]
    due = list(islice(timing.instants(due_from - _SECOND, horizon), max_rows + 1))
    rows += due_rows(due[:max_rows], policy.overlap, unfinished, skip_at)
    if len(due) > max_rows:
        return Decision(tuple(rows), due[max_rows], more=True)
    return Decision(tuple(rows), timing.next_after(horizon))


def gap_row(timing: Timing, first: datetime, last: datetime, reason: Reason) -> Row | None:
    """The row for all instants in [first, last], or None when there are none.

    What nobody looked at in time is missed; what a pause or a new timing let pass is skipped.
    """
    count = timing.count(first - _SECOND, last)
    if count == 0:
        return None
    outcome = Outcome.MISSED if reason in {Reason.LATE, Reason.TOO_LATE} else Outcome.SKIPPED
    through = timing.last(last, 1, first)[0] if count > 1 else None
    return Row(next(timing.instants(first - _SECOND, last)), outcome, reason, through, count)


def _not_too_late_from(first_undecided: datetime, now: datetime, policy: Policy) -> datetime:
    if policy.max_lateness_seconds is None:
        return first_undecided
    return max(first_undecided, _whole_up(now) - timedelta(seconds=policy.max_lateness_seconds))


def _due_from(timing: Timing, not_too_late: datetime, horizon: datetime, now: datetime, policy: Policy) -> datetime:
    """The instant from which everything up to the horizon is to fire.

    What is made up is always the newest of what is late, so one boundary says it all.
    """
    on_time = max(not_too_late, _whole_up(now) - timedelta(seconds=ON_TIME_SECONDS))
    late_until = min(on_time - _SECOND, horizon)
    kept: list[datetime] = []
    if policy.catch_up == "all":
        window = _whole_up(now) - timedelta(seconds=CATCH_UP_WINDOW_SECONDS)
        kept = timing.last(late_until, CATCH_UP_LIMIT, max(not_too_late, window))
    elif policy.catch_up == "latest" and not timing.last(horizon, 1, on_time):
        kept = timing.last(late_until, 1, not_too_late)
    return kept[-1] if kept else on_time


def _whole_up(now: datetime) -> datetime:
    """``now`` rounded up, so that a lateness of 60.4 s counts as more than 60 s."""
    return now.replace(microsecond=0) + _SECOND if now.microsecond else now


def _late_rows(timing: Timing, first: datetime, last: datetime, reason: Reason, skip_at: datetime | None) -> list[Row]:
    """The gap row of [first, last], in two around the instant that is to be skipped."""
    if skip_at is None or not first <= skip_at <= last or not timing.has(skip_at):
        gaps = [gap_row(timing, first, last, reason)]
    else:
        before, after = (
            gap_row(timing, first, skip_at - _SECOND, reason),
            gap_row(timing, skip_at + _SECOND, last, reason),
        )
        gaps = [before, _skipped(skip_at), after]
    return [row for row in gaps if row is not None]


def due_rows(due: list[datetime], overlap: Overlap, unfinished: int, skip_at: datetime | None) -> list[Row]:
    """The rows of ascending instants that are to fire: what overlap says, and around it the one to be skipped."""
    if skip_at not in due:
        return list(_after_overlap(due, overlap, unfinished))
    others = _after_overlap([instant for instant in due if instant != skip_at], overlap, unfinished)
    return sorted([*others, _skipped(skip_at)], key=lambda row: row.scheduled_for)


def _skipped(instant: datetime) -> Row:
    return Row(instant, Outcome.SKIPPED, Reason.SKIP_NEXT)


def _after_overlap(due: list[datetime], overlap: Overlap, unfinished: int) -> Iterator[Row]:
    """Fired or skipped, in order; each fired one counts as unfinished for those after it. `unfinished`: runs of the
    schedule that have not ended."""
    room = {"allow": len(due), "skip": 1 - unfinished, "queue": QUEUE_LIMIT - unfinished}[overlap]
    reason = Reason.OVERLAP if overlap == "skip" else Reason.QUEUE_FULL
    for index, instant in enumerate(due):
        yield Row(instant, Outcome.FIRED) if index < room else Row(instant, Outcome.SKIPPED, reason)
