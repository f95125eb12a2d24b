"""The time line of a zone, cut where its offset from UTC changes.

Inside one stretch local time is UTC plus a constant, so cron arithmetic is plain integer arithmetic. What a clock
change means for a pattern is expressed once, by which stretches it gets:

* every real local time, repeated ones twice, skipped ones never (elapsed time), or
* a skipped hour pinned to the instant the gap ends, and the second pass of a repeated hour left out (Debian cron's
  rule for jobs at a fixed time).
"""

from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from domain.timing.epoch import DAY, year_start
from domain.timing.zones import first_change, offset_at, zone


class Change(NamedTuple):
    """A change of offset: the epoch second it takes effect, and local minus UTC in seconds before and after."""

    at: int
    before: int
    after: int


class Stretch(NamedTuple):
    """Local seconds [start, end) in which UTC is local minus ``offset``.

    Where ``pinned`` is set the stretch is a gap: whatever matches in it happens once, at that epoch second.
    """

    start: int
    end: int
    offset: int
    pinned: int | None = None


@lru_cache(maxsize=4096)
def changes(zone_name: str, year: int) -> tuple[Change, ...]:
    """The offset changes of one UTC calendar year, in order."""
    place = zone(zone_name)
    found = []
    days = range(year_start(year) - 1, year_start(year + 1), DAY)
    for start, end in pairwise(days):
        before, last = offset_at(place, start), offset_at(place, end)
        while before != last:
            start = first_change(place, start, end)
            after = offset_at(place, start)
            found.append(Change(start, before, after))
            before = after
    return tuple(found)


@lru_cache(maxsize=8192)
def stretches(zone_name: str, year: int, pin_gaps: bool, repeats: bool) -> tuple[Stretch, ...]:
    """One UTC calendar year of a zone as stretches, in the order they happen.

    ``pin_gaps`` adds the gaps as pinned stretches; without ``repeats`` a local time counts only the first time.
    Years are taken one by one, because no zone has repeated an hour across a UTC New Year since 1970.
    """
    start, end = year_start(year), year_start(year + 1)
    offset = offset_at(zone(zone_name), start - 1)
    resume = start + offset
    found = []
    for at, before, after in changes(zone_name, year):
        found.append(Stretch(resume, at + before, before))
        resume = at + after
        if after > before and pin_gaps:
            # The first second after the gap belongs to it, so that a slot there and a slot in the gap are one.
            found.append(Stretch(at + before, at + after + 1, after, pinned=at))
            resume += 1
        elif after < before and not repeats:
            resume = at + before
        offset = after
    found.append(Stretch(resume, end + offset, offset))
    return tuple(stretch for stretch in found if stretch.start < stretch.end)
