"""What the clock changes to come do to a timing: which fires are moved, left out, or happen twice.

Read from the same time line and the same matching as firing itself. The work grows with the clock changes and the
minutes they skip or repeat, not with the fires between them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from domain.timing.calendar_days import match_count, matches
from domain.timing.cron import Cron
from domain.timing.epoch import DAY, check_aware, from_epoch, to_epoch, year_of
from domain.timing.offsets import Change, changes
from domain.timing.timing import Timing
from domain.timing.zones import zone

AHEAD_SECONDS = 396 * DAY
"""Thirteen months: each clock change of a year is seen at least once."""

_NAMED = 3
_MARKED = 60


@dataclass(frozen=True)
class ClockChange:
    """A clock change that touches fires: `at` is when it takes effect, `fires` are the instants it moves, repeats or
    picks one of two for (none when they are left out), `sentence` says it for people, in local times of the zone.
    """

    at: datetime
    sentence: str
    fires: tuple[datetime, ...] = ()


def clock_changes(timing: Timing, now: datetime) -> tuple[ClockChange, ...]:
    """The clock changes of the next thirteen months that touch fires of the timing, in order."""
    check_aware(now)
    if timing.cron is None:
        touched = one_time_change(timing)
        return (touched,) if touched else ()
    found = (_touched(timing, timing.cron, change) for change in _ahead(timing.timezone, now))
    return tuple(change for change in found if change is not None)


def next_clock_change(zone_name: str, now: datetime) -> datetime | None:
    """When the clocks of a zone change next, if they do in the next thirteen months."""
    ahead = _ahead(zone_name, now)
    return from_epoch(ahead[0].at) if ahead else None


def one_time_change(timing: Timing, wall: datetime | None = None) -> ClockChange | None:
    """What a clock change does to a time that was asked for once; `wall` is the local time as it was typed, naive."""
    if timing.run_at is None:
        return None
    place = zone(timing.timezone)
    local = timing.run_at.astimezone(place)
    if wall is not None and wall != local.replace(tzinfo=None):
        sentence = f"{_day(wall)}: {wall:%H:%M} does not exist, it fires at {local:%H:%M}{_elsewhen(wall, local)}."
        return ClockChange(timing.run_at, sentence, (timing.run_at,))
    if local.utcoffset() == local.replace(fold=1 - local.fold).utcoffset():
        return None
    which = "second" if local.fold else "first"
    sentence = f"{_day(local)}: {local:%H:%M} happens twice, it fires the {which} time only."
    return ClockChange(timing.run_at, sentence, (timing.run_at,))


def _ahead(zone_name: str, now: datetime) -> list[Change]:
    first = to_epoch(now)
    years = range(year_of(first), year_of(first + AHEAD_SECONDS) + 1)
    found = [change for year in years for change in changes(zone_name, year)]
    return [change for change in found if first < change.at <= first + AHEAD_SECONDS]


def _touched(timing: Timing, cron: Cron, change: Change) -> ClockChange | None:
    if change.after > change.before:
        skipped = (change.at + change.before, change.at + change.after)
        return _left_out(timing, cron, change, skipped) if cron.is_elapsed else _moved(timing, cron, change, skipped)
    twice = (change.at + change.after, change.at + change.before)
    return _added(timing, cron, change, twice) if cron.is_elapsed else _repeated(timing, cron, change, twice)


def _moved(timing: Timing, cron: Cron, change: Change, skipped: tuple[int, int]) -> ClockChange | None:
    """A fixed time that the clocks jump over."""
    times = list(matches(cron, *skipped))
    if not times or not _inside(timing, [change.at]):
        return None
    asked, there = _wall(times[0]), _wall(skipped[1])
    none_there = f"{_day(asked)}: {_listed(times)} {'does' if len(times) == 1 else 'do'} not exist"
    they = "it" if len(times) == 1 else "they"
    if timing.dst_gap == "skip":
        sentence = f"{none_there}, {they} {'does' if len(times) == 1 else 'do'} not fire."
        return ClockChange(from_epoch(change.at), sentence)
    fires = "it fires" if len(times) == 1 else "they fire once,"
    sentence = f"{none_there}, {fires} at {there:%H:%M}{_elsewhen(asked, there)}."
    return ClockChange(from_epoch(change.at), sentence, (from_epoch(change.at),))


def _repeated(timing: Timing, cron: Cron, change: Change, twice: tuple[int, int]) -> ClockChange | None:
    """A fixed time that the clocks show twice."""
    times = list(matches(cron, *twice))
    first = [local - change.before for local in times]
    both = timing.dst_repeat == "both"
    fires = _inside(timing, [*first, *(local - change.after for local in times)] if both else first)
    if not fires:
        return None
    one = len(times) == 1
    how = "both times" if both else "the first time only"
    said = f"{_listed(times)} {'happens' if one else 'happen'} twice, {'it fires' if one else 'they fire'} {how}."
    return ClockChange(from_epoch(change.at), f"{_day(_wall(times[0]))}: {said}", fires)


def _left_out(timing: Timing, cron: Cron, change: Change, skipped: tuple[int, int]) -> ClockChange | None:
    """A pattern of elapsed time, and an hour that is not there."""
    count = match_count(cron, *skipped)
    if not count or not _inside(timing, [change.at]):
        return None
    sentence = f"{_day(_wall(skipped[0]))}: {_span(*skipped)} does not exist, {_counted(count)} fewer."
    return ClockChange(from_epoch(change.at), sentence)


def _added(timing: Timing, cron: Cron, change: Change, twice: tuple[int, int]) -> ClockChange | None:
    """A pattern of elapsed time, and an hour that is there twice."""
    fires = _inside(timing, [local - change.after for local in islice(matches(cron, *twice), _MARKED)])
    if not fires:
        return None
    sentence = f"{_day(_wall(twice[0]))}: {_span(*twice)} happens twice, {_counted(match_count(cron, *twice))} more."
    return ClockChange(from_epoch(change.at), sentence, fires)


def _inside(timing: Timing, seconds: Sequence[int]) -> tuple[datetime, ...]:
    """Those that lie in the window of the timing, in order."""
    found = [from_epoch(second) for second in sorted(seconds)]
    start, end = timing.starts_at, timing.ends_at
    return tuple(at for at in found if (start is None or at >= start) and (end is None or at <= end))


def _wall(local: int) -> datetime:
    """The naive wall time of local seconds."""
    return from_epoch(local).replace(tzinfo=None)


def _day(wall: datetime) -> str:
    return f"{wall:%a} {wall.day} {wall:%b %Y}"


def _elsewhen(asked: datetime, there: datetime) -> str:
    return "" if asked.date() == there.date() else f" on {_day(there)}"


def _span(start: int, end: int) -> str:
    if start % DAY == 0 and end - start == DAY:
        return "the whole day"
    return f"{_wall(start):%H:%M} to {'24:00' if end % DAY == 0 else f'{_wall(end):%H:%M}'}"


def _listed(times: Sequence[int]) -> str:
    clocks = [f"{_wall(local):%H:%M}" for local in times]
    if len(clocks) > _NAMED + 1:
        return f"{', '.join(clocks[:_NAMED])} and {len(clocks) - _NAMED} more"
    return clocks[0] if len(clocks) == 1 else f"{', '.join(clocks[:-1])} and {clocks[-1]}"


def _counted(count: int) -> str:
    return "one fire" if count == 1 else f"{count} fires"
