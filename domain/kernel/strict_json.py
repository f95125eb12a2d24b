"""JSON as Carillon accepts it: RFC 8259 without the parts on which readers disagree.

A text that passes has one meaning for every reader, fits a `jsonb` column, and can be walked by plain recursion.
Refused besides bad syntax: repeated keys, NaN and infinities, integers beyond 64 bits, NUL and lone surrogates in text,
more levels or bytes than allowed. Whatever the input, the only exception is `Refused`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

from domain.kernel.errors import Refused

MAX_BYTES = 256_000
MAX_DEPTH = 32
MAX_INTEGER = 2**63 - 1
MIN_INTEGER = -(2**63)
_LONGEST_INTEGER = 20  # characters of the smallest 64-bit integer, with its sign

_BYTE_ORDER_MARK = "\ufeff"
# An unterminated string runs to the end of the text, and nothing is tried twice, so the scan is linear.
_BESIDE_BRACKETS = re.compile(r'(?:[^"\[{\]}]++|"[^"\\]*+(?:\\.[^"\\]*+)*+"?)++', re.DOTALL)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class _Bad(Exception):
    """A value that the parser met and that cannot be accepted: code, message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def loads(text: str | bytes, *, path: str = "", max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> Any:
    """The value of a JSON text; a leading byte order mark is ignored (RFC 8259 §8.1 allows it).

    Raises `Refused` at `path` with JSON_INVALID (line and column in the message), JSON_TOO_LARGE, JSON_TOO_DEEP,
    JSON_DUPLICATE_KEY, JSON_NUMBER or JSON_TEXT.
    """
    try:
        clean = _sized_text(text, max_bytes)
        _check_nesting(clean, max_depth)
        value = json.loads(
            clean,
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_float=_float,
            parse_int=_integer,
        )
        if "\\u" in clean:
            _check_texts(value)
    except _Bad as bad:
        raise Refused.at(path, bad.message, bad.code) from None
    except json.JSONDecodeError as error:
        raise Refused.at(path, _syntax_message(error), "JSON_INVALID") from None
    return value


def check_value(value: Any, *, path: str = "", max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> None:
    """The rules of `loads` for a value that is parsed already, such as the body of a request or an action's output.

    Raises `Refused` with the same codes, at `path` plus the JSON pointer of what is wrong; JSON_INVALID stands for a
    type that JSON does not have.
    """
    room = max_bytes
    waiting: list[tuple[Any, tuple[str | int, ...]]] = [(value, ())]
    while waiting:
        item, where = waiting.pop()
        try:
            if len(where) > max_depth or (len(where) == max_depth and isinstance(item, dict | list)):
                raise _Bad("JSON_TOO_DEEP", _too_deep(max_depth))
            room -= _checked_size(item)
            if room < 0:
                raise _Bad("JSON_TOO_LARGE", _too_large(max_bytes))
        except _Bad as bad:
            # Size and depth belong to the whole, not to the member at which they happened to run out.
            at = "" if bad.code in ("JSON_TOO_DEEP", "JSON_TOO_LARGE") else pointer(where)
            raise Refused.at(path + at, bad.message, bad.code) from None
        waiting.extend((member, (*where, key)) for key, member in _members(item))
    if len(dumps(value).encode()) > max_bytes:
        raise Refused.at(path, _too_large(max_bytes), "JSON_TOO_LARGE")


def dumps(value: Any) -> str:
    """The canonical compact text of a JSON value: keys sorted by code point, no spaces, no escapes but the needed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def pretty(value: Any) -> str:
    """A JSON value for people: indented by two spaces, keys in the order they have."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)


def pointer(parts: Iterable[str | int]) -> str:
    """The JSON pointer (RFC 6901) of a sequence of keys and indexes; empty for the whole value."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def _sized_text(text: str | bytes, max_bytes: int) -> str:
    if len(text) > max_bytes:
        raise _Bad("JSON_TOO_LARGE", _too_large(max_bytes))
    try:
        if isinstance(text, bytes):
            clean = text.decode("utf-8")
        else:
            clean = text
            if len(text.encode("utf-8")) > max_bytes:
                raise _Bad("JSON_TOO_LARGE", _too_large(max_bytes))
    except UnicodeDecodeError as error:
        raise _Bad("JSON_TEXT", f"This is not UTF-8 text: byte {error.start + 1} cannot be read.") from None
    except UnicodeEncodeError:
        raise _Bad("JSON_TEXT", "This contains half of a character (a lone surrogate), which no text may.") from None
    return clean.removeprefix(_BYTE_ORDER_MARK)


def _check_nesting(text: str, max_depth: int) -> None:
    depth = 0
    for bracket in _BESIDE_BRACKETS.sub("", text):
        if bracket in "[{":
            depth += 1
            if depth > max_depth:
                raise _Bad("JSON_TOO_DEEP", _too_deep(max_depth))
        else:
            depth -= 1


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _Bad(
                    "JSON_DUPLICATE_KEY", f"The key {_short(key)} appears twice in one object. Keep one of them."
                )
            seen.add(key)
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise _Bad("JSON_NUMBER", f"{name} is not a JSON number. Use null or a finite number.")


def _float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise _Bad("JSON_NUMBER", f"The number {_short(digits)} is too large to be stored.")
    return number


def _integer(digits: str) -> int:
    if len(digits) > _LONGEST_INTEGER or not MIN_INTEGER <= int(digits) <= MAX_INTEGER:
        raise _Bad("JSON_NUMBER", f"The integer {_short(digits)} needs more than 64 bits. Write it as text instead.")
    return int(digits)


def _check_texts(value: Any) -> None:
    for item in _walk(value):
        if isinstance(item, str):
            _check_text(item)


def _check_text(text: str) -> None:
    if _UNSTORABLE.search(text):
        raise _Bad("JSON_TEXT", "Text may contain neither the NUL character nor half of a surrogate pair.")


def _walk(value: Any) -> Iterator[Any]:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        yield item
        if isinstance(item, dict):
            waiting.extend(item)
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)


def _members(item: Any) -> Iterable[tuple[str | int, Any]]:
    if isinstance(item, dict):
        return item.items()
    return enumerate(item) if isinstance(item, list) else ()


def _checked_size(item: Any) -> int:
    """A lower bound of the bytes this item takes without its members."""
    match item:
        case None | bool():
            return 4
        case str():
            _check_text(item)
            return len(item) + 2
        case int():
            if not MIN_INTEGER <= item <= MAX_INTEGER:
                raise _Bad("JSON_NUMBER", "This integer needs more than 64 bits. Write it as text instead.")
            return 1
        case float():
            if not math.isfinite(item):
                raise _Bad("JSON_NUMBER", "NaN and infinities are not JSON numbers. Use null or a finite number.")
            return 1
        case list():
            return 2
        case dict():
            return 2 + sum(_key_size(key) for key in item)
        case _:
            raise _Bad("JSON_INVALID", f"A {type(item).__name__} is not a JSON value.")


def _key_size(key: Any) -> int:
    if not isinstance(key, str):
        raise _Bad("JSON_INVALID", f"A {type(key).__name__} cannot be a key; keys are text.")
    _check_text(key)
    return len(key) + 3


def _syntax_message(error: json.JSONDecodeError) -> str:
    reason = error.msg[:1].lower() + error.msg[1:]
    return f"This is not valid JSON: {reason} at line {error.lineno}, column {error.colno}."


def _too_large(max_bytes: int) -> str:
    return f"This is larger than {max_bytes:,} bytes, which is the most allowed here."


def _too_deep(max_depth: int) -> str:
    return f"This is nested deeper than {max_depth} levels, which is the most allowed here."


def _short(text: str) -> str:
    shown = text if len(text) <= 40 else text[:40] + "…"
    return json.dumps(shown)
