"""What a timing would do, while someone is still typing it: its words and its next instants, or why it is refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from types import SimpleNamespace

from domain.kernel.errors import Problem, Refused
from domain.schedules.drafts import ScheduleDraft, checked_columns
from domain.schedules.schedules import timing_of
from domain.timing.timing import Timing
from domain.timing.words import timing_in_words

FIRES = 5


@dataclass(frozen=True)
class TimingPreview:
    """Either `words` and `fires` (ascending), or `problems`. `cron` is the pattern as it will be stored."""

    words: str = ""
    cron: str | None = None
    timezone: str = "UTC"
    fires: tuple[datetime, ...] = ()
    problems: tuple[Problem, ...] = ()


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
        dst_gap=draft.dst_gap,
        dst_repeat=draft.dst_repeat,
    )
    try:
        columns = SimpleNamespace(**checked_columns(timed, None, now, min_interval_seconds))
    except Refused as refused:
        return TimingPreview(problems=refused.problems)
    timing = timing_of(columns)
    fires = tuple(next_fires(timing, now, FIRES))
    return TimingPreview(timing_in_words(timing, now), columns.cron, timing.timezone, fires)


def problems_beside_target(draft: ScheduleDraft, now: datetime, min_interval_seconds: int = 60) -> tuple[Problem, ...]:
    """What is wrong with a draft whose workflow was refused already; its payload is checked without a schema."""
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
