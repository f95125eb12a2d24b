"""Real servers for the tests: one private PostgreSQL and Valkey per session, and more for tests that kill theirs."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import psycopg
import redis
from flask import Flask
from psycopg import sql

from domain.kernel.config import Config
from workers.local_servers import DATABASE, NotOurServer, PostgresServer, ValkeyServer

ROOT = Path(__file__).resolve().parent.parent
ANSWER_SECONDS = 60
SECRET_KEY = "a secret key for tests and nothing else"


@dataclass(frozen=True)
class Addresses:
    """How to reach a pair of servers; plain values, because they travel to the xdist workers."""

    postgres: str
    valkey: str
    valkey_pid: int

    def database_url(self, database: str) -> str:
        return self.postgres.replace(f"/{DATABASE}?", f"/{database}?")

    def redis_url(self, number: int) -> str:
        return self.valkey.replace("?db=0", f"?db={number}")


class Servers:
    """A private PostgreSQL, migrated, and a Valkey. `postgres` and `valkey` may be killed, stopped and started again."""

    def __init__(self) -> None:
        self.directory = make_directory()
        self.postgres = PostgresServer(self.directory / "postgres", is_durable=False)
        self.valkey = ValkeyServer(self.directory / "valkey", is_durable=False)

    def start(self) -> Servers:
        try:
            self.postgres.start()
            self.valkey.start()
            migrate(self.env)
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        self.postgres.close()
        self.valkey.close()
        remove_directory(self.directory, self.postgres)

    @property
    def env(self) -> dict[str, str]:
        """The environment for processes of Carillon on these servers."""
        return environment(self.postgres.url, self.valkey.url)

    @property
    def addresses(self) -> Addresses:
        return Addresses(self.postgres.url, self.valkey.url, self.valkey.pid)


def environment(database_url: str, redis_url: str) -> dict[str, str]:
    """The environment for a process of Carillon under test."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PG", "CARILLON_"))} | {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "CARILLON_SECRET_KEY": SECRET_KEY,
        "CARILLON_HTTPS": "0",
        "CARILLON_TESTING": "1",
        "CARILLON_API_REQUESTS_PER_MINUTE": "1000000",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONUNBUFFERED": "1",
    }


def config_for(database_url: str, redis_url: str) -> Config:
    return Config.from_env(environment(database_url, redis_url))


def plain_config() -> Config:
    """For what needs an app but no server: nothing listens at these addresses."""
    return config_for("postgresql://nobody@127.0.0.1:9/nothing", "redis://127.0.0.1:9/0")


def make_app(config: Config) -> Flask:
    from app import create_app

    return create_app(config)


def alembic(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "alembic", *arguments]


def migrate(env: dict[str, str]) -> None:
    ended = subprocess.run(alembic("upgrade", "head"), cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(f"alembic upgrade head failed:\n{ended.stdout}{ended.stderr}")


def create_database(addresses: Addresses, name: str) -> str:
    """A new database with the migrated schema; answers its address. The session's own database is the template."""
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
    _administer(addresses, statement.format(sql.Identifier(name), sql.Identifier(DATABASE)))
    return addresses.database_url(name)


def drop_database(addresses: Addresses, name: str) -> None:
    _administer(addresses, sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def flush_redis(addresses: Addresses, url: str) -> None:
    """Empty one database of the session's Valkey. Raises NotOurServer when another server answers."""
    with redis.Redis.from_url(url) as connection:
        server: dict[str, Any] = connection.info("server")
        if server["process_id"] != addresses.valkey_pid:
            raise NotOurServer(f"{url} is served by process {server['process_id']}, not {addresses.valkey_pid}.")
        connection.flushdb()


@contextmanager
def throwaway_postgres() -> Iterator[dict[str, str]]:
    """The environment of an empty PostgreSQL that is gone afterwards."""
    directory = make_directory()
    server = PostgresServer(directory / "postgres", is_durable=False)
    try:
        with server:
            yield environment(server.url, "redis://127.0.0.1:9/0")
    finally:
        remove_directory(directory, server)


@contextmanager
def serving(env: dict[str, str], log: Path) -> Iterator[str]:
    """Serve the web for real, by gunicorn in its own process; yields the address. What it says goes to `log`."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = listener.getsockname()[1]
        output = stack.enter_context(log.open("wb"))
        command = [sys.executable, "-m", "gunicorn", "app:create_app()", "--bind", f"fd://{listener.fileno()}"]
        web = subprocess.Popen(
            [*command, "--workers", "1", "--threads", "4"],
            cwd=ROOT,
            env=env,
            stdout=output,
            stderr=output,
            pass_fds=[listener.fileno()],
        )
        try:
            _await_answer(web, port, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            web.terminate()
            web.wait(30)


def make_directory() -> Path:
    """A new directory of ours that PostgreSQL's user may enter when we are root."""
    directory = Path(tempfile.mkdtemp(prefix="carillon-tests-"))
    directory.chmod(0o711)
    return directory


def remove_directory(directory: Path, postgres: PostgresServer) -> None:
    """Remove what `make_directory` made, and the cluster where it had to live elsewhere."""
    if not postgres.directory.is_relative_to(directory.resolve()):
        shutil.rmtree(postgres.directory.parent, ignore_errors=True)
    shutil.rmtree(directory, ignore_errors=True)


def _administer(addresses: Addresses, statement: sql.Composed) -> None:
    with psycopg.connect(addresses.database_url("postgres"), autocommit=True, connect_timeout=10) as connection:
        connection.execute(statement)


def _await_answer(web: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < deadline and web.poll() is None:
        connection = HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/healthz")
            connection.getresponse().read()
            return
        except (OSError, HTTPException):
            time.sleep(0.05)
        finally:
            connection.close()
    raise RuntimeError(f"The web does not answer:\n{log.read_text(errors='replace')[-3000:]}")
