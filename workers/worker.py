"""A worker process: claims chunks of ready runs and executes them, as one heartbeat that is the lease of all of them."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import threading
import time
from multiprocessing.process import BaseProcess
from typing import Any

import dramatiq
from dramatiq.middleware import Middleware
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from domain.execution import Worker, give_back_strays
from domain.health import is_database_away
from domain.kernel.config import Config
from domain.kernel.db import transaction
from domain.kernel.failpoints import hit
from domain.kernel.log import first_line, logger
from domain.runs.admission import ready_in
from domain.runs.heartbeats import WORKER
from domain.runs.runs import CALL, EFFECT, PURE
from workers.finding import Finders
from workers.process import Life

log = logger(__name__)

# On one machine the scheduler and the pages come first: what is due is to be on record before it is worked on.
NICENESS = 5
# How long one message may keep a thread claiming, so that both lanes get their turn.
TURN_SECONDS = 10.0
# How long calls under way may last when the process is to end: hosts kill what is not gone soon.
DRAIN_SECONDS = 20.0
# Calls that share one connection: it is held before a call and after it, never during it.
CALLS_PER_CONNECTION = 4
# Threads for what no message says: no scheduler is there to announce it, or no Redis to carry the message.
FINDERS = 4
FIND_SECONDS = 0.5
# Who is there announces within a second, also what belongs to a herd (`workers.herds.HOLD_SECONDS`).
UNTOLD_SECONDS = 1.0


def connections(config: Config) -> int:
    """How many database connections a worker process needs: one per thread that takes messages, or finds work while none
    come, one for the heartbeat, one each for who looks for calls and for what nobody announced, and some for the calls."""
    return config.worker_threads + 3 + math.ceil(config.call_threads / CALLS_PER_CONNECTION)


def end_with_master() -> None:
    """When the master of this process is killed, stop as if told to: nobody else could say so any more, and beside the
    workers of the next master there would be twice as many as wanted."""
    if master := multiprocessing.parent_process():
        threading.Thread(target=_stop_after, args=(master,), name="master", daemon=True).start()


def _stop_after(master: BaseProcess) -> None:
    master.join()
    log.warning("The master of this worker is gone; stopping")
    os.kill(os.getpid(), signal.SIGTERM)


class WorkerLife(Middleware):
    """The lease of this process, from its start until its end."""

    def __init__(self, app: Flask, config: Config) -> None:
        self.app = app
        self.config = config
        self.is_stopping = False
        self.callers = Finders("caller", config.call_threads, self._ready_calls, self._call)
        self.finders = Finders("finder", FINDERS, self._untold, self._work_untold, FIND_SECONDS)
        self._told = 0
        self._lock = threading.Lock()
        self._pure_turn = threading.Lock()

    def after_process_boot(self, _broker: dramatiq.Broker) -> None:
        end_with_master()
        os.nice(NICENESS)
        self.life = Life(self.app, WORKER, self.config.lease_seconds)
        self.worker = Worker(self.life.id, self.config.run_deadline_seconds)
        self._first_beat()
        self.life.keep_beating(self._give_back_strays)
        self.callers.start()
        self.finders.start()

    def before_worker_shutdown(self, _broker: dramatiq.Broker, _worker: Any) -> None:
        self.is_stopping = True
        self.callers.stop()
        self.finders.stop()

    def after_worker_shutdown(self, _broker: dramatiq.Broker, _worker: Any) -> None:
        if left := self.callers.drain(DRAIN_SECONDS):
            log.warning("Calls are still under way; another worker makes them again with the same key", calls=left)
        if left := self.finders.drain(DRAIN_SECONDS):
            log.warning("Runs are still under way; another worker goes on with them", threads=left)
        self.life.end()

    def work(self, lane: str) -> None:
        """A message says that something is ready: claim and execute until nothing is, the turn is over, or this process is to
        stop."""
        hit("worker.after_message")
        with self._lock:
            self._told += 1
        try:
            self._work(lane)
        finally:
            with self._lock:
                self._told -= 1

    def _work(self, lane: str) -> None:
        until = time.monotonic() + TURN_SECONDS
        try:
            if not self.is_stopping:
                self.worker.work(lane, lambda: not self.is_stopping and time.monotonic() < until)
        except SQLAlchemyError as error:
            if not is_database_away(error):
                raise
            log.warning("The database cannot be reached; what is claimed is given back", error=first_line(error))

    def wake_callers(self) -> None:
        """Calls are ready: they have threads of their own."""
        self.callers.wake()

    def _call(self) -> None:
        with self.app.app_context():
            self._work(CALL)

    def _ready_calls(self) -> int:
        with self.app.app_context(), transaction():
            return ready_in(CALL, self.config.call_threads)

    def _work_untold(self) -> None:
        """Pure runs are for one thread: more of them would take the processors from a scheduler that is just starting."""
        with self.app.app_context():
            if self._pure_turn.acquire(blocking=False):
                try:
                    self._work(PURE)
                finally:
                    self._pure_turn.release()
            self._work(EFFECT)

    def _untold(self) -> int:
        """What has been ready for longer than announcing takes while threads for it are free; if none is, nobody forgot it."""
        if self._told >= self.config.worker_threads:
            return 0
        with self.app.app_context(), transaction():
            return ready_in(PURE, 1, UNTOLD_SECONDS) + ready_in(EFFECT, FINDERS, UNTOLD_SECONDS)

    def _first_beat(self) -> None:
        """A claim without a lease would be taken away at once, so nothing is claimed before the first beat."""
        while True:
            try:
                self.life.beat()
                return
            except Exception as error:
                log.warning("The database cannot be reached yet", error=first_line(error))
                time.sleep(1)

    def _give_back_strays(self) -> None:
        with self.app.app_context(), transaction():
            give_back_strays(self.worker)
