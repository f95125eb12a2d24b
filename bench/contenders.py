"""Whoever takes part in a herd: how each registers schedules, starts its processes, and says what became of them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Protocol

from bench.bursts import Burst, burst_of, lateness_of
from bench.carillon import Carillon
from bench.processes import SCHEDULER, WORKER, Processes
from bench.servers import PEER_DATABASE, Servers
from bench.work import STARTS
from tests.servers import ROOT

THREADS = 8
PLACE, PYTHON, NODE = "{place}", "{place}/venv/bin/python", "{place}/node/node_modules/.bin/node"
CELERY = (PYTHON, "-m", "celery", "-A", "bench.peers.celery_app")
CELERY_WORKER = (*CELERY, "worker", "-P", "threads", "-c", str(THREADS), "-Q", "bench", "-l", "WARNING")


class Contender(Protocol):
    """One scheduler with its workers, on servers of its own."""

    def register(self, count: int, instant: datetime, first: int = 1) -> None:
        """`count` schedules that are due at `instant`, numbered from `first` on."""

    def start(self, groups: int) -> None:
        """`groups` of schedulers and workers, as far as it knows how to share."""

    def begun(self) -> int:
        """How many schedules have been let go so far."""

    def ended(self) -> int:
        """How many jobs are done."""

    def burst(self, count: int, instant: datetime) -> Burst: ...

    def lateness(self, instants: Sequence[datetime]) -> list[float]:
        """Of each job that has begun: how many seconds after its instant."""

    def close(self) -> None: ...


@dataclass(frozen=True)
class Recipe:
    """How a peer is driven through its normal interface. `scheduler`: None when the workers do it themselves; of it there
    is one, because none of these may be started twice. `seconds_each`: what registering one schedule may take."""

    name: str
    register: Sequence[str]
    worker: Sequence[str]
    scheduler: Sequence[str] | None
    seconds_each: float
    needs: str = PYTHON


PEERS = {
    "apscheduler": Recipe(
        "APScheduler → Dramatiq",
        (PYTHON, "-m", "bench.peers.apscheduler_jobs", "register"),
        (PYTHON, "-m", "dramatiq", "bench.peers.dramatiq_jobs", "--processes", "1", "--threads", str(THREADS)),
        (PYTHON, "-m", "bench.peers.apscheduler_jobs", "run"),
        0.003,
    ),
    "redbeat": Recipe(
        "Celery + RedBeat",
        (PYTHON, "-m", "bench.peers.redbeat_jobs"),
        CELERY_WORKER,
        (*CELERY, "beat", "-S", "redbeat.RedBeatScheduler", "-l", "WARNING", "--pidfile="),
        0.002,
    ),
    "django-celery-beat": Recipe(
        "Celery + django-celery-beat",
        (PYTHON, "-m", "bench.peers.django_jobs"),
        CELERY_WORKER,
        (*CELERY, "beat", "-S", "django_celery_beat.schedulers:DatabaseScheduler", "-l", "WARNING", "--pidfile="),
        0.012,
    ),
    "bullmq": Recipe(
        "BullMQ",
        (NODE, "bench/peers/node/bullmq.cjs", "register"),
        (NODE, "bench/peers/node/bullmq.cjs", "run"),
        None,
        0.002,
        NODE,
    ),
    "pg-boss": Recipe(
        "pg-boss",
        (NODE, "bench/peers/node/pgboss.cjs", "register"),
        (NODE, "bench/peers/node/pgboss.cjs", "run"),
        None,
        0.003,
        NODE,
    ),
}
CARILLON = "carillon"
ALL = (CARILLON, *PEERS)


class Peer:
    """A peer on `servers`. Its jobs write into Redis what they did."""

    def __init__(self, recipe: Recipe, servers: Servers, processes: Processes) -> None:
        self.recipe = recipe
        self.servers = servers
        self.processes = processes
        self.starts = servers.starts()

    def register(self, count: int, instant: datetime, first: int = 1) -> None:
        asked = {"BENCH_COUNT": str(count), "BENCH_INSTANT": instant.isoformat(), "BENCH_FIRST": str(first)}
        command = in_place(self.recipe.register)
        with self.processes.log.open("ab") as log:
            subprocess.run(command, cwd=ROOT, env=self.processes.env | asked, stdout=log, stderr=log, check=True)
        self.servers.settle(PEER_DATABASE)

    def start(self, groups: int) -> None:
        for _ in range(groups):
            self.processes.start(WORKER, in_place(self.recipe.worker))
        if self.recipe.scheduler:
            self.processes.start(SCHEDULER, in_place(self.recipe.scheduler))

    def begun(self) -> int:
        return int(self.starts.llen(STARTS))  # type: ignore[arg-type]

    ended = begun

    def burst(self, count: int, instant: datetime) -> Burst:
        return burst_of(self.starts.lrange(STARTS, 0, -1), count, instant)  # type: ignore[arg-type]

    def lateness(self, instants: Sequence[datetime]) -> list[float]:
        return lateness_of(self.starts.lrange(STARTS, 0, -1), instants)  # type: ignore[arg-type]

    def close(self) -> None:
        self.starts.close()


def made(key: str, servers: Servers, processes: Processes) -> Contender:
    return Carillon(servers, processes) if key == CARILLON else Peer(PEERS[key], servers, processes)


def processes_of(key: str, servers: Servers) -> Processes:
    """An empty set of processes with the environment of the contender."""
    log = servers.directory / "log"
    if key == CARILLON:
        return Processes(servers.env, log)
    more = {"NODE_PATH": f"{place()}/node/node_modules", "DJANGO_SETTINGS_MODULE": "bench.peers.django_settings"}
    return Processes(servers.peer_env | more | {"BENCH_CONCURRENCY": str(THREADS)}, log)


def name_of(key: str) -> str:
    return Carillon.name if key == CARILLON else PEERS[key].name


def seconds_each(key: str) -> float:
    """What registering one schedule may take on a busy machine."""
    return 0.001 if key == CARILLON else PEERS[key].seconds_each


def is_there(key: str) -> bool:
    """Whether what it needs is installed."""
    return key == CARILLON or Path(in_place([PEERS[key].needs])[0]).exists()


def in_place(command: Sequence[str]) -> list[str]:
    return [part.replace(PLACE, place()) for part in command]


@cache
def place() -> str:
    """The directory outside the tree where the peers are installed; installs them when they are not."""
    made = subprocess.run(
        [str(ROOT / "bench/peers/make")], env=os.environ, stdout=subprocess.PIPE, text=True, check=True
    )
    return made.stdout.strip()
