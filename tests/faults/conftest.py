"""A fleet on a database of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
import redis

from tests.faults.fleet import Fleet, fleet_on
from tests.faults.inside import Inside
from tests.servers import Servers, make_directory
from workers.local_servers import ValkeyServer


@pytest.fixture
def fleet(fresh_env: dict[str, str]) -> Iterator[Fleet]:
    with fleet_on(fresh_env) as started:
        yield started


@pytest.fixture
def private_fleet(private_servers: Servers) -> Iterator[Fleet]:
    """A fleet on servers that may be killed under it."""
    with fleet_on(private_servers.env) as started:
        yield started


@pytest.fixture
def inside(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> Iterator[Inside]:
    """Schedulers and workers inside the test, on a database of their own."""
    made = Inside(fleet, monkeypatch)
    yield made
    made.close()


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyServer]:
    """A Redis that may be emptied, filled and killed."""
    directory = make_directory()
    with ValkeyServer(directory / "valkey", is_durable=False) as server:
        yield server
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def inside_alone(fleet: Fleet, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Inside]:
    """As `inside`, with the Redis that nobody else has, emptied."""
    with redis.Redis.from_url(valkey.url) as connection:
        connection.config_set("maxmemory", 0)
        connection.flushall()
    made = Inside(fleet, monkeypatch, valkey.url)
    yield made
    made.close()
