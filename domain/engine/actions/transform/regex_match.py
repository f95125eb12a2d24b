"""Looks for the first place where a pattern matches."""

from __future__ import annotations

from typing import Any

from domain.engine.actions.action import PURE, Action, Example
from domain.engine.actions.patterns import GROUPS, INPUTS, REQUIRE_MATCH, as_json, check_found, compiled_pattern
from domain.engine.actions.schemas import BOOLEAN, object_schema

_NOTHING: dict[str, Any] = {"match": None, "index": None, "groups": [], "namedGroups": {}}


def run(inputs: dict[str, Any]) -> dict[str, Any]:
    match = compiled_pattern(inputs).search(inputs["text"])
    check_found(inputs, match is not None)
    return {"matched": match is not None, **(as_json(match) if match else _NOTHING)}


ACTION = Action(
    id="transform.regex_match",
    version=1,
    label="Match a pattern",
    category="transform",
    description="Looks for the first place where a pattern matches, and gives its groups.",
    input_schema=object_schema(("flags", "requireMatch"), **INPUTS, requireMatch=REQUIRE_MATCH),
    output_schema=object_schema(
        (), matched=BOOLEAN, match={"type": ["string", "null"]}, index={"type": ["integer", "null"]}, **GROUPS
    ),
    effect=PURE,
    example=Example(
        {"text": "Invoice INV-42", "pattern": "(?P<kind>[A-Z]+)-([0-9]+)"},
        {"matched": True, "match": "INV-42", "index": 8, "groups": ["INV", "42"], "namedGroups": {"kind": "INV"}},
    ),
    run=run,
)
