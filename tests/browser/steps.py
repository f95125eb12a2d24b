"""Workflows that more than one journey publishes."""

from __future__ import annotations

from domain.demo_workflows import DemoWorkflow, expr, give_back
from tests.browser.site import SCHEMA_REF

EVENT = "batch.wanted"
_ASK = {
    "id": "ask",
    "type": "human.task",
    "config": {
        "taskType": "batch approval",
        "title": expr('"Take " & payload.region & "?"'),
        "description": "Batches are looked at first.",
    },
}
ASKING = DemoWorkflow("Careful batch", "Asks a person first.", SCHEMA_REF, [_ASK, give_back(expr("task.answer"))])
"""Waits until a person has answered, and gives back what they said."""
