"""What an operator reads when a payload does not fit its schema.

No message contains a value of the payload: only names, and what the schema itself says.
"""

from __future__ import annotations

from typing import Any

import jsonschema_rs

from domain.kernel import strict_json
from domain.kernel.errors import Problem
from domain.kernel.strict_json import pointer

SHOWN_OPTIONS = 10
SHOWN_CHARACTERS = 60

_TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "an object",
    "array": "a list",
    "null": "null",
}
_FORMATS = {
    "date": "a date such as 2026-01-31",
    "date-time": "a date and time with its offset such as 2026-01-31T09:00:00Z",
    "time": "a time with its offset such as 09:00:00Z",
    "duration": "a duration such as P1DT2H",
    "email": "an e-mail address",
    "uri": "an address such as https://example.com/path",
    "uuid": "a UUID",
    "ipv4": "an IPv4 address",
    "ipv6": "an IPv6 address",
    "hostname": "a host name",
    "regex": "a regular expression",
}
_LIMITS = {
    "minimum": "must be at least {}",
    "maximum": "must be at most {}",
    "exclusiveMinimum": "must be more than {}",
    "exclusiveMaximum": "must be less than {}",
    "minLength": "must have at least {} characters",
    "maxLength": "must have at most {} characters",
    "minItems": "must have at least {} items",
    "maxItems": "must have at most {} items",
    "minProperties": "must have at least {} members",
    "maxProperties": "must have at most {} members",
}
_FIXED = {
    "uniqueItems": "must not have the same item twice",
    "contains": "does not have the items asked for",
    "falseSchema": "must be left out",
    "not": "is of a form that is not allowed",
}


def payload_problem(error: jsonschema_rs.ValidationError) -> list[Problem]:
    """The problems that one validation error stands for: one, or one per unknown member."""
    where = list(error.instance_path)
    kind = error.kind
    keyword = kind.name
    facts = kind.as_dict()
    code = _code(keyword)
    if keyword in ("additionalProperties", "unevaluatedProperties"):
        return [
            Problem(pointer([*where, name]), f"{_name(name)} is not a known field", code)
            for name in facts["unexpected"]
        ]
    if keyword == "required":
        name = facts["property"]
        return [Problem(pointer([*where, name]), f"{_name(name)} is required", code)]
    if keyword == "propertyNames":
        key = facts["error"].instance
        return [Problem(pointer([*where, str(key)]), "this name is not allowed here", code)]
    if keyword in ("anyOf", "oneOf"):
        return [Problem(pointer(where), _alternatives(where, facts), code)]
    return [Problem(pointer(where), _message(keyword, facts), code)]


def _message(keyword: str, facts: dict[str, Any]) -> str:
    match keyword:
        case "type":
            return "must be " + " or ".join(_TYPES.get(name, name) for name in facts["types"])
        case "enum":
            return "must be one of " + _options(facts["options"])
        case "const":
            return "must be " + _shown(facts["expected_value"])
        case "pattern":
            return f"must match the pattern {_cut(facts['pattern'])}"
        case "format":
            name = facts["format"]
            return "must be " + _FORMATS.get(name, f"a valid {_cut(name)}")
        case "multipleOf":
            return f"must be a multiple of {facts['multiple_of']}"
        case _ if keyword in _LIMITS:
            message = _LIMITS[keyword].format(facts["limit"])
            return message.removesuffix("s") if facts["limit"] == 1 else message
        case _:
            return _FIXED.get(keyword, f"does not satisfy {_cut(keyword)}")


def _alternatives(where: list[str | int], facts: dict[str, Any]) -> str:
    branches = facts.get("context", [])
    if any(not errors for errors in branches):
        return "matches more than one of the allowed forms, and must match exactly one"
    firsts: list[str] = []
    for errors in branches[:SHOWN_OPTIONS]:
        problem = payload_problem(errors[0])[0]
        inside = problem.path.removeprefix(pointer(where)).removeprefix("/")
        firsts.append(
            problem.message if not inside or problem.code == "REQUIRED" else f"{_cut(inside)} {problem.message}"
        )
    return "matches none of the allowed forms: " + "; or ".join(dict.fromkeys(firsts))


def _options(options: list[Any]) -> str:
    shown = ", ".join(_shown(option) for option in options[:SHOWN_OPTIONS])
    return shown + (", …" if len(options) > SHOWN_OPTIONS else "")


def _shown(value: Any) -> str:
    return _cut(value if isinstance(value, str) and value else strict_json.dumps(value))


def _name(name: str) -> str:
    return _cut(name) if name.strip() else strict_json.dumps(name)


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…"


def _code(keyword: str) -> str:
    """MIN_ITEMS from minItems."""
    return "".join("_" + letter if letter.isupper() else letter.upper() for letter in keyword)
