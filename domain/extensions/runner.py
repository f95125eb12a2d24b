"""The client of the runner: one call of an extension's endpoint, or the reason why nothing usable came back.

The request is that of the runner's contract (docs/runner.md). Nothing of it can be chosen by whoever made the schedule but
the payload: headers are fixed, and where it goes is set by whoever operates the installation.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from domain.extensions.answers import Executed, RunnerFailed, read_answer
from domain.extensions.envelopes import Audience, seal_envelope
from domain.extensions.settings import Runner
from domain.kernel import strict_json
from domain.kernel.clock import monotonic
from domain.kernel.outbound import BadAnswer, OutboundError, TooLarge, TooSlow, exchange

__all__ = ["ExecuteRequest", "Executed", "RunnerFailed", "execute"]

PATH = "/v1/execute"
# The endpoint gets less than the whole deadline, so that the runner can still say that it was too slow.
ENDPOINT_SHARE = 0.9
# Beyond the deadline of the call: the clocks of the two machines may differ.
ENVELOPE_GRACE = timedelta(seconds=60)
_CODES: dict[type[OutboundError], str] = {
    TooSlow: "RUNNER_TIMEOUT",
    TooLarge: "RUNNER_TOO_LARGE",
    BadAnswer: "RUNNER_NOT_JSON",
}


@dataclass(frozen=True)
class ExecuteRequest:
    """One attempt of a call. `request_id` is new each time, `idempotency_key` the same for all attempts.

    `now`: the database's clock. `payload`: a JSON value, None for no body; only POST carries one. `secrets`: by name.
    `providers`: the capabilities that were granted. `trigger`: schedule or manual.
    """

    request_id: UUID
    invocation_id: UUID
    idempotency_key: str
    attempt: int
    trigger: str
    tenant_id: UUID
    extension_id: UUID
    install_id: UUID
    version_id: UUID
    content_hash: str
    method: str
    path: str
    now: datetime
    payload: Any = field(default=None, repr=False)
    config: Mapping[str, str] = field(default_factory=dict)
    providers: Sequence[str] = ()
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    schedule_id: UUID | None = None
    scheduled_for: datetime | None = None
    query: Mapping[str, str] = field(default_factory=dict)

    @property
    def audience(self) -> Audience:
        """Whom its secrets are sealed for."""
        return Audience(*map(str, (self.tenant_id, self.extension_id, self.install_id, self.version_id)))


def execute(runner: Runner, request: ExecuteRequest) -> Executed:
    """Call the endpoint: whatever it answered, a failure of its own included. Holds no database connection.

    Raises RunnerFailed when the runner could not be asked, did not answer in time, or with something unusable.
    """
    began = monotonic()
    try:
        answer = exchange(
            "POST",
            f"{runner.url}{PATH}",
            _headers(runner, request),
            strict_json.dumps(body_of(runner, request)).encode(),
            seconds=runner.timeout_seconds,
            max_bytes=runner.response_max_bytes,
            is_trusted=True,
        )
    except OutboundError as error:
        raise RunnerFailed(
            _CODES.get(type(error), "RUNNER_UNREACHABLE"), f"The runner: {error}", duration_ms=_since(began)
        ) from None
    return read_answer(answer, runner.response_max_bytes, _since(began))


def body_of(runner: Runner, request: ExecuteRequest) -> dict[str, Any]:
    """What is sent, as JSON."""
    expires_at = request.now + timedelta(seconds=runner.timeout_seconds) + ENVELOPE_GRACE
    return {
        "context": _context(request),
        "http": _http(request),
        "limits": {
            "timeout_ms": int(runner.timeout_seconds * 1_000 * ENDPOINT_SHARE),
            "memory_mb": runner.memory_mb,
        },
        "providers": list(request.providers),
        "secret_envelope": seal_envelope(request.secrets, runner.key, request.audience, expires_at)
        if request.secrets
        else None,
    }


def _context(request: ExecuteRequest) -> dict[str, Any]:
    return {
        "request_id": str(request.request_id),
        "invocation_id": str(request.invocation_id),
        "attempt": request.attempt,
        "trigger": request.trigger,
        "schedule_id": str(request.schedule_id) if request.schedule_id else None,
        "scheduled_for": request.scheduled_for.isoformat() if request.scheduled_for else None,
        "tenant_id": str(request.tenant_id),
        "extension_id": str(request.extension_id),
        "install_id": str(request.install_id),
        "version_id": str(request.version_id),
        "content_hash": request.content_hash,
        "config": dict(request.config),
    }


def _http(request: ExecuteRequest) -> dict[str, Any]:
    headers = _routing(request)
    body = None
    if request.method == "POST" and request.payload is not None:
        headers["content-type"] = "application/json"
        body = base64.b64encode(strict_json.dumps(request.payload).encode()).decode()
    asked = {"method": request.method, "path": request.path, "query": dict(request.query), "headers": headers}
    # Absent means no body; an empty text would mean an empty one.
    return asked if body is None else asked | {"body_b64": body}


def _headers(runner: Runner, request: ExecuteRequest) -> dict[str, str]:
    return _routing(request) | {
        "content-type": "application/json",
        "accept": "application/json",
        "x-request-id": str(request.request_id),
        "x-idempotency-key": request.idempotency_key,
        "x-runner-service-token": runner.token,
    }


def _routing(request: ExecuteRequest) -> dict[str, str]:
    return {"x-alga-tenant": str(request.tenant_id), "x-alga-extension": str(request.extension_id)}


def _since(began: float) -> int:
    return round((monotonic() - began) * 1_000)
