"""A slow, independent reading of the timing rules: it walks every minute of UTC and looks at the wall clock.

It shares nothing with domain.timing: its own field parser, no offsets, no transitions. A clock change is seen the way a
person sees it, by the wall clock jumping ahead or showing a time it has shown before.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

_MINUTE = timedelta(minutes=1)
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


def _number(text, position):
    if text in _MONTHS and position == 3:
        return _MONTHS.index(text) + 1
    if text in _WEEKDAYS and position == 4:
        return _WEEKDAYS.index(text)
    return int(text)


def _members(field, position):
    low, high = _BOUNDS[position]
    wanted = set()
    for term in field.lower().split(","):
        body, _, step = term.partition("/")
        start, dash, end = body.partition("-")
        if start == "*":
            first, last = low, high
        else:
            first = _number(start, position)
            last = _number(end, position) if dash else (high if step else first)
        value = first
        while value <= last:
            wanted.add(value)
            value += int(step or 1)
    return wanted


@lru_cache(maxsize=512)
def read(expression):
    """(matches(wall), is_elapsed) of a five-field expression."""
    fields = expression.split()
    minutes, hours, days, months, weekdays = (_members(field, position) for position, field in enumerate(fields))
    weekdays = {day % 7 for day in weekdays}
    both_must_match = fields[2][0] == "*" or fields[4][0] == "*"

    def day_matches(wall):
        if wall.month not in months:
            return False
        by_date, by_name = wall.day in days, wall.isoweekday() % 7 in weekdays
        return by_date and by_name if both_must_match else by_date or by_name

    def matches(wall):
        return wall.minute in minutes and wall.hour in hours and day_matches(wall)

    elapsed = any(sign in fields[0] + fields[1] for sign in "*/")
    return matches, elapsed


@lru_cache(maxsize=256)
def wall_clock(zone, start, end):
    """(instant, wall time) for each minute of [start, end], preceded by two days for what the clock has shown before."""
    place = ZoneInfo(zone)
    shown, instant = [], start - timedelta(days=2)
    while instant <= end:
        shown.append((instant, instant.astimezone(place).replace(tzinfo=None)))
        instant += _MINUTE
    return shown


def due(expression, zone, start, end, gap="after", repeat="first"):
    """The instants of [start, end] (whole minutes, UTC) at which the expression is due."""
    matches, elapsed = read(expression)
    found, newest, previous = [], None, None
    for instant, wall in wall_clock(zone, start, end):
        is_due = matches(wall) and (elapsed or repeat == "both" or newest is None or wall > newest)
        if previous is not None and wall > previous + _MINUTE and not elapsed and gap == "after" and not is_due:
            is_due = any(matches(wall_skipped) for wall_skipped in _between(previous, wall))
        if is_due and instant >= start:
            found.append(instant)
        newest = wall if newest is None else max(newest, wall)
        previous = wall
    return found


def _between(previous, wall):
    skipped = previous + _MINUTE
    while skipped < wall:
        yield skipped
        skipped += _MINUTE


def utc(*parts):
    """An aware UTC datetime."""
    return datetime(*parts, tzinfo=UTC)
