"""Writes a value as JSON text, indented by up to eight spaces."""

from __future__ import annotations

import json
from typing import Any

from domain.engine.actions.action import PURE, Action, Example
from domain.engine.actions.schemas import ANY, TEXT, object_schema


def run(inputs: dict[str, Any]) -> dict[str, Any]:
    spacing = int(inputs.get("spacing", 0))
    separators = (",", ": ") if spacing else (",", ":")
    return {"text": json.dumps(inputs["source"], indent=spacing or None, separators=separators, ensure_ascii=False)}


ACTION = Action(
    id="transform.stringify_json",
    version=1,
    label="Write JSON",
    category="transform",
    description="Writes a value as JSON text, indented by up to eight spaces.",
    input_schema=object_schema(("spacing",), source=ANY, spacing={"type": "integer", "minimum": 0, "maximum": 8}),
    output_schema=object_schema(text=TEXT),
    effect=PURE,
    example=Example({"source": {"id": 7}, "spacing": 0}, {"text": '{"id":7}'}),
    run=run,
)
