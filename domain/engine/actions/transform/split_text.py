"""Cuts a text at every delimiter into a list of texts."""

from __future__ import annotations

from typing import Any

from domain.engine.actions.action import PURE, Action, Example
from domain.engine.actions.schemas import BOOLEAN, TEXT, object_schema


def run(inputs: dict[str, Any]) -> dict[str, Any]:
    parts = inputs["text"].split(inputs["delimiter"])
    return {"items": [part for part in parts if part] if inputs.get("removeEmpty", False) else parts}


ACTION = Action(
    id="transform.split_text",
    version=1,
    label="Split text",
    category="transform",
    description="Cuts a text at every delimiter into a list of texts.",
    input_schema=object_schema(
        ("removeEmpty",),
        text=TEXT,
        delimiter={"type": "string", "minLength": 1, "maxLength": 1_000},
        removeEmpty=BOOLEAN,
    ),
    output_schema=object_schema(items={"type": "array", "items": TEXT}),
    effect=PURE,
    example=Example({"text": "a,,b", "delimiter": ",", "removeEmpty": True}, {"items": ["a", "b"]}),
    run=run,
)
