"""A fleet on a database of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.fleet import Fleet, fleet_on
from tests.faults.inside import Inside
from tests.servers import Servers


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
