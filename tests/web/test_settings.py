"""The settings: the tenant, its members, API tokens."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from domain.accounts.audit import AuditEntry
from domain.accounts.permissions import ROLES
from domain.accounts.tenants import Tenant
from domain.accounts.tokens import ApiToken
from domain.accounts.users import Membership, User
from domain.kernel import clock
from domain.kernel.ids import new_id
from tests.factories import a_token, a_user
from tests.web.cast import Browser, client_of


def member_of(db: Any, browser: Browser) -> Membership:
    db.expire_all()
    found: Membership = db.scalars(
        select(Membership).where(Membership.user_id == browser.user.id, Membership.tenant_id == browser.tenant.id)
    ).one()
    return found


def actions(db: Any) -> list[str]:
    return list(db.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))


def test_an_admin_renames_the_tenant_and_sets_its_zone(alice: Browser, db: Any) -> None:
    answer = alice.post("/settings", {"name": "Acme Works", "timezone": "Europe/Paris"})
    assert answer.status_code == 303
    assert "Acme Works · Europe/Paris" in alice.get("/settings").text
    entry = db.scalars(select(AuditEntry)).one()
    assert (entry.action, entry.actor_label, entry.before["timezone"], entry.after["timezone"]) == (
        "tenant.edited",
        "Alice",
        "UTC",
        "Europe/Paris",
    )
    assert entry.request_id == answer.headers["X-Request-Id"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"timezone": "Europe/Pariss"}, "Did you mean Europe/Paris"),
        ({"timezone": "../x"}, "Time zone:"),
        ({"name": " "}, "Enter a name."),
        ({"name": "a\nb"}, "a line break"),
    ],
)
def test_a_wrong_value_keeps_what_was_typed_and_changes_nothing(
    alice: Browser, db: Any, change: dict[str, str], said: str
) -> None:
    answer = alice.post("/settings", {"name": "Typed", "timezone": "Asia/Tokyo"} | change)
    assert answer.status_code == 422
    assert said in answer.text
    assert 'value="Typed"' in answer.text or 'value="Asia/Tokyo"' in answer.text
    assert actions(db) == []
    assert "Acme · UTC" in alice.get("/settings").text


def test_fields_that_no_form_has_are_ignored(alice: Browser, db: Any, acme: Tenant) -> None:
    alice.post(
        "/settings", {"name": "Acme", "timezone": "UTC", "slug": "globex", "edition": "community", "id": str(new_id())}
    )
    db.expire_all()
    assert (acme.slug, acme.edition) == ("acme", "enterprise")


def test_a_new_member_gets_a_first_password_that_is_shown_once(alice: Browser, app: Flask, db: Any) -> None:
    form = {"email": "Dora@acme.test", "name": "Dora", "role": "operator", "request_key": str(new_id())}
    page = alice.post("/settings/members", form)
    password = re.search(r'<pre id="first-password"[^>]*>([^<]+)</pre>', page.text)
    assert password
    assert password[1] not in alice.get("/settings/members").text
    dora = db.scalars(select(User).where(User.email == "dora@acme.test")).one()
    assert password[1] not in dora.password_hash
    csrf = app.test_client()
    token = csrf.get("/sign-in").text.split('name="csrf-token" content="')[1].split('"')[0]
    answer = csrf.post("/sign-in", data={"email": dora.email, "password": password[1], "csrf_token": token})
    assert answer.status_code == 303
    assert actions(db) == ["member.added", "session.signed_in"]


def test_sending_the_form_twice_adds_one_member(alice: Browser, db: Any) -> None:
    form = {"email": "dora@acme.test", "name": "Dora", "role": "viewer", "request_key": str(new_id())}
    alice.post("/settings/members", form)
    assert alice.post("/settings/members", form).location == "/settings/members"
    assert db.scalar(select(func.count()).select_from(User).where(User.email == "dora@acme.test")) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"email": "not an address"}, "Enter an e-mail address"),
        ({"email": "bob@acme.test"}, "is a member already"),
        ({"role": "king"}, "Choose one of"),
        ({"name": ""}, "Enter a name."),
        ({"password": "short"}, "Use at least 10 characters."),
    ],
)
def test_a_member_that_cannot_be_added_is_refused_with_the_reason(
    alice: Browser, bob: Browser, db: Any, change: dict[str, str], said: str
) -> None:
    count = db.scalar(select(func.count()).select_from(Membership))
    form = {"email": "dora@acme.test", "name": "Dora", "role": "viewer", "request_key": str(new_id())}
    answer = alice.post("/settings/members", form | change)
    assert (answer.status_code, said in answer.text) == (422, True)
    assert db.scalar(select(func.count()).select_from(Membership)) == count


def test_someone_from_another_tenant_keeps_their_password(alice: Browser, charlie: Browser, db: Any) -> None:
    before = charlie.user.password_hash
    form = {"email": "charlie@globex.test", "name": "Mallory", "role": "viewer", "password": "nine orange giraffes"}
    assert alice.post("/settings/members", form).status_code == 303
    db.expire_all()
    assert (charlie.user.password_hash, charlie.user.name) == (before, "Charlie")
    member = db.scalars(
        select(Membership).where(Membership.user_id == charlie.user.id, Membership.tenant_id == alice.tenant.id)
    ).one()
    assert alice.post(f"/settings/members/{member.id}/password").status_code == 422
    assert charlie.get("/settings").status_code == 200


def test_a_role_counts_from_the_next_request(alice: Browser, bob: Browser, db: Any) -> None:
    assert bob.get("/settings/members").status_code == 403
    assert alice.post(f"/settings/members/{member_of(db, bob).id}/role", {"role": "admin"}).status_code == 303
    assert bob.get("/settings/members").status_code == 200
    entry = db.scalars(select(AuditEntry)).one()
    assert (entry.action, entry.subject_label, entry.before, entry.after) == (
        "member.role_changed",
        "bob@acme.test",
        {"role": "viewer"},
        {"role": "admin"},
    )


def test_a_removed_member_is_out_at_once_and_so_are_their_tokens(alice: Browser, bob: Browser, db: Any) -> None:
    token, _ = a_token(bob.tenant, bob.user)
    db.commit()
    assert (
        alice.post(f"/settings/members/{member_of(db, bob).id}/remove", htmx=True).headers["HX-Redirect"]
        == "/settings/members"
    )
    assert bob.get("/settings").status_code == 303
    db.expire_all()
    assert token.revoked_at is not None
    assert actions(db) == ["member.removed"]


@pytest.mark.parametrize("what", ["remove", "role"])
def test_the_last_admin_stays(alice: Browser, bob: Browser, db: Any, what: str) -> None:
    answer = alice.post(f"/settings/members/{member_of(db, alice).id}/{what}", {"role": "viewer"})
    assert (answer.status_code, "the last admin" in answer.text) == (422, True)
    assert member_of(db, alice).role == "admin"
    assert alice.post(f"/settings/members/{member_of(db, bob).id}/role", {"role": "admin"}).status_code == 303
    assert alice.post(f"/settings/members/{member_of(db, alice).id}/{what}", {"role": "viewer"}).status_code == 303


def test_a_new_first_password_ends_the_sessions(alice: Browser, bob: Browser, db: Any) -> None:
    page = alice.post(f"/settings/members/{member_of(db, bob).id}/password")
    assert 'id="first-password"' in page.text
    assert bob.get("/settings").status_code == 303


def create_token(browser: Browser, **change: Any) -> Any:
    form = {"name": "Billing export", "scopes": ["workflow:read"], "expires_on": "", "request_key": str(new_id())}
    return browser.post("/settings/tokens", form | change)


def test_the_secret_of_a_token_is_shown_once_and_never_stored(alice: Browser, db: Any) -> None:
    page = create_token(alice).text
    secret = re.search(r"carillon_[A-Za-z0-9_-]{43}(?=</pre>)", page)
    assert secret
    assert secret[0] not in alice.get("/settings/tokens").text
    token = db.scalars(select(ApiToken)).one()
    everything = f"{token.__dict__} {[entry.__dict__ for entry in db.scalars(select(AuditEntry))]}"
    assert secret[0] not in everything
    assert token.scopes == ["workflow:read"]


def test_sending_the_form_twice_makes_one_token(alice: Browser, db: Any) -> None:
    key = str(new_id())
    assert create_token(alice, request_key=key).status_code == 200
    assert create_token(alice, request_key=key).status_code == 303
    assert db.scalar(select(func.count()).select_from(ApiToken)) == 1


def test_a_token_expires_at_the_end_of_the_day_where_the_tenant_is(alice: Browser, db: Any) -> None:
    alice.post("/settings", {"name": "Acme", "timezone": "America/New_York"})
    create_token(alice, expires_on="2099-12-31")
    assert db.scalars(select(ApiToken)).one().expires_at.isoformat() == "2100-01-01T05:00:00+00:00"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": ""}, "Enter a name."),
        ({"scopes": []}, "Choose what the token may do."),
        ({"scopes": ["workflow:everything"]}, "There is no such permission."),
        ({"expires_on": "2001-01-01"}, "This is in the past."),
        ({"expires_on": "9999-12-31"}, "Enter a day such as"),
        ({"expires_on": "soon"}, "Enter a day such as"),
    ],
)
def test_a_token_that_cannot_be_is_refused_with_the_reason(
    alice: Browser, db: Any, change: dict[str, Any], said: str
) -> None:
    answer = create_token(alice, **change)
    assert (answer.status_code, said in answer.text) == (422, True)
    assert db.scalar(select(func.count()).select_from(ApiToken)) == 0


def test_a_token_is_revoked_once(alice: Browser, db: Any) -> None:
    token, _ = a_token(alice.tenant, alice.user)
    db.commit()
    assert alice.post(f"/settings/tokens/{token.id}/revoke").status_code == 303
    again = alice.post(f"/settings/tokens/{token.id}/revoke", htmx=True)
    assert (again.status_code, "revoked already" in again.headers["HX-Trigger"]) == (409, True)
    assert "Revoked" in alice.get("/settings/tokens").text
    assert actions(db) == ["token.revoked"]


def test_a_viewer_sees_the_settings_but_no_controls(bob: Browser) -> None:
    page = bob.get("/settings").text
    assert "Only an admin can change these." in page
    assert "Save settings" not in page and "/settings/members" not in page
    assert bob.get("/settings/password").status_code == 200


@pytest.mark.parametrize("role", list(ROLES))
@pytest.mark.parametrize(
    "path", ["/settings/members", "/settings/tokens", "/settings/members/new", "/settings/tokens/new", "/system/audit"]
)
def test_only_admins_manage(app: Flask, acme: Tenant, role: str, path: str) -> None:
    browser = client_of(app, a_user(acme, f"{role}@acme.test", role), acme)
    assert browser.get(path).status_code == (200 if role == "admin" else 403)


def test_a_refused_command_is_on_record(bob: Browser, alice: Browser, db: Any) -> None:
    member = member_of(db, alice).id
    assert bob.post(f"/settings/members/{member}/remove").status_code == 403
    bob.post("/settings/password", headers={"X-CSRFToken": "forged"})
    removal, forgery = db.scalars(select(AuditEntry).order_by(AuditEntry.id))
    assert (removal.action, removal.result, removal.actor_label, removal.subject_kind) == (
        "members.remove",
        "refused",
        "Bob",
        "user",
    )
    assert removal.subject_id == member
    assert "forgery" in forgery.reason


@pytest.mark.parametrize("path", ["/settings/members", "/settings/tokens"])
def test_a_longer_list_takes_no_more_queries(alice: Browser, app: Flask, db: Any, path: str) -> None:
    few = queries_of(app, alice, path)
    for number in range(5):
        a_token(alice.tenant, name=f"token {number}")
    db.commit()
    assert queries_of(app, alice, path) == few <= 6


def queries_of(app: Flask, browser: Browser, path: str) -> int:
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    seen: list[str] = []

    def count(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if not statement.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK")):
            seen.append(statement)

    event.listen(Engine, "before_cursor_execute", count)
    try:
        assert browser.get(path).status_code == 200
    finally:
        event.remove(Engine, "before_cursor_execute", count)
    return len(seen)


def test_an_hour_old_session_is_remembered_as_seen(alice: Browser, db: Any) -> None:
    from domain.accounts.sessions import Session

    session = db.scalars(select(Session).where(Session.user_id == alice.user.id)).one()
    session.seen_at = clock.now() - timedelta(hours=1)
    db.commit()
    assert alice.get("/settings").status_code == 200
    db.expire_all()
    assert clock.now() - session.seen_at < timedelta(minutes=1)
