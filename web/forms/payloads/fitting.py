"""Whether a value can stand in a shape. Only for choosing controls: the schema itself judges the payload."""

from __future__ import annotations

from typing import Any

from domain.kernel import strict_json
from web.forms.payloads.matching import is_match
from web.forms.payloads.shapes import Shape

KEPT = {"$kept": True}


def best_variant(shape: Shape, value: Any) -> int | None:
    """The index of the first variant that the value fits, else of the first with its type; None for neither."""
    for judge in (is_fitting, is_showable):
        for index, variant in enumerate(shape.variants):
            if judge(variant, value):
                return index
    return None


def is_showable(shape: Shape, value: Any) -> bool:
    """Whether the controls of the shape can hold this value without a change."""
    if value is None and shape.is_nullable:
        return True
    match shape.kind:
        case "string":
            return isinstance(value, str) and "\r" not in value
        case "integer" | "number":
            return is_number(value)
        case "object":
            return isinstance(value, dict)
        case "list":
            return isinstance(value, list)
        case "select":
            return strict_json.dumps(value) in {option.value for option in shape.options}
        case "choice":
            return best_variant(shape, value) is not None
    return shape.kind in ("any", "secret")


def is_fitting(shape: Shape, value: Any) -> bool:
    """Whether the value looks made for the shape: its type, its fixed members and the names of its members."""
    if not is_showable(shape, value):
        return False
    match value:
        case dict() if shape.kind == "object":
            return _has_fitting_members(shape, value)
        case str() if shape.kind == "string":
            return _has_length(shape.schema, value) and _is_matching(shape.schema, value)
        case int() | float() if shape.kind in ("integer", "number"):
            whole = shape.kind == "number" or float(value).is_integer()
            return whole and shape.schema.get("minimum", value) <= value <= shape.schema.get("maximum", value)
        case list() if shape.kind == "list":
            return all(is_fitting(shape.item(index), item) for index, item in enumerate(value[:3]))
    return True


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _has_fitting_members(shape: Shape, value: dict[str, Any]) -> bool:
    if any(name not in value for name in shape.required):
        return False
    if shape.schema.get("additionalProperties") is False and not shape.has_rows and value.keys() - shape.properties:
        return False
    members = ((shape.member(name), value[name]) for name in shape.properties if name in value)
    return all(is_showable(member, inside) for member, inside in members)


def _has_length(schema: dict[str, Any], text: str) -> bool:
    return bool(schema.get("minLength", 0) <= len(text) <= schema.get("maxLength", len(text)))


def _is_matching(schema: dict[str, Any], text: str) -> bool:
    return "pattern" not in schema or is_match(schema["pattern"], text)
