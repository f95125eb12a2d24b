"""What one expression may cost, and the error that says it cannot be read or computed."""

from __future__ import annotations

import math
import time
from typing import Any

from jsonata.utils import Utils

from domain.kernel.errors import DomainError
from domain.kernel.strict_json import MAX_DEPTH, MAX_INTEGER, MIN_INTEGER

EVALUATION_SECONDS = 1.0  # of the evaluating thread's processor time, so that a busy machine fails nothing
MAX_CHARACTERS = 4_000
MAX_OUTPUT_CHARACTERS = 262_144
MAX_TEXT_CHARACTERS = 1_000_000  # of a text made on the way
MAX_RANGE = 10_000
MAX_MATCHES = 10_000
ALLOWANCE = 50_000_000  # roughly bytes that all intermediate results of one evaluation may take together
MEMBER_COST = 8
MATCH_COST = 400
STEPS_BETWEEN_CHECKS = 64
UNITS_BETWEEN_CHECKS = 50_000

NULL = Utils.NULL_VALUE  # JSON null; while evaluating, Python's None stands for a value that is not there


class ExpressionError(DomainError):
    """This expression cannot be used. Mend it where the position points and try again."""

    code = "EXPRESSION_ERROR"

    def __init__(self, message: str, position: int | None = None) -> None:
        """`position` counts characters from the start of the expression, or is None where no place can be named."""
        super().__init__(message)
        self.position = position


class Budget:
    """What is left of the time and memory of one evaluation. Every method raises `ExpressionError` when it runs out."""

    __slots__ = ("_allowance", "_ends_at", "_steps", "_unchecked")

    def __init__(self) -> None:
        self._allowance = ALLOWANCE
        self._steps = 0
        self._unchecked = 0
        self._ends_at = time.thread_time() + EVALUATION_SECONDS

    def step(self) -> None:
        """One node of the expression is about to be evaluated."""
        self._steps += 1
        if self._steps % STEPS_BETWEEN_CHECKS == 0:
            self.check_time()

    def check_time(self) -> None:
        """Called where much work was or will be done without a `step`."""
        if time.thread_time() > self._ends_at:
            raise ExpressionError(
                f"This took longer than {EVALUATION_SECONDS:g} s of computing. Read less, or fewer items."
            )

    def spend(self, amount: int) -> None:
        """Take `amount` units, about a byte each, before or just after they are used."""
        self._allowance -= amount
        if self._allowance < 0:
            raise ExpressionError("This makes too many or too large values on the way to its result.")
        self._unchecked += amount
        if self._unchecked > UNITS_BETWEEN_CHECKS:
            self._unchecked = 0
            self.check_time()

    def spend_text(self, length: int) -> None:
        """Refuse a text that would become too long, before it is made."""
        if length > MAX_TEXT_CHARACTERS:
            raise ExpressionError(f"This makes a text of more than {MAX_TEXT_CHARACTERS:,} characters.")
        self.spend(length)


def measured(value: Any, most: int) -> int:
    """About how many characters a raw value has as JSON text; counting stops as soon as there are more than `most`."""
    size = 0
    waiting = [value]
    while waiting and size <= most:
        item = waiting.pop()
        if isinstance(item, str):
            size += len(item) + 2
        elif isinstance(item, dict):
            size += 2 + sum(len(key) + 4 for key in item)
            waiting.extend(item.values())
        elif isinstance(item, list):
            size += 2 + len(item)
            if size <= most:
                waiting.extend(item)
        else:
            size += len(str(item)) if isinstance(item, float | int) else 4
    return size


def exported(value: Any) -> Any:
    """A raw result as plain JSON that shares no list or object with the input. Undefined and null are both None.

    Raises `ExpressionError` for what is not JSON, too large, or nested deeper than payloads may be.
    """
    if value is None or value is NULL or value is True or value is False:
        return None if value is NULL else value
    if isinstance(value, str | int | float):
        return _exported_scalar(value)
    if measured(value, MAX_OUTPUT_CHARACTERS) > MAX_OUTPUT_CHARACTERS:
        raise _too_large()
    return _exported_tree(value, 1)


def _exported_tree(value: Any, depth: int) -> Any:
    if isinstance(value, dict | list) and depth > MAX_DEPTH:
        raise ExpressionError(f"The result is nested deeper than {MAX_DEPTH} levels.")
    if isinstance(value, dict):
        return {key: _exported_tree(member, depth + 1) for key, member in value.items()}
    if isinstance(value, list):
        return [_exported_tree(member, depth + 1) for member in value]
    if value is None or value is NULL:
        return None
    return _exported_scalar(value)


def _exported_scalar(value: Any) -> Any:
    if isinstance(value, str):
        if len(value) > MAX_OUTPUT_CHARACTERS:
            raise _too_large()
        return _storable(value)
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if MIN_INTEGER <= value <= MAX_INTEGER else float(value)
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise ExpressionError("The result is not a JSON value.")


def _storable(text: str) -> str:
    if "\x00" in text or (not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text)):
        raise ExpressionError("The result contains a NUL character or half of a character, which no text may.")
    return text


def _too_large() -> ExpressionError:
    return ExpressionError(f"The result is larger than {MAX_OUTPUT_CHARACTERS:,} characters.")
