"""What the controls of a payload say: labels, hints, and values in a few words."""

from __future__ import annotations

import re
from typing import Any

from domain.kernel import strict_json

SHOWN_CHARACTERS = 60
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\sA-Za-z0-9_-]+")
_FORMAT_HINTS = {
    "date-time": "Date and time in UTC",
    "uuid": "A UUID",
    "duration": "Such as P1DT2H",
    "time": "Such as 09:30:00Z",
}


def spoken(value: Any) -> str:
    """A value as a choice calls it."""
    if value is True or value is False:
        return "Yes" if value else "No"
    if value is None:
        return "null"
    return cut(value if isinstance(value, str) and value.strip() else strict_json.dumps(value))


def label_of(name: str) -> str:
    """A member's name in words: `batchSize` reads "Batch size"."""
    found = _WORD.findall(name)
    if not found:
        return cut(name) or '""'
    plain = [word if word.isupper() and len(word) > 1 else word.lower() for word in found]
    text = " ".join(plain)
    return cut(text[:1].upper() + text[1:])


def hint_of(schema: dict[str, Any], description: str) -> str:
    """The description, then what else one must know to fill it in."""
    said = [description, _bounds(schema), _length(schema), _FORMAT_HINTS.get(str(schema.get("format")), "")]
    if "default" in schema:
        said.append(f"Default: {cut(spoken(schema['default']))}")
    return _sentences(said)


def items_hint(schema: dict[str, Any], description: str) -> str:
    """The same for a list."""
    least, most = schema.get("minItems", 0), schema.get("maxItems")
    return _sentences([description, _range(least or None, most, " items")])


def _sentences(said: list[str]) -> str:
    parts = [text.strip().removesuffix(".") for text in said if text.strip()]
    return ". ".join(parts)


def _bounds(schema: dict[str, Any]) -> str:
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    said = [_range(schema.get("minimum"), schema.get("maximum"))]
    said += [f"more than {above}"] if above is not None else []
    said += [f"less than {below}"] if below is not None else []
    if "multipleOf" in schema:
        said.append(f"a multiple of {schema['multipleOf']}")
    text = ", ".join(part for part in said if part)
    return text[:1].upper() + text[1:]


def _length(schema: dict[str, Any]) -> str:
    least = schema.get("minLength", 0)
    return _range(least if least > 1 else None, schema.get("maxLength"), " characters")


def _range(least: Any, most: Any, unit: str = "") -> str:
    if least is None and most is None:
        return ""
    if least is None:
        return f"At most {_number(most)}{unit}"
    if most is None:
        return f"At least {_number(least)}{unit}"
    return f"{_number(least)} to {_number(most)}{unit}" if least != most else f"Exactly {_number(least)}{unit}"


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def cut(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…"
