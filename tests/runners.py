"""The local runner as a real process over HTTP: told to misbehave, asked what it was asked, killed and started again.

Behaviours (`runner.script(...)`), each with `times`, `path` and `tenant` if wanted:
`{"do": "answer", "answer": {"status": 503, "error": "…", "body_b64": "…"}}`, `{"do": "delay", "seconds": 5}` (runs first),
`drop`, `http` (`status`, `text`, `headers`), `drip` (`seconds` a byte), `huge` (`bytes`), `gzip_bomb` (`bytes`),
`truncated`, `empty`, `not_json` (`text`). The impolite ones run nothing, unless `"executes": True`: then the effect is there
and only the answer is spoiled.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from domain.extensions.settings import Runner
from tests.servers import ROOT

TOKEN = "a service token for tests and nothing else"
KEY = "a key for envelopes in tests and nothing else"
STARTING_SECONDS = 60


class LocalRunner:
    """One scripted runner. `env`: what processes of Carillon need to ask it."""

    def __init__(self) -> None:
        # Bound and never listening: nobody else is given the port, also while the runner is stopped.
        self._place = socket.socket()
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._place.bind(("127.0.0.1", 0))
        self.port = self._place.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        token, key = TOKEN.replace(" ", "-"), KEY.replace(" ", "-")
        self.env = {
            "CARILLON_RUNNER_URL": self.url,
            "CARILLON_RUNNER_TOKEN": token,
            "CARILLON_RUNNER_KEY": key,
        }
        self._log = Path(tempfile.mkdtemp(prefix="carillon-runner-")) / "log"
        self._told = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._client = httpx.Client(
            base_url=self.url, headers={"x-runner-service-token": token}, trust_env=False, timeout=60
        )

    def settings(self, timeout_seconds: float = 20, response_max_bytes: int = 262_144) -> Runner:
        """What the client needs to know of it."""
        token, key = self.env["CARILLON_RUNNER_TOKEN"], self.env["CARILLON_RUNNER_KEY"]
        return Runner(self.url, token, key, timeout_seconds, 256, response_max_bytes)

    def start(self) -> LocalRunner:
        """Start it, again or for the first time, at the same address."""
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "workers.local_runner", "--scripted"],
                cwd=ROOT,
                env=self.env | {"PYTHONUNBUFFERED": "1"},
                stdout=output,
                stderr=output,
            )
        deadline = time.monotonic() + STARTING_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                if self._client.get("/healthz").status_code == 200:
                    return self
            except httpx.TransportError:
                time.sleep(0.05)
        raise RuntimeError(f"The runner does not answer:\n{self.log}")

    def stop(self) -> None:
        """End it at once: nobody listens any more, and what it knew is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)
            self._process = None

    def close(self) -> None:
        self.stop()
        self._client.close()
        self._place.close()

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        """The last of what it wrote since it was reset."""
        return self._log.read_bytes()[self._told :][-6000:].decode(errors="replace") if self._log.exists() else ""

    def script(self, *behaviours: dict[str, Any]) -> None:
        """What to do about the calls to come; without any: behave. Ends what dawdles."""
        self._client.put("/_test/script", json=list(behaviours)).raise_for_status()

    def fail(self, times: int, status: int = 503) -> None:
        """Answer that many calls with a status of HTTP, and those after them as it should."""
        self.script({"do": "http", "status": status, "times": times})

    def calls(self) -> list[dict[str, Any]]:
        """`headers`, `body`, `executed`, `replayed` and `answer` of each call, oldest first, without secrets."""
        found: list[dict[str, Any]] = self._client.get("/_test/calls").raise_for_status().json()
        return found

    def effects(self) -> list[str]:
        """The idempotency keys of the calls that ran an extension: one too many is an effect too many."""
        return [call["headers"].get("x-idempotency-key", "") for call in self.calls() if call["executed"]]

    def reset(self) -> None:
        """Behave, forget all calls and keys, and end what dawdles."""
        self._client.delete("/_test/calls").raise_for_status()
        self._told = self._log.stat().st_size
