"""The grammar of a cron pattern: five fields, read the way Vixie cron reads them.

cronsim turns the fields into sets; this module decides what is accepted at all, so that every refusal names the field,
the offending text and its allowed range.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from itertools import product

from cronsim import CronSim, CronSimError

from domain.kernel.errors import Refused
from domain.timing.epoch import DAY, MINUTE

MAX_LENGTH = 128

MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_ORDER = "minute, hour, day of month, month, day of week"
_EXAMPLE = "for example 0 9 * * 1-5"
_TERM = re.compile(r"(\*|[A-Z0-9]+)(?:-([A-Z0-9]+))?(?:/([A-Z0-9]+))?")
_EXTENSIONS = re.compile(r".*[#?].*|L|LW|[0-9]+[LW]|L-?[0-9]+")
# One object per minute of the day, shared by all patterns, keeps a cached `* * * * *` at 12 kB.
_MINUTES_OF_DAY = tuple(range(0, DAY, MINUTE))
_LONGEST_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@dataclass(frozen=True)
class _Field:
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()

    @property
    def allowed(self) -> str:
        named = f" or {self.names[0]}-{self.names[-1]}" if self.names else ""
        return f"{self.low}-{self.high}{named}"


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")),
    _Field("day of week", 0, 7, ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")),
)


@dataclass(frozen=True)
class Cron:
    """A pattern that can fire. Two are equal when their normalised five-field ``text`` is.

    ``slots`` are the seconds of a local day it matches, ascending; ``weekdays`` count from Sunday = 0 to 6.
    """

    text: str
    slots: tuple[int, ...] = field(compare=False, repr=False)
    days: frozenset[int] = field(compare=False, repr=False)
    months: frozenset[int] = field(compare=False, repr=False)
    weekdays: frozenset[int] = field(compare=False, repr=False)
    # Day of month OR day of week when both are restricted; AND when either begins with a star.
    is_either_day: bool = field(compare=False, repr=False)
    # A star or a step in minute or hour: the pattern means "every so often", not "at this local time".
    is_elapsed: bool = field(compare=False, repr=False)


def parse_cron(text: object) -> Cron:
    """The pattern of a five-field text or one of the macros ``@hourly`` … ``@yearly``.

    Raises Refused at ``cron``: CRON_INVALID when it cannot be read, CRON_NEVER_FIRES when no date matches.
    """
    if not isinstance(text, str) or not text.strip():
        raise _invalid(f"Enter a cron pattern of five fields ({_ORDER}), {_EXAMPLE}.")
    if len(text) > MAX_LENGTH:
        raise _invalid(f"The pattern has {len(text)} characters; at most {MAX_LENGTH} are allowed.")
    return _parsed(text)


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Cron:
    parts = _split(text)
    for spec, part in zip(_FIELDS, parts, strict=True):
        _check_field(spec, part)
    read = [_without_idle_steps(spec, part) for spec, part in zip(_FIELDS, parts, strict=True)]
    try:
        found = CronSim(" ".join(read), datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        raise _never_fires() if _is_impossible(parts) else _invalid(f"{error}; {_EXAMPLE}.") from error
    return Cron(
        text=" ".join(parts),
        slots=tuple(sorted(_MINUTES_OF_DAY[h * 60 + m] for h, m in product(found.hours, found.minutes))),
        days=frozenset(found.days),
        months=frozenset(found.months),
        weekdays=frozenset(day % 7 for day in found.weekdays if isinstance(day, int)),
        is_either_day=not found.day_and,
        is_elapsed=any(mark in part for part in parts[:2] for mark in "*/"),
    )


def _split(text: str) -> list[str]:
    """The five upper-case fields; macros expanded."""
    text = text.strip()
    if not text.isascii() or not text.replace("\t", " ").isprintable():
        raise _invalid("The pattern has characters that do not belong into cron; use digits, names and * , - / only.")
    if text.startswith("@"):
        expanded = MACROS.get(text.lower())
        if expanded is None:
            raise _invalid(f"{text} is not supported. Use one of {', '.join(MACROS)} or five fields ({_ORDER}).")
        text = expanded
    parts = text.upper().split()
    if len(parts) != len(_FIELDS):
        advice = " Remove the seconds or the year." if len(parts) in {6, 7} else ""
        raise _invalid(
            f"The pattern has {_counted(len(parts))}; exactly five are needed ({_ORDER}), {_EXAMPLE}.{advice}"
        )
    return parts


def _counted(fields: int) -> str:
    return "1 field" if fields == 1 else f"{fields} fields"


def _check_field(spec: _Field, part: str) -> None:
    for term in part.split(","):
        if not term:
            raise _invalid(f'The {spec.name} field "{part}" has an empty list entry; remove the extra comma.')
        _check_term(spec, term)


def _check_term(spec: _Field, term: str) -> None:
    if _EXTENSIONS.fullmatch(term):
        raise _invalid(f'"{term}" in the {spec.name} field: L, W, # and ? are not supported; list the days or use *.')
    found = _TERM.fullmatch(term)
    if found is None or (found[1] == "*" and found[2] is not None):
        raise _invalid(
            f'The {spec.name} field cannot read "{term}"; write numbers ({spec.allowed}), ranges, lists or */n.'
        )
    first = spec.low if found[1] == "*" else _value(spec, found[1])
    if found[2] is not None and _value(spec, found[2]) < first:
        raise _invalid(f'The {spec.name} range "{term}" runs backwards; {_forwards(spec, found[1], found[2])}')
    if found[3] is not None:
        _check_step(spec, found[3])


def _without_idle_steps(spec: _Field, part: str) -> str:
    """The field with `3` for `3-3/2`, which cronsim would take for `3/2` and let run to the end of the field."""
    terms = []
    for term in part.split(","):
        found = _TERM.fullmatch(term)
        is_idle = found and found[2] and found[3] and _value(spec, found[1]) == _value(spec, found[2])
        terms.append(found[1] if found and is_idle else term)
    return ",".join(terms)


def _value(spec: _Field, text: str) -> int:
    if text in spec.names:
        return spec.names.index(text) + (1 if spec.name == "month" else 0)
    if not text.isdigit():
        raise _invalid(f'The {spec.name} field does not know "{text}"; it takes {spec.allowed}.')
    if not spec.low <= int(text) <= spec.high:
        raise _invalid(f"The {spec.name} {text} is out of range; allowed is {spec.allowed}.")
    return int(text)


def _forwards(spec: _Field, start: str, end: str) -> str:
    if spec.name == "day of week" and end in {"0", "SUN"}:
        return f"as the end of a range Sunday is 7, so write {spec.names.index(start) if start in spec.names else start}-7."
    return f"write it as two ranges, {start}-{spec.high},{spec.low}-{end}."


def _check_step(spec: _Field, step: str) -> None:
    if not step.isdigit() or not 1 <= int(step) <= spec.high:
        raise _invalid(f"The step /{step} in the {spec.name} field is out of range; allowed is /1 to /{spec.high}.")


def _is_impossible(parts: list[str]) -> bool:
    """Whether no month has the wanted day, as cronsim refuses it too (29 February exists)."""
    months = CronSim(f"0 0 1 {parts[3]} *", datetime(2000, 1, 1, tzinfo=UTC)).months
    days = CronSim(f"0 0 {parts[2]} * *", datetime(2000, 1, 1, tzinfo=UTC)).days
    return min(days) > max(_LONGEST_MONTH[month - 1] for month in months)


def _never_fires() -> Refused:
    message = "This pattern never fires: none of its months has such a day. Choose an earlier day or another month."
    return Refused.at("cron", message, code="CRON_NEVER_FIRES")


def _invalid(message: str) -> Refused:
    return Refused.at("cron", message, code="CRON_INVALID")
