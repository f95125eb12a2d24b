"""Makes a list of the given items."""

from __future__ import annotations

from typing import Any

from domain.engine.actions.action import PURE, Action, Example
from domain.engine.actions.schemas import ANY_LIST, object_schema


def run(inputs: dict[str, Any]) -> dict[str, Any]:
    return {"items": inputs["items"]}


ACTION = Action(
    id="transform.build_array",
    version=1,
    label="Build a list",
    category="transform",
    description="Makes a list of the given items.",
    input_schema=object_schema(items=ANY_LIST),
    output_schema=object_schema(items=ANY_LIST),
    effect=PURE,
    example=Example({"items": [1, "two", None]}, {"items": [1, "two", None]}),
    run=run,
)
