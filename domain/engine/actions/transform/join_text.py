"""Makes one text of the items of a list, with a delimiter between them."""

from __future__ import annotations

from typing import Any

from domain.engine.actions.action import PURE, Action, Example
from domain.engine.actions.schemas import SCALARS, SEPARATOR, TEXT, described, object_schema
from domain.engine.actions.texts import joined


def run(inputs: dict[str, Any]) -> dict[str, Any]:
    return {"text": joined(inputs["items"], inputs.get("delimiter", ","))}


ACTION = Action(
    id="transform.join_text",
    version=1,
    label="Join a list",
    category="transform",
    description="Makes one text of the items of a list, with a delimiter between them.",
    input_schema=object_schema(("delimiter",), items=SCALARS, delimiter=described(SEPARATOR, "A comma unless given.")),
    output_schema=object_schema(text=TEXT),
    effect=PURE,
    example=Example({"items": ["red", "green", 3], "delimiter": "; "}, {"text": "red; green; 3"}),
    run=run,
)
