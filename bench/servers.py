"""A fresh pair of servers for one measurement: PostgreSQL with fsync on, Redis with its log synced each second."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import redis

from tests.servers import environment, make_directory, migrate, remove_directory
from workers.local_servers import PostgresServer, ValkeyServer

POSTGRES = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "1GB",
    "max_wal_size": "4GB",
    # When a row became visible to others is read from its transaction, instead of asking again and again.
    "track_commit_timestamp": "on",
}
REDIS = {"appendonly": "yes", "appendfsync": "everysec"}
PEER_DATABASE = "peer"
STARTS_DB = 1


class BenchPostgres(PostgresServer):
    """PostgreSQL as the local server starts it, with the settings of bench/."""

    def command(self) -> list[str]:
        return super().command() + [part for name, value in POSTGRES.items() for part in ("-c", f"{name}={value}")]


class BenchRedis(ValkeyServer):
    """The Redis-compatible server as it is started locally, with the settings of bench/."""

    def command(self) -> list[str]:
        return super().command() + [part for name, value in REDIS.items() for part in (f"--{name}", value)]


@dataclass(frozen=True)
class Servers:
    """Both servers while they run, each with nothing of anybody else in it."""

    postgres: BenchPostgres
    redis: BenchRedis
    directory: Path

    @property
    def env(self) -> dict[str, str]:
        """For processes of Carillon, which are told nothing that production would not tell them."""
        told = environment(self.postgres.url, self.redis.url)
        return {name: value for name, value in told.items() if name != "CARILLON_TESTING"}

    @property
    def peer_env(self) -> dict[str, str]:
        """For processes of a peer, which has a database of its own."""
        address = self.postgres.database_url(PEER_DATABASE)
        redis_socket = str(self.redis.socket)
        return environment(address, self.redis.url) | {
            "PEER_DATABASE_URL": address.replace("postgresql:", "postgresql+psycopg:"),
            "PGHOST": parse_qs(urlsplit(address).query)["host"][0],
            "PGUSER": str(urlsplit(address).username),
            "PGDATABASE": PEER_DATABASE,
            "REDIS_SOCKET": redis_socket,
            "CELERY_BROKER_URL": f"redis+socket://{redis_socket}?virtual_host=0",
            "STARTS_DB": str(STARTS_DB),
            "STARTS_URL": self.redis.database_url(STARTS_DB),
        }

    def settle(self, database: str) -> None:
        """What autovacuum does in the minutes before a herd."""
        with psycopg.connect(self.postgres.database_url(database), autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE)")
            connection.execute("CHECKPOINT")

    def starts(self) -> redis.Redis:
        """The database of Redis where jobs of peers write what they did."""
        return redis.Redis.from_url(self.redis.database_url(STARTS_DB), decode_responses=True)


@contextmanager
def bench_servers(*, is_migrated: bool = True) -> Iterator[Servers]:
    """Servers that are gone afterwards; with Carillon's tables, or with an empty database for a peer."""
    directory = make_directory()
    servers = Servers(BenchPostgres(directory / "postgres"), BenchRedis(directory / "redis"), directory)
    try:
        with servers.postgres, servers.redis:
            if is_migrated:
                migrate(servers.env)
            else:
                with psycopg.connect(servers.postgres.url, autocommit=True) as connection:
                    connection.execute(f"CREATE DATABASE {PEER_DATABASE}")
            yield servers
    finally:
        remove_directory(directory, servers.postgres)
