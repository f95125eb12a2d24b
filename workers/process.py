"""What every Carillon process that is not a web server has: settings, a database, an identity and a heartbeat."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from uuid import UUID

from flask import Flask

from domain import tables
from domain.extensions.settings import configure_extensions
from domain.kernel.config import Config
from domain.kernel.db import db, engine_options, name_connections, transaction
from domain.kernel.failpoints import arm_failpoints
from domain.kernel.ids import new_id
from domain.kernel.log import configure_logs, first_line, logger
from domain.kernel.metric_counts import record_counts
from domain.kernel.outbound import configure_outbound
from domain.kernel.outbox import configure_mail
from domain.kernel.vault import configure_vault
from domain.runs.heartbeats import beat, end_heartbeat, session_name

log = logger(__name__)

# How long the end of a process waits for a database that may never answer.
LEAVE_SECONDS = 5.0


def process_app(config: Config, role: str, threads: int) -> Flask:
    """A bare application that carries the database; no views. `role` picks the timeouts."""
    app = Flask(f"carillon-{role}")
    app.config.from_mapping(
        SQLALCHEMY_DATABASE_URI=config.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(role, threads),
        CARILLON=config,
    )
    db.init_app(app)
    configure_vault(config.secret_key, config.previous_secret_keys)
    configure_mail(config)
    configure_outbound(config)
    configure_extensions(config)
    assert tables.ALL, "importing them is what makes the models known"  # noqa: S101
    return app


def configured() -> Config:
    """Settings of this process, with logs and failpoints set up accordingly."""
    config = Config.from_env()
    configure_logs(config.log_level, config.log_format)
    arm_failpoints(config.failpoints)
    return config


def code_version() -> str:
    """The version of Carillon that this process runs."""
    try:
        return version("carillon")
    except PackageNotFoundError:
        return os.environ.get("CARILLON_VERSION") or os.environ.get("HEROKU_SLUG_COMMIT", "dev")[:12]


@dataclass
class Life:
    """One life of one process: a new id each start, so that nobody inherits a lease. Beats until it is ended. Database
    connections made from its beginning on are known by its id."""

    app: Flask
    kind: str
    lease_seconds: int
    id: UUID = field(default_factory=new_id)
    ended: threading.Event = field(default_factory=threading.Event)
    version: str = field(default_factory=code_version)

    def __post_init__(self) -> None:
        with self.app.app_context():
            name_connections(session_name(self.kind, self.id))

    def beat(self) -> None:
        """Say once that this process is alive."""
        with self.app.app_context(), transaction():
            beat(self.id, self.kind, socket.gethostname(), os.getpid(), self.version, self.lease_seconds)
        with self.app.app_context():
            record_counts()

    def keep_beating(self, after_beat: Callable[[], None]) -> threading.Thread:
        """Beat from a thread of its own, three times per lease, with `after_beat` each time."""
        thread = threading.Thread(target=self._run, args=(after_beat,), name="heartbeat", daemon=True)
        thread.start()
        return thread

    def end(self) -> None:
        """Give the lease up at once: whatever is still claimed is free for others. A database that says nothing keeps no
        process from ending."""
        self.ended.set()
        leaving = threading.Thread(target=self._leave, name="leaving", daemon=True)
        leaving.start()
        leaving.join(LEAVE_SECONDS)
        if leaving.is_alive():
            log.warning("The database does not answer; the heartbeat will run out")

    def _leave(self) -> None:
        with self.app.app_context():
            record_counts()
        try:
            with self.app.app_context(), transaction():
                end_heartbeat(self.id)
        except Exception as error:
            log.warning("The heartbeat could not be ended and will run out", error=first_line(error))

    def _run(self, after_beat: Callable[[], None]) -> None:
        while True:
            try:
                self.beat()
                after_beat()
            except Exception as error:
                log.warning("A heartbeat was missed", error=first_line(error))
            if self.ended.wait(self.lease_seconds / 3):
                return
