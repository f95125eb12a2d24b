"""Whose database sessions are ended: of those that stand still, and of nobody else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql

from domain.kernel.clock import database_now
from domain.kernel.ids import new_id
from domain.runs.heartbeats import WEB, WORKER, beat, end_standing_sessions, session_name
from tests.faults.fleet import wait_until

pytestmark = pytest.mark.usefixtures("db")

# Much longer than a test, so that nothing happens by itself.
LEASE_SECONDS = 600
STATE = "SELECT state, wait_event_type FROM pg_stat_activity WHERE pid = %s"

Connect = Callable[..., psycopg.Connection]


@pytest.fixture
def plain_url(database_url: str) -> str:
    return database_url.replace("postgresql+psycopg", "postgresql", 1)


@pytest.fixture
def connect(plain_url: str) -> Iterator[Connect]:
    """Sessions that PostgreSQL shows under a name; `begun` ones have asked for something in a transaction."""
    made: list[psycopg.Connection] = []

    def connected(name: str, *, is_begun: bool = True, **options: Any) -> psycopg.Connection:
        session = psycopg.connect(plain_url, application_name=name, **options)
        made.append(session)
        if is_begun:
            session.execute("SELECT 1")
        return session

    yield connected
    for session in made:
        session.close()


def ended(now_in: float = LEASE_SECONDS + 1) -> list[str]:
    return end_standing_sessions(database_now() + timedelta(seconds=now_in), LEASE_SECONDS)


def is_alive(session: psycopg.Connection) -> bool:
    try:
        session.execute("SELECT 1")
    except psycopg.OperationalError:
        return False
    return True


@pytest.fixture
def stranger() -> UUID:
    """The id of a process that has no heart."""
    return new_id()


@pytest.mark.parametrize("kind", [WEB, WORKER])
def test_one_that_stands_still_in_a_transaction_without_a_heart_is_ended(
    connect: Connect, stranger: UUID, kind: str
) -> None:
    session = connect(session_name(kind, stranger))
    assert ended() == [session_name(kind, stranger)]
    assert not is_alive(session)


def test_one_whose_heart_has_stopped_is_ended_although_others_live(connect: Connect, stranger: UUID) -> None:
    beat(stranger, WORKER, "test", 1, "test", LEASE_SECONDS)
    beat(new_id(), WORKER, "test", 2, "test", 10 * LEASE_SECONDS)
    session = connect(session_name(WORKER, stranger))
    assert ended() == [session_name(WORKER, stranger)]
    assert not is_alive(session)


def test_nobody_whose_heart_beats_is_ended_however_long_it_takes(connect: Connect, stranger: UUID) -> None:
    beat(stranger, WORKER, "test", 1, "test", 10 * LEASE_SECONDS)
    session = connect(session_name(WORKER, stranger))
    assert ended(2 * LEASE_SECONDS) == []
    assert is_alive(session)


def test_nobody_is_ended_before_a_lease_has_passed(connect: Connect, stranger: UUID) -> None:
    session = connect(session_name(WORKER, stranger))
    assert ended(0) == []
    assert is_alive(session)


def test_nobody_who_has_nothing_locked_is_ended(connect: Connect, stranger: UUID) -> None:
    session = connect(session_name(WORKER, stranger))
    session.commit()
    assert ended() == []
    assert is_alive(session)


def test_nobody_for_whom_the_database_is_at_work_is_ended(connect: Connect, stranger: UUID) -> None:
    """What takes too long there has limits of its own."""
    session = connect(session_name(WORKER, stranger))
    watcher = connect("test", autocommit=True)
    pid = session.info.backend_pid
    session.pgconn.send_query(b"SELECT pg_sleep(3600)")
    session.pgconn.flush()
    wait_until(lambda: watcher.execute(STATE, [pid]).fetchone() == ("active", "Timeout"), "a session at work")
    assert ended() == []
    assert watcher.execute(STATE, [pid]).fetchone() == ("active", "Timeout")
    assert watcher.execute("SELECT pg_terminate_backend(%s)", [pid]).fetchone() == (True,)


@pytest.mark.parametrize(
    "name", ["", "psql", "carillon-worker", "carillon-command {id}", "carillon-worker {id} - 10.0.0.1"]
)
def test_nobody_is_ended_who_has_no_name_of_a_process(connect: Connect, stranger: UUID, name: str) -> None:
    """As behind a pooler that keeps names to itself or adds to them."""
    session = connect(name.format(id=stranger))
    assert ended() == []
    assert is_alive(session)


def test_nobody_is_ended_who_is_in_another_database_or_somebody_else(connect: Connect, stranger: UUID) -> None:
    name, role = session_name(WORKER, stranger), f"other_{uuid4().hex}"
    boss = connect("test", autocommit=True)
    boss.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
    try:
        others = [connect(name, dbname="postgres"), connect(name, user=role)]
        assert ended() == []
        assert all(is_alive(session) for session in others)
        for session in others:
            session.close()
    finally:
        boss.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


def test_the_name_of_a_session_is_not_cut_short(connect: Connect, stranger: UUID) -> None:
    name = session_name("scheduler", stranger)
    assert connect(name).execute("SHOW application_name").fetchone() == (name,)
