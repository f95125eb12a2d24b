"""Picks the first candidate that is not null, and says which one it was."""

from __future__ import annotations

from typing import Any

from domain.engine.actions.action import PURE, Action, Example
from domain.engine.actions.schemas import ANY, ANY_LIST, BOOLEAN, object_schema


def run(inputs: dict[str, Any]) -> dict[str, Any]:
    missing = (None, "") if inputs.get("treatEmptyStringAsMissing", False) else (None,)
    for index, candidate in enumerate(inputs["candidates"]):
        if candidate is None or (isinstance(candidate, str) and candidate in missing):
            continue
        return {"value": candidate, "matchedIndex": index}
    return {"value": None, "matchedIndex": None}


ACTION = Action(
    id="transform.coalesce_value",
    version=1,
    label="First value present",
    category="transform",
    description="Picks the first candidate that is not null, and says which one it was.",
    input_schema=object_schema(("treatEmptyStringAsMissing",), candidates=ANY_LIST, treatEmptyStringAsMissing=BOOLEAN),
    output_schema=object_schema(value=ANY, matchedIndex={"type": ["integer", "null"]}),
    effect=PURE,
    example=Example(
        {"candidates": [None, "", "second"], "treatEmptyStringAsMissing": True}, {"value": "second", "matchedIndex": 2}
    ),
    run=run,
)
