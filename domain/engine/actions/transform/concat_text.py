"""Puts values one after the other, with a separator between them."""

from __future__ import annotations

from typing import Any

from domain.engine.actions.action import PURE, Action, Example
from domain.engine.actions.schemas import SCALARS, SEPARATOR, TEXT, object_schema
from domain.engine.actions.texts import joined


def run(inputs: dict[str, Any]) -> dict[str, Any]:
    return {"text": joined(inputs["values"], inputs.get("separator", ""))}


ACTION = Action(
    id="transform.concat_text",
    version=1,
    label="Concatenate text",
    category="transform",
    description="Puts values one after the other, with a separator between them.",
    input_schema=object_schema(("separator",), values=SCALARS, separator=SEPARATOR),
    output_schema=object_schema(text=TEXT),
    effect=PURE,
    example=Example({"values": ["INV", 42], "separator": "-"}, {"text": "INV-42"}),
    run=run,
)
