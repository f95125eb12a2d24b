"""What actions that build text share: how a value reads as text, and how long a text may become."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from domain.engine.failures import VALIDATION, StepFailed
from domain.engine.recorded_values import MAX_RECORDED_BYTES


def as_text(value: str | float | bool | None) -> str:
    """A scalar as text: null is empty, numbers and booleans as in JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def joined(values: Iterable[str | float | bool | None], separator: str) -> str:
    """The scalars as one text. Raises StepFailed when it would be too long, before it is built."""
    texts = [as_text(value) for value in values]
    check_length(sum(map(len, texts)) + len(separator) * max(len(texts) - 1, 0))
    return separator.join(texts)


def check_length(characters: int) -> None:
    """Raises StepFailed (ValidationError) when a text of that length could not be recorded."""
    if characters > MAX_RECORDED_BYTES:
        message = f"The text would be longer than {MAX_RECORDED_BYTES:,} characters."
        raise StepFailed(message, "VALUE_TOO_LARGE", VALIDATION)


def json_type(value: Any) -> str:
    """The JSON name of a value's type: object, array, string, number, boolean or null."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"
