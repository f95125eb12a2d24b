"""Requests to a local runner as the contract writes them, to be bent by tests."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx

from domain.extensions.envelopes import Audience, seal_envelope
from domain.kernel import clock
from tests.runners import LocalRunner

HASH = "sha256:" + "cd" * 32


def a_body(**context: Any) -> dict[str, Any]:
    """A body with nothing missing; `context` replaces members of the context."""
    ids = {name: str(uuid4()) for name in ("tenant_id", "extension_id", "install_id", "version_id", "request_id")}
    return {
        "context": {**ids, "content_hash": HASH, "config": {"region": "eu"}, **context},
        "http": {"method": "POST", "path": "/api/sync", "query": {}, "headers": {}},
        "limits": {"timeout_ms": 20_000, "memory_mb": 256},
        "providers": ["cap:secrets.get"],
    }


def headers_for(runner: LocalRunner, body: dict[str, Any], **others: str) -> dict[str, str]:
    """The headers that go with the body."""
    return {
        "content-type": "application/json",
        "x-alga-tenant": body["context"]["tenant_id"],
        "x-alga-extension": body["context"]["extension_id"],
        "x-runner-service-token": runner.settings().token,
        **{name.replace("_", "-"): value for name, value in others.items()},
    }


def ask(runner: LocalRunner, body: Any, headers: dict[str, str] | None = None, **others: str) -> httpx.Response:
    """POST /v1/execute with the headers that belong to the body, or those that are given."""
    sent = headers_for(runner, body, **others) if headers is None else headers
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx.post(f"{runner.url}/v1/execute", content=content, headers=sent, timeout=60, trust_env=False)


def handled(response: httpx.Response) -> tuple[int, str | None]:
    """Status and error of an answer, which is one of HTTP 200 whatever happened."""
    assert response.status_code == 200
    answer = response.json()
    assert set(answer) == {"status", "headers", "body_b64", "error"}
    return answer["status"], answer["error"]


def value_of(response: httpx.Response) -> Any:
    """The JSON value that the extension answered."""
    return json.loads(base64.b64decode(response.json()["body_b64"]))


def an_envelope(runner: LocalRunner, body: dict[str, Any], seconds: float = 60, **changes: str) -> dict[str, str]:
    """The secrets of this body's install; `changes` replace ids of whom they are for."""
    context = body["context"] | changes
    audience = Audience(*(context[name] for name in ("tenant_id", "extension_id", "install_id", "version_id")))
    expires_at = clock.now() + timedelta(seconds=seconds)
    return seal_envelope({"API_KEY": "hunter2-hunter2"}, runner.settings().key, audience, expires_at)
