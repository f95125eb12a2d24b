"""Time zones by IANA name, and where local wall time meets UTC."""

import re
import zoneinfo
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache
from zoneinfo import ZoneInfo

from domain.kernel.errors import Refused
from domain.timing.epoch import LATEST, check_aware, from_epoch, to_epoch

COMMON_ZONES = (
    "UTC",
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Los_Angeles",
    "America/Sao_Paulo",
    "Europe/London",
    "Europe/Paris",
    "Europe/Berlin",
    "Africa/Johannesburg",
    "Asia/Dubai",
    "Asia/Kolkata",
    "Asia/Singapore",
    "Asia/Tokyo",
    "Australia/Sydney",
    "Pacific/Auckland",
)
_NOT_PLACES = {"localtime", "Factory", "posixrules"}
_NOT_FOLDERS = ("posix/", "right/")
_NAME_MAX = 64

_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME = r"[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?"
_WALL = re.compile(rf"{_DATE}[T ]{_TIME}")
_INSTANT = re.compile(rf"({_DATE})[Tt ]({_TIME})([Zz]|[+-][0-9]{{2}}:?[0-9]{{2}})")
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_NONE, _MINUTE = timedelta(0), timedelta(minutes=1)


@lru_cache(maxsize=1)
def _known() -> frozenset[str]:
    names = zoneinfo.available_timezones() - _NOT_PLACES
    return frozenset(name for name in names if not name.startswith(_NOT_FOLDERS))


def parse_zone(name: object) -> str:
    """The IANA name itself if it is a known one; raises Refused at ``timezone`` with a suggestion otherwise.

    Only membership in a fixed set is asked, so no spelling ever reaches the file system.
    """
    if isinstance(name, str) and name in _known():
        return name
    raise Refused.at("timezone", _why_unknown(name), code="TIMEZONE_INVALID")


def _why_unknown(name: object) -> str:
    if not isinstance(name, str) or not name.strip():
        return "Choose a time zone, for example UTC or Europe/Paris."
    advice = "Use a full IANA name such as Europe/Paris."
    if len(name) > _NAME_MAX or not name.isprintable():
        return f"This is not a time zone name. {advice}"
    by_folded = {known.casefold(): known for known in _known()}
    nearest = get_close_matches(name.strip().replace(" ", "_").casefold(), by_folded, n=1, cutoff=0.75)
    if nearest:
        return f'"{name}" is not a time zone. Did you mean {by_folded[nearest[0]]}?'
    return f'"{name}" is not a time zone. {advice}'


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """The zone of a name that parse_zone accepts; raises Refused like it."""
    return ZoneInfo(parse_zone(name))


def shown_zone(name: str) -> ZoneInfo:
    """The zone in which a time is shown: UTC where the name is not known any more. The offset beside the time says so."""
    return ZoneInfo(name if name in _known() else "UTC")


def zone_names() -> list[str]:
    """Every accepted name: the common ones first, the rest in alphabetical order."""
    return [*COMMON_ZONES, *sorted(_known().difference(COMMON_ZONES))]


def offset_at(place: ZoneInfo, seconds: int) -> int:
    """Local time minus UTC, in seconds, at an epoch second."""
    offset = datetime.fromtimestamp(seconds, place).utcoffset()
    assert offset is not None, "every ZoneInfo has an offset"  # noqa: S101
    return offset.days * 86_400 + offset.seconds


def first_change(place: ZoneInfo, start: int, end: int) -> int:
    """The first epoch second in (start, end] whose offset differs from that at ``start``; they must differ at ``end``."""
    before = offset_at(place, start)
    while end - start > 1:
        middle = (start + end) // 2
        if offset_at(place, middle) == before:
            start = middle
        else:
            end = middle
    return end


def offset_label(instant: datetime, zone_name: str) -> str:
    """The offset in force at an instant, for a reader: ``UTC``, ``UTC+1``, ``UTC-3:30``."""
    check_aware(instant)
    return local_offset_label(instant.astimezone(zone(zone_name)))


def local_offset_label(local: datetime) -> str:
    """The offset of a local time, in the words of offset_label."""
    offset = local.utcoffset()
    assert offset is not None, "a local time has an offset"  # noqa: S101
    return _offset_words(offset)


@lru_cache(maxsize=256)
def _offset_words(offset: timedelta) -> str:
    if not offset:
        return "UTC"
    hours, minutes = divmod(abs(offset) // _MINUTE, 60)
    sign = "+" if offset > _NONE else "-"
    return f"UTC{sign}{hours}:{minutes:02}" if minutes else f"UTC{sign}{hours}"


def parse_local(text: object, zone_name: str) -> datetime:
    """The UTC instant of a wall time ``YYYY-MM-DDTHH:MM[:SS]`` in a zone; fractions of a second are dropped.

    A wall time that a clock change skips means the instant right after the gap; one that happens twice means the first.
    Raises Refused at ``runAt``, or at ``timezone`` for an unknown zone.
    """
    place = zone(zone_name)
    if not isinstance(text, str) or not _WALL.fullmatch(text.strip()):
        raise _run_at_invalid("Write the date and time as YYYY-MM-DDTHH:MM, for example 2026-12-01T02:00.")
    wall = _calendar_time(text.strip())
    instant = _in_range(wall.replace(tzinfo=place))
    if instant.astimezone(place).replace(tzinfo=None) == wall:
        return instant
    ahead = wall.replace(tzinfo=place, fold=1)
    return from_epoch(first_change(place, to_epoch(ahead), to_epoch(instant)))


def parse_instant(text: object) -> datetime:
    """The UTC instant of an ISO 8601 date and time with ``Z`` or an offset; fractions of a second are dropped.

    Raises Refused at ``runAt``; a text without offset is refused, because it names no instant.
    """
    if isinstance(text, str) and _WALL.fullmatch(text.strip()):
        raise _run_at_invalid("A time zone is required: end the time with Z or with an offset such as +01:00.")
    found = _INSTANT.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None:
        raise _run_at_invalid("Write the instant as ISO 8601 with an offset, for example 2026-12-01T02:00:00+01:00.")
    date, time, offset = found.groups()
    return _in_range(_calendar_time(f"{date}T{time}", offset.upper()))


def _calendar_time(text: str, offset: str = "") -> datetime:
    try:
        return datetime.fromisoformat(text + offset).replace(microsecond=0)
    except ValueError as error:
        raise _run_at_invalid(
            "This date or time does not exist in the calendar; check day, hour and minute."
        ) from error


def _in_range(moment: datetime) -> datetime:
    try:
        instant = moment.astimezone(UTC)
    except OverflowError:
        instant = LATEST
    if not _EARLIEST <= instant < LATEST:
        raise _run_at_invalid("Choose a year between 1970 and 9999.")
    return instant


def _run_at_invalid(message: str) -> Refused:
    return Refused.at("runAt", message, code="RUN_AT_INVALID")
