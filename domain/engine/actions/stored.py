"""What the store's actions share: where a value is kept, and how a moment is written in an output."""

from __future__ import annotations

from datetime import datetime
from typing import Any

DEFAULT_NAMESPACE = "default"
YEAR_SECONDS = 31_536_000

NAMESPACE: dict[str, Any] = {
    "type": "string",
    "pattern": "^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$",
    "description": f"A group of keys; {DEFAULT_NAMESPACE} unless given.",
}
KEY: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": 256, "pattern": r"^[^\x00-\x1f\x7f]+$"}
VALUE_TYPE: dict[str, Any] = {"enum": ["object", "array", "string", "number", "boolean", "null"]}
MOMENT: dict[str, Any] = {"type": ["string", "null"], "format": "date-time"}


def namespace_of(inputs: dict[str, Any]) -> str:
    """The namespace that the inputs name."""
    return str(inputs.get("namespace", DEFAULT_NAMESPACE))


def moment(at: datetime | None) -> str | None:
    """RFC 3339, or None."""
    return at.isoformat() if at else None
