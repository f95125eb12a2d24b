"""A fleet on a database of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from domain.kernel.db import TIMEOUTS
from tests.faults.fleet import Fleet, fleet_on


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who races in an app of the web waits for a lock as long as a command does: a machine under load is slow, not wrong."""
    monkeypatch.setitem(TIMEOUTS, "web", TIMEOUTS["command"])


@pytest.fixture
def fleet(fresh_env: dict[str, str]) -> Iterator[Fleet]:
    with fleet_on(fresh_env) as started:
        yield started
