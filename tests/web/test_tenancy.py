"""Walks every address of the application as someone of another tenant, as a viewer, and as nobody.

A new route is walked without being named here; a new kind of id in an address is added to tests/web/addresses.py.
"""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.routing import Rule

from domain.accounts.audit import SUBJECTS, AuditEntry
from domain.accounts.permissions import PERMISSIONS
from domain.accounts.tokens import ApiToken
from tests.web.addresses import CANARY, address, ask, rules
from tests.web.cast import HTMX, Browser
from web.access import PUBLIC, SIGNED_IN

PUBLIC_ENDPOINTS = {
    "api.show_openapi",
    "api.show_reference",
    "static",
    "accounts.show_sign_in",
    "accounts.sign_in",
    "accounts.sign_out",
    "system.healthz",
}
# It asks for a token or an address of its own, which no person has.
PUBLIC_ENDPOINTS |= {"metrics.show"}
UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}


def permission_of(app: Flask, rule: Rule) -> str:
    return str(app.view_functions[rule.endpoint].permission)  # type: ignore[attr-defined]


def test_only_the_expected_addresses_are_public(app: Flask) -> None:
    found = {name for name, view in app.view_functions.items() if view.permission == PUBLIC}  # type: ignore[attr-defined]
    assert found == PUBLIC_ENDPOINTS


def test_every_mark_is_a_permission(app: Flask) -> None:
    for name, view in app.view_functions.items():
        assert view.permission in PERMISSIONS | {PUBLIC, SIGNED_IN}, name  # type: ignore[attr-defined]


@pytest.mark.parametrize("htmx", [False, True], ids=["page", "fragment"])
def test_what_belongs_to_another_tenant_is_not_there(
    app: Flask, ids: dict[str, Any], charlie: Browser, htmx: bool
) -> None:
    for rule, method in rules(app):
        if rule.endpoint == "accounts.sign_out":
            continue
        path = address(app, rule, ids)
        answer = ask(charlie, path, method, htmx=htmx)
        if rule.arguments:
            assert answer.status_code == 404, f"{method} {path} answers {answer.status_code} to another tenant"
        assert answer.status_code < 500 or rule.endpoint == "system.healthz", f"{method} {path}"
        told = answer.text + str(answer.headers)
        assert CANARY not in told and "acme" not in told, f"{method} {path} tells of another tenant"


def test_the_ids_of_the_walk_are_good(app: Flask, ids: dict[str, Any], alice: Browser, db: Any) -> None:
    for rule, method in rules(app):
        if rule.arguments and method == "GET":
            path = address(app, rule, ids)
            assert ask(alice, path, method).status_code == 200, path
    assert {CANARY in alice.get("/settings/members").text, CANARY in alice.get("/settings/tokens").text} == {True}


def test_what_is_not_public_asks_strangers_to_sign_in(app: Flask, ids: dict[str, Any]) -> None:
    stranger: FlaskClient = app.test_client()
    for rule, method in rules(app):
        if permission_of(app, rule) == PUBLIC:
            continue
        path = address(app, rule, ids)
        answer = stranger.open(path, method=method)
        fragment = stranger.open(path, method=method, headers=HTMX)
        assert fragment.status_code == 401, f"{method} {path}"
        if path.startswith("/api/"):
            assert answer.status_code == 401, f"{method} {path}"
        else:
            assert (answer.status_code, answer.location.partition("?")[0]) == (303, "/sign-in"), f"{method} {path}"


def test_a_viewer_changes_nothing(app: Flask, ids: dict[str, Any], bob: Browser, db: Any) -> None:
    """Every address that needs more than reading refuses bob before it looks at anything."""
    for rule, method in rules(app):
        needed = permission_of(app, rule)
        if needed in (PUBLIC, SIGNED_IN, "workflow:read", "extension:read"):
            continue
        path = address(app, rule, ids)
        assert ask(bob, path, method).status_code == 403, f"{method} {path}"
    assert db.scalar(select(ApiToken.revoked_at).where(ApiToken.name == CANARY)) is None


def test_what_a_viewer_was_refused_is_on_record_with_what_it_was_about(
    app: Flask, ids: dict[str, Any], bob: Browser, db: Any
) -> None:
    for rule, method in rules(app):
        if method in UNSAFE and permission_of(app, rule) not in (PUBLIC, SIGNED_IN):
            ask(bob, address(app, rule, ids), method)
    found = db.execute(select(AuditEntry.action, AuditEntry.subject_kind, AuditEntry.subject_id)).all()
    refused = {action: (kind, subject_id) for action, kind, subject_id in found}
    assert {kind for kind, _ in refused.values()} <= set(SUBJECTS)
    assert refused["api.give_answer"] == ("task", ids["task_id"])
    assert refused["api.cancel_from_body"] == ("run", ids["run_id"])
    assert refused["api.change_schedule"] == ("schedule", ids["schedule_id"])
    assert refused["events.delete_type"] == ("event_type", ids["event_type_id"])
    assert refused["secrets.replace"] == ("secret", ids["secret_id"])
    assert refused["members.remove"] == ("user", ids["member_id"])
    assert refused["tokens.revoke"] == ("api_token", ids["token_id"])
    assert refused["schemas.replace"] == ("payload_schema", ids["schema_id"])
    kinds = {
        "api.send_event": "event",
        "events.add_type": "event_type",
        "events.send": "event",
        "secrets.create": "secret",
    }
    kinds |= {"workflows.create": "workflow", "settings.edit": "tenant", "schedules.create": "schedule"}
    assert {action: refused[action] for action in kinds} == {action: (kind, None) for action, kind in kinds.items()}


def test_every_unsafe_page_request_needs_the_token_of_its_session(
    app: Flask, ids: dict[str, Any], alice: Browser, bob: Browser
) -> None:
    for rule, method in rules(app):
        path = address(app, rule, ids)
        if method not in UNSAFE or path.startswith("/api/"):
            continue
        without = alice.client.open(path, method=method)
        with_that_of_bob = alice.open(path, method=method, headers={"X-CSRFToken": bob.csrf_token})
        from_elsewhere = alice.open(path, method=method, headers={"Origin": "https://evil.test"})
        from_a_neighbour = alice.open(path, method=method, headers={"Sec-Fetch-Site": "same-site"})
        answers = [without, with_that_of_bob, from_elsewhere, from_a_neighbour]
        assert [answer.status_code for answer in answers] == [400] * 4, f"{method} {path}"
    assert alice.get("/settings").status_code == 200


def test_reading_changes_nothing(app: Flask, ids: dict[str, Any], alice: Browser, db: Any) -> None:
    before = _rows(db)
    for rule, method in rules(app):
        if method == "GET":
            ask(alice, address(app, rule, ids), method)
    db.expire_all()
    after = _rows(db)
    # Walking the API takes tokens.
    before.pop("api_tokens"), after.pop("api_tokens")
    assert before == after


def _rows(db: Any) -> dict[str, Any]:
    from domain.kernel.db import Base

    return {
        name: [tuple(row) for row in db.execute(table.select().order_by(*table.primary_key))]
        for name, table in Base.metadata.tables.items()
    }
