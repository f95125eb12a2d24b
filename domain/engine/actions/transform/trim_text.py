"""Removes white space at both ends of a text."""

from __future__ import annotations

from typing import Any

from domain.engine.actions.action import PURE, Action, Example
from domain.engine.actions.schemas import TEXT_ONLY


def run(inputs: dict[str, Any]) -> dict[str, Any]:
    return {"text": inputs["text"].strip()}


ACTION = Action(
    id="transform.trim_text",
    version=1,
    label="Trim text",
    category="transform",
    description="Removes white space at both ends of a text.",
    input_schema=TEXT_ONLY,
    output_schema=TEXT_ONLY,
    effect=PURE,
    example=Example({"text": "  net 30\n"}, {"text": "net 30"}),
    run=run,
)
