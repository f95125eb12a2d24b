"""A runner that misbehaves when told to, and remembers what it was asked: for tests, on `--scripted`."""

from __future__ import annotations

import json
import threading
from base64 import b64encode
from typing import Any

from domain.kernel.clock import monotonic
from workers.runner.calls import Call
from workers.runner.executing import Reply

HIDDEN_HEADERS = ("x-runner-service-token", "authorization", "cookie")
MASK = "***"


class Script:
    """Behaviours for the calls to come, and the calls that came.

    A behaviour is `{"do": …, "times": n, "path": …, "tenant": …}` and what its kind needs (docs/runner.md lists them);
    the first that fits a call and is not used up counts for it. Without `times` it lasts.
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._behaviours: list[dict[str, Any]] = []
        self._calls: list[dict[str, Any]] = []
        # Set when whoever was told to dawdle has to stop, and replaced by a new one.
        self._ended = threading.Event()

    def set(self, behaviours: list[dict[str, Any]]) -> None:
        """Replace what is to come, and end every wait."""
        with self._turn:
            self._behaviours = [dict(one) for one in behaviours]
            self._end_waits()

    def reset(self) -> None:
        """Behave, forget the calls, and end every wait."""
        with self._turn:
            self._behaviours, self._calls = [], []
            self._end_waits()

    def calls(self) -> list[dict[str, Any]]:
        """What came since the last reset, oldest first, without secrets."""
        with self._turn:
            return [dict(call) for call in self._calls]

    def behaviour(self, call: Call) -> dict[str, Any]:
        """What to do about this call; `{"do": "run"}` unless told otherwise. `ended`: when to stop dawdling."""
        with self._turn:
            for one in self._behaviours:
                times = one.get("times")
                if times == 0 or not _fits(one, call):
                    continue
                if times:
                    one["times"] = times - 1
                return one | {"ended": self._ended}
        return {"do": "run"}

    def record(self, headers: dict[str, str], body: Any) -> dict[str, Any]:
        """Remember a call. The record that is answered may be written to until its call is over."""
        shown = {name: MASK if name in HIDDEN_HEADERS else value for name, value in headers.items()}
        record = {
            "headers": shown,
            "body": _without_secrets(body),
            "executed": False,
            "replayed": False,
            "answer": None,
        }
        with self._turn:
            self._calls.append(record | {"at": monotonic()})
            return self._calls[-1]

    def write(self, record: dict[str, Any], **members: Any) -> None:
        """Add to a record."""
        with self._turn:
            record.update(members)

    def _end_waits(self) -> None:
        self._ended.set()
        self._ended = threading.Event()


def dawdle(behaviour: dict[str, Any], seconds: float) -> bool:
    """Wait. Answers whether that was cut short by another script or a reset."""
    ended: threading.Event = behaviour["ended"]
    return ended.wait(seconds)


def echo(call: Call, secrets: dict[str, str]) -> Reply:
    """An extension for everything: it answers what it was asked, and the names of its secrets."""
    asked = {
        "method": call.method,
        "path": call.path,
        "query": call.query,
        "headers": call.headers,
        "body_b64": None if call.body is None else b64encode(call.body).decode(),
        "context": call.context,
        "providers": list(call.providers),
        "secrets": sorted(secrets),
    }
    return Reply(200, {"content-type": "application/json"}, json.dumps(asked).encode())


def _fits(behaviour: dict[str, Any], call: Call) -> bool:
    path, tenant = behaviour.get("path"), behaviour.get("tenant")
    return path in (None, call.path) and tenant in (None, call.routed[0])


def _without_secrets(body: Any) -> Any:
    if isinstance(body, dict) and isinstance(body.get("secret_envelope"), dict):
        return body | {"secret_envelope": body["secret_envelope"] | {"ciphertext_b64": MASK}}
    return body
