"""What an `event.wait` asks of an event besides its name and correlation: conditions on its payload, all of which hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

_ABSENT = object()


def _is_same(found: Any, value: Any) -> bool:
    # 1 == True and 0 == False in Python, but not in JSON.
    return isinstance(found, bool) == isinstance(value, bool) and bool(found == value)


def _is_ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def compared(found: Any, value: Any) -> bool:
        numbers = [type(each) in (int, float) for each in (found, value)]
        return (all(numbers) or (isinstance(found, str) and isinstance(value, str))) and compare(found, value)

    return compared


def _contains(found: Any, value: Any) -> bool:
    if isinstance(found, str):
        return isinstance(value, str) and value in found
    return isinstance(found, list) and any(_is_same(item, value) for item in found)


def _is_in(found: Any, value: Any) -> bool:
    return any(_is_same(found, item) for item in value)


def _text(compare: Callable[[str, str], bool]) -> Callable[[Any, Any], bool]:
    return lambda found, value: isinstance(found, str) and isinstance(value, str) and compare(found, value)


# Each is asked only when the member is there; one that is absent or null is not anything.
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": _is_same,
    "!=": lambda found, value: not _is_same(found, value),
    "in": _is_in,
    "not_in": lambda found, value: not _is_in(found, value),
    ">": _is_ordered(lambda found, value: found > value),
    ">=": _is_ordered(lambda found, value: found >= value),
    "<": _is_ordered(lambda found, value: found < value),
    "<=": _is_ordered(lambda found, value: found <= value),
    "contains": _contains,
    "starts_with": _text(str.startswith),
    "ends_with": _text(str.endswith),
}
LISTED = ("in", "not_in")
PRESENCE = ("exists", "not_exists")
OPERATORS = (*_OPERATORS, *PRESENCE)
# An absent member differs from everything.
_TRUE_OF_NOTHING = ("!=", "not_in")


def matches(filters: Sequence[dict[str, Any]] | None, payload: Any) -> bool:
    """Whether a payload meets every filter `{path, op, value}`; `path` is dotted, such as `customer.country`."""
    return all(_holds(each["op"], _member(payload, each["path"]), each.get("value")) for each in filters or ())


def _holds(operator: str, found: Any, value: Any) -> bool:
    is_there = found is not _ABSENT and found is not None
    if operator in PRESENCE:
        return is_there == (operator == "exists")
    if not is_there:
        # `= null` asks for what is null or absent.
        return operator in _TRUE_OF_NOTHING if value is not None else operator == "="
    return _OPERATORS[operator](found, value)


def _member(payload: Any, path: str) -> Any:
    here = payload
    for name in path.split("."):
        if isinstance(here, dict) and name in here:
            here = here[name]
        elif isinstance(here, list) and name.isascii() and name.isdigit() and int(name) < len(here):
            here = here[int(name)]
        else:
            return _ABSENT
    return here
