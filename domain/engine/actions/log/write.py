"""Writes a line to the structured log; the step's output keeps it readable beside the run."""

from __future__ import annotations

from typing import Any

from domain.engine.actions.action import LOCAL, Action, ActionContext, Example
from domain.engine.actions.schemas import OBJECT, object_schema
from domain.kernel.log import logger

LEVELS = ("debug", "info", "warning", "error")
_LINE = object_schema(
    ("level", "fields"),
    level={"enum": list(LEVELS), "description": "info unless given."},
    message={"type": "string", "maxLength": 4_000},
    fields=OBJECT,
)


def run(inputs: dict[str, Any], context: ActionContext) -> dict[str, Any]:
    line = {"level": inputs.get("level", "info"), "message": inputs["message"], "fields": inputs.get("fields", {})}
    # The author's words and fields stand in fields of their own: they can neither forge ours nor be taken for ours.
    logger(__name__).log(
        LEVELS.index(line["level"]) * 10 + 10,
        "A workflow wrote to the log",
        message=line["message"],
        fields=line["fields"],
        tenant_id=str(context.tenant_id),
        workflow_id=str(context.workflow_id),
        run_id=str(context.run_id),
        step_path=context.step_path,
        iteration=context.iteration,
    )
    return line


ACTION = Action(
    id="log.write",
    version=1,
    label="Write to the log",
    category="log",
    description="Writes a message with fields to the log of this installation and of the run.",
    input_schema=_LINE,
    output_schema=object_schema(**_LINE["properties"]),
    effect=LOCAL,
    example=Example(
        {"message": "Invoice sent", "fields": {"number": 42}},
        {"level": "info", "message": "Invoice sent", "fields": {"number": 42}},
    ),
    run=run,
)
