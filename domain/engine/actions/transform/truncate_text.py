"""Shortens a text to a length, ellipsis included, at its end, start or middle."""

from __future__ import annotations

from typing import Any

from domain.engine.actions.action import PURE, Action, Example
from domain.engine.actions.schemas import TEXT, described, object_schema


def run(inputs: dict[str, Any]) -> dict[str, Any]:
    text, length = inputs["text"], int(inputs["maxLength"])
    if len(text) <= length:
        return {"text": text}
    ellipsis = inputs.get("ellipsis", "…")[:length]
    kept = length - len(ellipsis)
    head = {"end": kept, "start": 0, "middle": (kept + 1) // 2}[inputs.get("strategy", "end")]
    return {"text": text[:head] + ellipsis + text[len(text) - (kept - head) :]}


ACTION = Action(
    id="transform.truncate_text",
    version=1,
    label="Truncate text",
    category="transform",
    description="Shortens a text to a length, ellipsis included, at its end, start or middle.",
    input_schema=object_schema(
        ("strategy", "ellipsis"),
        text=TEXT,
        maxLength={"type": "integer", "minimum": 0, "maximum": 262_144},
        strategy=described({"enum": ["end", "start", "middle"]}, "Where text is left out; at the end unless given."),
        ellipsis={"type": "string", "maxLength": 100},
    ),
    output_schema=object_schema(text=TEXT),
    effect=PURE,
    example=Example({"text": "Quarterly report", "maxLength": 10, "strategy": "end"}, {"text": "Quarterly…"}),
    run=run,
)
