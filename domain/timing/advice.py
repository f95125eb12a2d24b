"""What a timing does that its author may not have meant. Nothing here refuses anything; that is for the checks.

Read from the fields of the pattern and the clock changes to come; no fires are walked, so any pattern costs the same.
"""

import re
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.timing.calendar_days import month_days
from domain.timing.clock_changes import clock_changes
from domain.timing.cron import Cron
from domain.timing.epoch import DAY
from domain.timing.timing import Timing
from domain.timing.zones import zone

OFTEN_SECONDS = 300
"""Patterns whose fires lie closer than this are told what waiting for the previous run means for them."""

FAR_SECONDS = 366 * DAY
FEW_FIRES = 3

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_STEP = re.compile(r"\*/([0-9]+)")
_LEAP_YEAR, _PLAIN_YEAR = 2028, 2027


@dataclass(frozen=True)
class Advice:
    """`code` is stable, for programs; `message` says what will happen and, where there is one, the way round it."""

    code: str
    message: str


def advice(timing: Timing, now: datetime, overlap: str = "queue") -> tuple[Advice, ...]:
    """Everything worth knowing before such a timing is saved; empty for most."""
    found = list(_about_distance(timing, now))
    if timing.cron is not None:
        found += _about_days(timing.cron)
        found += _about_times(timing.cron, overlap)
        found += _about_end(timing, now)
        if not timing.cron.is_elapsed and clock_changes(timing, now):
            message = "Clock changes touch this time. Another hour of the day, or UTC, keeps clear of them."
            found.append(Advice("CLOCK_CHANGE_HOUR", message))
    return tuple(found)


def _about_distance(timing: Timing, now: datetime) -> Iterator[Advice]:
    first = timing.next_after(now)
    if first is None or (first - now).total_seconds() <= FAR_SECONDS or (timing.cron and _is_leap_day(timing.cron)):
        return
    years = round((first - now).days / 365.25, 1)
    yield Advice("FAR_AWAY", f"The first fire is {years:g} years away. Check the year.")


def _about_days(cron: Cron) -> Iterator[Advice]:
    day, weekday = cron.text.split()[2], cron.text.split()[4]
    if cron.is_either_day:
        yield Advice(
            "EITHER_DAY",
            f"Both day fields are set, and either is enough: it fires on {_day_numbers(cron)} of the month"
            f" and also on every {_weekday_names(cron)}. For one of them, set the other to *.",
        )
        return
    if "*" in (day[0], weekday[0]) and "*" not in (day, weekday):
        message = "A day field that begins with * does not stand alone: both day fields must match."
        yield Advice("BOTH_DAYS", message)
    if _is_leap_day(cron):
        yield Advice("LEAP_DAY", "29 February exists in leap years only: it fires every four years.")
    elif not day.startswith("*"):
        yield from _about_short_months(cron)
    step = _step(day)
    if step is not None:
        message = f"Every {step} days is counted from the 1st of each month, so the last gap of a month is shorter."
        yield Advice("UNEVEN_STEP", message)


def _about_short_months(cron: Cron) -> Iterator[Advice]:
    """Days that some of the months do not have, unless they are the end of a longer stretch of days."""
    for day in sorted(cron.days):
        if day < 29 or 28 in cron.days:
            continue
        short = [month for month in sorted(cron.months) if monthrange(_LEAP_YEAR, month)[1] < day]
        if short:
            named = _listed([_MONTHS[month - 1] for month in short])
            yield Advice("SHORT_MONTHS", f"There is no day {day} in {named}: it does not fire on it then.")
        elif day == 29 and 2 in cron.months:
            yield Advice("SHORT_MONTHS", "There is no day 29 in Feb outside leap years: it does not fire on it then.")


def _about_times(cron: Cron, overlap: str) -> Iterator[Advice]:
    minute, hour, *_ = cron.text.split()
    every_minute = len({slot % 3600 for slot in cron.slots}) == 60
    hours = sorted({slot // 3600 for slot in cron.slots})
    if every_minute and len(hours) < 24:
        where = f"from {hours[0]:02}:00 to {hours[0]:02}:59" if len(hours) == 1 else "of each of its hours"
        message = f"It fires every minute {where}. For once an hour, set the minute, for example to 0."
        yield Advice("EVERY_MINUTE", message)
    if (shortest := _shortest_seconds(cron)) < OFTEN_SECONDS and overlap == "queue":
        yield Advice(
            "OFTEN_AND_WAITING",
            f"It fires every {_minutes(shortest)}, and each run waits for the one before: when runs take longer, they"
            " pile up to 100 and later times are skipped. Skip under How keeps it from piling up.",
        )
    yield from _about_steps(minute if len(hours) > 1 else "", hour)
    if cron.slots == (0,) and cron.text.split()[2:] != ["*", "*", "*"]:
        message = "00:00 begins a day: Monday at 00:00 is in the night from Sunday to Monday."
        yield Advice("MIDNIGHT", message)


def _about_steps(minute: str, hour: str) -> Iterator[Advice]:
    for field, length, one, start in ((minute, 60, "minute", "each full hour"), (hour, 24, "hour", "midnight")):
        step = _step(field)
        if step is not None and length % step:
            rest = length % step
            last = f"{rest} {one}" + ("" if rest == 1 else "s")
            message = f"{length} {one}s are no multiple of {step}: it starts afresh at {start}, after a gap of {last}."
            yield Advice("UNEVEN_STEP", message)


def _about_end(timing: Timing, now: datetime) -> Iterator[Advice]:
    if timing.ends_at is None:
        return
    left = timing.count(now, min(timing.ends_at, now + timedelta(seconds=10 * FAR_SECONDS)))
    if 0 < left <= FEW_FIRES:
        end = timing.ends_at.astimezone(zone(timing.timezone))
        fires = "Only one fire lies" if left == 1 else f"Only {left} fires lie"
        yield Advice("FEW_LEFT", f"{fires} before its end, {end.day} {end:%b %Y at %H:%M}.")


def _is_leap_day(cron: Cron) -> bool:
    return (
        not cron.is_either_day
        and not any(month_days(cron, _PLAIN_YEAR, month) for month in cron.months)
        and (29 in cron.days and 2 in cron.months)
    )


def _shortest_seconds(cron: Cron) -> int:
    """The smallest distance between two matches of one day, or a day when there is one match."""
    pairs = zip(cron.slots, cron.slots[1:], strict=False)
    return min((later - earlier for earlier, later in pairs), default=DAY)


def _step(field: str) -> int | None:
    found = _STEP.fullmatch(field)
    return int(found[1]) if found and int(found[1]) > 1 else None


def _minutes(seconds: int) -> str:
    return "minute" if seconds == 60 else f"{seconds // 60} minutes"


def _day_numbers(cron: Cron) -> str:
    numbers = [str(day) for day in sorted(cron.days)]
    return f"day {numbers[0]}" if len(numbers) == 1 else f"days {_listed(numbers)}"


def _weekday_names(cron: Cron) -> str:
    return _listed([_WEEKDAYS[day] for day in sorted(cron.weekdays, key=lambda day: day or 7)])


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
