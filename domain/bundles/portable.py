"""What of a definition holds in every instance: no ids of the database it came from, children called by their key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from domain.engine.known import CALL_TYPE
from domain.kernel.errors import Problem
from domain.publishing.inline_triggers import is_time_trigger
from domain.workflows.definitions import BRANCHES

_CHILD_ID, _CHILD_KEY = "workflowId", "workflowKey"


def portable(definition: dict[str, Any], keys: Mapping[str, str]) -> dict[str, Any]:
    """The definition without its own id. A call that names a child by id names it by the key that this id has in `keys`;
    an unknown id stays as it is, in the place of the key: no workflow answers to it, and a check says so."""
    found = {name: value for name, value in definition.items() if name != "id"}
    return found | {"steps": _rewritten(found["steps"], keys)} if "steps" in found else found


def _rewritten(steps: Any, keys: Mapping[str, str]) -> Any:
    """Steps at any depth. What looks like one elsewhere, such as in an input, is somebody's value."""
    if not isinstance(steps, list):
        return steps
    return [_step(step, keys) if isinstance(step, dict) else step for step in steps]


def _step(step: dict[str, Any], keys: Mapping[str, str]) -> dict[str, Any]:
    members = {name: _rewritten(value, keys) if name in BRANCHES else value for name, value in step.items()}
    child = members.get(_CHILD_ID)
    if step.get("type") == CALL_TYPE and isinstance(child, str) and _CHILD_KEY not in step:
        del members[_CHILD_ID]
        members[_CHILD_KEY] = keys.get(child.lower(), child)
    return members


def notes_of(entry: dict[str, Any]) -> tuple[Problem, ...]:
    """What an import leaves out or decides where a file says two things."""
    metadata, draft = entry["metadata"], entry["draft"]["definition"]
    notes = []
    inside = draft.get("trigger")
    if inside is not None and not is_time_trigger(inside) and inside != metadata["trigger"]:
        message = "The draft names another trigger than the settings; the settings hold."
        notes.append(Problem("draft", message, "TRIGGER_DIFFERS"))
    retention = metadata["retentionPolicyOverride"]
    if retention is not None and set(retention) != {"days"}:
        message = 'Only {"days": n} says how long runs are kept here; this is left out.'
        notes.append(Problem("retentionPolicyOverride", message, "RETENTION_LEFT_OUT"))
    pinned, ref = metadata["pinnedPayloadSchemaRef"], metadata["payloadSchemaRef"]
    if pinned and ref and pinned != ref:
        message = f"Two payload schemas are named; {ref} holds."
        notes.append(Problem("pinnedPayloadSchemaRef", message, "SCHEMA_REF_DIFFERS"))
    return tuple(notes)
