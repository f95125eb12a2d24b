"""The examples as programs of the runner: each call in a process of its own, killed at its deadline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

from domain.demo_extensions import MANIFESTS
from domain.extensions.manifests import content_hash, parse_manifest
from domain.kernel.log import logger
from domain.kernel.redaction import redacted_text, texts_to_hide
from workers.runner.calls import BadCall, Call
from workers.runner.executing import Program, Reply

ROOT = Path(__file__).resolve().parent.parent.parent
LOGGED_LINES = 20

log = logger(__name__)


def example_program(module: str) -> Program:
    """The program of `workers.runner.examples.<module>`, or of a module with its whole name."""
    name = module if "." in module else f"workers.runner.examples.{module}"

    def run(call: Call, secrets: dict[str, str]) -> Reply:
        answer = _ran(_asked(name, call, secrets), (call.timeout_ms or 0) / 1_000, secrets)
        return Reply(answer["status"], {"content-type": "application/json"}, b64decode(answer["body_b64"]))

    return run


def shipped_programs() -> dict[str, Program]:
    """The programs of all published examples, by the content hash of their manifests."""
    return {content_hash(parse_manifest(manifest)): example_program(module) for module, manifest in MANIFESTS}


def _asked(module: str, call: Call, secrets: dict[str, str]) -> dict[str, Any]:
    return {
        "module": module,
        "method": call.method,
        "path": call.path,
        "query": call.query,
        "body_b64": None if call.body is None else b64encode(call.body).decode(),
        "context": call.context,
        "config": call.config,
        "secrets": secrets,
        "seconds": (call.timeout_ms or 0) / 1_000,
        "memory_mb": call.memory_mb,
    }


def _ran(asked: dict[str, Any], seconds: float, secrets: dict[str, str]) -> dict[str, Any]:
    """What the process wrote. Raises BadCall when it was killed, failed or wrote nothing usable."""
    guest = subprocess.Popen(
        [sys.executable, "-s", "-m", "workers.runner.guest"],
        cwd=ROOT,
        # Nothing of ours: neither the token nor the key.
        env={"PYTHONPATH": str(ROOT), "PATH": os.defpath},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        written, said = guest.communicate(json.dumps(asked), timeout=seconds)
    except subprocess.TimeoutExpired:
        guest.kill()
        guest.communicate()
        raise BadCall(500, f"execute_failed: not done within {seconds:g} s") from None
    _pass_on(said, secrets)
    if guest.returncode:
        raise BadCall(500, f"execute_failed: {_reason(said, secrets)}")
    try:
        answer: dict[str, Any] = json.loads(written)
    except ValueError:
        raise BadCall(500, "execute_failed: the extension ended without an answer") from None
    return answer


def _pass_on(said: str, secrets: dict[str, str]) -> None:
    hidden = texts_to_hide(secrets)
    for line in said.splitlines()[:LOGGED_LINES]:
        log.info("An extension wrote a line", line=redacted_text(line, hidden)[:1_000])


def _reason(said: str, secrets: dict[str, str]) -> str:
    """The last line of a traceback: the error and its message."""
    last = said.strip().rpartition("\n")[2] or "the extension ended without an answer"
    return redacted_text(last, texts_to_hide(secrets))[:500]
