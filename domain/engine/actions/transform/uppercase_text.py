"""Writes a text in upper case."""

from __future__ import annotations

from typing import Any

from domain.engine.actions.action import PURE, Action, Example
from domain.engine.actions.schemas import TEXT_ONLY


def run(inputs: dict[str, Any]) -> dict[str, Any]:
    return {"text": inputs["text"].upper()}


ACTION = Action(
    id="transform.uppercase_text",
    version=1,
    label="Upper case",
    category="transform",
    description="Writes a text in upper case.",
    input_schema=TEXT_ONLY,
    output_schema=TEXT_ONLY,
    effect=PURE,
    example=Example({"text": "invoice é"}, {"text": "INVOICE É"}),
    run=run,
)
