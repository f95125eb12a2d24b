"""The processes of the Procfile under one supervisor: their lines side by side, each started again when it ends, and
ended together."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import honcho.manager
from honcho.environ import parse_procfile
from honcho.manager import SYSTEM_PRINTER_NAME
from honcho.printer import Message

from workers.local_process import KeptProcess

KILL_SECONDS = 35
"""From the first process that ended to the end of patience with the others: above every process's own time to finish."""
CUT_SECONDS = 5


def procfile_commands(path: Path) -> dict[str, str]:
    """Command by process name, in the order of the file."""
    return dict(parse_procfile(path.read_text()).processes)


def run_together(commands: Mapping[str, str], env: Mapping[str, str], on_start: Callable[[], None]) -> str | None:
    """Run all `commands` until a signal arrives or one is given up, then end all. `on_start` runs in a thread of its own.

    Answers None when asked to end by SIGINT or SIGTERM, else a sentence naming the process that ended too often.
    """
    honcho.manager.KILL_WAIT = KILL_SECONDS
    group = Group(on_start)
    for name, command in commands.items():
        group.add_process(name, command, env=dict(env))
    try:
        group.loop()
    finally:
        group.cut()
    return next((process.fault for process in group.kept if process.fault), None)


class Group(honcho.manager.Manager):  # type: ignore[misc]
    """honcho's manager with a thread instead of a process per command, so that nothing but the supervisor itself has to
    live for a command to be kept running."""

    def __init__(self, on_start: Callable[[], None]) -> None:
        super().__init__()
        # The one queue that may be written to by a signal's receiver while the same thread reads it.
        self.events: SimpleQueue[Any] = SimpleQueue()
        self._process_ctor = KeptProcess
        self._on_start = on_start
        self._threads: list[threading.Thread] = []

    @property
    def kept(self) -> list[KeptProcess]:
        return [state["obj"] for state in self._processes.values()]

    def cut(self) -> None:
        """End what is left when the loop itself failed; after an ordinary end nothing is."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            for process in self.kept:
                process.end(number)
            for thread in self._threads:
                thread.join(CUT_SECONDS)

    def _start(self) -> None:
        self._threads = [
            threading.Thread(target=process.run, args=(self.events,), name=process.name, daemon=True)
            for process in self.kept
        ]
        for thread in (*self._threads, threading.Thread(target=self._on_start, daemon=True)):
            thread.start()

    def _all_started(self) -> bool:
        """Always: a process that is to end before it was started is never started."""
        return True

    def _killall(self, force: bool = False) -> None:
        for name, state in self._processes.items():
            if "returncode" not in state:
                number = signal.SIGKILL if force else signal.SIGTERM
                self._system_print(f"sending {number.name} to {name}\n")
                state["obj"].end(number)

    def _system_print(self, data: str) -> None:
        self.events.put(Message("line", data, self._clock.now(), SYSTEM_PRINTER_NAME, None))
