"""Real processes under measurement: Carillon's as the Procfile starts them, the peers' by their own commands."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.servers import ROOT

SCHEDULER, WORKER = "scheduler", "worker"
END_SECONDS = 10


@dataclass(frozen=True)
class Usage:
    """Processor time in seconds, resident memory in bytes and open files, of a process and all its children."""

    cpu_seconds: float
    memory: int
    files: int


@dataclass
class Started:
    """A process that leads a group of its own, so that a signal reaches all of it."""

    role: str
    command: list[str]
    process: subprocess.Popen[bytes]


class Processes:
    """What one measurement started; gone when it is left. `log` has what they said."""

    def __init__(self, env: Mapping[str, str], log: Path) -> None:
        self.env = dict(env)
        self.log = log
        self.running: list[Started] = []

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        for one in list(self.running):
            self._end(one, signal.SIGKILL)
        if kind is not None and self.log.exists():
            sys.stderr.write(self.log.read_text(errors="replace")[-4000:])

    def start(self, role: str, command: list[str]) -> None:
        with self.log.open("ab") as output:
            process = subprocess.Popen(
                command, cwd=ROOT, env=self.env, stdout=output, stderr=output, start_new_session=True
            )
        self.running.append(Started(role, command, process))

    def count(self, role: str) -> int:
        return sum(one.role == role for one in self.running)

    def at(self, role: str, place: int) -> Started:
        """The process of a role that was started as the `place`-th, counted from 0."""
        return [one for one in self.running if one.role == role][place]

    def kill(self, role: str, place: int = 0) -> Callable[[], None]:
        """`kill -9` a process group of a role; answers how to start it again."""
        one = self.at(role, place)
        self._end(one, signal.SIGKILL)
        return lambda: self.start(role, one.command)

    def send(self, one: Started, number: int) -> None:
        """A signal to the whole group, if it is still there."""
        with suppress(ProcessLookupError):
            os.killpg(one.process.pid, number)

    def revive(self) -> int:
        """Start again what has ended by itself, as a supervisor does; how many that were."""
        ended = [one for one in self.running if one.process.poll() is not None]
        for one in ended:
            self.running.remove(one)
            self.start(one.role, one.command)
        return len(ended)

    def end(self, role: str) -> None:
        """Ask all of a role to end, and wait until they have."""
        for one in [one for one in self.running if one.role == role]:
            self._end(one, signal.SIGTERM)

    def usage(self, role: str) -> Usage:
        """Of all processes of the role together."""
        found = [psutil.Process(one.process.pid) for one in self.running if one.role == role]
        family = [member for one in found for member in (one, *one.children(recursive=True))]
        times = [member.cpu_times() for member in family]
        seconds = sum(one.user + one.system for one in times)
        memory = sum(member.memory_info().rss for member in family)
        return Usage(seconds, memory, sum(member.num_fds() for member in family))

    def check(self) -> None:
        """Raise when a process has ended by itself."""
        for one in self.running:
            if one.process.poll() is not None:
                raise RuntimeError(f"{shlex.join(one.command)} ended with {one.process.returncode}")

    def _end(self, one: Started, number: int) -> None:
        self.running.remove(one)
        self.send(one, number)
        try:
            one.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.send(one, signal.SIGKILL)
            one.process.wait(END_SECONDS)


def procfile_command(name: str) -> list[str]:
    """The command of a process as the Procfile has it, for a shell as hosts use one."""
    lines = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines() if line)
    return ["bash", "-c", f"exec {lines[name]}"]


def await_true(is_so: Callable[[], Any], what: str, seconds: float, pause: float = 0.05) -> None:
    """Until it is so; raises TimeoutError with `what`."""
    until = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > until:
            raise TimeoutError(f"not within {seconds:.0f} s: {what}")
        time.sleep(pause)
