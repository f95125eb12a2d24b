"""The trigger of a workflow: none, or an event whose payload may be mapped. Time is no trigger; that is what schedules are.

Stored as None or `{"type": "event", "eventName", "sourcePayloadSchemaRef"?, "payloadMapping"?: {dotted target: value}}`.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from domain.kernel import strict_json
from domain.kernel.errors import Problem, Refused
from domain.workflows.definitions import TIME_TRIGGERS
from domain.workflows.payload_schemas import check_registered

EVENT = "event"
EVENT_NAME_MAX_CHARACTERS = 128
MAPPING_MAX_BYTES = 64_000
_KEYS = ("type", "eventName", "sourcePayloadSchemaRef", "payloadMapping")


def event_name_of(trigger: Any) -> str | None:
    """The event that starts the workflow; None when nothing but people and schedules does."""
    if not isinstance(trigger, dict) or trigger.get("type") != EVENT:
        return None
    name = trigger.get("eventName")
    return name if isinstance(name, str) else None


def parse_trigger(tenant_id: UUID, trigger: Any) -> dict[str, Any] | None:
    """The trigger of a draft. Whether the event is in the catalogue and the mapping fits is judged at publishing.

    Raises Refused with every problem, at `trigger_type`, `event_name`, `source_schema_ref` or `mapping…`.
    """
    if trigger is None:
        return None
    _check_type(trigger)
    problems = [*_name_problems(trigger.get("eventName")), *_mapping_problems(trigger.get("payloadMapping"))]
    problems += _source_problems(tenant_id, trigger.get("sourcePayloadSchemaRef"))
    if problems:
        raise Refused(problems)
    found = {"type": EVENT, "eventName": trigger["eventName"].strip()}
    return found | {key: trigger[key] for key in ("sourcePayloadSchemaRef", "payloadMapping") if trigger.get(key)}


def _check_type(trigger: Any) -> None:
    kind = trigger.get("type") if isinstance(trigger, dict) else None
    if kind in TIME_TRIGGERS:
        message = "A workflow does not say when it runs. Choose no trigger, and create a schedule for it."
        raise Refused.at("trigger_type", message, "TIME_TRIGGER_IN_DEFINITION")
    if kind != EVENT:
        raise Refused.at("trigger_type", "Choose no trigger or an event.", "TRIGGER_INVALID")
    if unknown := sorted(set(trigger) - set(_KEYS)):
        message = f"An event trigger has no {unknown[0]}. It has {', '.join(_KEYS[1:])}."
        raise Refused.at("trigger_type", message, "TRIGGER_INVALID")


def _name_problems(name: Any) -> list[Problem]:
    if not isinstance(name, str) or not name.strip():
        return [Problem("event_name", "Choose the event that starts this workflow.", "EVENT_NAME_REQUIRED")]
    if len(name.strip()) > EVENT_NAME_MAX_CHARACTERS or not name.strip().isprintable():
        message = f"The name of an event has at most {EVENT_NAME_MAX_CHARACTERS} characters, all of them visible."
        return [Problem("event_name", message, "EVENT_NAME_INVALID")]
    return []


def _source_problems(tenant_id: UUID, ref: Any) -> list[Problem]:
    if not ref:
        return []
    if not isinstance(ref, str):
        return [Problem("source_schema_ref", "The schema of the event is a ref.", "UNKNOWN_PAYLOAD_SCHEMA_REF")]
    try:
        check_registered(tenant_id, ref, "source_schema_ref")
    except Refused as refusal:
        return list(refusal.problems)
    return []


def _mapping_problems(mapping: Any) -> list[Problem]:
    if mapping is None:
        return []
    if not isinstance(mapping, dict):
        message = "A mapping is an object: the field to fill, then what fills it."
        return [Problem("mapping", message, "TRIGGER_MAPPING_INVALID")]
    try:
        strict_json.check_value(mapping, path="mapping", max_bytes=MAPPING_MAX_BYTES)
    except Refused as refusal:
        return list(refusal.problems)
    return []
