"""The pages while PostgreSQL is away: they say so in a sentence, and work again by themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from domain.kernel import clock
from domain.kernel.config import Config
from domain.kernel.db import TIMEOUTS, db, transaction
from tests.domain.firing.ledger import a_live_schedule, a_target
from tests.factories import a_tenant, a_token, a_user
from tests.faults.fleet import Fleet, scalar
from tests.faults.ticking import held, read_only
from tests.servers import Servers, config_for, make_app
from tests.web.cast import HTMX, Browser, client_of
from web.security import CONTENT_SECURITY_POLICY

PAGES = ("/schedules", "/workflows", "/runs", "/settings", "/sign-in")


def statuses(alice: Browser, caller: FlaskClient, bearer: dict[str, str]) -> list[int]:
    pages = [alice.get(path).status_code for path in PAGES]
    return [*pages, caller.get("/api/schedules", headers=bearer).status_code]


def test_without_a_database_every_page_says_so_and_recovers(private_servers: Servers) -> None:
    addresses = private_servers.addresses
    app = make_app(config_for(addresses.postgres, addresses.valkey))
    with app.app_context(), transaction():
        tenant = a_tenant()
        user = a_user(tenant)
        alice, secret = client_of(app, user, tenant), a_token(tenant, user)[1]
    caller, bearer = app.test_client(), {"Authorization": f"Bearer {secret}"}
    good = statuses(alice, caller, bearer)
    assert set(good) <= {200, 302}
    private_servers.postgres.kill()
    assert set(statuses(alice, caller, bearer)) == {503}
    page, fragment = alice.get("/runs"), alice.get("/runs", headers=HTMX)
    for answer in (page, fragment, caller.get("/api/schedules", headers=bearer)):
        assert "database cannot be reached" in answer.text
        assert "psycopg" not in answer.text and "Traceback" not in answer.text
        assert answer.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    private_servers.postgres.start()
    assert statuses(alice, caller, bearer) == good
    with app.app_context():
        db.engine.dispose()


def locked(fleet: Fleet) -> Any:
    return held(fleet, "LOCK TABLE schedules IN ACCESS EXCLUSIVE MODE")


@pytest.mark.parametrize("fault", [locked, read_only])
def test_a_change_that_cannot_be_written_now_says_so_and_can_be_sent_again(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, fault: Callable[[Fleet], Any]
) -> None:
    """A table that somebody holds, and a database that takes no writes for a while."""
    monkeypatch.setitem(TIMEOUTS, "web", TIMEOUTS["web"] | {"lock_timeout": 1})
    app = make_app(Config.from_env(fleet.env))
    with app.app_context(), transaction():
        tenant = a_tenant()
        alice = client_of(app, a_user(tenant), tenant)
        schedule = a_live_schedule(a_target(tenant), now=clock.database_now())
        path = f"/schedules/{schedule.id}/pause"
    with app.app_context():
        db.engine.dispose()
    status = "SELECT status FROM schedules"
    with fault(fleet):
        refused = alice.post(path)
    assert refused.status_code == 503 and "Retry-After" in refused.headers
    assert scalar(fleet.app, status) == "active"
    assert alice.post(path).status_code in (200, 302, 303)
    assert scalar(fleet.app, status) == "paused"
    with app.app_context():
        db.engine.dispose()
