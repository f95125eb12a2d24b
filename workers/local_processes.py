"""The processes of the Procfile under one supervisor: started together, their lines side by side, ended together."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from multiprocessing import Queue
from pathlib import Path
from typing import Any

import honcho.manager
from honcho.environ import parse_procfile
from honcho.process import Process

from workers import leash

KILL_SECONDS = 35
"""From the first process that ended to the end of patience with the others: above every process's own time to finish."""
SIGNAL_CODES = {sign["rc"] for sign in honcho.manager.SIGNALS.values()}


def procfile_commands(path: Path) -> dict[str, str]:
    """Command by process name, in the order of the file."""
    return dict(parse_procfile(path.read_text()).processes)


def run_together(commands: Mapping[str, str], env: Mapping[str, str], on_start: Callable[[], None]) -> str | None:
    """Run all `commands` until one ends or a signal arrives, then end all. `on_start` runs in a thread of its own.

    Answers None when asked to end by SIGINT or SIGTERM, else a sentence naming the process that ended by itself.
    """
    honcho.manager.KILL_WAIT = KILL_SECONDS
    manager = Group(on_start)
    for name, command in commands.items():
        manager.add_process(name, _leashed(command), env=dict(env))
    try:
        manager.loop()
    finally:
        manager.cut()
    return manager.first_ended


def _leashed(command: str) -> str:
    """Ends with the relaying process of honcho, whose id the shell knows as PPID."""
    python, program = shlex.quote(sys.executable), shlex.quote(leash.__file__)
    return f"exec {python} -I -S {program} {int(signal.SIGTERM)} $PPID - {command}"


class Relay(Process):  # type: ignore[misc]
    """honcho's relay of one process's lines, which does not outlive the supervisor: its process ends with it."""

    supervisor_pid = 0

    def run(self, events: Queue[Any] | None = None, ignore_signals: bool = False) -> None:
        leash.tie_to_starter(signal.SIGKILL, self.supervisor_pid)
        super().run(events, ignore_signals)


class Group(honcho.manager.Manager):  # type: ignore[misc]
    """honcho's manager, which also knows who ended first and can be ended while it is still starting."""

    def __init__(self, on_start: Callable[[], None]) -> None:
        super().__init__()
        self.first_ended: str | None = None
        self._on_start = on_start
        self._process_ctor = Relay

    def add_process(self, *args: Any, **kwargs: Any) -> Relay:
        relay: Relay = super().add_process(*args, **kwargs)
        relay.supervisor_pid = os.getpid()
        return relay

    def terminate(self) -> None:
        """Called by honcho on a signal or when a process ended; processes without a known id yet are ended once it is."""
        if not self._all_started():
            threading.Timer(0.1, self.terminate).start()
            return
        if not self._terminating and self.returncode not in SIGNAL_CODES:
            codes = {name: state["returncode"] for name, state in self._processes.items() if "returncode" in state}
            for name, code in codes.items():
                how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
                self.first_ended = self.first_ended or f"{name} {how}"
        super().terminate()

    def cut(self) -> None:
        """Give up what is left: without its relay a process is ended by its leash."""
        for state in self._processes.values():
            if "process" in state:
                state["process"].kill()

    def _start(self) -> None:
        super()._start()
        threading.Thread(target=self._on_start, daemon=True).start()
