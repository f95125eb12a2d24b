"""One process of the Procfile: kept running until it is asked to end, its lines passed on."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import sys
import threading
import time
from subprocess import Popen
from typing import IO, Any

from honcho.manager import SYSTEM_PRINTER_NAME
from honcho.printer import Message
from honcho.process import Process

from workers import leash
from workers.restarts import ENDS_MAX, ENDS_SECONDS, Restarts, end_in_words

LAST_LINES_SECONDS = 5
"""How long to wait for the last lines of a process that has ended: somebody who left its group may hold the pipe open."""


class KeptProcess(Process):  # type: ignore[misc]
    """honcho's process, started again when it ends. Runs in a thread of its own, to which its leash is tied.

    `fault` is a sentence once it was given up: it ended by itself too often.
    """

    def __init__(self, command: str, **options: Any) -> None:
        super().__init__(leashed(command), **options)
        self.fault: str | None = None
        self._ending = threading.Event()
        self._turn = threading.RLock()

    def run(self, events: Any = None, ignore_signals: bool = False) -> None:  # noqa: ARG002
        """Run until asked to end or given up. Tells `events` of every start, every line and the last end."""
        self._events = events
        restarts = Restarts()
        code, delay = 0, None
        while not self._ending.wait(delay or 0):
            started_at = time.monotonic()
            code = self._run_once()
            if self._ending.is_set():
                break
            delay = restarts.delay_after(time.monotonic() - started_at, code)
            if delay is None:
                self.fault = f"{self.name} {end_in_words(code)}, {ENDS_MAX} times within {ENDS_SECONDS:g} s of running"
                break
            self._announce(f"{self.name} {end_in_words(code)}; starting it again in {delay:g} s")
        self._send_message({"returncode": code}, type="stop")

    def end(self, number: int) -> None:
        """Have nothing started any more, and send the signal to what runs and to all its children."""
        with self._turn:
            self._ending.set()
            if self._child is not None and self._child.poll() is None:
                signal_group(self._child.pid, number)

    def _run_once(self) -> int:
        with self._turn:
            if self._ending.is_set():
                return 0
            try:
                child: Popen[bytes] = self._child_ctor(self.cmd, env=self.env, cwd=self.cwd)
            except OSError as error:
                self._announce(f"{self.name} could not be started: {error}")
                return 1
            self._child = child
        self._send_message({"pid": child.pid}, type="start")
        lines = threading.Thread(target=self._pass_on, args=(child.stdout,), daemon=True)
        lines.start()
        code = child.wait()
        # Children of a killed master would go on working, and listening, beside those of the next one.
        signal_group(child.pid, signal.SIGKILL)
        lines.join(LAST_LINES_SECONDS)
        return code

    def _pass_on(self, lines: IO[bytes]) -> None:
        with lines:
            for line in lines:
                self._send_message(line)

    def _announce(self, sentence: str) -> None:
        self._events.put(Message("line", f"{sentence}\n", self._clock.now(), SYSTEM_PRINTER_NAME, None))


def leashed(command: str) -> str:
    """A shell command that ends with this process, whose id the shell knows as PPID."""
    python, program = shlex.quote(sys.executable), shlex.quote(leash.__file__)
    return f"exec {python} -I -S {program} {int(signal.SIGTERM)} $PPID - {command}"


def signal_group(leader_pid: int, number: int) -> None:
    """Send a signal to what is left of a process group, the leader included; nothing may be."""
    # macOS answers PermissionError for a group of zombies.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader_pid, number)
