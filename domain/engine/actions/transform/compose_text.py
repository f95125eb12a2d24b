"""Writes texts in Markdown from documents of paragraphs, headings, lists, quotes and code, with values filled in."""

from __future__ import annotations

from typing import Any

from domain.engine.actions.action import PURE, Action, Example
from domain.engine.actions.documents import OUTPUTS, markdown, outputs_problems
from domain.engine.actions.schemas import TEXT, object_schema
from domain.engine.actions.texts import check_length
from domain.engine.failures import VALIDATION, StepFailed


def run(inputs: dict[str, Any]) -> dict[str, Any]:
    outputs = inputs["outputs"]
    if problem := next(outputs_problems(outputs), None):
        raise StepFailed(problem, "INVALID_DOCUMENT", VALIDATION)
    texts: dict[str, str] = {}
    for output in outputs:
        texts[output["stableKey"]] = markdown(output["document"], output["stableKey"])
        check_length(sum(map(len, texts.values())))
    return texts


ACTION = Action(
    id="transform.compose_text",
    version=1,
    label="Compose text",
    category="transform",
    description="Writes texts in Markdown from documents with values filled in; a missing value fails the step.",
    input_schema=object_schema(outputs=OUTPUTS),
    output_schema={"type": "object", "additionalProperties": TEXT},
    effect=PURE,
    example=Example(
        {
            "outputs": [
                {
                    "stableKey": "mail",
                    "label": "Mail",
                    "document": {
                        "version": 1,
                        "blocks": [
                            {"type": "heading", "level": 1, "children": [{"type": "text", "text": "Invoice"}]},
                            {
                                "type": "paragraph",
                                "children": [
                                    {"type": "text", "text": "Dear "},
                                    {"type": "reference", "path": "payload.name", "value": "Ada"},
                                    {"type": "text", "text": ", it is "},
                                    {"type": "text", "text": "due", "marks": ["bold"]},
                                    {"type": "text", "text": "."},
                                ],
                            },
                        ],
                    },
                }
            ]
        },
        {"mail": "# Invoice\n\nDear Ada, it is **due**."},
    ),
    run=run,
)
