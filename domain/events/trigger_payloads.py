"""The payload with which an event starts a workflow: the event's own, or what the mapping of its trigger makes of it."""

from __future__ import annotations

from typing import Any

from domain.expressions.mappings import compile_value
from domain.kernel.errors import Refused

MAX_NAMES = 10


def triggered_payload(trigger: dict[str, Any], told: dict[str, Any]) -> Any:
    """`told` is what expressions see as `event`: {name, correlationKey, payload, payloadSchemaRef}.

    Targets are dotted: `customer.name` makes an object in an object. Raises ExpressionError, and Refused at `payload…`
    when two targets cannot stand side by side.
    """
    mapping = trigger.get("payloadMapping")
    if mapping is None:
        return told["payload"]
    scopes = {"event": told}
    payload: dict[str, Any] = {}
    # Sorted, so that a target comes before those inside it, and the outcome does not depend on the order of keys.
    for target in sorted(mapping):
        put(payload, target, compile_value(mapping[target])(scopes))
    return payload


def put(payload: dict[str, Any], target: str, value: Any) -> None:
    """Put a value at its dotted target; raises Refused at its place when something that is no object is in the way."""
    *way, last = target.split(".")
    if len(way) >= MAX_NAMES:
        raise Refused.at("payload", f"A target may be at most {MAX_NAMES} names deep.", "TRIGGER_MAPPING_TARGET")
    inner = payload
    for depth, name in enumerate(way, start=1):
        found = inner.get(name, {})
        if not isinstance(found, dict):
            where = ".".join(way[:depth])
            message = f"the mapping sets {where} itself, so {target} cannot be put into it"
            raise Refused.at(f"payload/{'/'.join(way[:depth])}", message, "TRIGGER_MAPPING_TARGET")
        # A copy: a literal belongs to the published version.
        inner[name] = dict(found)
        inner = inner[name]
    inner[last] = value
