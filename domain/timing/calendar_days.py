"""Which local days, and which seconds of them, a cron pattern matches; no zone is involved.

Days are counted from 1970-01-01 = 0, local seconds are that day times 86,400 plus the second of the day.
"""

from bisect import bisect_left, bisect_right
from calendar import monthrange
from collections.abc import Iterator
from datetime import date
from functools import lru_cache

from domain.timing.epoch import DAY
from domain.timing.fields import Cron

_DAY_ZERO = date(1970, 1, 1).toordinal()


@lru_cache(maxsize=16384)
def month_days(cron: Cron, year: int, month: int) -> tuple[int, ...]:
    """The matching days of one month, ascending."""
    first_weekday, length = monthrange(year, month)
    first = date(year, month, 1).toordinal() - _DAY_ZERO
    found = []
    for day in range(1, length + 1):
        # monthrange counts weekdays from Monday, cron from Sunday.
        dom, dow = day in cron.days, (first_weekday + day) % 7 in cron.weekdays
        if (dom or dow) if cron.is_either_day else (dom and dow):
            found.append(first + day - 1)
    return tuple(found)


def _months(cron: Cron, first: int, last: int, newest_first: bool = False) -> Iterator[tuple[int, ...]]:
    span = range(_month_number(first), _month_number(last) + 1)
    for number in reversed(span) if newest_first else span:
        year, month = divmod(number, 12)
        if month + 1 in cron.months:
            yield month_days(cron, year, month + 1)


def _month_number(day: int) -> int:
    on = date.fromordinal(day + _DAY_ZERO)
    return on.year * 12 + on.month - 1


def first_day(cron: Cron, first: int, last: int) -> int | None:
    """The first matching day in [first, last], or None."""
    for days in _months(cron, first, last):
        index = bisect_left(days, first)
        if index < len(days) and days[index] <= last:
            return days[index]
    return None


def matches(cron: Cron, start: int, end: int, newest_first: bool = False) -> Iterator[int]:
    """The matching local seconds in [start, end), ascending or descending."""
    first, last = start // DAY, (end - 1) // DAY
    for days in _months(cron, first, last, newest_first):
        for day in reversed(days) if newest_first else days:
            if first <= day <= last:
                midnight = day * DAY
                inside = range(bisect_left(cron.slots, start - midnight), bisect_left(cron.slots, end - midnight))
                for index in reversed(inside) if newest_first else inside:
                    yield midnight + cron.slots[index]


def match_count(cron: Cron, start: int, end: int) -> int:
    """How many local seconds in [start, end) match, at a cost that grows with the months, not the matches."""
    first, last = start // DAY, (end - 1) // DAY
    total = 0
    for days in _months(cron, first, last):
        within = bisect_right(days, last) - bisect_left(days, first)
        total += within * len(cron.slots)
        if first in days:
            total -= bisect_left(cron.slots, start - first * DAY)
        if last in days:
            total -= len(cron.slots) - bisect_left(cron.slots, end - last * DAY)
    return total
