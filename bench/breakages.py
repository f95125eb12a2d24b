"""What the chaos bench does to processes and servers: each breakage ends by having put back what it took."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Callable

import psycopg
import redis
from psycopg import OperationalError
from redis.exceptions import RedisError

from bench.processes import SCHEDULER, WORKER, Processes
from bench.proxy import CommitProxy
from bench.servers import Servers

FREEZE_SECONDS = 15.0
AWAY_SECONDS = 5.0


class Breakages:
    """Breaks something at random, again and again; `done` counts what."""

    def __init__(self, processes: Processes, servers: Servers, proxy: CommitProxy, seed: int) -> None:
        self.processes = processes
        self.servers = servers
        self.proxy = proxy
        self.chance = random.Random(seed)
        self.done: Counter[str] = Counter()

    def break_something(self) -> None:
        acts: dict[Callable[[], None], int] = {
            self.kill: 6,
            self.freeze: 4,
            self.lose_commits: 4,
            self.cut_connections: 3,
            self.empty_redis: 2,
            self.restart_redis: 1,
            self.restart_postgres: 1,
            self.crash_postgres: 1,
        }
        act = self.chance.choices(list(acts), weights=list(acts.values()))[0]
        act()
        self.done[act.__name__.replace("_", " ")] += 1

    def kill(self) -> None:
        restart = self.processes.kill(*self._someone())
        time.sleep(self.chance.uniform(0, 3))
        restart()

    def freeze(self) -> None:
        """The lease of a worker runs out in ten seconds, so some thaw after others have taken their runs over."""
        someone = self.processes.at(*self._someone())
        self.processes.send(someone, signal.SIGSTOP)
        time.sleep(self.chance.uniform(1, FREEZE_SECONDS))
        self.processes.send(someone, signal.SIGCONT)

    def lose_commits(self) -> None:
        self.proxy.drop_commits(self.chance.randint(1, 5))

    def cut_connections(self) -> None:
        try:
            with psycopg.connect(self.servers.postgres.url, autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'carillon%'"
                )
        except OperationalError:
            return

    def empty_redis(self) -> None:
        self.servers.redis.prove()
        try:
            with redis.Redis.from_url(self.servers.redis.url) as client:
                client.flushall()
        except RedisError:
            return

    def restart_redis(self) -> None:
        self.servers.redis.prove()
        self.servers.redis.kill()
        time.sleep(self.chance.uniform(0, AWAY_SECONDS))
        self.servers.redis.start()

    def restart_postgres(self) -> None:
        self.servers.postgres.stop()
        time.sleep(self.chance.uniform(0, AWAY_SECONDS))
        self.servers.postgres.start()

    def crash_postgres(self) -> None:
        self.servers.postgres.kill()
        time.sleep(self.chance.uniform(0, AWAY_SECONDS))
        self.servers.postgres.start()

    def _someone(self) -> tuple[str, int]:
        role = self.chance.choice((SCHEDULER, WORKER))
        return role, self.chance.randrange(self.processes.count(role))
