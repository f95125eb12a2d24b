"""Short ways to write the schemas of actions."""

from __future__ import annotations

from typing import Any

TEXT: dict[str, Any] = {"type": "string"}
SEPARATOR: dict[str, Any] = {"type": "string", "maxLength": 1_000}
BOOLEAN: dict[str, Any] = {"type": "boolean"}
NUMBER: dict[str, Any] = {"type": "number"}
ANY: dict[str, Any] = {}
OBJECT: dict[str, Any] = {"type": "object"}
ANY_LIST: dict[str, Any] = {"type": "array"}
SCALARS: dict[str, Any] = {"type": "array", "items": {"type": ["string", "number", "boolean", "null"]}}


def object_schema(optional: tuple[str, ...] = (), **fields: dict[str, Any]) -> dict[str, Any]:
    """The schema of an object with exactly these fields, all required but the `optional` ones."""
    required = [name for name in fields if name not in optional]
    return {"type": "object", "properties": fields, "required": required, "additionalProperties": False}


def described(schema: dict[str, Any], description: str) -> dict[str, Any]:
    """The schema with a description for whoever fills the field in."""
    return {**schema, "description": description}


TEXT_ONLY = object_schema(text=TEXT)
