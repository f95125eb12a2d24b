"""Going from one of one's tenants to another: as secure as signing in, and what was left behind is gone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from domain.accounts.audit import AuditEntry
from domain.accounts.sessions import Session
from domain.accounts.tenants import Tenant
from domain.accounts.users import Membership
from tests.factories import PASSWORD, a_published_workflow, a_run, a_tenant, a_token
from tests.statements import counted
from tests.web.cast import Browser, client_of
from web.access import SESSION_TOKEN
from web.throttle import EXTENSION
from web.top_bar import TENANTS_OFFERED


@pytest.fixture(autouse=True)
def _fresh_counts(app: Flask) -> None:
    app.extensions[EXTENSION].reset()


@pytest.fixture
def initech(db: Any) -> Tenant:
    return a_tenant("initech")


def join(who: Browser, tenant: Tenant, db: Any, role: str = "viewer") -> None:
    db.add(Membership(tenant_id=tenant.id, user_id=who.user.id, role=role))
    db.flush()


def csrf_of(client: FlaskClient, path: str) -> str:
    return client.get(path).text.split('name="csrf-token" content="')[1].split('"')[0]


def sign_in(app: Flask, email: str, **more: str) -> tuple[FlaskClient, Any]:
    client = app.test_client()
    form = {"email": email, "password": PASSWORD, "csrf_token": csrf_of(client, "/sign-in")} | more
    return client, client.post("/sign-in", data=form)


def switch(who: Browser, tenant: Tenant, **more: str) -> Any:
    return who.post("/switch-tenant", {"tenant": str(tenant.id)} | more)


def test_the_old_tenant_is_out_of_reach_after_the_switch(
    alice: Browser, acme: Tenant, initech: Tenant, db: Any
) -> None:
    join(alice, initech, db)
    ours, theirs = (a_run(a_published_workflow(tenant)).id for tenant in (acme, initech))
    assert (alice.get(f"/runs/{ours}").status_code, alice.get(f"/runs/{theirs}").status_code) == (200, 404)
    assert switch(alice, initech).location == "/schedules"
    assert (alice.get(f"/runs/{ours}").status_code, alice.get(f"/runs/{theirs}").status_code) == (404, 200)
    page = alice.get("/schedules").text
    assert "Initech · UTC" in page and "viewer of Initech" in page
    assert alice.get("/settings/members").status_code == 403


def test_the_session_is_a_new_one_that_lives_no_longer(alice: Browser, initech: Tenant, db: Any) -> None:
    join(alice, initech, db)
    before = db.scalars(select(Session)).one()
    before.expires_at -= timedelta(days=3)
    db.commit()
    old_id, old_hash, old_end = before.id, before.token_hash, before.expires_at
    with alice.client.session_transaction() as cookie:
        old_token, old_csrf = cookie[SESSION_TOKEN], cookie["csrf_token"]
    switch(alice, initech)
    db.expire_all()
    after = db.scalars(select(Session)).one()
    assert after.id != old_id and after.token_hash != old_hash
    assert (after.tenant_id, after.user_id, after.expires_at) == (initech.id, alice.user.id, old_end)
    with alice.client.session_transaction() as cookie:
        assert cookie[SESSION_TOKEN] != old_token and cookie.get("csrf_token") != old_csrf
    entry = db.scalars(select(AuditEntry).where(AuditEntry.action == "session.switched")).one()
    assert (entry.tenant_id, entry.actor_id) == (initech.id, alice.user.id)


def test_a_copied_cookie_dies_with_the_switch(app: Flask, alice: Browser, initech: Tenant, db: Any) -> None:
    join(alice, initech, db)
    cookie = alice.client.get_cookie("carillon")
    assert cookie
    switch(alice, initech)
    thief = app.test_client()
    thief.set_cookie("carillon", cookie.value)
    assert thief.get("/settings").status_code == 303


def test_only_a_tenant_of_ones_own_can_be_chosen(alice: Browser, initech: Tenant, db: Any) -> None:
    for chosen in (str(initech.id), "nonsense", "", "a\x00b"):
        assert alice.post("/switch-tenant", {"tenant": chosen}).status_code == 404
    assert "Acme · UTC" in alice.get("/schedules").text
    assert db.scalars(select(AuditEntry)).all() == []


def test_a_tenant_that_one_was_removed_from_cannot_be_chosen(alice: Browser, initech: Tenant, db: Any) -> None:
    join(alice, initech, db)
    db.delete(db.scalars(select(Membership).where(Membership.tenant_id == initech.id)).one())
    db.flush()
    assert switch(alice, initech).status_code == 404


def test_the_switch_needs_the_token_of_the_session(alice: Browser, initech: Tenant, db: Any) -> None:
    join(alice, initech, db)
    assert alice.client.post("/switch-tenant", data={"tenant": str(initech.id)}).status_code == 400
    assert "Acme · UTC" in alice.get("/schedules").text


def test_a_program_cannot_switch(app: Flask, alice: Browser, initech: Tenant, db: Any) -> None:
    join(alice, initech, db)
    secret = a_token(alice.tenant, alice.user)[1]
    answer = app.test_client().post(
        "/switch-tenant", data={"tenant": str(initech.id)}, headers={"Authorization": f"Bearer {secret}"}
    )
    assert answer.location.startswith("/sign-in") and len(db.scalars(select(Session)).all()) == 1


@pytest.mark.parametrize("evil", ["//evil.test", "/\\evil.test", "https://evil.test"])
def test_the_switch_leads_to_no_other_site(alice: Browser, initech: Tenant, db: Any, evil: str) -> None:
    join(alice, initech, db)
    assert switch(alice, initech, next=evil).location == "/schedules"


# The menu and the page


def test_the_menu_offers_the_other_tenants_only(alice: Browser, bob: Browser, initech: Tenant, db: Any) -> None:
    join(alice, initech, db)
    menu = alice.get("/runs").text
    assert f'name="tenant" value="{initech.id}"' in menu and "Initech" in menu
    assert f'value="{alice.tenant.id}"' not in menu and "All your tenants" not in menu
    assert "/switch-tenant" not in bob.get("/runs").text


def test_many_tenants_are_listed_on_a_page(alice: Browser, db: Any) -> None:
    for number in range(TENANTS_OFFERED + 2):
        join(alice, a_tenant(f"tenant-{number}"), db, "operator")
    menu = alice.get("/runs").text
    assert menu.count('name="tenant"') == TENANTS_OFFERED and "All your tenants" in menu
    page = alice.get("/switch-tenant").text.partition("<main")[2]
    assert page.count('name="tenant"') == TENANTS_OFFERED + 2
    assert "you are here" in page and "Operator" in page
    assert "<main" not in alice.get("/switch-tenant", htmx=True).text


def test_more_tenants_ask_no_more_statements(alice: Browser, initech: Tenant, db: Any) -> None:
    join(alice, initech, db)
    with counted() as few:
        alice.get("/switch-tenant")
    for number in range(8):
        join(alice, a_tenant(f"tenant-{number}"), db)
    with counted() as many:
        alice.get("/switch-tenant")
    assert len(many) == len(few)


# Signing in


def test_who_has_several_tenants_chooses_at_the_first_sign_in_and_is_remembered_later(
    app: Flask, alice: Browser, initech: Tenant, db: Any
) -> None:
    join(alice, initech, db)
    db.commit()
    client, answer = sign_in(app, "alice@acme.test", next="/runs")
    assert answer.location == "/switch-tenant?next=/runs"
    form = {"tenant": str(initech.id), "next": "/runs", "csrf_token": csrf_of(client, "/switch-tenant")}
    assert client.post("/switch-tenant", data=form).location == "/runs"
    again, answer = sign_in(app, "alice@acme.test")
    assert answer.location == "/schedules" and "Initech · UTC" in again.get("/schedules").text


def test_who_has_one_tenant_chooses_nothing(app: Flask, alice: Browser, db: Any) -> None:
    db.commit()
    _, answer = sign_in(app, "alice@acme.test")
    assert answer.location == "/schedules"


def test_a_failed_sign_in_is_not_a_visit(app: Flask, alice: Browser, initech: Tenant, db: Any) -> None:
    join(alice, initech, db)
    db.commit()
    client = app.test_client()
    client.post(
        "/sign-in",
        data={"email": "alice@acme.test", "password": "wrong", "csrf_token": csrf_of(client, "/sign-in")},
    )
    _, answer = sign_in(app, "alice@acme.test")
    assert answer.location == "/switch-tenant"


def test_the_place_of_the_last_visit_may_be_gone(app: Flask, alice: Browser, initech: Tenant, db: Any) -> None:
    join(alice, initech, db)
    switch(alice, initech)
    db.delete(db.scalars(select(Membership).where(Membership.tenant_id == initech.id)).one())
    db.commit()
    client, answer = sign_in(app, "alice@acme.test")
    assert answer.location == "/schedules" and "Acme · UTC" in client.get("/schedules").text


def test_a_role_counts_in_its_own_tenant_only(app: Flask, alice: Browser, charlie: Browser, db: Any) -> None:
    join(charlie, alice.tenant, db)
    there = client_of(app, charlie.user, alice.tenant)
    assert there.get("/settings/members").status_code == 403
    assert charlie.get("/settings/members").status_code == 200
