"""Ticks inside the test's own process, as a scheduler makes them: what breaks under one can be chosen to the statement."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg
import pytest
from flask import Flask
from sqlalchemy import text

from domain.firing.tick import fire_due
from domain.kernel import clock
from domain.kernel.config import Config
from domain.kernel.db import TIMEOUTS, db, transaction
from tests.faults.fleet import Fleet, execute, rows, scalar
from tests.faults.invariants import VIOLATIONS, check_invariants
from tests.faults.seeds import PURE_STEPS, seed_one_time_schedules, seed_workflow
from workers import scheduler as scheduler_module
from workers.broker import make_sender
from workers.process import process_app
from workers.scheduler import Scheduler, _patiently

SCHEDULES = 20
UNDECIDED = "SELECT count(*) FROM schedule_cursors WHERE wake_at <= clock_timestamp()"
TICK_SECONDS = 0.1


@contextmanager
def scheduler_on(env: dict[str, str], monkeypatch: pytest.MonkeyPatch, **timeouts: float) -> Iterator[Scheduler]:
    """A scheduler that does only what it is told, with `timeouts` of the database in seconds; 0 switches one off."""
    monkeypatch.setitem(TIMEOUTS, "scheduler", TIMEOUTS["scheduler"] | timeouts)
    monkeypatch.setattr(scheduler_module, "TICK_SECONDS", TICK_SECONDS)
    config = Config.from_env(env)
    app, broker = process_app(config, "scheduler", 9), make_sender(config.redis_url)
    try:
        yield Scheduler(app, config, broker)
    finally:
        broker.client.connection_pool.disconnect()  # type: ignore[attr-defined]
        with app.app_context():
            db.engine.dispose()


def tick(scheduler: Scheduler) -> None:
    """One second of its metronome. What a database that is away makes of it is a line in the log; all else is raised."""
    _patiently(scheduler.tick)


def decide_due(app: Flask) -> int:
    """Decide what is due until nothing is left that nobody else holds; how many were looked at."""
    decided = 0
    with app.app_context():
        while True:
            with transaction():
                found = fire_due(clock.database_now())
            if not found:
                return decided
            decided += found


def seed_due(fleet: Fleet, count: int = SCHEDULES) -> None:
    """Schedules of one workflow that have just come due."""
    workflow_id = seed_workflow(fleet.app, PURE_STEPS, is_pure=True)
    seed_one_time_schedules(fleet.app, workflow_id, count, in_seconds=0)


def assert_all_decided(fleet: Fleet, count: int = SCHEDULES) -> None:
    """Each once, each with its run."""
    assert scalar(fleet.app, UNDECIDED) == 0
    decided = "SELECT outcome, count(*), count(DISTINCT schedule_id) FROM occurrences GROUP BY 1"
    assert rows(fleet.app, decided) == [("fired", count, count)]
    assert scalar(fleet.app, "SELECT count(*) FROM runs") == count
    check_invariants(fleet.app)


def stored_violations(app: Flask) -> set[str]:
    """The names of the invariants that what is stored breaks, whatever time it is."""
    return {name for name, query in VIOLATIONS.items() if rows(app, query)}


def on_hit(monkeypatch: pytest.MonkeyPatch, name: str, act: Callable[[], None]) -> None:
    """`act` at each pass of a failpoint of the tick."""
    monkeypatch.setattr("domain.firing.tick.hit", lambda passed: act() if passed == name else None)


def refuse_occurrences(app: Flask, sqlstate: str) -> None:
    """From now on the database answers whoever writes to the ledger with this error."""
    _execute_each(
        app,
        f"""CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE 'refused' USING ERRCODE = '{sqlstate}'; END $$""",
        "CREATE TRIGGER refuse BEFORE INSERT ON occurrences FOR EACH ROW EXECUTE FUNCTION refuse()",
    )


def accept_occurrences(app: Flask) -> None:
    _execute_each(app, "DROP FUNCTION refuse CASCADE")


@contextmanager
def held(fleet: Fleet, *statements: str) -> Iterator[psycopg.Connection]:
    """What `statements` lock, in a transaction of a stranger."""
    with psycopg.connect(fleet.env["DATABASE_URL"].replace("postgresql+psycopg", "postgresql", 1)) as stranger:
        for statement in statements:
            stranger.execute(statement.encode())
        yield stranger
        stranger.rollback()


@contextmanager
def as_somebody_with_few_connections(fleet: Fleet, count: int) -> Iterator[dict[str, str]]:
    """The environment of an ordinary user to whom the server gives `count` connections."""
    name = f"few_{uuid4().hex}"
    rights = "pg_read_all_data, pg_write_all_data"
    execute(fleet.app, f"CREATE ROLE {name} LOGIN CONNECTION LIMIT {count}; GRANT {rights} TO {name}")
    try:
        yield fleet.env | {"DATABASE_URL": fleet.env["DATABASE_URL"].replace("//carillon@", f"//{name}@")}
    finally:
        execute(fleet.app, f"DROP ROLE {name}")


@contextmanager
def read_only(fleet: Fleet) -> Iterator[None]:
    """Whoever connects meanwhile can only read."""
    name = scalar(fleet.app, "SELECT current_database()")
    _execute_each(fleet.app, f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    try:
        yield
    finally:
        # By a session that began before.
        _execute_each(fleet.app, f'ALTER DATABASE "{name}" RESET default_transaction_read_only')


def _execute_each(app: Flask, *statements: str) -> None:
    with app.app_context(), transaction():
        for statement in statements:
            db.session.execute(text(statement))
