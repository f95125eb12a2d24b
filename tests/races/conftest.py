"""A fleet on a database of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.fleet import Fleet, fleet_on


@pytest.fixture
def fleet(fresh_env: dict[str, str]) -> Iterator[Fleet]:
    with fleet_on(fresh_env) as started:
        yield started
