"""Gives fields of an object other names, all at once; absent ones are left out."""

from __future__ import annotations

from typing import Any

from domain.engine.actions.action import PURE, Action, Example
from domain.engine.actions.schemas import OBJECT, TEXT, object_schema


def run(inputs: dict[str, Any]) -> dict[str, Any]:
    source, renames = inputs["source"], inputs["renames"]
    moved = {rename["from"] for rename in renames}
    kept = {name: value for name, value in source.items() if name not in moved}
    named = {rename["to"]: source[rename["from"]] for rename in renames if rename["from"] in source}
    return {"object": {**kept, **named}}


ACTION = Action(
    id="transform.rename_fields",
    version=1,
    label="Rename fields",
    category="transform",
    description="Gives fields of an object other names, all at once; absent ones are left out.",
    input_schema=object_schema(
        source=OBJECT, renames={"type": "array", "items": object_schema((), **{"from": TEXT, "to": TEXT})}
    ),
    output_schema=object_schema(object=OBJECT),
    effect=PURE,
    example=Example(
        {"source": {"a": 1, "b": 2, "c": 3}, "renames": [{"from": "a", "to": "b"}, {"from": "b", "to": "a"}]},
        {"object": {"a": 2, "b": 1, "c": 3}},
    ),
    run=run,
)
