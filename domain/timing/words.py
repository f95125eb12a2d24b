"""Timings, instants and durations in English, for people who do not read cron."""

from datetime import datetime
from functools import lru_cache

from cron_descriptor import Options, get_description

from domain.timing.cron import Cron
from domain.timing.timing import Timing
from domain.timing.zones import local_offset_label, shown_zone, zone

_WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_CLOCKS = tuple(f"{minute // 60:02}:{minute % 60:02}" for minute in range(24 * 60))
_TIMES_MAX = 4
_NEAR_DAYS = 6


def timing_in_words(timing: Timing, now: datetime | None = None) -> str:
    """``Weekdays at 09:00``, ``Once, 1 Dec 2026 at 02:00``: local times of the timing's zone, which is not named.

    A start is mentioned unless it has passed at ``now``, an end always.
    """
    if timing.cron is None:
        assert timing.run_at is not None, "a timing has either a pattern or an instant"  # noqa: S101
        at = timing.run_at.astimezone(zone(timing.timezone))
        return f"Once, {_date(at)} at {_clock(at)}"
    words = cron_in_words(timing.cron)
    if timing.starts_at is not None and (now is None or timing.starts_at > now):
        words += f", from {_date(timing.starts_at.astimezone(zone(timing.timezone)))}"
    if timing.ends_at is not None:
        words += f", until {_date(timing.ends_at.astimezone(zone(timing.timezone)))}"
    return words


@lru_cache(maxsize=4096)
def cron_in_words(cron: Cron) -> str:
    """The pattern as a sentence without a full stop; common shapes in our words, the rest in cron-descriptor's."""
    minute, hour, day, month, weekday = cron.text.split()
    if (day, month, weekday) == ("*", "*", "*"):
        spoken = _every(minute, hour)
        if spoken:
            return spoken
    times = _times(cron, minute, hour)
    days = _days(cron, day, month, weekday)
    if times and days:
        return f"{days} at {times}"
    options = Options(use_24hour_time_format=True, locale_code="en_US")
    return str(get_description(cron.text, options))


def _every(minute: str, hour: str) -> str | None:
    """Patterns of elapsed time on every day; a step that does not divide its unit starts afresh, so it says so."""
    if hour == "*":
        if minute in {"*", "*/1"}:
            return "Every minute"
        if minute.isdigit():
            return "Every hour" if int(minute) == 0 else f"Every hour at minute {int(minute)}"
        step = _step(minute)
        if step:
            return f"Every {step} minutes" + ("" if 60 % step == 0 else ", counted from each full hour")
    step = _step(hour)
    if step and minute.isdigit():
        at = "" if int(minute) == 0 else f" at minute {int(minute)}"
        return f"Every {step} hours{at}" + ("" if 24 % step == 0 else ", counted from midnight")
    return None


def _step(field: str) -> int | None:
    return int(field[2:]) if field.startswith("*/") and field[2:].isdigit() and int(field[2:]) > 1 else None


def _times(cron: Cron, minute: str, hour: str) -> str | None:
    if not minute.isdigit() or not hour.replace(",", "").isdigit() or len(cron.slots) > _TIMES_MAX:
        return None
    return _listed([f"{slot // 3600:02}:{slot // 60 % 60:02}" for slot in cron.slots])


def _days(cron: Cron, day: str, month: str, weekday: str) -> str | None:
    if day == month == "*":
        return _weekdays(cron.weekdays)
    if weekday != "*" or not day.replace(",", "").isdigit():
        return None
    numbers = [str(number) for number in sorted(cron.days)]
    if month == "*":
        listed = f"On {'day' if len(numbers) == 1 else 'days'} {_listed(numbers)}"
        return f"{listed} of every month" + (" that has it" if max(cron.days) > 28 else "")
    months = [_MONTHS[number - 1] for number in sorted(cron.months)]
    return f"On {_listed(numbers)} {_listed(months)}" if len(months) <= _TIMES_MAX else None


def _weekdays(days: frozenset[int]) -> str:
    if len(days) == 7:
        return "Daily"
    if days == {1, 2, 3, 4, 5}:
        return "Weekdays"
    if days == {0, 6}:
        return "Weekends"
    return _listed([f"{_WEEKDAYS[day]}s" for day in sorted(days, key=lambda day: day or 7)])


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def relative(instant: datetime, now: datetime) -> str:
    """How far away an instant is: ``in 3 h``, ``4 min ago``, ``just now`` within five seconds."""
    seconds = round((instant - now).total_seconds())
    if abs(seconds) < 5:
        return "just now"
    amount = _rounded(abs(seconds))
    return f"in {amount}" if seconds > 0 else f"{amount} ago"


def _rounded(seconds: int) -> str:
    if seconds < 60:
        return f"{seconds} s"
    if round(seconds / 60) < 60:
        return f"{round(seconds / 60)} min"
    if round(seconds / 3600) < 24:
        return f"{round(seconds / 3600)} h"
    return f"{round(seconds / 86400)} d"


def duration_words(seconds: float) -> str:
    """A length of time in at most two units: ``85 ms``, ``1.2 s``, ``3 min 4 s``, ``2 h 5 min``, ``3 d 2 h``."""
    seconds = max(seconds, 0)
    if round(seconds, 3) < 1:
        return f"{round(seconds * 1000)} ms"
    if round(seconds, 1) < 60:
        return f"{round(seconds, 1):g} s"
    whole = round(seconds)
    for size, unit, smaller, small_unit in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {unit}" + (f" {rest} {small_unit}" if rest else "")
    return f"{whole} s"


def absolute(instant: datetime, zone_name: str, now: datetime) -> str:
    """A local time with its offset: ``Mon 09:00 UTC+1`` within six days of ``now``, else ``1 Dec 2026 02:00 UTC+1``."""
    local = instant.astimezone(shown_zone(zone_name))
    away = abs(local.toordinal() - _day_number(now, zone_name))
    on = _WEEKDAYS[local.isoweekday() % 7][:3] if away <= _NEAR_DAYS else _date(local)
    return f"{on} {_clock(local)} {local_offset_label(local)}"


@lru_cache(maxsize=64)
def _day_number(now: datetime, zone_name: str) -> int:
    # A list asks a thousand times for the same few.
    return now.astimezone(shown_zone(zone_name)).toordinal()


def _date(local: datetime) -> str:
    return f"{local.day} {_MONTHS[local.month - 1][:3]} {local.year}"


def _clock(local: datetime) -> str:
    clock = _CLOCKS[local.hour * 60 + local.minute]
    return f"{clock}:{local.second:02}" if local.second else clock
