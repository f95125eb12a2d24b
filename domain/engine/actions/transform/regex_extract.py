"""Gives every place where a pattern matches, up to a number."""

from __future__ import annotations

from itertools import islice
from typing import Any

from domain.engine.actions.action import PURE, Action, Example
from domain.engine.actions.patterns import (
    INPUTS,
    MATCH,
    MAX_MATCHES,
    REQUIRE_MATCH,
    as_json,
    check_found,
    compiled_pattern,
)
from domain.engine.actions.schemas import BOOLEAN, described, object_schema

DEFAULT_MATCHES = 100
_MOST = {"type": "integer", "minimum": 1, "maximum": MAX_MATCHES}


def run(inputs: dict[str, Any]) -> dict[str, Any]:
    places = compiled_pattern(inputs).finditer(inputs["text"])
    matches = [as_json(place) for place in islice(places, int(inputs.get("maxMatches", DEFAULT_MATCHES)))]
    check_found(inputs, bool(matches))
    first = matches[0]["match"] if matches else None
    return {"matched": bool(matches), "count": len(matches), "first": first, "matches": matches}


ACTION = Action(
    id="transform.regex_extract",
    version=1,
    label="Extract by a pattern",
    category="transform",
    description="Gives every place where a pattern matches, from the left and without overlap.",
    input_schema=object_schema(
        ("flags", "requireMatch", "maxMatches"),
        **INPUTS,
        requireMatch=REQUIRE_MATCH,
        maxMatches=described(_MOST, f"The most places to give; {DEFAULT_MATCHES} unless given."),
    ),
    output_schema=object_schema(
        matched=BOOLEAN,
        count={"type": "integer"},
        first={"type": ["string", "null"]},
        matches={"type": "array", "items": MATCH},
    ),
    effect=PURE,
    example=Example(
        {"text": "a1, b22", "pattern": "[0-9]+"},
        {
            "matched": True,
            "count": 2,
            "first": "1",
            "matches": [
                {"match": "1", "index": 1, "groups": [], "namedGroups": {}},
                {"match": "22", "index": 5, "groups": [], "namedGroups": {}},
            ],
        },
    ),
    run=run,
)
