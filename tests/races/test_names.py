"""Many people at once want the same name, key or address: one gets it, the others are told so, nobody sees an error."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from domain.accounts.audit import AuditEntry
from domain.accounts.users import Membership, User
from domain.kernel.db import Base, db, transaction
from domain.schedules.schedules import Schedule
from domain.workflows.payload_schemas import PayloadSchema
from domain.workflows.workflows import Workflow
from tests.factories import a_published_workflow, a_tenant, a_token, a_user
from tests.web.cast import Browser, client_of

PEOPLE, AT_ONCE = 48, 8


@pytest.fixture
def app(fresh_app: Flask) -> Flask:
    return fresh_app


@pytest.fixture
def alice(app: Flask) -> Browser:
    with app.app_context(), transaction():
        tenant = a_tenant("acme")
        a_published_workflow(tenant)
        browser = client_of(app, a_user(tenant), tenant)
        db.session.flush()
        db.session.expunge_all()
    return browser


def at_once(app: Flask, alice: Browser, ask: Callable[[FlaskClient, int], TestResponse]) -> Counter[int]:
    """How often each status was answered to PEOPLE, of whom AT_ONCE ask at the same moment."""
    cookie = alice.client.get_cookie("carillon")
    assert cookie is not None
    together = Barrier(AT_ONCE)

    def one(number: int) -> int:
        client = app.test_client()
        client.set_cookie("carillon", cookie.value)
        together.wait(timeout=30)
        return ask(client, number).status_code

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return Counter(pool.map(one, range(PEOPLE)))


def count(app: Flask, model: type[Base], *conditions: object) -> int:
    with app.app_context():
        return int(db.session.scalar(select(func.count()).select_from(model).where(*conditions)) or 0)


FORMS = {
    "/workflows": ({"name": "Export", "key": "export"}, Workflow, Workflow.key == "export"),
    "/settings/schemas": (
        {"ref": "payload.New.v1", "schema": '{"type": "object"}'},
        PayloadSchema,
        PayloadSchema.ref == "payload.New.v1",
    ),
    "/schedules": (
        {
            "workflow": "Invoice sync",
            "name": "Nightly",
            "trigger_type": "recurring",
            "cron": "0 3 * * *",
            "timezone": "UTC",
        }
        | {"overlap": "queue", "catch_up": "latest", "dst_gap": "after", "dst_repeat": "first"},
        Schedule,
        Schedule.name == "Nightly",
    ),
}


@pytest.mark.parametrize("path", FORMS)
def test_one_of_many_who_want_the_same_gets_it(app: Flask, alice: Browser, path: str) -> None:
    form, model, is_it = FORMS[path]
    statuses = at_once(
        app, alice, lambda client, _: client.post(path, data=form, headers={"X-CSRFToken": alice.csrf_token})
    )
    assert statuses == {303: 1, 422: PEOPLE - 1}
    assert count(app, model, is_it) == 1


def test_one_address_becomes_one_member(app: Flask, alice: Browser) -> None:
    form = {"email": "dora@acme.test", "name": "Dora", "role": "viewer", "password": "seven purple tortoises"}
    statuses = at_once(
        app,
        alice,
        lambda client, number: client.post(
            "/settings/members",
            data=form | {"request_key": str(number)},
            headers={"X-CSRFToken": alice.csrf_token},
        ),
    )
    # Hashing is limited, so some may be asked to wait.
    assert statuses[303] == 1 and set(statuses) <= {303, 422, 429}
    assert count(app, User, User.email == "dora@acme.test") == count(app, Membership, Membership.role == "viewer") == 1
    assert count(app, AuditEntry, AuditEntry.action == "member.added") == 1


def test_keys_that_nobody_typed_are_never_taken(app: Flask, alice: Browser) -> None:
    statuses = at_once(
        app,
        alice,
        lambda client, _: client.post("/workflows", data={"name": "Export"}, headers={"X-CSRFToken": alice.csrf_token}),
    )
    assert statuses == {303: PEOPLE}
    assert count(app, Workflow, Workflow.key.startswith("export")) == PEOPLE


def test_schedules_without_a_name_are_all_created(app: Flask, alice: Browser) -> None:
    with app.app_context(), transaction():
        workflow = db.session.scalars(select(Workflow)).one()
        tenant_id, body = workflow.tenant_id, {"workflowId": str(workflow.id), "cron": "0 3 * * *"}
        user = db.session.scalars(select(User)).one()
        secret = a_token(db.session.get_one(type(alice.tenant), tenant_id), user)[1]
    bearer = {"Authorization": f"Bearer {secret}"}
    statuses = at_once(app, alice, lambda client, _: client.post("/api/schedules", json=body, headers=bearer))
    assert statuses == {201: PEOPLE}
    assert count(app, Schedule) == PEOPLE
