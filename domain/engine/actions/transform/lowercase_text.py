"""Writes a text in lower case."""

from __future__ import annotations

from typing import Any

from domain.engine.actions.action import PURE, Action, Example
from domain.engine.actions.schemas import TEXT_ONLY


def run(inputs: dict[str, Any]) -> dict[str, Any]:
    return {"text": inputs["text"].lower()}


ACTION = Action(
    id="transform.lowercase_text",
    version=1,
    label="Lower case",
    category="transform",
    description="Writes a text in lower case.",
    input_schema=TEXT_ONLY,
    output_schema=TEXT_ONLY,
    effect=PURE,
    example=Example({"text": "Ärger NOW"}, {"text": "ärger now"}),
    run=run,
)
