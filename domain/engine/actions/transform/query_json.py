"""Asks a question of a value with an expression."""

from __future__ import annotations

from typing import Any

from domain.engine.actions.action import PURE, Action, Example
from domain.engine.actions.schemas import ANY, object_schema
from domain.engine.failures import expression_failed
from domain.expressions import MAX_CHARACTERS, ExpressionError, parse


def run(inputs: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"value": parse(inputs["expression"]).evaluate({"source": inputs["source"]})}
    except ExpressionError as error:
        raise expression_failed(error) from None


ACTION = Action(
    id="transform.query_json",
    version=1,
    label="Query JSON",
    category="transform",
    description="Asks a question of a value with an expression, in which the value is called source.",
    input_schema=object_schema(
        source=ANY,
        expression={
            "type": "string",
            "minLength": 1,
            "maxLength": MAX_CHARACTERS,
            "description": "JSONata over source, such as source.lines[price > 10].name.",
        },
    ),
    output_schema=object_schema(value=ANY),
    effect=PURE,
    example=Example(
        {"source": {"lines": [{"price": 5}, {"price": 20}]}, "expression": "$sum(source.lines.price)"}, {"value": 25}
    ),
    run=run,
)
