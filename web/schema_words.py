"""The fields of an object schema in words, for people who do not read JSON Schema."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_TYPES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "object": "object",
    "array": "list",
    "null": "null",
}
_SHOWN_CHOICES = 8
_DEEPEST = 3


@dataclass(frozen=True)
class FieldWords:
    """One row of the table: `name` is the path from the top, such as recipients.user_ids or items[].key."""

    name: str
    kind: str
    is_required: bool
    description: str


def fields_in_words(schema: dict[str, Any], prefix: str = "", depth: int = 1) -> list[FieldWords]:
    """The fields of the object in the order they are declared, each followed by those inside it, three levels deep."""
    rows: list[FieldWords] = []
    required = schema.get("required", [])
    for name, field in schema.get("properties", {}).items():
        part = field if isinstance(field, dict) else {}
        words = ". ".join(
            text for text in (str(part.get("description", "")).rstrip("."), limits_in_words(part)) if text
        )
        rows.append(FieldWords(prefix + name, type_in_words(part), name in required, f"{words}." if words else ""))
        inner, mark = (part, ".") if "properties" in part else (part.get("items"), "[].")
        if depth < _DEEPEST and isinstance(inner, dict) and "properties" in inner:
            rows += fields_in_words(inner, f"{prefix}{name}{mark}", depth + 1)
    return rows


def type_in_words(schema: dict[str, Any]) -> str:
    """What a value may be: `text`, `list of text or null`, `one of info, debug`."""
    if "anyOf" in schema:
        return " or ".join(type_in_words(one) for one in schema["anyOf"])
    if "const" in schema:
        return str(schema["const"])
    if "enum" in schema:
        choices = ["null" if choice is None else str(choice) for choice in schema["enum"]]
        return "one of " + ", ".join(choices[:_SHOWN_CHOICES]) + (" …" if len(choices) > _SHOWN_CHOICES else "")
    types = schema.get("type", [])
    names = [types] if isinstance(types, str) else types
    if not names:
        return "any value"
    return " or ".join(_list_in_words(schema) if name == "array" else _TYPES.get(name, name) for name in names)


def _list_in_words(schema: dict[str, Any]) -> str:
    items = schema.get("items")
    return f"list of {_plural(type_in_words(items))}" if isinstance(items, dict) and items else "list"


def _plural(kind: str) -> str:
    return {"object": "objects", "number": "numbers", "whole number": "whole numbers", "list": "lists"}.get(kind, kind)


def limits_in_words(schema: dict[str, Any]) -> str:
    """The bounds of a value, such as `1 to 200` or `at most 64 characters`; empty when there are none."""
    bounds = [
        _range(schema.get("minimum", schema.get("exclusiveMinimum")), schema.get("maximum"), ""),
        _range(schema.get("minLength"), schema.get("maxLength"), " characters"),
        _range(schema.get("minItems"), schema.get("maxItems"), " items"),
        _range(schema.get("minProperties"), schema.get("maxProperties"), " names"),
    ]
    words = ", ".join(bound for bound in bounds if bound)
    return words[:1].upper() + words[1:]


def _range(least: Any, most: Any, unit: str) -> str:
    if least is None and most is None:
        return ""
    if most is None:
        return f"at least {least:,}{unit}"
    return f"at most {most:,}{unit}" if not least else f"{least:,} to {most:,}{unit}"
