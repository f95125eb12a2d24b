"""Processes of Carillon that begin with everything imported: forks of one that did so once.

Importing takes a process longer than most tests need it for. What is imported touches no setting, no database and no Redis:
from there on a fork does what `python -m` does, with an environment, a process group and an output of its own.
"""

from __future__ import annotations

import atexit
import json
import os
import runpy
import subprocess
import sys
import threading
import time
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.servers import ROOT

POLL_SECONDS = 0.02
# Read while Dramatiq is imported: how long, in milliseconds, a worker waits for a message.
IMPORT_ENV = {"dramatiq_worker_timeout": "100"}


class Fork:
    """As `subprocess.Popen` has it: `pid`, `poll()` and `wait()`."""

    def __init__(self, stem: Stem, pid: int, args: list[str]) -> None:
        self._stem = stem
        self.pid = pid
        self.args = args
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self._stem.ask({"poll": self.pid})
        return self.returncode

    def wait(self, timeout: float) -> int:
        until = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > until:
                raise subprocess.TimeoutExpired(self.args, timeout)
            time.sleep(POLL_SECONDS)
        return code


class Stem:
    """The process that is forked. It ends when nobody can ask it any more."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.forks"],
            cwd=ROOT,
            env=os.environ | IMPORT_ENV | {"PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def fork(self, module: str, arguments: list[str], env: dict[str, str], log: Path) -> Fork:
        """`python -m module arguments…` in a process group of its own; what it says is added to `log`."""
        pid = self.ask({"module": module, "arguments": arguments, "env": env, "log": str(log)})
        return Fork(self, pid, [module, *arguments])

    def ask(self, what: dict[str, Any]) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        with self._turn:
            self._process.stdin.write(json.dumps(what).encode() + b"\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        with self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()


@cache
def stem() -> Stem:
    """The one of this process."""
    made = Stem()
    atexit.register(made.close)
    return made


def _import_all() -> None:
    for name in ("dramatiq.cli", "workers.worker", "workers.broker", "workers.scheduler"):
        import_module(name)
    # It is yet to be run.
    del sys.modules["workers.scheduler"]


def _answer(asked: int, answers: int) -> dict[str, Any] | None:
    """Answer until nobody asks; in a fork, what it is to be."""
    with os.fdopen(asked, "rb") as questions:
        for line in questions:
            question = json.loads(line)
            if "poll" in question:
                pid, status = os.waitpid(question["poll"], os.WNOHANG)
                answer = os.waitstatus_to_exitcode(status) if pid else None
            else:
                answer = os.fork()
                if answer == 0:
                    os.close(answers)
                    return question
            os.write(answers, json.dumps(answer).encode() + b"\n")
    return None


def _become(one: dict[str, Any]) -> None:
    os.setsid()
    output = os.open(one["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for number in (1, 2):
        os.dup2(output, number)
    os.close(output)
    os.environ.clear()
    os.environ.update(one["env"])
    sys.argv[1:] = one["arguments"]
    runpy.run_module(one["module"], run_name="__main__", alter_sys=True)


def main() -> None:
    _import_all()
    asked, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1):
        os.dup2(nothing, number)
    os.close(nothing)
    if one := _answer(asked, answers):
        _become(one)


if __name__ == "__main__":
    main()
