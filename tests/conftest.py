"""What every test may ask for: an app, a rolled-back database, a database of its own, servers of its own."""

from __future__ import annotations

import contextvars
import os
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, settings
from sqlalchemy import text
from sqlalchemy.orm import Session, scoped_session

from tests import servers
from tests.chromium import chromium_path
from tests.connections import all_closed
from tests.runners import LocalRunner
from tests.servers import Addresses, Servers

# The gate looks at the same examples each time, by no clock: whether it passes is not a matter of luck. To look for new
# ones: `--hypothesis-profile hunt`.
FOR_ALL = {"deadline": None, "database": None, "print_blob": True, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("gate", derandomize=True, **FOR_ALL)
settings.register_profile("hunt", derandomize=False, **FOR_ALL)
settings.load_profile("gate")

TESTS = Path(__file__).parent
STARTED = pytest.StashKey[Servers]()
MARKERS = {"races": "faults", "faults": "faults", "browser": "browser"}
"""Marker by directory: these groups run apart from the others."""
ALL_BUT_GROUPS = "not faults and not browser"
HOMES = {"faults": {"faults", "races", "bench", "test_fixtures.py"}, "browser": {"browser"}}
"""Where the tests with a marker are: who asks for one group need not read the files of all others."""


class SeparateClient(FlaskClient):
    """Each request has an app context of its own, as in production, even while the test holds one open."""

    def open(self, *args: Any, **kwargs: Any) -> Any:
        return contextvars.Context().run(super().open, *args, **kwargs)


def pytest_configure(config: pytest.Config) -> None:
    # pytest-base-url, which comes with pytest-playwright, defines its fixture in a way that pytest 10 will refuse.
    config.addinivalue_line("filterwarnings", "ignore:(?s).*'base_url' fixture:pytest.PytestRemovedIn10Warning")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if collection_path == TESTS or not collection_path.is_relative_to(TESTS):
        return None
    home, group = home_of(collection_path), config.option.markexpr
    is_elsewhere = home in MARKERS if group == ALL_BUT_GROUPS else home not in HOMES.get(group, {home})
    return is_elsewhere or None


def home_of(path: Path) -> str:
    return path.relative_to(TESTS).parts[0]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        home = home_of(item.path)
        if marker := MARKERS.get(home):
            item.add_marker(marker)
        for group, homes in HOMES.items():
            if item.get_closest_marker(group) and home not in homes:
                raise pytest.UsageError(f"{item.nodeid} would not run with its group: HOMES[{group!r}] lacks {home!r}.")
    in_browser = [item for item in items if item.get_closest_marker("browser")]
    if in_browser and not config.option.markexpr.startswith("not") and not os.environ.get("CI") and not chromium_path():
        for item in in_browser:
            item.add_marker(pytest.mark.skip(reason="no Chromium: set CHROMIUM_PATH"))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """The servers are the xdist controller's: they end with the thread that started them."""
    node.workerinput["servers"] = asdict(session_addresses(node.config))


def pytest_unconfigure(config: pytest.Config) -> None:
    if started := config.stash.get(STARTED, None):
        started.close()


def session_addresses(config: pytest.Config) -> Addresses:
    """The session's servers, started when first asked for."""
    if hasattr(config, "workerinput"):
        return Addresses(**config.workerinput["servers"])
    if STARTED not in config.stash:
        config.stash[STARTED] = Servers().start()
    return config.stash[STARTED].addresses


@pytest.fixture(scope="session")
def addresses(pytestconfig: pytest.Config) -> Addresses:
    return session_addresses(pytestconfig)


@pytest.fixture(scope="session")
def worker_number(pytestconfig: pytest.Config) -> int:
    """0 without xdist, else 1, 2, …"""
    name = getattr(pytestconfig, "workerinput", {}).get("workerid", "gw-1")
    return int(name.removeprefix("gw")) + 1


@pytest.fixture(scope="session")
def database_url(addresses: Addresses, worker_number: int) -> str:
    """This worker's database, for tests that roll back. Tests that commit ask for `fresh_database`."""
    return servers.create_database(addresses, f"worker_{worker_number}")


@pytest.fixture(scope="session")
def redis_url(addresses: Addresses, worker_number: int) -> str:
    """This worker's part of Valkey."""
    return addresses.redis_url(worker_number)


@pytest.fixture
def fresh_redis(addresses: Addresses, redis_url: str) -> str:
    """This worker's part of Valkey, emptied."""
    servers.flush_redis(addresses, redis_url)
    return redis_url


@pytest.fixture(scope="session")
def app(database_url: str, redis_url: str) -> Iterator[Flask]:
    from domain.kernel.db import db

    app = servers.make_app(servers.config_for(database_url, redis_url))
    app.test_client_class = SeparateClient
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def rollback(app: Flask) -> Iterator[None]:
    """All sessions of the app share one connection whose transaction is undone afterwards; their commits are savepoints."""
    from domain.kernel.db import db

    with app.app_context():
        engines = db.engines
        db.session.remove()
        db.session.configure(join_transaction_mode="create_savepoint")
    engine = engines[None]
    with engine.connect() as connection:
        transaction = connection.begin()
        # What a test does between two statements may take longer than a request, on a machine that is busy.
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        engines[None] = connection
        try:
            yield
        finally:
            engines[None] = engine
            transaction.rollback()
            with app.app_context():
                db.session.remove()
                db.session.configure(join_transaction_mode="conditional_savepoint")


@pytest.fixture
def db(app: Flask, rollback: None) -> Iterator[scoped_session[Session]]:
    """The database session inside an app context. Everything is undone afterwards, committed or not."""
    from domain.kernel.db import db as database

    with app.app_context():
        yield database.session
        database.session.remove()


@pytest.fixture
def client(app: Flask, rollback: None) -> FlaskClient:
    """A browser without JavaScript. Together with `db` it sees the same rows."""
    return app.test_client()


@pytest.fixture
def fresh_database(addresses: Addresses) -> Iterator[str]:
    """The address of a migrated database of the test's own, for what commits in several processes or threads."""
    name = f"fresh_{uuid4().hex}"
    yield servers.create_database(addresses, name)
    servers.drop_database(addresses, name)


@pytest.fixture
def fresh_app(fresh_database: str, fresh_redis: str) -> Iterator[Flask]:
    """The application on a database of the test's own, for what commits in several threads. Tests that only need this one
    call it `app`, for the fixtures that are made of it."""
    from domain.kernel.db import db

    app = servers.make_app(servers.config_for(fresh_database, fresh_redis))
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def fresh_env(fresh_database: str, fresh_redis: str) -> dict[str, str]:
    """The environment of processes on a fresh database and an emptied Valkey."""
    return servers.environment(fresh_database, fresh_redis)


@pytest.fixture(autouse=True)
def _no_connection_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Tests of faults and races make apps and threads of their own."""
    with all_closed() if request.node.get_closest_marker("faults") else nullcontext():
        yield


@pytest.fixture
def private_servers() -> Iterator[Servers]:
    """A PostgreSQL and a Valkey that this test may kill, stop and start again."""
    own = Servers().start()
    yield own
    own.close()


@pytest.fixture(scope="session")
def _session_runner() -> Iterator[LocalRunner]:
    own = LocalRunner()
    yield own
    own.close()


@pytest.fixture
def runner(_session_runner: LocalRunner) -> LocalRunner:
    """A real runner that behaves, has no calls on record, and may be told to misbehave, stopped and started."""
    if not _session_runner.is_running:
        _session_runner.start()
    _session_runner.reset()
    return _session_runner


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """A Chromium of the system where there is one; its sandbox needs rights that containers do not give."""
    return browser_type_launch_args | {
        "executable_path": chromium_path(),
        "args": ["--no-sandbox", "--disable-dev-shm-usage"],
    }
