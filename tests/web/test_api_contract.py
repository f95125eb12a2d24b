"""Every field of every body, given every kind of value: refused at that field with a reason, or stored as it was sent."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from domain.accounts.audit import AuditEntry
from domain.accounts.permissions import PERMISSIONS, ROLES
from domain.accounts.tenants import Tenant
from domain.schedules.schedules import Schedule
from domain.workflows.workflows import Workflow
from tests.factories import (
    a_manifest,
    a_published_workflow,
    a_schedule,
    a_tenant,
    a_token,
    a_user,
    an_extension,
    an_extension_version,
    an_install,
)
from tests.web.addresses import address, rules
from tests.web.callers import Caller
from tests.web.cast import client_of
from tests.web.hostile import MARKUP
from web.access import PUBLIC, SIGNED_IN
from web.api.extensions import PUBLISHABLE
from web.api.installs import CONFIGURABLE, INSTALLABLE
from web.api.schedule_bodies import CREATABLE, EDITABLE, READ_ONLY
from web.api.upgrading import UPGRADABLE

RAW = [
    *("null", "[]", "{}", '""', "true", "1", "-1", "1e400", "NaN", "9223372036854775808", '"a\\u0000b"', '"\\ud800"'),
    *('"\\u202e"', json.dumps("x" * 10_000), "[" * 100 + "]" * 100, json.dumps(MARKUP), '"00000000000099999"'),
]
# Thousands of requests, one after the other, beside whatever else the machine has to do.
WALK_SECONDS = 600
# The body as a whole is too deep to be looked into.
UNREADABLE = {"JSON_TOO_DEEP"}
# What is stored otherwise than it was sent, on purpose: defaults for what says nothing.
DEFAULTS = (None, "")


@pytest.fixture
def alice(app: Flask, acme: Tenant) -> Caller:
    return Caller(app.test_client(), a_token(acme, a_user(acme))[1])


@pytest.fixture
def sync(acme: Tenant) -> Workflow:
    return a_published_workflow(acme, schema={"type": "object"})


def body_with(sync: Workflow, name: str, raw: str) -> str:
    base = {"workflowId": str(sync.id), "name": "Hourly", "cron": "0 * * * *", "enabled": False}
    if name in ("runAt", "cron", "triggerType"):
        base.pop("cron")
    base.pop(name, None)
    return f"{json.dumps(base)[:-1]}, {json.dumps(name)}: {raw}}}"


def check_answer(answer: Any, name: str, raw: str) -> None:
    what = f"{name}: {raw[:40]} answers {answer.status_code}"
    assert answer.status_code in (200, 201, 409, 422), what
    if answer.status_code == 422:
        problems = answer.json["errors"]
        assert problems and all(problem["message"] and problem["code"] for problem in problems), what
        told = {problem["path"].partition("/")[0] for problem in problems}
        is_unsaid = raw in ("null", '""') or name == "triggerType"
        assert name in told or is_unsaid or {problem["code"] for problem in problems} & UNREADABLE, what
    elif answer.status_code < 300 and name in answer.json and json.loads(raw) not in DEFAULTS:
        given, stored = json.loads(raw), answer.json[name]
        assert stored == given, f"{what} and stores {stored}"


@pytest.mark.timeout(WALK_SECONDS)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_every_field_is_refused_by_name_or_stored_as_sent(alice: Caller, sync: Workflow, db: Any, method: str) -> None:
    schedule = a_schedule(sync)
    db.commit()
    for name in sorted(EDITABLE):
        for raw in RAW:
            undo = db.connection().begin_nested()
            path, text = "/api/schedules", body_with(sync, name, raw)
            if method == "PATCH":
                path, text = f"{path}/{schedule.id}", f"{{{json.dumps(name)}: {raw}}}"
            headers = {"Authorization": f"Bearer {alice.secret}", "Content-Type": "application/json"}
            answer = alice.client.open(path, method=method, data=text, headers=headers)
            undo.rollback()
            db.expire_all()
            check_answer(answer, name, raw)


@pytest.mark.timeout(WALK_SECONDS)
@pytest.mark.parametrize(
    ("method", "below", "names"),
    [
        ("POST", "", PUBLISHABLE),
        ("POST", "/{other}/install", INSTALLABLE),
        ("PATCH", "/{extension}/install", CONFIGURABLE),
        ("POST", "/{extension}/install/disable", ("reason",)),
        ("PUT", "/{extension}/install/secrets/API_KEY", ("value",)),
        ("POST", "/{extension}/upgrade", UPGRADABLE),
    ],
)
def test_every_field_about_an_extension_is_refused_by_name_or_stored_as_sent(
    alice: Caller, acme: Tenant, db: Any, method: str, below: str, names: tuple[str, ...]
) -> None:
    install = an_install(acme)
    other = an_extension_version(an_extension(acme, "com.acme.other"))
    db.commit()
    path = "/api/extensions" + below.format(extension=install.extension_id, other=other.extension_id)
    # What each body has to have besides.
    needed = {"": {"manifest": a_manifest("3.0.0")}, "/{extension}/upgrade": {"version": "1.0.0"}}.get(below, {})
    for name in names:
        for raw in RAW:
            undo = db.connection().begin_nested()
            said = json.dumps({member: value for member, value in needed.items() if member != name})
            text = f"{said[:-1]}{', ' if said != '{}' else ''}{json.dumps(name)}: {raw}}}"
            headers = {"Authorization": f"Bearer {alice.secret}", "Content-Type": "application/json"}
            answer = alice.client.open(path, method=method, data=text, headers=headers)
            undo.rollback()
            db.expire_all()
            check_answer(answer, name, raw)


@pytest.mark.parametrize("name", sorted((READ_ONLY - {"revision"}) | {"tenantId", "tenant_id", "createdBy", "isAdmin"}))
def test_what_may_not_be_said_is_refused_by_name(alice: Caller, sync: Workflow, db: Any, name: str) -> None:
    body = {"workflowId": str(sync.id), "cron": "0 * * * *", name: str(a_tenant("globex").id)}
    answer = alice.post("/schedules", body)
    assert answer.status_code == 422
    assert [problem["path"] for problem in answer.json["errors"]] == [name]
    assert db.scalar(select(func.count()).select_from(Schedule)) == 0


def test_ids_of_another_tenant_in_a_body_or_a_query_are_nobodys(alice: Caller, sync: Workflow, db: Any) -> None:
    theirs = a_published_workflow(a_tenant("globex"), "Secret sync")
    their_schedule, own = a_schedule(theirs, "Secret nightly"), a_schedule(sync)
    db.commit()
    created = alice.post("/schedules", {"workflowId": str(theirs.id), "cron": "0 * * * *"})
    moved = alice.patch(f"/schedules/{own.id}", {"workflowId": str(theirs.id)})
    for answer in (created, moved):
        assert answer.status_code == 422
        assert [problem["path"] for problem in answer.json["errors"]] == ["workflowId"]
        assert "Secret" not in answer.text
    for query in (f"workflowId={theirs.id}", f"cursor={their_schedule.id}"):
        assert "Secret" not in alice.get(f"/schedules?{query}").text
    assert "Secret" not in alice.get(f"/workflow-runs?scheduleId={their_schedule.id}").text
    db.refresh(own)
    assert own.workflow_id == sync.id


@pytest.mark.timeout(WALK_SECONDS)
def test_a_token_opens_what_its_one_scope_opens_and_nothing_else(
    app: Flask, acme: Tenant, ids: dict[str, Any], db: Any
) -> None:
    user = a_user(acme, "dora@acme.test")
    secrets = {scope: a_token(acme, user, scope, [scope])[1] for scope in sorted(PERMISSIONS)}
    db.commit()
    for rule, method in rules(app):
        view = app.view_functions[rule.endpoint]
        needed = {str(view.permission)}  # type: ignore[attr-defined]
        # A list opens to either kind, and so does what takes a file that may hold either; the schedules and runs of the walk
        # are of workflows.
        takes_either = (method == "GET" and not rule.arguments) or rule.rule == "/api/schedule-bundles"
        needed |= set(getattr(view, "by_kind", {}).values()) if takes_either else set()
        path = address(app, rule, ids)
        for scope, secret in secrets.items():
            undo = db.connection().begin_nested()
            headers = {"Authorization": f"Bearer {secret}"}
            answer = app.test_client().open(path, method=method, headers=headers, json={} if method != "GET" else None)
            undo.rollback()
            db.expire_all()
            if path.startswith("/api/") and needed != {PUBLIC}:
                assert (answer.status_code == 403) == (scope not in needed), f"{method} {path} with {scope}"
            elif needed != {PUBLIC}:
                assert answer.status_code in (303, 400), f"{method} {path} opens to a token"


@pytest.mark.timeout(WALK_SECONDS)
def test_each_role_opens_what_its_permissions_open_and_nothing_else(
    app: Flask, acme: Tenant, ids: dict[str, Any], db: Any
) -> None:
    for role, granted in ROLES.items():
        browser = client_of(app, a_user(acme, f"{role}@acme.test", role), acme)
        db.commit()
        for rule, method in rules(app):
            needed = str(app.view_functions[rule.endpoint].permission)  # type: ignore[attr-defined]
            path = address(app, rule, ids)
            if path.startswith("/api/") or needed == PUBLIC:
                continue
            undo = db.connection().begin_nested()
            answer = browser.open(path, method=method)
            undo.rollback()
            db.expire_all()
            is_open = needed == SIGNED_IN or needed in granted
            assert (answer.status_code != 403) == is_open, f"{method} {path} as {role}"


def test_each_change_is_one_row_of_the_audit_and_a_refused_one_leaves_none(
    alice: Caller, sync: Workflow, db: Any
) -> None:
    def written(answer: Any) -> tuple[int, list[str]]:
        actions = list(db.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))
        found, seen[:] = actions[len(seen) :], actions
        return answer.status_code, found

    seen: list[str] = []
    body = {"workflowId": str(sync.id), "cron": "0 * * * *", "name": "Hourly"}
    created = alice.post("/schedules", body)
    assert written(created) == (201, ["schedule.created"])
    path = f"/schedules/{created.json['id']}"
    assert written(alice.post("/schedules", body)) == (422, [])
    assert written(alice.patch(path, {"name": "Daily", "cron": "0 9 * * *"})) == (200, ["schedule.edited"])
    assert written(alice.post(f"{path}/pause", {"reason": "Holidays"})) == (200, ["schedule.paused"])
    assert written(alice.post(f"{path}/pause", {})) == (409, [])
    assert written(alice.post(f"{path}/resume", {})) == (200, ["schedule.resumed"])
    assert written(alice.post(f"{path}/run-now", {})) == (202, ["schedule.run_now"])
    assert written(alice.delete(path)) == (204, ["schedule.deleted"])
    assert written(alice.delete(path)) == (404, [])


def test_the_members_that_may_be_said_are_those_of_the_documentation() -> None:
    described = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    names = {*CREATABLE, *PUBLISHABLE, *INSTALLABLE, *CONFIGURABLE, *UPGRADABLE}
    assert [name for name in sorted(names) if f"`{name}`" not in described] == []


def test_every_address_about_extensions_is_in_the_documentation(app: Flask) -> None:
    described = re.sub(r"\{\w+\}", "{}", (Path(__file__).parents[2] / "docs" / "api.md").read_text())
    shown = re.findall(r"/api(/[^\s`\"?)]*)", described)
    missing = {
        path
        for rule, _ in rules(app)
        if rule.rule.startswith("/api/extensions")
        and (path := re.sub(r"<[^>]+>", "{}", rule.rule).removeprefix("/api")) not in shown
    }
    assert missing == set()
