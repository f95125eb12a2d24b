"""Signing in and out."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from domain.accounts.audit import AuditEntry
from domain.accounts.sessions import Session
from tests.factories import PASSWORD, a_tenant, a_user
from tests.web.cast import HTMX, Browser
from web.throttle import EXTENSION


@pytest.fixture(autouse=True)
def _fresh_counts(app: Flask) -> None:
    app.extensions[EXTENSION].reset()


@pytest.fixture
def stranger(app: Flask, db: Any) -> FlaskClient:
    """A browser in which nobody is signed in; alice has an account."""
    a_user(a_tenant("acme"), "alice@acme.test")
    db.commit()
    return app.test_client()


def csrf_of(client: FlaskClient, path: str = "/sign-in") -> str:
    page = client.get(path).text
    return page.split('name="csrf-token" content="')[1].split('"')[0]


def sign_in(client: FlaskClient, email: str = "alice@acme.test", password: str = PASSWORD, **more: str) -> Any:
    data = {"email": email, "password": password, "csrf_token": csrf_of(client)} | more
    return client.post("/sign-in", data=data)


def cookie_of(client: FlaskClient) -> str:
    cookie = client.get_cookie("carillon")
    return cookie.value if cookie else ""


def test_a_stranger_is_sent_to_the_sign_in_page_and_back_to_where_they_wanted(stranger: FlaskClient) -> None:
    answer = stranger.get("/settings/tokens?page=2")
    assert answer.status_code == 303
    assert answer.location == "/sign-in?next=/settings/tokens?page%3D2"
    assert sign_in(stranger, next="/settings/tokens?page=2").location == "/settings/tokens?page=2"
    assert stranger.get("/settings").status_code == 200


def test_signing_in_starts_at_the_schedules(stranger: FlaskClient) -> None:
    assert sign_in(stranger).location == "/schedules"
    assert stranger.get("/").location == "/schedules"
    assert stranger.get("/sign-in").location == "/schedules"


def test_the_address_may_be_typed_in_capitals(stranger: FlaskClient) -> None:
    assert sign_in(stranger, email=" Alice@ACME.test ").status_code == 303


@pytest.mark.parametrize(
    ("email", "password"), [("alice@acme.test", "wrong wrong wrong"), ("nobody@acme.test", PASSWORD), ("", "")]
)
def test_a_wrong_address_or_password_is_told_without_saying_which(
    stranger: FlaskClient, email: str, password: str
) -> None:
    answer = sign_in(stranger, email=email, password=password)
    assert answer.status_code == 422
    assert "E-mail address or password is wrong." in answer.text
    assert password == "" or password not in answer.text
    assert stranger.get("/settings").status_code == 303


def test_the_cookie_after_signing_in_is_not_the_one_before(stranger: FlaskClient) -> None:
    csrf = csrf_of(stranger)
    planted = cookie_of(stranger)
    sign_in(stranger)
    assert planted and cookie_of(stranger) != planted
    assert stranger.post("/sign-out", data={"csrf_token": csrf}).status_code == 400


def test_a_copied_cookie_dies_with_the_sign_out(stranger: FlaskClient, app: Flask) -> None:
    sign_in(stranger)
    copy = cookie_of(stranger)
    assert stranger.post("/sign-out", data={"csrf_token": csrf_of(stranger, "/settings")}).location == "/sign-in"
    thief = app.test_client()
    thief.set_cookie("carillon", copy)
    assert thief.get("/settings").status_code == 303
    assert thief.get("/settings", headers=HTMX).status_code == 401


def test_htmx_is_told_to_go_to_the_sign_in_page(stranger: FlaskClient) -> None:
    answer = stranger.get("/system", headers=HTMX | {"HX-Current-URL": "http://localhost/system?a=1"})
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (401, "/sign-in?next=/system?a%3D1")


def test_what_was_typed_stays_when_htmx_posts_after_the_session_ended(stranger: FlaskClient) -> None:
    answer = stranger.post("/settings", headers=HTMX)
    assert answer.status_code == 401
    assert "HX-Redirect" not in answer.headers


@pytest.mark.parametrize(
    "evil",
    [
        "//evil.test",
        "/\\evil.test",
        "https:evil.test",
        "https://evil.test",
        "/\t/evil.test",
        "@evil.test",
        "\\/e",
        "/%0d\n/e",
        "javascript:1",
    ],
)
def test_next_never_leads_to_another_site(stranger: FlaskClient, evil: str) -> None:
    assert sign_in(stranger, next=evil).location == "/schedules"


def test_guessing_is_slowed_down_for_the_guesser_only(stranger: FlaskClient, app: Flask) -> None:
    answers = [sign_in(stranger, password=f"guess number {n}").status_code for n in range(10)]
    assert answers[:8] == [422] * 8
    assert answers[8:] == [429] * 2
    held_back = sign_in(stranger)
    assert held_back.status_code == 429
    assert int(held_back.headers["Retry-After"]) > 0
    elsewhere = app.test_client()
    data = {"email": "alice@acme.test", "password": PASSWORD, "csrf_token": csrf_of(elsewhere)}
    assert elsewhere.post("/sign-in", data=data, environ_base={"REMOTE_ADDR": "192.0.2.7"}).status_code == 303


def test_failures_are_on_record_with_the_tenant_of_the_person(stranger: FlaskClient, db: Any) -> None:
    sign_in(stranger, password="wrong wrong wrong")
    sign_in(stranger, email="nobody@acme.test")
    known, unknown = db.scalars(select(AuditEntry).where(AuditEntry.result == "refused").order_by(AuditEntry.id))
    assert (known.action, known.subject_label) == ("session.signed_in", "alice@acme.test")
    assert known.tenant_id is not None and "127.0.0.1" in known.reason
    assert (unknown.tenant_id, unknown.subject_id) == (None, None)


def test_changing_the_password_ends_every_other_session(alice: Browser, app: Flask, db: Any) -> None:
    from tests.web.cast import client_of

    other = client_of(app, alice.user, alice.tenant)
    new = {"current": PASSWORD, "new": "nine orange giraffes", "again": "nine orange giraffes"}
    assert alice.post("/settings/password", new).status_code == 303
    assert other.get("/settings").status_code == 303
    assert alice.get("/settings").status_code == 200
    assert db.scalar(select(func.count()).where(Session.user_id == alice.user.id)) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"current": "not my password"}, "This is not your password."),
        ({"new": "short", "again": "short"}, "Use at least 10 characters."),
        ({"new": "Password123!", "again": "Password123!"}, "among the first that anyone would try"),
        ({"new": "alice@acme.test", "again": "alice@acme.test"}, "your name or e-mail address"),
        ({"again": "something else"}, "The two new passwords differ."),
    ],
)
def test_a_password_that_cannot_be_used_changes_nothing(alice: Browser, change: dict[str, str], said: str) -> None:
    good = {"current": PASSWORD, "new": "nine orange giraffes", "again": "nine orange giraffes"}
    answer = alice.post("/settings/password", good | change)
    assert answer.status_code == 422
    assert said in answer.text
    assert alice.get("/settings").status_code == 200
