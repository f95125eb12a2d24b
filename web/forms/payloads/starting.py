"""What a new payload begins with: the defaults that its schema names, and what has only one possible value."""

from __future__ import annotations

from typing import Any

from domain.kernel import strict_json
from web.forms.payloads.nodes import ABSENT
from web.forms.payloads.shapes import Shape

DEEPEST = 6


def starting_value(shape: Shape, depth: int = 0) -> Any:
    """The value to begin with, or ABSENT when someone has to say it. Never a guess."""
    if shape.kind in ("secret", "never"):
        return ABSENT
    if "default" in shape.schema:
        return shape.schema["default"]
    if shape.kind == "select" and len(shape.options) == 1:
        return strict_json.loads(shape.options[0].value)
    if shape.kind == "object":
        return _members(shape, depth) if depth < DEEPEST else ABSENT
    return [] if shape.kind == "list" else ABSENT


def carried_value(shape: Shape, value: Any) -> Any:
    """What a variant begins with when another is left: its own start, and the members that both know."""
    start = starting_value(shape)
    if not (isinstance(start, dict) and isinstance(value, dict)):
        return start
    return {name: value[name] for name in shape.properties if name in value} | start


def _members(shape: Shape, depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in shape.properties:
        member = shape.member(name)
        if name in shape.required or "default" in member.schema:
            start = starting_value(member, depth + 1)
            if start is not ABSENT:
                found[name] = start
    return found
