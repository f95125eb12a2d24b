"""Asks an address on the web, and gives its answer."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import httpx

from domain.engine.actions.action import OUTSIDE, Action, ActionContext, Example
from domain.engine.actions.replies import body_and_text, check_status, kept_headers
from domain.engine.actions.schemas import ANY, described, object_schema
from domain.engine.actions.texts import as_text
from domain.engine.failures import ACTION as ACTION_ERROR
from domain.engine.failures import TIMEOUT, TRANSIENT, VALIDATION, StepFailed
from domain.engine.retries import Retry
from domain.kernel import strict_json
from domain.kernel.clock import monotonic
from domain.kernel.outbound import (
    RESERVED_HEADERS,
    BadAnswer,
    NotAllowed,
    OutboundError,
    TooLarge,
    TooSlow,
    Unreachable,
    Untrusted,
    exchange,
)

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
DEFAULT_TIMEOUT_SECONDS, MAX_TIMEOUT_SECONDS = 30, 300
MAX_RESPONSE_BYTES = 1_000_000
KEY_HEADER = "idempotency-key"
_CODES: dict[type[OutboundError], tuple[str, str]] = {
    NotAllowed: ("ADDRESS_NOT_ALLOWED", VALIDATION),
    Unreachable: ("UNREACHABLE", TRANSIENT),
    Untrusted: ("UNTRUSTED", ACTION_ERROR),
    TooSlow: ("TIMED_OUT", TIMEOUT),
    TooLarge: ("RESPONSE_TOO_LARGE", ACTION_ERROR),
    BadAnswer: ("BAD_RESPONSE", ACTION_ERROR),
}
_SCALAR = {"type": ["string", "number", "boolean", "null"]}

_AUTH = {
    "type": "object",
    "properties": {
        "bearer": {"type": "string", "minLength": 1, "maxLength": 8_000, "pattern": "^[\\x21-\\x7e]+$"},
        "username": {"type": "string", "maxLength": 1_000, "pattern": "^[^:\\x00-\\x1f\\x7f]*$"},
        "password": {"type": "string", "maxLength": 1_000, "pattern": "^[^\\x00-\\x1f\\x7f]*$"},
    },
    "additionalProperties": False,
    "oneOf": [{"required": ["bearer"]}, {"required": ["username", "password"]}],
}


def run(inputs: dict[str, Any], context: ActionContext) -> dict[str, Any]:
    method, url = inputs.get("method", "GET"), inputs["url"]
    headers, content = _sent(inputs, context.idempotency_key)
    began = monotonic()
    try:
        answer = exchange(
            method,
            url,
            headers,
            content,
            query=_query(inputs.get("query", {})),
            seconds=inputs.get("timeout_seconds", DEFAULT_TIMEOUT_SECONDS),
            max_bytes=MAX_RESPONSE_BYTES,
        )
    except OutboundError as error:
        raise StepFailed(str(error), *_CODES[type(error)]) from None
    duration_ms = round((monotonic() - began) * 1_000)
    check_status(answer, inputs.get("expect"), httpx.URL(url).host, context.now)
    body, text = body_and_text(answer, MAX_RESPONSE_BYTES)
    return {
        "status": answer.status,
        "headers": kept_headers(answer),
        "body": body,
        "text": text,
        "duration_ms": duration_ms,
    }


def _sent(inputs: dict[str, Any], key: str | None) -> tuple[dict[str, str], bytes | None]:
    """The headers and the body. Raises StepFailed (ValidationError) for a header that is not the author's to set."""
    headers = {name.lower(): value for name, value in inputs.get("headers", {}).items()}
    if taken := sorted(headers.keys() & (RESERVED_HEADERS | {KEY_HEADER})):
        raise StepFailed(f"The header {taken[0]} is set by Carillon. Leave it out.", "RESERVED_HEADER", VALIDATION)
    if auth := inputs.get("auth"):
        if "authorization" in headers:
            raise StepFailed("Give either auth or the header authorization.", "RESERVED_HEADER", VALIDATION)
        headers["authorization"] = _authorization(auth)
    body = inputs.get("body")
    if key:
        headers[KEY_HEADER] = key
    if body is None:
        return headers, None
    if isinstance(body, str):
        return {"content-type": "text/plain; charset=utf-8", **headers}, body.encode()
    return {"content-type": "application/json", **headers}, strict_json.dumps(body).encode()


def _authorization(auth: dict[str, str]) -> str:
    """RFC 6750, or RFC 7617 in UTF-8."""
    if "bearer" in auth:
        return f"Bearer {auth['bearer']}"
    return f"Basic {b64encode('{username}:{password}'.format(**auth).encode()).decode()}"


def _query(asked: dict[str, Any]) -> dict[str, Any]:
    listed = {name: value if isinstance(value, list) else [value] for name, value in asked.items()}
    return {name: [as_text(one) for one in values if one is not None] for name, values in listed.items()}


ACTION = Action(
    id="http.request",
    version=1,
    label="Send an HTTP request",
    category="http",
    description="Asks an address on the web and gives its answer. Redirects are not followed, and private addresses are asked only where this installation allows it.",
    input_schema=object_schema(
        ("method", "headers", "query", "auth", "body", "timeout_seconds", "expect"),
        method=described({"enum": list(METHODS)}, "GET unless given."),
        url={"type": "string", "minLength": 1, "maxLength": 8_000, "description": "Begins with http:// or https://."},
        headers={
            "type": "object",
            "maxProperties": 50,
            "propertyNames": {"pattern": "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$"},
            "additionalProperties": {"type": "string", "maxLength": 8_000, "pattern": "^[\\t\\x20-\\x7e]*$"},
            "description": "Idempotency-Key is sent always: the key of the step, the same on every attempt.",
        },
        query={
            "type": "object",
            "maxProperties": 100,
            "additionalProperties": {"type": [*_SCALAR["type"], "array"], "items": _SCALAR, "maxItems": 100},
            "description": "Added to the address; a list gives its name several times, null leaves it out.",
        },
        auth=described(_AUTH, "A bearer token, or a user name and a password; best given as secrets."),
        body=described(ANY, "Text is sent as it is, any other value as JSON; null sends nothing."),
        timeout_seconds=described(
            {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_TIMEOUT_SECONDS},
            f"For everything together; {DEFAULT_TIMEOUT_SECONDS} unless given.",
        ),
        expect={
            "type": "array",
            "items": {"type": "integer", "minimum": 200, "maximum": 599},
            "maxItems": 50,
            "description": "The statuses that are a success; 200 to 299 unless given. Others fail the step.",
        },
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
        {"method": "POST", "url": "https://api.example.com/v1/invoices", "body": {"number": 42}},
        {
            "status": 201,
            "headers": {"content-type": "application/json", "location": "/v1/invoices/42"},
            "body": {"id": 42},
            "text": None,
            "duration_ms": 120,
        },
    ),
    run=run,
    retry_hint=Retry(3, backoff_ms=2_000, retry_on=(TRANSIENT, TIMEOUT)),
)
