"""Real processes of Carillon on real servers, to be killed, stopped and started again; and what must hold afterwards."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import text

from domain.kernel.config import Config
from domain.kernel.db import db, transaction
from tests.faults.forks import Fork, stem
from tests.servers import ROOT
from workers.process import process_app

# Generous: a machine under load is slow, not wrong.
DEADLINE_SECONDS = 90
LEASE_SECONDS = 2
PATIENT_LEASE_SECONDS = 60
LOG_SHOWN = 12_000

SCHEDULER = ["workers.scheduler"]
WORKER = ["dramatiq", "workers.actors", "--processes", "1", "--threads", "4"]

Process = subprocess.Popen[bytes] | Fork


class Fleet:
    """Processes of Carillon started by a test. Each leads a process group of its own, so that a signal reaches all of it."""

    def __init__(self, env: dict[str, str]) -> None:
        self.env = env | {"CARILLON_LEASE_SECONDS": str(LEASE_SECONDS), "CARILLON_LOG_FORMAT": "console"}
        self.log = Path(tempfile.mkdtemp(prefix="carillon-fleet-")) / "log"
        self.running: list[Process] = []
        # As many connections as a test has threads: none is to wait for another thread's.
        self.app = process_app(Config.from_env(env), "command", 32)

    def be_patient(self) -> None:
        """Nobody who is started from now on is taken for dead while the test lasts, however slow the machine is."""
        self.env["CARILLON_LEASE_SECONDS"] = str(PATIENT_LEASE_SECONDS)

    def said(self, sentence: str) -> bool:
        """Whether one of the processes has logged it."""
        return sentence in self.log.read_text(errors="replace")

    def await_stop(self, process: Process) -> None:
        """Until a failpoint has stopped a scheduler where it is."""
        stat = Path(f"/proc/{process.pid}/stat")
        wait_until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", "a process that stands still")

    def await_processes(self, count: int) -> None:
        """Until `count` processes have a heartbeat."""
        alive = "SELECT count(*) FROM heartbeats WHERE lease_until > clock_timestamp()"
        wait_until(lambda: scalar(self.app, alive) >= count, f"{count} living processes")

    def start(self, command: list[str]) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as output:
            process = subprocess.Popen(
                command, cwd=ROOT, env=self.env, stdout=output, stderr=output, start_new_session=True
            )
        self.running.append(process)
        return process

    def fork(self, module: list[str], failpoints: str = "") -> Fork:
        """A module of Python with its arguments, which begins with everything imported."""
        env = self.env | {"CARILLON_FAILPOINTS": failpoints}
        process = stem().fork(module[0], module[1:], env, self.log)
        self.running.append(process)
        return process

    def scheduler(self, failpoints: str = "") -> Fork:
        return self.fork(SCHEDULER, failpoints)

    def worker(self, failpoints: str = "") -> Fork:
        return self.fork(WORKER, failpoints)

    def send(self, process: Process, number: int) -> None:
        """A signal to the whole process group."""
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return

    def kill(self, process: Process) -> None:
        """`kill -9`, and the body buried."""
        self.send(process, signal.SIGKILL)
        process.wait(30)
        if process in self.running:
            self.running.remove(process)

    def close(self) -> None:
        for process in list(self.running):
            self.kill(process)
        with self.app.app_context():
            db.engine.dispose()
        shutil.rmtree(self.log.parent, ignore_errors=True)


@contextmanager
def fleet_on(env: dict[str, str]) -> Iterator[Fleet]:
    """A fleet that is gone afterwards. The end of its log is written where pytest keeps it for tests that fail."""
    fleet = Fleet(env)
    try:
        yield fleet
    finally:
        sys.stderr.write(fleet.log.read_text(errors="replace")[-LOG_SHOWN:] if fleet.log.exists() else "")
        fleet.close()


def wait_until(is_so: Callable[[], Any], what: str, seconds: float = DEADLINE_SECONDS) -> Any:
    """What `is_so` answers, as soon as it is true; fails with `what` after the deadline."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = is_so()
        if answer:
            return answer
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")


def scalar(app: Flask, query: str, **values: Any) -> Any:
    """One value, read in a transaction of its own."""
    with app.app_context(), transaction():
        return db.session.scalar(text(query), values)


def rows(app: Flask, query: str, **values: Any) -> list[Any]:
    with app.app_context(), transaction():
        return list(db.session.execute(text(query), values))


def execute(app: Flask, query: str, **values: Any) -> None:
    with app.app_context(), transaction():
        db.session.execute(text(query), values)
