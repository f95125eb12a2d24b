"""A payload to begin with when someone starts a workflow by hand: it shows the shape, and fits as far as that is known."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from domain.workflows.built_in_schemas import is_clock_ref
from domain.workflows.versions import WorkflowVersion

NO_SCHEDULE = UUID(int=0)
STARTER_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"region": {"type": "string", "enum": ["eu", "us"]}, "batchSize": {"type": "integer", "minimum": 1}},
    "required": ["region"],
    "additionalProperties": False,
}


def sample_payload(version: WorkflowVersion, zone: str, now: datetime) -> dict[str, Any]:
    """For the clock contract what a start by hand at `now` would be; else the defaults that the schema names."""
    if is_clock_ref(version.payload_schema_ref):
        instant = now.strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "triggerType": "manual",
            "scheduleId": str(NO_SCHEDULE),
            "scheduledFor": instant,
            "firedAt": instant,
            "timezone": zone,
            "workflowId": str(version.workflow_id),
            "workflowVersion": version.version,
        }
    return defaults_of(version.payload_schema)


def defaults_of(schema: Any) -> dict[str, Any]:
    """The members of an object that have a default in its schema, or whose only allowed value is known."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    found: dict[str, Any] = {}
    for name, part in properties.items() if isinstance(properties, dict) else ():
        if isinstance(part, dict):
            if "default" in part:
                found[name] = part["default"]
            elif "const" in part:
                found[name] = part["const"]
    return found
