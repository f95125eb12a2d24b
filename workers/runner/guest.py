"""The process in which one call of an example runs: reads it from standard input, writes the answer, and ends.

It is killed at the deadline; should its runner be gone by then, it ends by itself.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import signal
import sys
from base64 import b64decode, b64encode
from typing import Any

from workers.runner.guests import Host, Request

# What the interpreter takes before the example has done anything.
OWN_MB = 128


def main() -> None:
    """Run the call of standard input. Anything but exit code 0 is a failure of the example."""
    asked = json.load(sys.stdin)
    _limit(asked["seconds"], asked["memory_mb"])
    # What the example prints is no answer.
    answers = os.dup(1)
    os.dup2(2, 1)
    status, value = _answer(asked)
    reply = {"status": status, "body_b64": b64encode(json.dumps(value).encode()).decode()}
    with os.fdopen(answers, "w") as output:
        json.dump(reply, output)


def _answer(asked: dict[str, Any]) -> tuple[int, Any]:
    example = importlib.import_module(asked["module"])
    body = None if asked["body_b64"] is None else b64decode(asked["body_b64"])
    request = Request(asked["method"], asked["path"], asked["query"], body, asked["context"])
    status, value = example.answer(request, Host(asked["config"], asked["secrets"]))
    return int(status), value


def _limit(seconds: float, memory_mb: int) -> None:
    signal.alarm(int(seconds) + 2)
    most = (memory_mb + OWN_MB) * 1024 * 1024
    # Not every system limits the size of a process.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


if __name__ == "__main__":
    main()
