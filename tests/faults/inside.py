"""Schedulers and workers inside the test: they die where the test says, and what they had committed stays.

What a dead process leaves behind is the same as with real ones, whose deaths the tests beside this file see; what a test
takes away to see that it is needed can only be taken from processes it has in its hands.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import pytest
from dramatiq import Broker, DecodeError
from flask import Flask

from bench.proxy import CommitProxy
from domain.execution import Worker
from domain.kernel import clock, failpoints
from domain.kernel.config import Config
from domain.runs.heartbeats import WORKER
from domain.runs.runs import LANES
from tests.faults.fleet import Fleet, execute, rows
from tests.faults.seeds import PURE_STEPS, counting_steps, seed_one_time_schedules, seed_workflow
from workers import broker
from workers.broker import make_sender
from workers.local_servers import ValkeyServer
from workers.process import Life
from workers.scheduler import Scheduler
from workers.worker import WorkerLife

# More than it takes anything that goes on at all to come to its end.
ROUNDS = 6
DEADLINE_SECONDS = 600
PATIENCE_SECONDS = 60
PREFETCH = 1_000


class Death(BaseException):
    """`kill -9`: nothing catches it, and what was not committed is rolled back."""


class Impatient(threading.Event):
    """Where a job waits for what comes next, it ends instead: `over` is set."""

    def __init__(self, over: threading.Event | None = None) -> None:
        super().__init__()
        self.over = over or self

    def wait(self, _timeout: float | None = None) -> bool:
        self.over.set()
        return True


class OneRound(Scheduler):
    """Does what there is to do, and waits for nothing."""

    def __init__(self, app: Flask, config: Config, sender: Broker) -> None:
        super().__init__(app, config, sender)
        self.stopping = Impatient()
        self.work_is_ready = Impatient(self.stopping)
        # It has reached the database for long enough to reap.
        self.reaper.heard_of_database_at = clock.monotonic()
        self.reaper.reached_database_at = self.reaper.heard_of_database_at - config.lease_seconds

    def tick(self) -> None:
        self.stopping.clear()
        super().tick()

    def wake(self) -> None:
        self.stopping.clear()
        super().wake()

    def dispatch(self) -> None:
        self.stopping.clear()
        super().dispatch()


class Inside:
    """Processes without a process. `redis_url`: another Redis than that of the fleet.

    Leases last longer than a test; they run out when it says so.
    """

    def __init__(self, fleet: Fleet, monkeypatch: pytest.MonkeyPatch, redis_url: str = "") -> None:
        self.app: Flask = fleet.app
        fleet.be_patient()
        self.config = Config.from_env(fleet.env | ({"REDIS_URL": redis_url} if redis_url else {}))
        self._brokers: list[Broker] = []
        monkeypatch.setattr(failpoints, "_act", _die)
        # A machine under load is slow, not wrong.
        monkeypatch.setattr(broker, "SENDER_TIMEOUT_SECONDS", PATIENCE_SECONDS)

    def close(self) -> None:
        failpoints.arm_failpoints("")
        for one in self._brokers:
            one.client.connection_pool.disconnect()

    def scheduler(self) -> Scheduler:
        return OneRound(self.app, self.config, self.sender())

    def worker(self) -> WorkerLife:
        """One that has a lease, and no threads."""
        made = WorkerLife(self.app, self.config)
        made.life = Life(self.app, WORKER, self.config.lease_seconds)
        made.worker = Worker(made.life.id, DEADLINE_SECONDS)
        made.life.beat()
        return made

    def sender(self, redis_url: str = "") -> Any:
        self._brokers.append(make_sender(redis_url or self.config.redis_url))
        return self._brokers[-1]

    def dies(self, at: str, act: Callable[[], Any]) -> None:
        """`act` is done by a process that is killed at a failpoint, `name` or `name@n`."""
        name, _, number = at.partition("@")
        failpoints.arm_failpoints(f"{name}=kill9@{number or 1}")
        try:
            with pytest.raises(Death):
                self.act(act)
        finally:
            failpoints.arm_failpoints("")

    def seed_due(self, count: int = 1, *, is_pure: bool = False) -> None:
        """`count` schedules that are due, of a workflow whose three steps count unless it is pure."""
        steps = PURE_STEPS if is_pure else counting_steps()
        seed_one_time_schedules(self.app, seed_workflow(self.app, steps, is_pure=is_pure), count, in_seconds=0)

    def seed_ready(self, count: int = 1, *, is_pure: bool = False) -> None:
        """`count` runs that were fired and nobody has claimed."""
        self.seed_due(count, is_pure=is_pure)
        self.scheduler().tick()
        if self.statuses() != {"queued": count}:
            raise AssertionError(self.statuses())

    def statuses(self) -> dict[str, int]:
        """How many runs there are, by status."""
        return dict(map(tuple, rows(self.app, "SELECT status, count(*) FROM runs GROUP BY 1")))

    def act(self, act: Callable[[], Any]) -> Any:
        with self.app.app_context():
            return act()

    def deliver(self, worker: WorkerLife) -> int:
        """Every message reaches the worker, one after the other; how many it were. What cannot be read breaks the
        consumer, and what it had fetched along with it is gone."""
        taken = 0
        fetching = self.sender()
        for lane in LANES:
            consumer = fetching.consume(lane, PREFETCH, timeout=1)
            try:
                while message := next(consumer):
                    self.act(lambda lane=lane: worker.work(lane))  # type: ignore[misc]
                    consumer.ack(message)
                    taken += 1
            except DecodeError:
                continue
        return taken

    @contextmanager
    def proxied(self, valkey: ValkeyServer, word: bytes) -> Iterator[tuple[CommitProxy, str]]:
        """A proxy that may lose answers to what holds the word, and the address of the Redis behind it."""
        proxy = CommitProxy(valkey.socket_directory, valkey.directory)
        proxy.server, proxy.words = valkey.socket, (word,)
        proxy.start()
        try:
            yield proxy, valkey.url.replace(quote(str(valkey.socket)), quote(str(proxy.path)))
        finally:
            proxy.close()

    def forget_leases(self) -> None:
        """Time passes: whoever has died by now has no lease any more."""
        execute(self.app, "UPDATE heartbeats SET lease_until = clock_timestamp() - interval '1 s'")

    def go_on(self) -> None:
        """A scheduler and a worker that live do what they do in a few seconds."""
        scheduler, worker = self.scheduler(), self.worker()
        for _ in range(ROUNDS):
            scheduler.tick()
            scheduler.reap()
            scheduler.wake()
            scheduler.dispatch()
            self.deliver(worker)


def _die(_action: str, name: str) -> None:
    raise Death(name)
