"""Connections that lie in the pool: one that was ended is replaced unseen, one that is only told something is kept."""

from __future__ import annotations

import select
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text

from domain.kernel.db import engine_options

BACKEND = text("SELECT pg_backend_pid()")


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    made = create_engine(database_url, **engine_options("web", 1))
    yield made
    made.dispose()


@pytest.fixture
def other(database_url: str) -> Iterator[Engine]:
    made = create_engine(database_url, isolation_level="AUTOCOMMIT")
    yield made
    made.dispose()


def backend_of(engine: Engine) -> int:
    with engine.connect() as connection:
        number: int = connection.scalar(BACKEND)
    return number


def test_one_that_rests_is_used_again(engine: Engine) -> None:
    assert backend_of(engine) == backend_of(engine)


def test_one_that_was_ended_is_replaced_before_it_is_used(engine: Engine, other: Engine) -> None:
    rested = backend_of(engine)
    with other.connect() as connection:
        # Until its process has gone, so that it has said so.
        assert connection.scalar(text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": rested})
    assert backend_of(engine) != rested


def test_one_that_was_closed_here_is_replaced(engine: Engine) -> None:
    with engine.connect() as connection:
        rested = connection.scalar(BACKEND)
        driver: Any = connection.connection.dbapi_connection
    driver.close()
    assert backend_of(engine) != rested


def test_one_that_was_told_something_is_asked_and_kept(engine: Engine, other: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(text("LISTEN anything"))
        connection.commit()
        socket = connection.connection.dbapi_connection.fileno()  # type: ignore[union-attr]
    rested = backend_of(engine)
    with other.connect() as connection:
        connection.execute(text("NOTIFY anything"))
    assert select.select([socket], [], [], 10)[0], "nothing was told"
    assert backend_of(engine) == rested
