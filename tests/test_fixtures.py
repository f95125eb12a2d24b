"""What the fixtures of conftest.py promise the other tests."""

from __future__ import annotations

import psycopg
import pytest
import redis
from flask import Flask, g
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.orm import Session, scoped_session

from domain.kernel.db import db as kernel
from domain.kernel.db import transaction
from tests import connections, servers
from tests.faults.fleet import scalar
from tests.servers import Servers

COUNT = text("SELECT count(*) FROM marks")


@pytest.mark.parametrize("turn", [1, 2])
def test_what_one_test_commits_the_next_does_not_see(db: scoped_session[Session], turn: int) -> None:
    db.execute(text("CREATE TABLE marks (turn int)"))
    db.commit()
    with transaction():
        db.execute(text("INSERT INTO marks VALUES (:turn)"), {"turn": turn})
    assert db.execute(COUNT).scalar() == 1


def test_a_test_may_think_for_longer_than_a_request_may(db: scoped_session[Session]) -> None:
    timeout = text("SHOW idle_in_transaction_session_timeout")
    with transaction():
        assert db.execute(timeout).scalar() == "0"
    assert db.execute(timeout).scalar() == "0"


def test_an_error_undoes_its_own_transaction_only(db: scoped_session[Session]) -> None:
    with transaction():
        db.execute(text("CREATE TABLE marks (turn int)"))

    def fail() -> None:
        with transaction():
            db.execute(text("INSERT INTO marks VALUES (1)"))
            raise KeyError("on purpose")

    with pytest.raises(KeyError):
        fail()
    assert db.execute(COUNT).scalar() == 0


def test_a_request_sees_the_rows_of_the_test_but_not_its_context(
    app: Flask, db: scoped_session[Session], client: FlaskClient
) -> None:
    db.execute(text("CREATE TABLE marks (turn int)"))
    g.mark = "of the test"
    seen = []

    def look() -> None:
        seen.append((hasattr(g, "mark"), db.execute(COUNT).scalar()))

    app.before_request_funcs.setdefault(None, []).append(look)
    try:
        client.get("/healthz")
    finally:
        app.before_request_funcs[None].remove(look)
    assert seen == [(False, 0)]


@pytest.mark.parametrize("turn", [1, 2])
def test_a_fresh_database_and_an_emptied_redis_are_each_tests_own(
    fresh_database: str, fresh_redis: str, turn: int
) -> None:
    with psycopg.connect(fresh_database) as connection:
        connection.execute("CREATE TABLE marks (turn int)")
    with redis.Redis.from_url(fresh_redis) as own:
        assert own.set("mark", turn, nx=True)


@pytest.mark.faults
def test_private_servers_may_be_killed_and_come_back_with_every_commit(private_servers: Servers) -> None:
    with psycopg.connect(private_servers.postgres.url) as connection:
        connection.execute("CREATE TABLE marks (turn int)")
    private_servers.postgres.kill()
    private_servers.postgres.start()
    with psycopg.connect(private_servers.postgres.url) as connection:
        assert connection.execute("SELECT count(*) FROM marks").fetchone() == (0,)


def test_a_connection_that_is_left_open_is_charged_to_who_left_it(
    fresh_database: str, fresh_redis: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "PATIENCE_SECONDS", 0)
    app = servers.make_app(servers.config_for(fresh_database, fresh_redis))
    with pytest.raises(AssertionError, match="test_a_connection_that_is_left_open"), connections.all_closed():
        scalar(app, "SELECT 1")
    with app.app_context():
        kernel.engine.dispose()
