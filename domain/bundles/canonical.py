"""The one way in which a bundle is written: the same content gives the same bytes, on every machine."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from domain.kernel import strict_json
from domain.kernel.errors import Refused
from domain.kernel.strict_json import MAX_INTEGER, MIN_INTEGER

_AS_IT_IS = frozenset({str, bool, type(None)})
_WRITTEN_WITH_EXPONENT = 1e16  # from here on Python writes 1e+16


def canonical_bytes(document: Any) -> bytes:
    """UTF-8 text: keys sorted by code point, indented by two spaces, one newline at the end; arrays keep their order.

    Whole numbers beyond 64 bits, which the database makes of floats such as 1e300, are written as floats again.
    """
    text = json.dumps(_plain(document), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode()


def digest(document: Any) -> str:
    """SHA-256 in hexadecimal, the same for documents that are written in the same bytes."""
    return hashlib.sha256(strict_json.dumps(_plain(document)).encode()).hexdigest()


def instant_text(instant: datetime) -> str:
    """An instant as bundles have it: UTC to the millisecond, `2026-01-25T00:00:00.000Z`."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_instant_text(text: str, path: str) -> datetime:
    """The instant of an RFC 3339 text, to the millisecond. Raises Refused at `path`."""
    try:
        instant = datetime.fromisoformat(text)
        if instant.tzinfo is None:
            raise ValueError("no offset")
        instant = instant.astimezone(UTC)
    except (ValueError, OverflowError):
        message = "This must be a date and time with its offset such as 2026-01-25T00:00:00.000Z."
        raise Refused.at(path, message, "format") from None
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


def _plain(value: Any) -> Any:
    # Most members are text, and are taken as they are without a call each.
    if isinstance(value, dict):
        return {key: member if type(member) in _AS_IT_IS else _plain(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [item if type(item) in _AS_IT_IS else _plain(item) for item in value]
    if isinstance(value, float):
        return _as_stored(value)
    if isinstance(value, int) and not isinstance(value, bool) and not MIN_INTEGER <= value <= MAX_INTEGER:
        return float(value)
    return value


def _as_stored(number: float) -> float | int:
    """The database has no negative zero, and makes whole numbers of what is written with an exponent, such as 1e16."""
    if number == 0:
        return 0.0
    is_whole = abs(number) >= _WRITTEN_WITH_EXPONENT and MIN_INTEGER <= number < MAX_INTEGER
    return int(number) if is_whole else number
