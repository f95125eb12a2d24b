"""The pages while PostgreSQL is away: they say so in a sentence, and work again by themselves."""

from __future__ import annotations

from flask.testing import FlaskClient

from domain.kernel.db import db, transaction
from tests.factories import a_tenant, a_token, a_user
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
