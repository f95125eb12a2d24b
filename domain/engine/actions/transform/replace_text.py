"""Puts another text in place of every occurrence, or of the first one only."""

from __future__ import annotations

from typing import Any

from domain.engine.actions.action import PURE, Action, Example
from domain.engine.actions.schemas import BOOLEAN, TEXT, described, object_schema
from domain.engine.actions.texts import check_length


def run(inputs: dict[str, Any]) -> dict[str, Any]:
    text, search, replacement = inputs["text"], inputs["search"], inputs["replacement"]
    times = text.count(search) if inputs.get("replaceAll", True) else 1
    check_length(len(text) + times * (len(replacement) - len(search)))
    return {"text": text.replace(search, replacement, times)}


ACTION = Action(
    id="transform.replace_text",
    version=1,
    label="Replace text",
    category="transform",
    description="Puts another text in place of every occurrence, or of the first one only.",
    input_schema=object_schema(
        ("replaceAll",),
        text=TEXT,
        search={"type": "string", "minLength": 1},
        replacement=TEXT,
        replaceAll=described(BOOLEAN, "True unless given."),
    ),
    output_schema=object_schema(text=TEXT),
    effect=PURE,
    example=Example({"text": "a-b-c", "search": "-", "replacement": "+", "replaceAll": False}, {"text": "a+b-c"}),
    run=run,
)
