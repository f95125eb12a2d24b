"""Whether a payload is one that the target of a schedule takes."""

from __future__ import annotations

from typing import Any

from domain.extensions.settings import limits
from domain.kernel import strict_json
from domain.kernel.errors import Problem, Refused
from domain.schedules.targets import EndpointTarget, Target, WorkflowTarget
from domain.workflows.payload_secrets import stored_problems, taken_payload
from domain.workflows.schema_rules import payload_problems

PAYLOAD_MAX_BYTES = 256_000
_NO_PAYLOAD = "A GET request has no body. Remove the payload, or choose an endpoint that takes one."


def workflow_payload(payload: object, target: WorkflowTarget | None, stored: Any = None) -> Any:
    """The payload for a workflow as it is stored, secrets sealed: an object or its JSON text, nothing for an empty one.

    `stored`: what kept marks stand for. Without a target nothing is checked with a schema. Raises Refused at `payload…`.
    """
    payload = _read("{}" if payload in (None, "", b"") else payload, PAYLOAD_MAX_BYTES)
    if not isinstance(payload, dict):
        raise Refused.at("payload", "The payload must be a JSON object, in curly braces.", "PAYLOAD_NOT_OBJECT")
    return payload if target is None else taken_payload(target.tenant_id, target.payload_schema, payload, stored)


def endpoint_payload(payload: object, target: EndpointTarget | None, stored: Any = None) -> Any:
    """The payload for an endpoint as it is stored, secrets sealed: an object, a list, the text of one, or None for a call
    without a body.

    `stored`: what kept marks stand for. Without a target nothing is checked with a schema. Raises Refused at `payload…`.
    """
    is_empty = payload is None or (isinstance(payload, str | bytes) and not payload.strip())
    payload = None if is_empty else _read(payload, limits().payload_max_bytes)
    if payload is not None and not isinstance(payload, dict | list):
        message = "The payload must be a JSON object or a list, or nothing."
        raise Refused.at("payload", message, "PAYLOAD_NOT_OBJECT_OR_LIST")
    if target is None:
        return payload
    if problems := _of_body(target, payload):
        raise Refused(problems)
    return None if payload is None else taken_payload(target.tenant_id, target.payload_schema, payload, stored)


def payload_refusals(target: Target, payload: Any) -> list[Problem]:
    """Why a stored payload does not fit what it would be given to; empty for one that is given the clock contract."""
    if isinstance(target, WorkflowTarget) and target.takes_clock:
        return []
    if isinstance(target, EndpointTarget) and (payload is None or not target.takes_payload):
        return _of_body(target, payload)
    found = stored_problems(target.tenant_id, target.payload_schema, payload)
    return [Problem(f"payload{p.path}", p.message, p.code) for p in found]


def _read(payload: object, max_bytes: int) -> Any:
    if isinstance(payload, str | bytes):
        return strict_json.loads(payload, path="payload", max_bytes=max_bytes)
    strict_json.check_value(payload, path="payload", max_bytes=max_bytes)
    return payload


def _of_body(target: EndpointTarget, payload: Any) -> list[Problem]:
    """What is wrong with there being a body, or none."""
    if not target.takes_payload:
        return [] if payload is None else [Problem("payload", _NO_PAYLOAD, "PAYLOAD_NOT_ALLOWED")]
    declared = target.endpoint.request_schema
    if payload is None and declared is not None and payload_problems(declared, None):
        return [Problem("payload", f"{target.label} needs a payload. Enter one.", "PAYLOAD_REQUIRED")]
    return []
