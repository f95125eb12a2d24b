"""Makes an object of keys and values; a later key replaces an equal earlier one."""

from __future__ import annotations

from typing import Any

from domain.engine.actions.action import PURE, Action, Example
from domain.engine.actions.schemas import ANY, OBJECT, TEXT, object_schema


def run(inputs: dict[str, Any]) -> dict[str, Any]:
    return {"object": {field["key"]: field["value"] for field in inputs["fields"]}}


ACTION = Action(
    id="transform.build_object",
    version=1,
    label="Build an object",
    category="transform",
    description="Makes an object of keys and values; a later key replaces an equal earlier one.",
    input_schema=object_schema(fields={"type": "array", "items": object_schema(key=TEXT, value=ANY)}),
    output_schema=object_schema(object=OBJECT),
    effect=PURE,
    example=Example(
        {"fields": [{"key": "id", "value": 7}, {"key": "open", "value": True}]}, {"object": {"id": 7, "open": True}}
    ),
    run=run,
)
