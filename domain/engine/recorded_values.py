"""Values as the step log keeps them: checked, copied, and in the one form in which PostgreSQL hands them back.

A run that continues after a crash reads its values from `jsonb`, which orders keys and rewrites numbers. So that it
goes on exactly as it would have without the crash, values take that form before anyone sees them.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from domain.engine.failures import VALIDATION, StepFailed

MAX_RECORDED_BYTES = 262_144
MAX_DEPTH = 64

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_SURELY_SMALL = MAX_RECORDED_BYTES // 6  # one character takes at most six bytes, as \u001f
_INTEGER_TEXT_FROM = 1e16  # from here on Python writes an exponent, which jsonb turns into digits
_MAX_INTEGER = 2**63 - 1


def settled(value: Any) -> tuple[Any, int]:
    """A copy of a JSON value in its recorded form, and a measure of its size in characters.

    Keys are ordered as jsonb orders them. Raises StepFailed (ValidationError) when the value is not JSON, too deep, or
    larger than MAX_RECORDED_BYTES.
    """
    copy, size = _settled(value, 0)
    if size > _SURELY_SMALL and len(json.dumps(copy, ensure_ascii=False).encode()) > MAX_RECORDED_BYTES:
        raise StepFailed(
            f"A value of this step is larger than {MAX_RECORDED_BYTES:,} bytes, which is the most a step may hold.",
            "VALUE_TOO_LARGE",
            VALIDATION,
        )
    return copy, size


def _settled(value: Any, depth: int) -> tuple[Any, int]:
    if isinstance(value, str):
        _check_text(value)
        # str() drops subclasses, so that nothing but plain JSON types reaches a scope.
        return str(value), len(value) + 2
    if value is None or isinstance(value, bool):
        return value, 4
    if isinstance(value, int | float):
        return _settled_number(value), 8
    if depth >= MAX_DEPTH:
        raise StepFailed(f"A value of this step has more than {MAX_DEPTH} levels.", "VALUE_TOO_DEEP", VALIDATION)
    if isinstance(value, dict):
        return _settled_object(value, depth)
    if isinstance(value, list):
        return _settled_list(value, depth)
    raise StepFailed(f"A {type(value).__name__} is not a JSON value.", "VALUE_NOT_JSON", VALIDATION)


def _settled_object(value: dict[Any, Any], depth: int) -> tuple[dict[str, Any], int]:
    size = 2
    copy: dict[str, Any] = {}
    for key in value:
        if not isinstance(key, str):
            raise StepFailed(f"A {type(key).__name__} cannot be a key.", "VALUE_NOT_JSON", VALIDATION)
        _check_text(key)
    for key in sorted(value, key=_jsonb_order) if len(value) > 1 else value:
        copy[str(key)], part = _settled(value[key], depth + 1)
        size += part + len(key) + 4
    return copy, size


def _settled_list(value: list[Any], depth: int) -> tuple[list[Any], int]:
    size = 2
    copy = []
    for item in value:
        plain, part = _settled(item, depth + 1)
        copy.append(plain)
        size += part + 2
    return copy, size


def _settled_number(value: float) -> float:
    if isinstance(value, int):
        return int(value) if -_MAX_INTEGER <= value <= _MAX_INTEGER else _nearest_float(value)
    if not math.isfinite(value):
        raise StepFailed("A value of this step is not a finite number.", "VALUE_NOT_JSON", VALIDATION)
    if _INTEGER_TEXT_FROM <= abs(value) <= _MAX_INTEGER:
        return int(value)
    return float(value) + 0.0  # jsonb has no negative zero


def _nearest_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        raise StepFailed("A number of this step is too large.", "VALUE_NOT_JSON", VALIDATION) from None


def _check_text(text: str) -> None:
    if _UNSTORABLE.search(text):
        raise StepFailed("Text holds a NUL or half of a surrogate pair.", "VALUE_NOT_JSON", VALIDATION)


def _jsonb_order(key: str) -> tuple[int, bytes]:
    encoded = key.encode()
    return len(encoded), encoded
