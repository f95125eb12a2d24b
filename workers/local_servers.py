"""PostgreSQL and Valkey for development and tests, from PyPI wheels. Never for production.

The wheels are carriers of programs; their Python is never imported.
"""

from __future__ import annotations

import shutil
import signal
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import redis
from psycopg import sql

from workers.local_places import (
    ServerFailed,
    postgres_programs,
    postgres_user,
    settle_cluster,
    valkey_program,
    valkey_user,
)
from workers.local_server import AlreadyRunning, LocalServer, NotOurServer

__all__ = ["AlreadyRunning", "NotOurServer", "PostgresServer", "ServerFailed", "ValkeyServer"]

ROLE = "carillon"
DATABASE = "carillon"
POSTGRES_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
UNSAFE_BUT_FAST = {"fsync": "off", "full_page_writes": "off", "max_wal_size": "4GB"}
"""PostgreSQL settings for tests: nothing need outlive a crash of the machine, but every commit a crash of the server, for
which synchronous_commit must stay on. Without fsync it costs one write to the system's cache."""
VALKEY_DATABASES = 128


class PostgresServer(LocalServer):
    """A cluster in `directory` with one superuser `carillon`, trusted on its socket, and one database `carillon`."""

    name = "PostgreSQL"
    stop_signals = (signal.SIGINT, signal.SIGQUIT)
    """SIGTERM would wait for every client to leave."""
    end_signal = signal.SIGINT

    def __init__(self, directory: Path, *, is_durable: bool = True) -> None:
        cluster = settle_cluster(directory)
        super().__init__(cluster, postgres_user(cluster))
        self.programs = postgres_programs(self.user)
        self.is_durable = is_durable

    @property
    def url(self) -> str:
        return self.database_url(DATABASE)

    def database_url(self, database: str) -> str:
        """The address of another database of this server."""
        return f"postgresql://{ROLE}@/{quote(database, safe='')}?host={quote(str(self.socket_directory), safe='')}"

    @property
    def pid_file(self) -> Path:
        return self.directory / "postmaster.pid"

    def prepare(self) -> None:
        """Create the cluster beside its place and move it there, so that a killed initdb leaves no half cluster."""
        if (self.directory / "PG_VERSION").exists():
            return
        partial = self.directory.with_name(f"{self.directory.name}.new")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(mode=0o700)
        self.user.take(partial)
        locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "-E", "UTF8"]
        options = [*locale, "-A", "trust", "--no-instructions", "-D", str(partial)]
        if not self.is_durable:
            options += ["--no-sync", "--wal-segsize=4"]
        with tempfile.TemporaryFile() as log:
            process = self.run([str(self.programs / "initdb"), "-U", ROLE, *options], log)
            try:
                is_failed = process.wait(timeout=120) != 0
            except BaseException:
                process.kill()
                process.wait()
                raise
            log.seek(0)
            if is_failed:
                raise ServerFailed(f"initdb failed for {partial}:\n{log.read().decode(errors='replace').strip()}")
        partial.rename(self.directory)

    def command(self) -> list[str]:
        settings = POSTGRES_SETTINGS | ({} if self.is_durable else UNSAFE_BUT_FAST)
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [str(self.programs / "postgres"), "-D", str(self.directory), "-k", str(self.socket_directory), *flags]

    def is_ready(self) -> bool:
        """Whether it answers; the first time, also creates the database."""
        try:
            with self._administer() as connection:
                if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
        except psycopg.OperationalError:
            return False
        return True

    def prove(self) -> None:
        with self._administer() as connection:
            row = connection.execute("SHOW data_directory").fetchone()
        recorded = self.pid_file.read_text().partition("\n")[0]
        if row is None or Path(row[0]) != self.directory or recorded != str(self.pid):
            raise NotOurServer(f"{self.url} is served by process {recorded} on {row and row[0]}.")

    def _administer(self) -> psycopg.Connection:
        return psycopg.connect(self.database_url("postgres"), autocommit=True, connect_timeout=5)


class ValkeyServer(LocalServer):
    """A Redis-compatible server in `directory`. Without `is_durable` it keeps nothing over a restart."""

    name = "Valkey"
    stop_signals = (signal.SIGTERM,)
    end_signal = signal.SIGTERM

    def __init__(self, directory: Path, *, is_durable: bool = True) -> None:
        super().__init__(directory.absolute(), valkey_user(directory))
        self.is_durable = is_durable

    @property
    def socket(self) -> Path:
        return self.socket_directory / "valkey.sock"

    @property
    def url(self) -> str:
        return self.database_url(0)

    def database_url(self, number: int) -> str:
        """The address of database `number`, below VALKEY_DATABASES. redis-py gives up after 5 s unless told otherwise."""
        return f"unix://{quote(str(self.socket))}?db={number}&socket_timeout=30"

    @property
    def pid_file(self) -> Path:
        return self.directory / "valkey.pid"

    def prepare(self) -> None:
        self.directory.mkdir(mode=0o700, exist_ok=True)

    def command(self) -> list[str]:
        settings = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.directory),
            "pidfile": str(self.pid_file),
            "databases": str(VALKEY_DATABASES),
            "appendonly": "yes" if self.is_durable else "no",
            "save": "",
            "set-proc-title": "no",
        }
        return [str(valkey_program()), *(part for name, value in settings.items() for part in (f"--{name}", value))]

    def is_ready(self) -> bool:
        try:
            with self._connection() as connection:
                return bool(connection.ping())
        except (redis.ConnectionError, redis.TimeoutError):
            return False

    def prove(self) -> None:
        with self._connection() as connection:
            answered: dict[str, Any] = connection.info("server")
        if answered["process_id"] != self.pid:
            raise NotOurServer(f"{self.url} is served by process {answered['process_id']}, not {self.pid}.")

    def _connection(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=str(self.socket), socket_timeout=5)
