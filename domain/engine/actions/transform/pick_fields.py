"""Keeps the named fields of an object; absent ones are left out."""

from __future__ import annotations

from typing import Any

from domain.engine.actions.action import PURE, Action, Example
from domain.engine.actions.schemas import OBJECT, TEXT, object_schema


def run(inputs: dict[str, Any]) -> dict[str, Any]:
    source = inputs["source"]
    return {"object": {name: source[name] for name in inputs["fields"] if name in source}}


ACTION = Action(
    id="transform.pick_fields",
    version=1,
    label="Pick fields",
    category="transform",
    description="Keeps the named fields of an object; absent ones are left out.",
    input_schema=object_schema(source=OBJECT, fields={"type": "array", "items": TEXT}),
    output_schema=object_schema(object=OBJECT),
    effect=PURE,
    example=Example(
        {"source": {"id": 7, "secretish": "x", "name": "Ada"}, "fields": ["id", "name"]},
        {"object": {"id": 7, "name": "Ada"}},
    ),
    run=run,
)
