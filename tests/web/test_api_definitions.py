"""Workflows over the API: created, edited, published, run, held and deleted by the rules of the screens."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from domain.accounts.audit import AuditEntry
from domain.accounts.permissions import VIEWER
from domain.accounts.tenants import Tenant
from domain.runs.runs import Run
from domain.schedules.schedules import Schedule
from domain.workflows.versions import WorkflowVersion
from domain.workflows.workflows import Workflow
from tests.factories import (
    a_published_workflow,
    a_schedule,
    a_tenant,
    a_token,
    a_user,
    a_workflow,
    an_event_type,
)
from tests.web.callers import Caller, problems_of

DEFINITIONS = "/workflow-definitions"
STEPS = {"steps": [{"id": "end", "type": "control.return"}]}
REGION = {"type": "object", "properties": {"region": {"enum": ["eu", "us"]}}, "required": ["region"]}


@pytest.fixture
def alice(app: Flask, acme: Tenant) -> Caller:
    return Caller(app.test_client(), a_token(acme, a_user(acme))[1])


@pytest.fixture
def bob(app: Flask, acme: Tenant) -> Caller:
    return Caller(app.test_client(), a_token(acme, a_user(acme, "bob@acme.test", VIEWER))[1])


@pytest.fixture
def charlie(app: Flask, db: Any) -> Caller:
    return Caller(app.test_client(), a_token(a_tenant("globex"))[1])


def path_of(workflow: Workflow) -> str:
    return f"{DEFINITIONS}/{workflow.id}"


def count(db: Any, model: Any) -> int:
    return int(db.scalar(select(func.count()).select_from(model)))


def actions(db: Any) -> list[str]:
    return list(db.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))


# Create


def test_a_name_is_enough_and_what_is_made_can_be_published_as_it_is(alice: Caller) -> None:
    made = alice.post(DEFINITIONS, {"name": "Invoice sync"})
    assert made.status_code == 201 and made.location == f"/api{DEFINITIONS}/{made.json['id']}"
    assert (made.json["key"], made.json["status"], made.json["concurrencyLimit"]) == ("invoice-sync", "draft", 1)
    assert (made.json["definition"], made.json["draft"]["version"]) == (None, 1)
    assert made.json["draft"]["payloadSchemaRef"] == "payload.Empty.v1"
    path = f"{DEFINITIONS}/{made.json['id']}"
    assert alice.get(path).json == made.json
    assert alice.post(f"{path}/publish").json["version"] == 1
    again = alice.post(DEFINITIONS, {"name": "Invoice sync", "key": None})
    assert again.json["key"] == "invoice-sync-2"


def test_everything_can_be_said_at_once(alice: Caller, acme: Tenant, db: Any) -> None:
    an_event_type(acme, "invoice.paid")
    body = {
        "name": "Invoice sync",
        "key": "billing.sync",
        "description": "Once a day",
        "concurrencyLimit": None,
        "autoPauseOnFailure": True,
        "failureRateThreshold": 0.5,
        "failureRateMinRuns": 20,
        "retentionPolicyOverride": {"days": 30},
        "draft": {
            "definition": STEPS,
            "trigger": {"type": "event", "eventName": "invoice.paid"},
            "payloadSchemaMode": "inferred",
            "payloadSchemaRef": None,
        },
    }
    made = alice.post(DEFINITIONS, body).json
    assert {name: made[name] for name in body if name != "draft"} == {k: v for k, v in body.items() if k != "draft"}
    assert made["draft"] == {"version": 1, **body["draft"]}
    assert actions(db) == ["workflow.created", "workflow.saved"]


def test_what_is_wrong_is_told_all_at_once_and_nothing_is_made(alice: Caller, db: Any) -> None:
    body = {
        "name": " ",
        "key": "No Key",
        "concurrencyLimit": 0,
        "failureRateThreshold": "half",
        "failureRateMinRuns": True,
        "retentionPolicyOverride": {"days": 0},
        "draft": {
            "definition": {"steps": [], "trigger": {"type": "recurring", "cron": "* * * * *"}},
            "trigger": {"type": "event"},
            "payloadSchemaMode": "free",
            "payloadSchemaRef": "payload.Nothing.v1",
        },
    }
    answer = alice.post(DEFINITIONS, body)
    assert answer.status_code == 422 and problems_of(answer) == {
        "name": "NAME_REQUIRED",
        "key": "KEY_INVALID",
        "concurrencyLimit": "LIMIT_INVALID",
        "failureRateThreshold": "THRESHOLD_INVALID",
        "failureRateMinRuns": "MIN_RUNS_INVALID",
        "retentionPolicyOverride": "RETENTION_INVALID",
        "draft/definition/trigger": "TIME_TRIGGER_IN_DEFINITION",
        "draft/trigger/eventName": "EVENT_NAME_REQUIRED",
        "draft/payloadSchemaMode": "SCHEMA_MODE_INVALID",
        "draft/payloadSchemaRef": "UNKNOWN_PAYLOAD_SCHEMA_REF",
    }
    assert count(db, Workflow) == 0 and actions(db) == []


@pytest.mark.parametrize(
    ("body", "path", "code"),
    [
        ({}, "name", "NAME_REQUIRED"),
        ({"name": 7}, "name", "TEXT_REQUIRED"),
        ({"name": "x", "key": []}, "key", "TEXT_REQUIRED"),
        ({"name": "x", "description": {}}, "description", "TEXT_REQUIRED"),
        ({"name": "x", "autoPauseOnFailure": "yes"}, "autoPauseOnFailure", "BOOLEAN_REQUIRED"),
        ({"name": "x", "draft": []}, "draft", "OBJECT_REQUIRED"),
        ({"name": "x", "draft": {"definition": None}}, "draft/definition", "INVALID_WORKFLOW_DEFINITION"),
        ({"name": "x", "draft": {"definition": []}}, "draft/definition", "INVALID_WORKFLOW_DEFINITION"),
        ({"name": "x", "draft": {"payloadSchemaRef": {}}}, "draft/payloadSchemaRef", "TEXT_REQUIRED"),
        ({"name": "x", "draft": {"payloadSchemaMode": {}}}, "draft/payloadSchemaMode", "SCHEMA_MODE_INVALID"),
        ({"name": "x", "draft": {"trigger": "event"}}, "draft/trigger", "TRIGGER_INVALID"),
        ({"name": "x", "draft": {"version": 2}}, "draft/version", "READ_ONLY_FIELD"),
        ({"name": "x", "draft": {"a/b": 2}}, "draft/a~1b", "UNKNOWN_FIELD"),
        ({"name": "x", "steps": []}, "steps", "UNKNOWN_FIELD"),
        ({"name": "x", "definition": {}}, "definition", "READ_ONLY_FIELD"),
    ],
)
def test_a_member_of_a_wrong_kind_is_refused_where_it_stands(
    alice: Caller, body: dict[str, Any], path: str, code: str, db: Any
) -> None:
    answer = alice.post(DEFINITIONS, body)
    assert answer.status_code == 422 and problems_of(answer) == {path: code}
    assert count(db, Workflow) == 0


def test_a_key_that_is_taken_is_refused(alice: Caller, acme: Tenant) -> None:
    taken, other = a_workflow(acme, "Taken"), a_workflow(acme, "Other")
    assert problems_of(alice.post(DEFINITIONS, {"name": "x", "key": taken.key})) == {"key": "KEY_TAKEN"}
    assert problems_of(alice.patch(path_of(other), {"key": taken.key})) == {"key": "KEY_TAKEN"}


def test_a_definition_may_be_as_deep_as_on_the_screen(alice: Caller) -> None:
    deep: Any = 1
    for _ in range(58):
        deep = [deep]
    assert alice.post(DEFINITIONS, {"name": "Deep", "draft": {"definition": {"steps": deep}}}).status_code == 201
    for _ in range(20):
        deep = [deep]
    answer = alice.post(DEFINITIONS, {"name": "Deeper", "draft": {"definition": {"steps": deep}}})
    assert "JSON_TOO_DEEP" in problems_of(answer).values()


# Edit


def test_only_what_is_sent_changes(alice: Caller, acme: Tenant, db: Any) -> None:
    workflow = a_published_workflow(acme)
    before = alice.get(path_of(workflow)).json
    answer = alice.patch(path_of(workflow), {"draft": {"definition": STEPS}, "description": "New"})
    changed = {name for name, value in answer.json.items() if value != before[name]}
    assert answer.status_code == 200 and changed == {"description", "draft", "revision", "updatedAt"}
    assert answer.json["draft"]["definition"] == STEPS and answer.json["definition"] == before["definition"]
    assert alice.patch(path_of(workflow), {}).json == answer.json
    assert actions(db) == ["workflow.saved"]


def test_an_edit_of_something_older_is_refused(alice: Caller, acme: Tenant) -> None:
    workflow = a_workflow(acme)
    path, tag = path_of(workflow), alice.get(path_of(workflow)).headers["ETag"]
    assert alice.send("PATCH", path, {"name": "One"}, {"If-Match": tag}).headers["ETag"] == '"2"'
    assert alice.send("PATCH", path, {"name": "Two"}, {"If-Match": tag}).status_code == 412
    assert alice.patch(path, {"name": "Two", "revision": 1}).status_code == 409
    for command in ("publish", "pause"):
        assert alice.send("POST", f"{path}/{command}", {}, {"If-Match": tag}).status_code == 412
    assert alice.send("DELETE", path, None, {"If-Match": tag}).status_code == 412
    assert (alice.get(path).json["name"], alice.get(path).json["status"]) == ("One", "draft")
    assert alice.send("DELETE", path, None, {"If-Match": '"2"'}).status_code == 204


# Publish


def test_publishing_tells_the_version_and_what_became_of_the_schedules(alice: Caller, acme: Tenant, db: Any) -> None:
    workflow = a_published_workflow(acme)
    schedule = a_schedule(workflow)
    alice.patch(path_of(workflow), {"draft": {"definition": STEPS}})
    answer = alice.post(f"{path_of(workflow)}/publish", key="k-1")
    assert answer.status_code == 200 and answer.location == f"/api{path_of(workflow)}"
    told = {"version": 2, "schedulesMoved": 1, "schedulesInvalid": 0, "schedulesRecovered": 0, "warnings": []}
    assert answer.json == {**told, "revision": 3} and answer.headers["ETag"] == '"3"'
    assert alice.post(f"{path_of(workflow)}/publish", key="k-1").json == answer.json
    assert count(db, WorkflowVersion) == 2
    db.refresh(schedule)
    assert schedule.workflow_version == 2
    shown = alice.get(path_of(workflow)).json
    assert (shown["publishedVersion"], shown["definition"], shown["draft"]["version"]) == (2, STEPS, 3)


def test_a_draft_that_cannot_run_is_refused_at_its_steps(alice: Caller, acme: Tenant, db: Any) -> None:
    branch = [{"id": "a", "type": "control.return"}, {"id": "b", "type": "no.such"}]
    steps = [{"id": "x", "type": "control.if", "condition": {"$expr": "true"}, "then": branch}]
    workflow = a_workflow(acme, draft_definition={"steps": steps}, draft_schema_ref=None)
    answer = alice.post(f"{path_of(workflow)}/publish")
    assert answer.status_code == 422 and problems_of(answer) == {
        "draft/payloadSchemaRef": "UNKNOWN_PAYLOAD_SCHEMA_REF",
        "draft/definition/steps/0/then/1": "UNKNOWN_NODE_TYPE",
    }
    assert count(db, WorkflowVersion) == 0


def test_publishing_is_bound_to_the_draft_that_was_read(alice: Caller, acme: Tenant) -> None:
    workflow = a_workflow(acme)
    alice.patch(path_of(workflow), {"description": "Somebody else was faster"})
    stale = alice.post(f"{path_of(workflow)}/publish", {"revision": 1})
    assert (stale.status_code, stale.json["code"]) == (409, "CONFLICT")
    assert alice.post(f"{path_of(workflow)}/publish", {"revision": 2}).status_code == 200


# Run, pause, resume, delete


def test_a_run_is_started_once_and_told(alice: Caller, acme: Tenant, db: Any) -> None:
    workflow = a_published_workflow(acme, schema=REGION)
    sent = {"payload": {"region": "eu"}}
    first, second = (alice.post(f"{path_of(workflow)}/run", sent, key="k-1") for _ in range(2))
    assert (first.status_code, first.json) == (202, second.json)
    assert first.location == f"/api/workflow-runs/{first.json['id']}"
    assert (first.json["startedBy"], first.json["input"]) == ("api", {"region": "eu"})
    assert count(db, Run) == 1
    for payload, found in (({"region": "mars"}, {"payload/region"}), ([], {"payload"}), (None, {"payload"})):
        assert set(problems_of(alice.post(f"{path_of(workflow)}/run", {"payload": payload}))) == found
    assert set(problems_of(alice.post(f"{path_of(workflow)}/run"))) == {"payload/region"}


def test_a_paused_workflow_starts_nothing_until_it_is_resumed(alice: Caller, acme: Tenant) -> None:
    path = path_of(a_published_workflow(acme))
    paused = alice.post(f"{path}/pause", {"reason": "Audit"}).json
    assert (paused["status"], paused["pauseReason"], paused["pausedAt"] is None) == ("paused", "Audit", False)
    held = alice.post(f"{path}/run")
    assert (held.status_code, held.json["code"]) == (409, "WORKFLOW_PAUSED")
    assert alice.post(f"{path}/pause").json["code"] == "STALE_TRANSITION"
    assert alice.post(f"{path}/resume").json["status"] == "published"
    assert alice.post(f"{path}/resume").status_code == 409
    assert alice.post(f"{path}/run").status_code == 202
    assert problems_of(alice.post(f"{path}/pause", {"reason": 7})) == {"reason": "TEXT_REQUIRED"}


def test_what_was_never_published_cannot_run(alice: Caller, acme: Tenant) -> None:
    answer = alice.post(f"{path_of(a_workflow(acme))}/run")
    assert (answer.status_code, answer.json["code"]) == (409, "WORKFLOW_NOT_PUBLISHED")


def test_deleting_ends_the_schedules_and_is_told_once(alice: Caller, acme: Tenant, db: Any) -> None:
    workflow = a_published_workflow(acme)
    schedule = a_schedule(workflow)
    assert alice.delete(path_of(workflow)).status_code == 204
    db.refresh(schedule)
    assert schedule.deleted_at is not None
    assert alice.delete(path_of(workflow)).status_code == 404
    assert alice.get(path_of(workflow)).status_code == 404
    assert alice.get(DEFINITIONS).json["items"] == []
    assert count(db, Schedule) == 1


def test_who_may_not_is_told_and_strangers_find_nothing(bob: Caller, charlie: Caller, acme: Tenant, db: Any) -> None:
    workflow = a_published_workflow(acme)
    path = path_of(workflow)
    for caller, status in ((bob, 403), (charlie, 404)):
        for answer in (
            caller.patch(path, {"name": "Mine"}),
            caller.post(f"{path}/publish"),
            caller.post(f"{path}/pause"),
            caller.post(f"{path}/resume"),
            caller.post(f"{path}/run"),
            caller.delete(path),
        ):
            assert answer.status_code == status
    assert bob.post(DEFINITIONS, {"name": "Mine"}).status_code == 403
    refused = db.scalars(select(AuditEntry).where(AuditEntry.result == "refused")).all()
    assert {entry.subject_kind for entry in refused} == {"workflow"} and len(refused) == 7
    assert (count(db, Workflow), count(db, Run)) == (1, 0)
