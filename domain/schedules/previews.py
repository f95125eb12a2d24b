"""What a timing would do, while someone is still typing it: its words and its next instants, or why it is refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from types import SimpleNamespace
from uuid import UUID

from domain.kernel.errors import Problem, Refused
from domain.schedules.cursors import spread_offset
from domain.schedules.drafts import ScheduleDraft, checked_columns
from domain.schedules.schedules import timing_of
from domain.timing.advice import Advice, advice
from domain.timing.clock_changes import ClockChange, clock_changes, next_clock_change, one_time_change
from domain.timing.timing import Timing
from domain.timing.words import duration_words, timing_in_words

FIRES = 5


@dataclass(frozen=True)
class TimingPreview:
    """Either `words` and `fires` (ascending), or `problems`. `cron` is the pattern as it will be stored.

    `clock_changes`: those of the next 13 months that touch a fire; `advice`: what is allowed and may yet surprise (a
    document of the API carries both as lists of `{at, message}` and `{code, message}`). `next_clock_change`: when the
    clocks of the zone change next, whatever it touches.
    """

    words: str = ""
    cron: str | None = None
    timezone: str = "UTC"
    fires: tuple[datetime, ...] = ()
    problems: tuple[Problem, ...] = ()
    clock_changes: tuple[ClockChange, ...] = ()
    advice: tuple[Advice, ...] = ()
    next_clock_change: datetime | None = None


def timing_preview(draft: ScheduleDraft, now: datetime, min_interval_seconds: int = 60) -> TimingPreview:
    """What the timing of the draft stands for; the rest of the draft is not looked at."""
    timed = replace(
        ScheduleDraft(name="Preview"),
        trigger_type=draft.trigger_type,
        run_at=draft.run_at,
        run_at_local=draft.run_at_local,
        cron=draft.cron,
        timezone=draft.timezone,
        starts_at=draft.starts_at,
        ends_at=draft.ends_at,
        install_id=draft.install_id,
        endpoint_id=draft.endpoint_id,
        dst_gap=draft.dst_gap,
        dst_repeat=draft.dst_repeat,
    )
    try:
        columns = SimpleNamespace(**checked_columns(timed, None, now, min_interval_seconds))
    except Refused as refused:
        return TimingPreview(problems=refused.problems)
    timing = timing_of(columns)
    return TimingPreview(
        words=timing_in_words(timing, now),
        cron=columns.cron,
        timezone=timing.timezone,
        fires=tuple(next_fires(timing, now, FIRES)),
        clock_changes=_clock_changes(timing, draft, now),
        advice=advice(timing, now, str(draft.overlap_wanted)) + _about_window(timing, draft),
        next_clock_change=next_clock_change(timing.timezone, now) if timing.cron else None,
    )


def spread_words(spread_seconds: int, schedule_id: UUID | None = None) -> str:
    """How much later each fire starts: by its own amount for a schedule that is stored, else at most by the spread.

    Empty without a spread, and for a stored schedule whose own amount is none.
    """
    if spread_seconds <= 0:
        return ""
    if schedule_id is None:
        return f"Each starts up to {duration_words(spread_seconds)} later, always by the same amount."
    later = spread_offset(schedule_id, spread_seconds).total_seconds()
    return f"Each starts {duration_words(later)} later." if later else ""


def _clock_changes(timing: Timing, draft: ScheduleDraft, now: datetime) -> tuple[ClockChange, ...]:
    if timing.cron is None and draft.run_at in (None, ""):
        asked = datetime.fromisoformat(str(draft.run_at_local).strip())
        touched = one_time_change(timing, asked.replace(microsecond=0))
        return (touched,) if touched else ()
    return clock_changes(timing, now)


def _about_window(timing: Timing, draft: ScheduleDraft) -> tuple[Advice, ...]:
    if timing.cron is not None or not (draft.starts_at or draft.ends_at):
        return ()
    message = "A window is for patterns that repeat: what stands in Not before and Not after is not used."
    return (Advice("WINDOW_UNUSED", message),)


def problems_beside_target(draft: ScheduleDraft, now: datetime, min_interval_seconds: int = 60) -> tuple[Problem, ...]:
    """What is wrong with a draft whose target was refused already; its payload is checked without a schema."""
    try:
        checked_columns(draft, None, now, min_interval_seconds)
    except Refused as refused:
        return refused.problems
    return ()


def next_fires(timing: Timing, after: datetime, limit: int) -> Sequence[datetime]:
    """At most `limit` instants after `after`, ascending."""
    return list(islice(_walk(timing, after), limit))


def _walk(timing: Timing, after: datetime) -> Iterator[datetime]:
    while (instant := timing.next_after(after)) is not None:
        yield instant
        after = instant
