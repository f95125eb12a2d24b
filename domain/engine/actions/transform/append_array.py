"""Adds values at the end of a list."""

from __future__ import annotations

from typing import Any

from domain.engine.actions.action import PURE, Action, Example
from domain.engine.actions.schemas import ANY_LIST, object_schema


def run(inputs: dict[str, Any]) -> dict[str, Any]:
    return {"items": [*inputs["items"], *inputs["values"]]}


ACTION = Action(
    id="transform.append_array",
    version=1,
    label="Append to a list",
    category="transform",
    description="Adds values at the end of a list.",
    input_schema=object_schema(items=ANY_LIST, values=ANY_LIST),
    output_schema=object_schema(items=ANY_LIST),
    effect=PURE,
    example=Example({"items": [1], "values": [2, [3]]}, {"items": [1, 2, [3]]}),
    run=run,
)
