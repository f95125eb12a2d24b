"""What an edit would change: the fires of the next 30 days under the stored and under the typed timing, compared.

Pure, and bounded whatever the patterns: how many there are is counted, and only the first of each kind are named.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Any

from domain.schedules.schedules import ACTIVE, PAUSED, timing_of
from domain.timing.timing import Timing
from domain.timing.zones import zone

WINDOW = timedelta(days=30)
LISTED = 5
# Fires of one side that are looked at one by one. Beyond it the totals are said, and what differs at the beginning.
COMPARED = 3_000

_SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Standing:
    """What is going to fire. `timing` None: nothing. Up to `quiet_until`, when a pause ends, nothing does; `skipped` is
    the one instant that is passed over."""

    timing: Timing | None
    quiet_until: datetime | None = None
    skipped: datetime | None = None

    def count(self, after: datetime, until: datetime) -> int:
        """How many fires lie in (after, until]."""
        if self.timing is None:
            return 0
        begin = self._begin(after)
        return self.timing.count(begin, until) - self._skips(begin, until) if begin < until else 0

    def fires(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """The fires in (after, until], ascending."""
        if self.timing is None:
            return iter(())
        return (at for at in self.timing.instants(self._begin(after), until) if at != self.skipped)

    def first(self, after: datetime) -> datetime | None:
        """The first fire after `after`, however far away."""
        if self.timing is None:
            return None
        found = self.timing.next_after(self._begin(after))
        return self.timing.next_after(found) if found is not None and found == self.skipped else found

    def day_of(self, fire: datetime) -> date:
        """The day of a fire in the zone of the timing."""
        return fire.astimezone(zone(self.timing.timezone if self.timing else "UTC")).date()

    def _begin(self, after: datetime) -> datetime:
        return max(after, self.quiet_until) if self.quiet_until else after

    def _skips(self, after: datetime, until: datetime) -> int:
        if self.timing is None or self.skipped is None or not after < self.skipped <= until:
            return 0
        return self.timing.count(self.skipped - _SECOND, self.skipped)


@dataclass(frozen=True)
class Difference:
    """How many fires were added, removed or moved, and the first of them. `count` None: too many to compare."""

    count: int | None
    first: tuple[Any, ...]

    @property
    def is_empty(self) -> bool:
        return not self.count and not self.first


@dataclass(frozen=True)
class WhatIf:
    """`before` and `after`: fires in the window. `added` and `removed` name instants, `moved` pairs (was, will be) of
    one local day. `first`: the first fire under the typed timing, also beyond the window; None when nothing fires."""

    before: int
    after: int
    added: Difference
    removed: Difference
    moved: Difference
    first: datetime | None

    @property
    def is_same(self) -> bool:
        return self.added.is_empty and self.removed.is_empty and self.moved.is_empty


def standing_of(stored: Any) -> Standing:
    """What a stored schedule is going to do."""
    if stored.status == ACTIVE or (stored.status == PAUSED and stored.paused_until):
        return Standing(timing_of(stored), stored.paused_until, stored.skip_next_at)
    return Standing(None)


def standing_after(stored: Any, timing: Timing, enabled: bool) -> Standing:
    """What it is going to do once `timing` and the switch are saved: off keeps a pause that ends by itself."""
    if enabled:
        return Standing(timing, None, stored.skip_next_at)
    if stored.status == PAUSED and stored.paused_until:
        return Standing(timing, stored.paused_until, stored.skip_next_at)
    return Standing(None)


def what_if(old: Standing, new: Standing, now: datetime, window: timedelta = WINDOW) -> WhatIf:
    """What changes in (now, now + window] when `new` takes the place of `old` at `now`."""
    until = now + window
    before, after = old.count(now, until), new.count(now, until)
    is_whole = max(before, after) <= COMPARED
    was, will_be = (list(islice(side.fires(now, until), COMPARED)) for side in (old, new))
    if not is_whole and was and will_be:
        # Behind the end of a list that was cut nothing is known, so nothing is compared.
        known = min(side[-1] for side in (was, will_be) if len(side) == COMPARED)
        was, will_be = ([at for at in side if at <= known] for side in (was, will_be))
    kept = set(was) & set(will_be)
    removed = [at for at in was if at not in kept]
    added = [at for at in will_be if at not in kept]
    moved = _moved(old, new, removed, added)
    gone, come = {was for was, _ in moved}, {will_be for _, will_be in moved}
    return WhatIf(
        before,
        after,
        _difference([at for at in added if at not in come], is_whole, after if not before else None),
        _difference([at for at in removed if at not in gone], is_whole, before if not after else None),
        _difference(moved, is_whole or not (before and after)),
        new.first(now),
    )


def _moved(
    old: Standing, new: Standing, removed: Sequence[datetime], added: Sequence[datetime]
) -> list[tuple[datetime, datetime]]:
    """What was removed and added on the same local day, each in its own zone, in pairs."""
    waiting: dict[date, list[datetime]] = defaultdict(list)
    for fire in reversed(added):
        waiting[new.day_of(fire)].append(fire)
    return [(fire, waiting[day].pop()) for fire in removed if waiting[day := old.day_of(fire)]]


def _difference(found: Sequence[Any], is_whole: bool, total: int | None = None) -> Difference:
    return Difference(len(found) if is_whole else total, tuple(found[:LISTED]))
