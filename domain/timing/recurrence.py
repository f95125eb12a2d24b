"""Patterns as people say them: every hour, every day, on these weekdays, on this day of the month.

A recurrence writes cron and is read back from it. What it cannot say (steps, lists of times, months) stays a pattern.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, get_args

from domain.kernel.errors import Problem, Refused
from domain.timing.fields import parse_cron

RecurrenceKind = Literal["hourly", "daily", "weekly", "monthly"]
KINDS: tuple[RecurrenceKind, ...] = get_args(RecurrenceKind)

WEEKDAYS = (1, 2, 3, 4, 5, 6, 0)
"""Numbers of cron in the order of a week: Monday first, Sunday is 0."""

_TIME = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::00(?:\.0+)?)?")
_WEEKDAY_TERM = re.compile(r"[A-Z0-9]+(-[A-Z0-9]+)?")


@dataclass(frozen=True)
class Recurrence:
    """What of it counts depends on the kind; the rest keeps its default, so that equal ones mean the same.

    `weekdays` as in WEEKDAYS, in that order. `day` of the month is 1 to 31; months without it are skipped.
    """

    kind: RecurrenceKind
    minute: int = 0
    hour: int = 0
    weekdays: tuple[int, ...] = ()
    day: int = 1

    @property
    def cron(self) -> str:
        """The pattern in five fields."""
        if self.kind == "hourly":
            return f"{self.minute} * * * *"
        at = f"{self.minute} {self.hour}"
        if self.kind == "weekly":
            return f"{at} * * {','.join(str(day) for day in self.weekdays)}"
        return f"{at} {self.day if self.kind == 'monthly' else '*'} * *"

    @property
    def at(self) -> str:
        """The local time as `HH:MM`."""
        return f"{self.hour:02}:{self.minute:02}"


def recurrence_of(pattern: object) -> Recurrence | None:
    """What a pattern says, or None when it says more than a recurrence can, or nothing that can be read.

    Its own pattern fires at the same instants as the one it was read from.
    """
    try:
        cron = parse_cron(pattern)
    except Refused:
        return None
    minute, hour, day, month, weekday = cron.text.split()
    if month != "*" or not minute.isdigit() or (hour != "*" and not hour.isdigit()):
        return None
    if hour == "*":
        return Recurrence("hourly", int(minute)) if (day, weekday) == ("*", "*") else None
    if weekday == "*":
        if day == "*":
            return Recurrence("daily", int(minute), int(hour))
        return Recurrence("monthly", int(minute), int(hour), day=int(day)) if day.isdigit() else None
    if day != "*" or not all(_WEEKDAY_TERM.fullmatch(term) for term in weekday.split(",")):
        return None
    return Recurrence("weekly", int(minute), int(hour), in_week_order(cron.weekdays))


def in_week_order(days: Collection[int]) -> tuple[int, ...]:
    """Each day once, Monday first."""
    return tuple(day for day in WEEKDAYS if day in days)


def typed_recurrence(kind: object, minute: object, at: object, weekdays: Collection[object], day: object) -> Recurrence:
    """A recurrence from texts: `at` is a local time, `weekdays` are numbers from 0 to 7. Only what its kind needs is read.

    Raises Refused at `every`, `minute`, `at`, `weekdays` and `day`, with everything that is wrong.
    """
    chosen = next((known for known in KINDS if known == kind), None)
    if chosen is None:
        raise Refused.at("every", "Choose hourly, daily, weekly, monthly or cron.", "EVERY_INVALID")
    if chosen == "hourly":
        past = _number(minute, 0, 59)
        if past is None:
            raise Refused.at("minute", "Enter a minute from 0 to 59.", "MINUTE_INVALID")
        return Recurrence("hourly", past)
    problems = []
    time = _time(at)
    if time is None:
        problems.append(Problem("at", "Enter a time from 00:00 to 23:59.", "TIME_INVALID"))
    numbers = in_week_order({number % 7 for each in weekdays if (number := _number(each, 0, 7)) is not None})
    if chosen == "weekly" and not numbers:
        problems.append(Problem("weekdays", "Choose at least one weekday.", "WEEKDAY_REQUIRED"))
    of_month = _number(day, 1, 31)
    if chosen == "monthly" and of_month is None:
        problems.append(Problem("day", "Enter a day of the month from 1 to 31.", "DAY_INVALID"))
    if problems or time is None:
        raise Refused(problems)
    hour, past = time
    weekly, monthly = numbers if chosen == "weekly" else (), of_month if chosen == "monthly" else None
    return Recurrence(chosen, past, hour, weekly, monthly or 1)


def _time(text: object) -> tuple[int, int] | None:
    found = _TIME.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None or int(found[1]) > 23 or int(found[2]) > 59:
        return None
    return int(found[1]), int(found[2])


def _number(value: object, low: int, high: int) -> int | None:
    text = str(value).strip()
    if not text.isascii() or not text.isdigit() or len(text) > 4:
        return None
    return int(text) if low <= int(text) <= high else None
