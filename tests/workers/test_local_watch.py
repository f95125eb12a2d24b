"""An embedded server that dies is started again on the same address, and given up when that does not help."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable, Iterator
from os import kill
from pathlib import Path

import psycopg
import pytest
import redis

from tests.servers import make_directory
from workers import restarts
from workers.local_servers import PostgresServer, ValkeyServer
from workers.local_watch import Watch


@pytest.fixture(scope="module")
def directory() -> Iterator[Path]:
    made = make_directory()
    yield made
    shutil.rmtree(made)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restarts, "FIRST_DELAY_SECONDS", 0.01)


class Said:
    """What a watch told, and what it said when it gave up."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.given_up: list[str] = []

    def watch(self, server: PostgresServer | ValkeyServer) -> Watch:
        return Watch(server, self.told.append, self.given_up.append)


def wait_until(is_true: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def execute(url: str, statement: str) -> list[tuple]:
    with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


@pytest.mark.usefixtures("quick")
def test_a_killed_postgres_comes_back_with_its_rows_each_time(directory: Path) -> None:
    said = Said()
    with PostgresServer(directory / "postgres", is_durable=False) as server, said.watch(server):
        address = server.url
        execute(address, "CREATE TABLE kept AS SELECT 'by the log' AS how")
        for times in (1, 2):
            killed = server.pid
            kill(killed, signal.SIGKILL)
            wait_until(lambda times=times: said.told.count("PostgreSQL answers again") == times)
            assert server.pid != killed
            assert execute(address, "SELECT how FROM kept") == [("by the log",)]
        assert server.url == address
    assert said.told[0] == "PostgreSQL was ended by signal 9; starting it again in 0.01 s"
    assert said.given_up == []
    assert server.exit_code is None


@pytest.mark.usefixtures("quick")
def test_a_killed_valkey_comes_back_with_its_keys(directory: Path) -> None:
    said = Said()
    with ValkeyServer(directory / "valkey") as server, said.watch(server):
        address = server.url
        redis.Redis.from_url(address).set("key", "kept")
        kill(server.pid, signal.SIGKILL)
        wait_until(lambda: "Valkey answers again" in said.told)
        assert redis.Redis.from_url(address).get("key") == b"kept"
    assert said.given_up == []


@pytest.mark.usefixtures("quick")
def test_a_server_that_does_not_start_again_is_given_up_with_what_it_says(directory: Path) -> None:
    said = Said()
    with PostgresServer(directory / "postgres", is_durable=False) as server, said.watch(server):
        settings = server.directory / "postgresql.conf"
        before = settings.read_text()
        settings.write_text("nonsense = 1")
        try:
            kill(server.pid, signal.SIGKILL)
            wait_until(lambda: said.given_up != [])
        finally:
            settings.write_text(before)
    (fault,) = said.given_up
    assert "PostgreSQL did not start" in fault
    assert "unrecognized configuration parameter" in fault
    assert len(said.told) == restarts.ENDS_MAX


def test_a_server_that_is_stopped_is_not_dead(directory: Path) -> None:
    with ValkeyServer(directory / "valkey") as server:
        assert server.exit_code is None
        server.stop()
        assert server.exit_code is None
        server.start()
        server.kill()
        assert server.exit_code is None


def test_leaving_the_watch_ends_the_waiting_and_starts_nothing(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restarts, "FIRST_DELAY_SECONDS", 600)
    said = Said()
    with ValkeyServer(directory / "valkey") as server:
        with said.watch(server):
            kill(server.pid, signal.SIGKILL)
            wait_until(lambda: said.told != [])
        assert server.exit_code == -signal.SIGKILL
    assert said.told == ["Valkey was ended by signal 9; starting it again in 600 s"]
    assert said.given_up == []
