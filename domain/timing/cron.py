"""When a cron pattern fires in a zone: one set of functions for firing, preview, validation and calendar.

The rule is Debian cron's. A pattern at fixed local times keeps its meaning across clock changes: a time inside the
spring gap fires once, right after the gap, and one in the autumn overlap fires once. A pattern with a star or a step in
minute or hour follows elapsed time: every real local time that matches, none invented, none left out. The options
``dst_gap`` (after, skip) and ``dst_repeat`` (first, both) change the rule for fixed local times only.

Instants are aware UTC datetimes of whole seconds; naive arguments raise ValueError. ``zone`` is an IANA name.
"""

from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from itertools import islice, pairwise
from typing import Literal, NamedTuple

from domain.kernel.errors import Refused
from domain.timing.calendar_days import first_day, match_count, matches
from domain.timing.epoch import DAY, from_epoch, to_epoch, to_epoch_up, year_of, year_start
from domain.timing.fields import Cron, parse_cron
from domain.timing.offsets import Stretch, changes, stretches

__all__ = [
    "MIN_INTERVAL_SECONDS",
    "Cron",
    "DstGap",
    "DstRepeat",
    "check_frequency",
    "count_between",
    "instants",
    "next_instant",
    "parse_cron",
    "previous_instants",
    "shortest_interval_seconds",
]

MIN_INTERVAL_SECONDS = 60
_INTERVAL_SAMPLE = 200
# The rules of a zone change the clock on other weekdays each year.
_YEARS_OF_CHANGES = 8
_AROUND_A_CHANGE = 2 * 3_600
# 29 February on a given weekday can be 40 years away, across a century without a leap day.
_HORIZON_SECONDS = 41 * 366 * DAY

DstGap = Literal["after", "skip"]
DstRepeat = Literal["first", "both"]

_FIRST = 0
_LAST = year_start(9998) - 1


class _Rhythm(NamedTuple):
    cron: Cron
    zone: str
    pin_gaps: bool
    repeats: bool


def _rhythm(cron: Cron, zone: str, dst_gap: DstGap, dst_repeat: DstRepeat) -> _Rhythm:
    if cron.is_elapsed:
        return _Rhythm(cron, zone, pin_gaps=False, repeats=True)
    return _Rhythm(cron, zone, pin_gaps=dst_gap == "after", repeats=dst_repeat == "both")


def next_instant(
    cron: Cron, zone: str, after: datetime, *, dst_gap: DstGap = "after", dst_repeat: DstRepeat = "first"
) -> datetime | None:
    """The first instant strictly after ``after``; None when there is none in the next 41 years."""
    return _next(_rhythm(cron, zone, dst_gap, dst_repeat), to_epoch(after))


@lru_cache(maxsize=16384)
def _next(rhythm: _Rhythm, after: int) -> datetime | None:
    start, end = max(after + 1, _FIRST), min(after + _HORIZON_SECONDS, _LAST)
    # Two days cover the widest offset and a whole skipped day, so jumping to the first matching day loses nothing.
    day = first_day(rhythm.cron, start // DAY - 2, end // DAY + 1) if start <= end else None
    if day is None:
        return None
    found = next(_walk(rhythm, max(start, (day - 2) * DAY), end), None)
    return None if found is None else from_epoch(found)


def instants(
    cron: Cron,
    zone: str,
    after: datetime,
    until: datetime,
    *,
    dst_gap: DstGap = "after",
    dst_repeat: DstRepeat = "first",
) -> Iterator[datetime]:
    """Every instant in (after, until], ascending."""
    found = _walk(_rhythm(cron, zone, dst_gap, dst_repeat), to_epoch(after) + 1, to_epoch(until))
    return map(from_epoch, found)


def previous_instants(
    cron: Cron,
    zone: str,
    until: datetime,
    limit: int,
    *,
    not_before: datetime,
    dst_gap: DstGap = "after",
    dst_repeat: DstRepeat = "first",
) -> list[datetime]:
    """At most ``limit`` instants in [not_before, until], newest first."""
    rhythm = _rhythm(cron, zone, dst_gap, dst_repeat)
    found = _walk(rhythm, to_epoch_up(not_before), to_epoch(until), newest_first=True)
    return [from_epoch(seconds) for seconds in islice(found, limit)]


def count_between(
    cron: Cron,
    zone: str,
    after: datetime,
    until: datetime,
    *,
    dst_gap: DstGap = "after",
    dst_repeat: DstRepeat = "first",
) -> int:
    """How many instants lie in (after, until]; exact, and quick for years of minutes."""
    rhythm = _rhythm(cron, zone, dst_gap, dst_repeat)
    total = 0
    for stretch in _within(rhythm, to_epoch(after) + 1, to_epoch(until)):
        count = match_count(cron, stretch.start, stretch.end)
        total += count if stretch.pinned is None else min(count, 1)
    return total


def shortest_interval_seconds(cron: Cron, zone: str, after: datetime) -> int | None:
    """The smallest distance between two of the next 200 instants; None when fewer than two remain."""
    return _shortest(_rhythm(cron, zone, "after", "first"), to_epoch(after))


@lru_cache(maxsize=16384)
def _shortest(rhythm: _Rhythm, start: int) -> int | None:
    return _closest(islice(_walk(rhythm, start + 1, _LAST), _INTERVAL_SAMPLE))


def check_frequency(
    cron: Cron,
    zone: str,
    after: datetime,
    minimum_seconds: int = MIN_INTERVAL_SECONDS,
    *,
    dst_gap: DstGap = "after",
    dst_repeat: DstRepeat = "first",
) -> None:
    """Raises Refused at ``cron`` with CRON_TOO_FREQUENT when two instants are closer than ``minimum_seconds``, also where
    the clocks of the zone change."""
    least = f"at least {minimum_seconds} seconds must lie between two runs. Choose fewer minutes."
    shortest = shortest_interval_seconds(cron, zone, after)
    if shortest is not None and shortest < minimum_seconds:
        message = f"This pattern fires every {shortest} seconds at its busiest; {least}"
        raise Refused.at("cron", message, code="CRON_TOO_FREQUENT")
    shortest = _shortest_at_changes(_rhythm(cron, zone, dst_gap, dst_repeat), to_epoch(after))
    if shortest is not None and shortest < minimum_seconds:
        message = f"When the clocks change, this pattern fires twice within {shortest} seconds; {least}"
        raise Refused.at("cron", message, code="CRON_TOO_FREQUENT")


@lru_cache(maxsize=16384)
def _shortest_at_changes(rhythm: _Rhythm, start: int) -> int | None:
    """As above, around the next changes of the zone's clock."""
    years = range(year_of(start), min(year_of(start) + _YEARS_OF_CHANGES, year_of(_LAST)) + 1)
    found = []
    for at in (at for year in years for at, _, _ in changes(rhythm.zone, year) if at > start):
        found.append(_closest(_walk(rhythm, max(at - _AROUND_A_CHANGE, start + 1), at + _AROUND_A_CHANGE)))
    return min((seconds for seconds in found if seconds is not None), default=None)


def _closest(found: Iterator[int]) -> int | None:
    return min((later - earlier for earlier, later in pairwise(found)), default=None)


def _walk(rhythm: _Rhythm, first: int, last: int, newest_first: bool = False) -> Iterator[int]:
    """The epoch seconds in [first, last] at which the rhythm fires."""
    for stretch in _within(rhythm, first, last, newest_first):
        found = matches(rhythm.cron, stretch.start, stretch.end, newest_first)
        if stretch.pinned is None:
            for local in found:
                yield local - stretch.offset
        elif next(found, None) is not None:
            yield stretch.pinned


def _within(rhythm: _Rhythm, first: int, last: int, newest_first: bool = False) -> Iterator[Stretch]:
    """The rhythm's stretches, cut to the epoch seconds [first, last]."""
    first, last = max(first, _FIRST), min(last, _LAST)
    if first > last:
        return
    years = range(year_of(first), year_of(last) + 1)
    for year in reversed(years) if newest_first else years:
        row = stretches(rhythm.zone, year, rhythm.pin_gaps, rhythm.repeats)
        for stretch in reversed(row) if newest_first else row:
            start, end, offset, pinned = stretch
            if pinned is not None:
                if first <= pinned <= last:
                    yield stretch
            elif first + offset < end and start <= last + offset:
                yield Stretch(max(start, first + offset), min(end, last + offset + 1), offset)
