"""One call from its checks to its answer: every outcome is `{status, headers, body_b64, error}`."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from domain.extensions.capabilities import KNOWN
from domain.extensions.envelopes import EnvelopeRefused, open_envelope
from domain.kernel.clock import now
from workers.runner.calls import BadCall, Call
from workers.runner.replays import Replays

SECRETS = "cap:secrets.get"


@dataclass(frozen=True)
class Reply:
    """What an extension answered."""

    status: int
    headers: dict[str, str]
    body: bytes


# Runs one call with its secrets. Raises BadCall when there is no answer.
Program = Callable[[Call, dict[str, str]], Reply]
Answer = dict[str, Any]


@dataclass
class Executor:
    """`programs`: by content hash. `otherwise`: for all other hashes; None means there are none."""

    key: str = field(repr=False)
    programs: dict[str, Program]
    otherwise: Program | None = None
    replays: Replays = field(default_factory=Replays)

    def answer(
        self, call: Call, around: Callable[[Callable[[], Answer]], Answer] = lambda run: run()
    ) -> tuple[Answer, bool]:
        """The answer, and whether it is an earlier one's. `around` is what runs the extension, if it is to run."""
        try:
            program = self._checked(call)
            secrets = self._secrets(call)
            if not call.timeout_ms:
                raise BadCall(500, "execute_failed: limits.timeout_ms is missing, and nothing runs without a deadline")

            def run() -> Answer:
                return around(lambda: _run(program, call, secrets))

            if not call.key:
                return run(), False
            return self.replays.once((*call.routed, call.key), call.fingerprint, call.timeout_ms / 1_000, run)
        except BadCall as bad:
            return failure(bad.status, bad.error), False

    def _checked(self, call: Call) -> Program:
        if not all(call.routed):
            raise BadCall(400, "missing_routing_headers")
        if call.routed != (call.context["tenant_id"], call.context["extension_id"]):
            raise BadCall(400, "routing_headers_differ: they name another tenant or extension than the context")
        if unknown := sorted(set(call.providers) - set(KNOWN)):
            raise BadCall(400, f"unknown_capabilities: {', '.join(unknown)}")
        program = self.programs.get(_prefixed(call.context["content_hash"]), self.otherwise)
        if program is None:
            raise BadCall(502, "bundle_fetch_failed: this runner has no code for this content hash")
        return program

    def _secrets(self, call: Call) -> dict[str, str]:
        """What the envelope holds, if the capability to read it was granted."""
        if call.envelope is None:
            return {}
        try:
            values = open_envelope(call.envelope, self.key, call.audience, now())
        except EnvelopeRefused as refused:
            raise BadCall(500, f"secret_decrypt_failed: {refused}") from None
        return values if SECRETS in call.providers else {}


def failure(status: int, error: str) -> Answer:
    """An answer that is an error of the runner."""
    return {"status": status, "headers": {}, "body_b64": None, "error": error}


def _run(program: Program, call: Call, secrets: dict[str, str]) -> Answer:
    try:
        reply = program(call, secrets)
    except BadCall as bad:
        return failure(bad.status, bad.error)
    body = base64.b64encode(reply.body).decode()
    return {"status": reply.status, "headers": reply.headers, "body_b64": body, "error": None}


def _prefixed(content_hash: str) -> str:
    return content_hash if content_hash.startswith("sha256:") else f"sha256:{content_hash}"
