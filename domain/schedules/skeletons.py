"""A payload to begin with: what a schema requires, and the defaults it names. It shows the shape; it need not fit yet."""

from __future__ import annotations

from typing import Any

DEEPEST = 6
_EMPTY: dict[str, Any] = {"string": "", "integer": 0, "number": 0, "boolean": False, "array": [], "object": {}}


def skeleton_of(schema: Any) -> dict[str, Any]:
    """The object that `schema` (JSON Schema 2020-12, local references only) asks for, as far as it can be told."""
    found = _value(schema, schema, 0)
    return found if isinstance(found, dict) else {}


def _value(schema: Any, root: Any, depth: int) -> Any:
    schema = _resolved(schema, root)
    for key in ("default", "const"):
        if key in schema:
            return schema[key]
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return schema["enum"][0]
    if "properties" in schema or "required" in schema:
        return _members(schema, root, depth)
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) and kind else kind
    if kind in ("integer", "number"):
        return schema.get("minimum", 0)
    empty = _EMPTY.get(kind) if isinstance(kind, str) else None
    return empty.copy() if isinstance(empty, dict | list) else empty


def _members(schema: dict[str, Any], root: Any, depth: int) -> dict[str, Any]:
    properties = schema.get("properties")
    properties = properties if isinstance(properties, dict) else {}
    required = [name for name in schema.get("required", []) if isinstance(name, str)]
    named = [name for name, part in properties.items() if name in required or _has_default(part, root)]
    if depth >= DEEPEST:
        return {}
    names = [*named, *(name for name in required if name not in properties)]
    return {name: _value(properties.get(name, {}), root, depth + 1) for name in names}


def _has_default(part: Any, root: Any) -> bool:
    return "default" in _resolved(part, root)


def _resolved(schema: Any, root: Any) -> dict[str, Any]:
    """The schema behind a chain of references into the same document; an empty one for what cannot be followed."""
    for _ in range(DEEPEST):
        if not isinstance(schema, dict):
            return {}
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            return schema
        schema = _at(root, reference)
    return {}


def _at(root: Any, reference: str) -> Any:
    if not reference.startswith("#"):
        return None
    place = root
    for part in reference.removeprefix("#").split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        place = place.get(key) if isinstance(place, dict) else None
    return place
