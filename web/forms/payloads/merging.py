"""One schema out of a schema, what it refers to and what it must fit besides: the keywords that matter for a form."""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable
from typing import Any

from domain.kernel import strict_json
from domain.workflows.schema_graph import subschemas

ALTERNATIVES = ("oneOf", "anyOf")
MAX_FOLLOWED = 40  # references and allOf members in place of one another; an accepted schema has no circle of them
_MOST = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_LEAST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_REFERENCES = ("$ref", "$dynamicRef")


def flat_schema(schema: Any, root: dict[str, Any], depth: int = 0) -> dict[str, Any] | None:
    """The keywords that judge the same value, references and `allOf` followed; None for a schema that nothing fits.

    Keywords of the schema itself win over those it refers to. An empty schema for what cannot be followed.
    """
    if schema is False:
        return None
    if not isinstance(schema, dict) or depth > MAX_FOLLOWED:
        return {}
    parts = [_target(root, schema[word]) for word in _REFERENCES if word in schema] + list(schema.get("allOf", ()))
    merged: dict[str, Any] = {}
    for part in parts:
        flat = flat_schema(part, root, depth + 1)
        if flat is None:
            return None
        merged = _merged(merged, flat)
    own = {key: value for key, value in schema.items() if key not in (*_REFERENCES, "allOf")}
    both = _merged(merged, own)
    return None if both.get("type") == [] or both.get("enum") == [] else both


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    both = {**one, **other}
    for key in one.keys() & other.keys():
        if key in _RULES:
            both[key] = _RULES[key](one[key], other[key])
    return both


def _union(one: list[Any], other: list[Any]) -> list[Any]:
    return list(dict.fromkeys([*one, *other]))


def _members(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    return {**one, **other, **{key: _together(one[key], other[key]) for key in one.keys() & other.keys()}}


def _together(one: Any, other: Any) -> Any:
    if one is True or other is True or one == other:
        return other if one is True else one
    return False if one is False or other is False else {"allOf": [one, other]}


def _types(one: Any, other: Any) -> Any:
    first, second = ([names] if isinstance(names, str) else names for names in (one, other))
    shared = [name for name in first if name in second]
    if "integer" not in shared and "integer" in {*first, *second} and "number" in {*first, *second}:
        shared.append("integer")
    return shared


def _values(one: list[Any], other: list[Any]) -> list[Any]:
    wanted = {strict_json.dumps(value) for value in other}
    return [value for value in one if strict_json.dumps(value) in wanted]


_RULES: dict[str, Callable[[Any, Any], Any]] = {
    "properties": _members,
    "patternProperties": _members,
    "additionalProperties": _together,
    "items": _together,
    "required": _union,
    "type": _types,
    "enum": _values,
    "x-secret": lambda one, other: one or other,
    **dict.fromkeys(_MOST, max),
    **dict.fromkeys(_LEAST, min),
}


def _target(root: dict[str, Any], reference: Any) -> Any:
    """The subschema that a reference inside the document leads to; True, which says nothing, when it leads nowhere."""
    if not isinstance(reference, str) or not reference.startswith("#"):
        return True
    fragment = urllib.parse.unquote(reference[1:])
    if fragment and not fragment.startswith("/"):
        anchors = ("$anchor", "$dynamicAnchor")
        parts = (part for _, part in subschemas(root) if isinstance(part, dict))
        return next((part for part in parts if fragment in (part.get(word) for word in anchors)), True)
    place: Any = root
    for token in fragment.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        if isinstance(place, list):
            place = place[int(key)] if key.isdecimal() and int(key) < len(place) else True
        else:
            place = place.get(key, True) if isinstance(place, dict) else True
    return place
