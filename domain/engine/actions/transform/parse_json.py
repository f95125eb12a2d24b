"""Reads a JSON text; a list or an object is passed on as it is."""

from __future__ import annotations

from typing import Any

from domain.engine.actions.action import PURE, Action, Example
from domain.engine.actions.schemas import ANY, object_schema
from domain.engine.actions.texts import json_type
from domain.engine.failures import VALIDATION, StepFailed
from domain.engine.recorded_values import MAX_RECORDED_BYTES
from domain.kernel import strict_json
from domain.kernel.errors import Refused


def run(inputs: dict[str, Any]) -> dict[str, Any]:
    source = inputs["source"]
    try:
        value = strict_json.loads(source, max_bytes=MAX_RECORDED_BYTES) if isinstance(source, str) else source
    except Refused as refusal:
        raise StepFailed(str(refusal), "INVALID_JSON", VALIDATION) from None
    return {"value": value, "type": json_type(value)}


ACTION = Action(
    id="transform.parse_json",
    version=1,
    label="Parse JSON",
    category="transform",
    description="Reads a JSON text; a list or an object is passed on as it is.",
    input_schema=object_schema(source={"type": ["string", "array", "object"]}),
    output_schema=object_schema(value=ANY, type={"enum": ["object", "array", "string", "number", "boolean", "null"]}),
    effect=PURE,
    example=Example({"source": '{"total": 12.5}'}, {"value": {"total": 12.5}, "type": "object"}),
    run=run,
)
