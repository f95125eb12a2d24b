"""Calls an endpoint of an installed extension through the runner, and gives its answer."""

from __future__ import annotations

from typing import Any

from domain.engine.actions.action import OUTSIDE, Action, ActionContext, Example
from domain.engine.actions.calls import Asked, call_endpoint
from domain.engine.actions.replies import body_and_text, kept_headers
from domain.engine.actions.schemas import ANY, described, object_schema
from domain.engine.failures import TIMEOUT, TRANSIENT, VALIDATION, StepFailed
from domain.engine.retries import Retry
from domain.extensions.answers import Executed
from domain.extensions.paths import SCHEDULABLE_METHODS, parse_path
from domain.kernel.errors import Refused
from domain.kernel.outbound import Answer
from domain.kernel.redaction import redacted


def run(inputs: dict[str, Any], context: ActionContext) -> dict[str, Any]:
    method, payload = inputs.get("method", "POST"), inputs.get("body")
    if method == "GET" and payload is not None:
        raise StepFailed("A GET carries no body. Leave it out, or use POST.", "GET_WITH_BODY", VALIDATION)
    try:
        path = parse_path(inputs["path"])
    except Refused as refused:
        raise StepFailed(refused.problems[0].message, "PATH_INVALID", VALIDATION) from None
    asked = Asked(inputs["extension"], method, path, payload, inputs.get("query", {}))
    executed, hidden = call_endpoint(asked, context)
    output: dict[str, Any] = redacted(_output(executed), hidden)
    return output


def _output(executed: Executed) -> dict[str, Any]:
    headers = {name.lower(): text for name, text in executed.headers.items()}
    answer = Answer(executed.status, headers, executed.body)
    body, text = body_and_text(answer, len(executed.body))
    return {
        "status": executed.status,
        "headers": kept_headers(answer),
        "body": body,
        "text": text,
        "duration_ms": executed.duration_ms,
    }


ACTION = Action(
    id="extension.invoke",
    version=1,
    label="Call an extension",
    category="extension",
    description="Calls an endpoint of an installed extension with the install's configuration and secrets, and gives its answer. Each attempt is on record with the run.",
    input_schema=object_schema(
        ("method", "body", "query"),
        extension={
            "type": "string",
            "minLength": 1,
            "maxLength": 200,
            "description": "The name of an installed extension, such as com.acme.rmm-sync, or its id.",
        },
        method=described({"enum": list(SCHEDULABLE_METHODS)}, "POST unless given."),
        path={"type": "string", "minLength": 1, "maxLength": 1_024, "description": "As the extension declares it."},
        query=described(
            {"type": "object", "maxProperties": 50, "additionalProperties": {"type": "string", "maxLength": 2_000}},
            "Texts by name.",
        ),
        body=described(ANY, "Sent as JSON with POST; null sends nothing."),
    ),
    output_schema=object_schema(
        status={"type": "integer"},
        headers=described({"type": "object", "additionalProperties": {"type": "string"}}, "A few that are of use."),
        body=described(ANY, "The value of a JSON answer, else null."),
        text=described({"type": ["string", "null"]}, "The text of any other answer, else null."),
        duration_ms={"type": "integer"},
    ),
    effect=OUTSIDE,
    example=Example(
        {"extension": "com.acme.rmm-sync", "method": "POST", "path": "/api/sync", "body": {"full": False}},
        {
            "status": 200,
            "headers": {"content-type": "application/json"},
            "body": {"synced": 42},
            "text": None,
            "duration_ms": 180,
        },
    ),
    run=run,
    retry_hint=Retry(3, backoff_ms=2_000, retry_on=(TRANSIENT, TIMEOUT)),
)
