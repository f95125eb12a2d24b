"""The payload schemas that every tenant has. They are code: nobody registers, replaces or deletes them."""

from __future__ import annotations

from typing import Any

EMPTY_REF = "payload.Empty.v1"
CLOCK_REF = "trigger.clock.v1"
CLOCK_ALIAS = "payload.WorkflowClockTrigger.v1"
APPROVAL_REF = "task.Approval.v1"

_INSTANT = {"type": "string", "format": "date-time"}

EMPTY_SCHEMA: dict[str, Any] = {
    "title": "Nothing",
    "description": "A strict empty object: the workflow takes no payload.",
    "type": "object",
    "additionalProperties": False,
}

CLOCK_SCHEMA: dict[str, Any] = {
    "title": "Clock",
    "description": "Filled in when the workflow starts: which schedule started it, for which instant.",
    "type": "object",
    "properties": {
        "triggerType": {"enum": ["schedule", "recurring", "manual"]},
        "scheduleId": {"type": "string", "format": "uuid"},
        "scheduledFor": _INSTANT,
        "firedAt": _INSTANT,
        "timezone": {"type": "string", "minLength": 1, "maxLength": 64},
        "workflowId": {"type": "string", "format": "uuid"},
        "workflowVersion": {"type": "integer", "minimum": 1},
        "cron": {"type": "string", "minLength": 1, "maxLength": 128},
    },
    "required": [
        "triggerType",
        "scheduleId",
        "scheduledFor",
        "firedAt",
        "timezone",
        "workflowId",
        "workflowVersion",
    ],
    "if": {"properties": {"triggerType": {"const": "recurring"}}},
    "then": {"required": ["cron"]},
    # A recurring schedule that was run by hand may say its cron; a one-time schedule has none.
    "else": {"if": {"properties": {"triggerType": {"const": "schedule"}}}, "then": {"properties": {"cron": False}}},
    "additionalProperties": False,
}

APPROVAL_SCHEMA: dict[str, Any] = {
    "title": "Approval",
    "description": "A decision with an optional comment.",
    "type": "object",
    "properties": {
        "approved": {"type": "boolean", "title": "Approved"},
        "comment": {"type": "string", "title": "Comment", "maxLength": 2_000},
    },
    "required": ["approved"],
    "additionalProperties": False,
}

BUILT_IN: dict[str, dict[str, Any]] = {
    EMPTY_REF: EMPTY_SCHEMA,
    CLOCK_REF: CLOCK_SCHEMA,
    CLOCK_ALIAS: CLOCK_SCHEMA,
    APPROVAL_REF: APPROVAL_SCHEMA,
}


def is_clock_ref(ref: str | None) -> bool:
    """Whether payloads of this ref are made at launch instead of being written by someone."""
    return ref in (CLOCK_REF, CLOCK_ALIAS)
