"""Bundles over the API: what is exported is imported elsewhere, and every refusal has its code and leaves nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from domain.accounts.permissions import AUTHOR, VIEWER
from domain.accounts.tenants import Tenant
from domain.schedules.schedules import Schedule
from domain.workflows.workflows import Workflow
from tests.calls import a_call_schedule
from tests.factories import a_published_workflow, a_schedule, a_tenant, a_token, a_user, an_install
from tests.web.callers import Caller, problems_of
from tests.web.cast import client_of

DEFINITIONS, SCHEDULES = "/workflow-definitions", "/schedule-bundles"


@pytest.fixture
def alice(app: Flask, acme: Tenant) -> Caller:
    return Caller(app.test_client(), a_token(acme, a_user(acme))[1])


@pytest.fixture
def charlie(app: Flask, db: Any) -> Caller:
    return Caller(app.test_client(), a_token(a_tenant("globex"))[1])


def send_raw(caller: Caller, path: str, raw: bytes, key: str | None = None) -> Any:
    headers = {"Authorization": f"Bearer {caller.secret}", "Content-Type": "application/json"}
    headers |= {"Idempotency-Key": key} if key else {}
    return caller.client.post(f"/api{path}", data=raw, headers=headers)


def workflows_in(db: Any) -> int:
    return int(db.scalar(select(func.count()).select_from(Workflow)))


def exported(caller: Caller, query: str = "") -> bytes:
    return bytes(caller.get(f"{DEFINITIONS}/export{query}").data)


def test_what_one_tenant_exports_another_imports_and_exports_alike(
    alice: Caller, charlie: Caller, acme: Tenant, db: Any
) -> None:
    sync = a_published_workflow(acme)
    a_published_workflow(acme, "Digest")
    answer = alice.get(f"{DEFINITIONS}/export")
    assert answer.content_type == "application/json"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="workflow-bundle.json"'
    assert [one["key"] for one in answer.json["workflows"]] == ["digest", "invoice-sync"]
    one = alice.get(f"{DEFINITIONS}/{sync.id}/export").data
    assert exported(alice, "?key=invoice-sync") == one != answer.data
    assert exported(alice, "?key=invoice-sync&key=digest") == answer.data
    made = send_raw(charlie, f"{DEFINITIONS}/import", answer.data)
    assert made.status_code == 200 and made.location == f"/api{DEFINITIONS}"
    assert [one["key"] for one in made.json["createdWorkflows"]] == ["digest", "invoice-sync"]
    assert exported(charlie) == answer.data


def test_a_dry_run_tells_the_plan_and_its_fingerprint_binds_the_import(alice: Caller, acme: Tenant, db: Any) -> None:
    workflow = a_published_workflow(acme)
    path, raw = f"{DEFINITIONS}/import?force=true", exported(alice)
    alice.patch(f"{DEFINITIONS}/{workflow.id}", {"description": "New"})
    plan = send_raw(alice, f"{path}&dryRun=true", raw).json
    assert plan["dryRun"] is True and [one["action"] for one in plan["workflows"]] == ["replace"]
    alice.patch(f"{DEFINITIONS}/{workflow.id}", {"description": "Newer"})
    late = send_raw(alice, f"{path}&fingerprint={plan['fingerprint']}", raw)
    assert (late.status_code, late.json["code"]) == (409, "PLAN_CHANGED")
    plan = send_raw(alice, f"{path}&dryRun=true", raw).json
    done = send_raw(alice, f"{path}&fingerprint={plan['fingerprint']}", raw)
    assert done.json["deletedWorkflows"] == [{"key": workflow.key, "workflowId": str(workflow.id)}]
    assert exported(alice) == raw


def test_a_key_that_exists_is_a_conflict_and_a_repeated_request_is_not(
    alice: Caller, charlie: Caller, acme: Tenant, db: Any
) -> None:
    a_published_workflow(acme)
    raw = exported(alice)
    first, second = (send_raw(charlie, f"{DEFINITIONS}/import", raw, "k-1") for _ in range(2))
    assert (first.status_code, first.json) == (200, second.json)
    conflict = send_raw(charlie, f"{DEFINITIONS}/import", raw)
    assert (conflict.status_code, conflict.json["code"]) == (409, "WORKFLOW_KEY_CONFLICT")
    assert workflows_in(db) == 2


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        (None, 400, "INVALID_BUNDLE"),
        ({"format": "other"}, 400, "UNSUPPORTED_FORMAT"),
        ({"formatVersion": 2}, 400, "UNSUPPORTED_FORMAT_VERSION"),
        ({"workflows": [{}, 7]}, 400, "SCHEMA_VALIDATION_FAILED"),
    ],
)
def test_a_file_of_another_form_is_refused_with_a_code_and_leaves_nothing(
    alice: Caller, acme: Tenant, change: dict[str, Any] | None, status: int, code: str, db: Any
) -> None:
    a_published_workflow(acme)
    raw = b"{" if change is None else json.dumps({**json.loads(exported(alice)), **change}).encode()
    for query in ("", "?dryRun=true"):
        answer = send_raw(alice, f"{DEFINITIONS}/import{query}", raw)
        assert answer.content_type == "application/problem+json"
        assert (answer.status_code, answer.json["code"], answer.json["requestId"] is None) == (status, code, False)
    assert workflows_in(db) == 1


def test_what_is_missing_here_is_named(alice: Caller, charlie: Caller, acme: Tenant, db: Any) -> None:
    a_published_workflow(acme)
    document = json.loads(exported(alice))
    step = {"id": "x", "type": "action.call", "config": {"actionId": "no.such", "version": 1, "inputMapping": {}}}
    document["workflows"][0]["draft"]["definition"]["steps"] = [step]
    answer = send_raw(charlie, f"{DEFINITIONS}/import", json.dumps(document).encode())
    assert (answer.status_code, answer.json["code"]) == (400, "MISSING_DEPENDENCIES")
    assert answer.json["missingByWorkflow"][0]["workflowKey"] == "invoice-sync"
    assert workflows_in(db) == 1


def test_a_bundle_may_be_larger_than_other_bodies_and_not_without_end(alice: Caller) -> None:
    assert send_raw(alice, f"{DEFINITIONS}/import", b" " * 2_000_000 + b"[]").json["code"] == "INVALID_BUNDLE"
    assert send_raw(alice, f"{DEFINITIONS}/import", b" " * 16_000_001).status_code == 413
    assert alice.send("POST", f"{DEFINITIONS}/import", {}, {"Content-Type": "text/plain"}).status_code == 415


def test_a_session_may_send_as_large_a_bundle_as_a_token(app: Flask, acme: Tenant) -> None:
    browser = client_of(app, a_user(acme, "dora@acme.test"), acme)
    large = b'{"format": "none", "x": "%s"}' % (b"x" * 2_000_000)
    for path in ("/api/workflow-definitions/import", "/api/schedule-bundles"):
        answer = browser.open(path, method="POST", data=large, content_type="application/json")
        assert (answer.status_code, answer.get_json()["code"]) == (400, "UNSUPPORTED_FORMAT"), path


def test_what_is_not_there_cannot_be_exported(alice: Caller, charlie: Caller, acme: Tenant) -> None:
    workflow = a_published_workflow(acme)
    assert charlie.get(f"{DEFINITIONS}/{workflow.id}/export").status_code == 404
    assert charlie.get(f"{DEFINITIONS}/export?key={workflow.key}").status_code == 404
    assert problems_of(charlie.get(f"{DEFINITIONS}/export")) == {"workflows": "NOTHING_TO_EXPORT"}
    assert alice.get(f"{DEFINITIONS}/export?key=%00").status_code == 422
    assert problems_of(alice.get(f"{DEFINITIONS}/export?keys=x")) == {"keys": "UNKNOWN_FIELD"}


def test_only_an_admin_imports_workflows(app: Flask, alice: Caller, acme: Tenant, db: Any) -> None:
    a_published_workflow(acme)
    author = Caller(app.test_client(), a_token(acme, a_user(acme, "dora@acme.test", AUTHOR))[1])
    assert send_raw(author, f"{DEFINITIONS}/import?force=true", exported(alice)).status_code == 403
    assert author.get(f"{DEFINITIONS}/export").status_code == 200


def test_schedules_travel_and_are_taken_in_once(alice: Caller, charlie: Caller, acme: Tenant, db: Any) -> None:
    a_schedule(a_published_workflow(acme), external_key="morning")
    send_raw(charlie, f"{DEFINITIONS}/import", exported(alice))
    answer = alice.get(SCHEDULES)
    assert answer.headers["Content-Disposition"] == 'attachment; filename="schedule-bundle.json"'
    assert [one["externalKey"] for one in answer.json["schedules"]] == ["morning"]
    plan = send_raw(charlie, f"{SCHEDULES}?dryRun=true", answer.data).json
    assert (plan["dryRun"], [one["action"] for one in plan["schedules"]]) == (True, ["create"])
    made = send_raw(charlie, f"{SCHEDULES}?fingerprint={plan['fingerprint']}", answer.data)
    assert made.status_code == 200 and made.json["schedules"][0]["scheduleId"]
    stored = db.get(Schedule, made.json["schedules"][0]["scheduleId"])
    assert (stored.status, stored.external_key) == ("paused", "morning")
    again = send_raw(charlie, SCHEDULES, answer.data).json
    assert [one["action"] for one in again["schedules"]] == ["unchanged"]
    assert charlie.get(SCHEDULES).data == answer.data


def test_a_schedule_whose_target_is_missing_is_refused_with_its_name(
    alice: Caller, charlie: Caller, acme: Tenant, db: Any
) -> None:
    a_schedule(a_published_workflow(acme), external_key="morning")
    answer = send_raw(charlie, SCHEDULES, alice.get(SCHEDULES).data)
    assert (answer.status_code, answer.json["code"]) == (400, "MISSING_DEPENDENCIES")
    assert send_raw(charlie, SCHEDULES, b"[]").json["code"] == "INVALID_BUNDLE"
    assert db.scalar(select(func.count()).select_from(Schedule)) == 1


def test_a_file_holds_what_its_reader_may_see_and_changes_what_they_may_change(
    app: Flask, alice: Caller, acme: Tenant, db: Any
) -> None:
    mine, call = a_schedule(a_published_workflow(acme), external_key="morning"), a_call_schedule(an_install(acme))
    reader = Caller(app.test_client(), a_token(acme, name="reader", scopes=["workflow:read", "workflow:manage"])[1])
    assert [one["externalKey"] for one in reader.get(SCHEDULES).json["schedules"]] == ["morning"]
    assert reader.get(f"{SCHEDULES}?scheduleId={call.id}").status_code == 404
    assert len(alice.get(SCHEDULES).json["schedules"]) == 2
    assert len(alice.get(f"{SCHEDULES}?scheduleId={mine.id}").json["schedules"]) == 1
    assert send_raw(reader, SCHEDULES, alice.get(SCHEDULES).data).status_code == 403
    bob = Caller(app.test_client(), a_token(acme, a_user(acme, "bob@acme.test", VIEWER))[1])
    assert send_raw(bob, SCHEDULES, alice.get(SCHEDULES).data).status_code == 403


def test_a_tenant_without_schedules_has_no_files_of_them(alice: Caller, acme: Tenant, db: Any) -> None:
    acme.edition = "community"
    db.flush()
    for answer in (alice.get(SCHEDULES), send_raw(alice, SCHEDULES, b"{}")):
        assert (answer.status_code, answer.json["code"]) == (403, "EDITION_REQUIRED")
