"""Carillon under measurement: the processes of the Procfile with its defaults, and times read from its own rows."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from uuid import UUID

from sqlalchemy import text

from bench.bursts import Burst
from bench.processes import SCHEDULER, WORKER, Processes, await_true, procfile_command
from bench.seeds import seed_schedules, seed_workflow
from bench.servers import Servers, bench_servers
from bench.work import tasks
from domain.kernel.config import Config
from domain.kernel.db import db, transaction
from workers.local_servers import DATABASE
from workers.process import process_app

STARTING_SECONDS = 60

# A row is there for all to see when the transaction that wrote it (its xmin) has committed. A run is inserted with its
# occurrence and written again when it ends. Its first step says when it really began.
_TIMES = """
    SELECT extract(epoch FROM max(pg_xact_commit_timestamp(o.xmin)) - :instant) AS committed,
        extract(epoch FROM min(s.started_at) - :instant) AS first_started,
        extract(epoch FROM max(s.started_at) - :instant) AS started,
        extract(epoch FROM max(pg_xact_commit_timestamp(r.xmin)) FILTER (WHERE r.finished_at IS NOT NULL) - :instant)
            AS finished,
        count(DISTINCT o.schedule_id) FILTER (WHERE r.status = 'succeeded') AS done,
        count(*) - count(DISTINCT o.schedule_id) AS doubled
    FROM occurrences o LEFT JOIN runs r ON r.id = o.id LEFT JOIN run_steps s ON s.run_id = r.id AND s.position = 0
    WHERE o.scheduled_for = :instant AND o.outcome = 'fired'
"""

_LATE = text("""
    SELECT extract(epoch FROM s.started_at - o.scheduled_for)
    FROM occurrences o JOIN run_steps s ON s.run_id = o.id AND s.position = 0
    WHERE o.scheduled_for = ANY(:instants) AND o.outcome = 'fired'
""")


class Carillon:
    """Schedulers and workers on `servers`, `groups` of each."""

    name = "Carillon"

    def __init__(self, servers: Servers, processes: Processes) -> None:
        self.servers = servers
        self.processes = processes
        self.app = process_app(Config.from_env(servers.env), "command", 4)
        self.sends = Sends(servers.redis.socket)

    def register(self, count: int, instant: datetime, first: int = 1) -> None:
        """By SQL: what creating costs is measured by bench.create."""
        crons = [task.cron for task in tasks(5, instant)]
        # The n-th schedule takes the (n mod 5)-th, and `tasks` counts from 1.
        crons = [crons[-1], *crons[:-1]]
        seed_schedules(self.app, self.workflow_id, range(first, first + count), instant, crons)
        self.servers.settle(DATABASE)

    @cached_property
    def workflow_id(self) -> UUID:
        """The workflow that its schedules run."""
        return seed_workflow(self.app)

    def start(self, groups: int) -> None:
        for _ in range(groups):
            self.processes.start(SCHEDULER, procfile_command(SCHEDULER))
            self.processes.start(WORKER, procfile_command(WORKER))
        alive = "SELECT count(*) FROM heartbeats WHERE lease_until > clock_timestamp()"
        await_true(lambda: self.scalar(alive) >= 2 * groups, "every process has a heartbeat", STARTING_SECONDS)
        self.sends.start()

    def begun(self) -> int:
        return int(self.scalar("SELECT count(*) FROM occurrences"))

    def ended(self) -> int:
        return int(self.scalar("SELECT count(*) FROM runs WHERE finished_at IS NOT NULL"))

    def burst(self, count: int, instant: datetime) -> Burst:
        with self.app.app_context(), transaction():
            row = db.session.execute(text(_TIMES), {"instant": instant}).one()
        times = {name: None if at is None else float(at) for name, at in zip(row._fields[:4], row[:4], strict=True)}
        enqueued = self.sends.last_at - instant.timestamp() if self.sends.last_at else None
        return Burst(enqueued=enqueued, lost=count - row.done, doubled=row.doubled, **times)

    def lateness(self, instants: Sequence[datetime]) -> list[float]:
        with self.app.app_context(), transaction():
            return [float(late) for late in db.session.scalars(_LATE, {"instants": list(instants)})]

    def close(self) -> None:
        self.sends.stop()
        with self.app.app_context():
            db.engine.dispose()

    def scalar(self, query: str) -> float:
        with self.app.app_context(), transaction():
            return float(db.session.scalar(text(query)) or 0)


@contextmanager
def carillon_alone(more_env: Mapping[str, str] | None = None) -> Iterator[Carillon]:
    """A Carillon on fresh servers of its own; `more_env` is for its processes."""
    with bench_servers() as servers, Processes(servers.env | (more_env or {}), servers.directory / "log") as processes:
        carillon = Carillon(servers, processes)
        try:
            yield carillon
        finally:
            carillon.close()


class Sends:
    """Listens to Redis for messages that say that work is ready, and remembers when the last one was sent."""

    def __init__(self, path: Path) -> None:
        self.last_at: float | None = None
        self.socket = socket.socket(socket.AF_UNIX)
        self.path = path

    def start(self) -> None:
        self.socket.connect(str(self.path))
        self.socket.sendall(b"MONITOR\r\n")
        threading.Thread(target=self._listen, daemon=True).start()

    def stop(self) -> None:
        self.socket.close()

    def _listen(self) -> None:
        """Each line is `+1700000000.123456 [0 unix:…] "EVALSHA" …`; only a message that is sent names its actor."""
        try:
            for line in self.socket.makefile("rb"):
                if b"work_" in line:
                    self.last_at = float(line[1:].partition(b" ")[0])
        except OSError:
            return
