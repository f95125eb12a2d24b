"""A worker process: claims chunks of ready runs and executes them, as one heartbeat that is the lease of all of them."""

from __future__ import annotations

import time
from typing import Any

import dramatiq
from dramatiq.middleware import Middleware
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from domain.execution import Worker, give_back_strays
from domain.health import is_database_away
from domain.kernel.config import Config
from domain.kernel.db import transaction
from domain.kernel.log import first_line, logger
from domain.runs.heartbeats import WORKER
from workers.process import Life

log = logger(__name__)

# How long one message may keep a thread claiming, so that both lanes get their turn.
TURN_SECONDS = 10.0


class WorkerLife(Middleware):
    """The lease of this process, from its start until its end."""

    def __init__(self, app: Flask, config: Config) -> None:
        self.app = app
        self.config = config
        self.is_stopping = False

    def after_process_boot(self, _broker: dramatiq.Broker) -> None:
        self.life = Life(self.app, WORKER, self.config.lease_seconds)
        self.worker = Worker(self.life.id, self.config.run_deadline_seconds)
        self._first_beat()
        self.life.keep_beating(self._give_back_strays)

    def before_worker_shutdown(self, _broker: dramatiq.Broker, _worker: Any) -> None:
        self.is_stopping = True

    def after_worker_shutdown(self, _broker: dramatiq.Broker, _worker: Any) -> None:
        self.life.end()

    def work(self, lane: str) -> None:
        """Claim and execute until nothing is ready, the turn is over, or this process is to stop."""
        until = time.monotonic() + TURN_SECONDS
        try:
            while not self.is_stopping and time.monotonic() < until and self.worker.work(lane):
                pass
        except SQLAlchemyError as error:
            if not is_database_away(error):
                raise
            log.warning("The database cannot be reached; what is claimed is given back", error=first_line(error))

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
