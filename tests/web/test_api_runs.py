"""Runs over the API: found by every filter, told whole, ended and run again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from domain.accounts.tenants import Tenant
from domain.kernel.ids import new_id
from domain.runs.listing import STARTERS, STATUSES
from domain.runs.runs import Run
from domain.workflows.workflows import Workflow
from tests.factories import NOW, a_published_workflow, a_run, a_step, a_task, a_tenant, a_token, a_user, a_version
from tests.statements import counted
from tests.web.callers import Caller, problems_of

REGION = {"type": "object", "properties": {"region": {"type": "string"}}, "required": ["region"]}


@pytest.fixture
def alice(app: Flask, acme: Tenant) -> Caller:
    return Caller(app.test_client(), a_token(acme, a_user(acme))[1])


@pytest.fixture
def charlie(app: Flask, db: Any) -> Caller:
    other = a_tenant("globex")
    return Caller(app.test_client(), a_token(other, a_user(other, "charlie@globex.test"))[1])


@pytest.fixture
def sync(acme: Tenant) -> Workflow:
    return a_published_workflow(acme, schema=REGION)


def test_the_list_is_narrowed_by_what_started_a_run_and_when(alice: Caller, sync: Workflow) -> None:
    event_id = str(new_id())
    parent = a_run(sync)
    event = a_run(sync, started_by="event", trigger_metadata={"eventId": event_id, "eventName": "paid"})
    child = a_run(sync, started_by="parent", parent_run_id=parent.id)
    again = a_run(sync, started_by="rerun", trigger_metadata={"rerunOf": str(event.id), "eventId": event_id})
    for query, found in (
        ("startedBy=event", [event]),
        (f"parentRunId={parent.id}", [child]),
        ("startedBy=rerun&from=2020-01-01T00:00:00Z", [again]),
        ("from=2020-01-01T00:00:00+01:00&to=2999-01-01T00:00:00Z", [again, child, event, parent]),
        ("from=2999-01-01T00:00:00Z", []),
        ("to=2020-01-01T00:00:00Z", []),
    ):
        items = alice.get(f"/workflow-runs?{query}").json["items"]
        assert [item["id"] for item in items] == [str(run.id) for run in found], query
    items = {item["id"]: item for item in alice.get("/workflow-runs").json["items"]}
    assert (items[str(event.id)]["eventId"], items[str(event.id)]["eventName"]) == (event_id, "paid")
    assert items[str(child.id)]["parentRunId"] == str(parent.id)
    assert items[str(again.id)]["rerunOf"] == str(event.id) and items[str(event.id)]["rerunOf"] is None


@pytest.mark.parametrize("name", ["from", "to"])
@pytest.mark.parametrize("value", ["", "now", "2026-01-01", "2026-01-01T00:00", "2026-02-31T00:00:00Z", "%00"])
def test_what_is_no_instant_is_refused_at_its_filter(alice: Caller, sync: Workflow, name: str, value: str) -> None:
    assert problems_of(alice.get(f"/workflow-runs?{name}={value}")) == {name: "INSTANT_INVALID"}


def test_one_run_tells_its_waits_its_children_and_who_asked_for_it(
    alice: Caller, acme: Tenant, sync: Workflow, db: Any
) -> None:
    run = a_run(sync, "waiting", input_json={"region": "eu", "key": {"$sealed": "token"}})
    task = a_task(run)
    child = a_run(sync, "running", started_by="parent", parent_run_id=run.id)
    found = alice.get(f"/workflow-runs/{run.id}").json
    assert [(wait["kind"], wait["status"], wait["taskId"]) for wait in found["waits"]] == [
        ("task", "open", str(task.id))
    ]
    assert [(one["id"], one["status"]) for one in found["children"]] == [(str(child.id), "running")]
    assert found["input"] == {"region": "eu", "key": {"$kept": True}}
    assert (found["cancelReason"], found["startedBy"], found["status"]) == (None, "manual", "waiting")


def test_a_run_with_more_of_everything_asks_no_more_statements(alice: Caller, sync: Workflow) -> None:
    run = a_run(sync)
    a_task(run, status="answered")
    a_run(sync, started_by="parent", parent_run_id=run.id)
    alice.get(f"/workflow-runs/{run.id}")  # the first use of a token is written down
    with counted() as one:
        alice.get(f"/workflow-runs/{run.id}")
    for number in range(1, 9):
        a_step(run, f"root.steps[{number + 1}]", position=number + 1)
        a_run(sync, started_by="parent", parent_run_id=run.id)
    with counted() as many:
        alice.get(f"/workflow-runs/{run.id}")
    assert len(many) == len(one)


def test_a_run_is_canceled_with_a_reason_and_twice_is_once(alice: Caller, sync: Workflow) -> None:
    queued, running, done = a_run(sync, "queued"), a_run(sync, "running"), a_run(sync)
    for _ in range(2):
        answer = alice.post(f"/workflow-runs/{queued.id}/cancel", {"reason": "Wrong region"})
        assert (answer.status_code, answer.json["status"], answer.json["cancelReason"]) == (
            200,
            "canceled",
            "Wrong region",
        )
    asked = alice.post(f"/workflow-runs/{running.id}/cancel").json
    assert asked["status"] == "running" and asked["cancelRequestedAt"] and asked["cancelReason"] is None
    assert alice.post(f"/workflow-runs/{done.id}/cancel").status_code == 409
    assert problems_of(alice.post(f"/workflow-runs/{queued.id}/cancel", {"reason": 7})) == {"reason": "TEXT_REQUIRED"}
    assert problems_of(alice.post(f"/workflow-runs/{queued.id}/cancel", {"why": ""})) == {"why": "UNKNOWN_FIELD"}


def test_a_run_is_run_again_as_it_was_or_changed(alice: Caller, sync: Workflow, db: Any) -> None:
    run = a_run(sync, input_json={"region": "eu"})
    a_version(sync, 2, schema={"type": "object", "required": ["total"]})
    path = f"/workflow-runs/{run.id}/rerun"
    same = [alice.post(path, key="k-1") for _ in range(3)]
    assert {answer.status_code for answer in same} == {202} and len({answer.json["id"] for answer in same}) == 1
    first = same[0].json
    assert (first["input"], first["workflowVersion"], first["rerunOf"]) == ({"region": "eu"}, 1, str(run.id))
    assert same[0].location == f"/api/workflow-runs/{first['id']}" and first["startedByName"]
    changed = alice.post(path, {"payload": {"region": "us"}}).json
    assert changed["input"] == {"region": "us"}
    newest = alice.post(path, {"payload": {"total": 1}, "version": "published"}).json
    assert (newest["input"], newest["workflowVersion"]) == ({"total": 1}, 2)
    assert db.scalar(select(func.count()).select_from(Run)) == 4


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        ({"payload": {"region": 7}}, {"payload/region": "TYPE"}),
        ({"payload": []}, {"payload": "OBJECT_REQUIRED"}),
        ({"payload": "x", "version": 2}, {"payload": "OBJECT_REQUIRED", "version": "CHOICE_INVALID"}),
        ({"input": {}}, {"input": "UNKNOWN_FIELD"}),
    ],
)
def test_what_cannot_be_run_again_so_is_refused_by_field(
    alice: Caller, sync: Workflow, db: Any, body: Any, problems: dict[str, str]
) -> None:
    run = a_run(sync, input_json={"region": "eu"})
    answer = alice.post(f"/workflow-runs/{run.id}/rerun", body)
    assert answer.status_code == 422 and set(problems_of(answer)) == set(problems)
    assert db.scalar(select(func.count()).select_from(Run)) == 1


def test_runs_of_another_tenant_can_be_neither_ended_nor_repeated(charlie: Caller, sync: Workflow) -> None:
    going, done = a_run(sync, "queued"), a_run(sync)
    assert charlie.post(f"/workflow-runs/{going.id}/cancel").status_code == 404
    assert charlie.post(f"/workflow-runs/{done.id}/rerun").status_code == 404
    assert charlie.get(f"/workflow-runs?parentRunId={done.id}").json["items"] == []


def test_every_filter_value_is_documented() -> None:
    described = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    assert [word for word in (*STATUSES, *STARTERS) if f"`{word}`" not in described] == []


def test_started_and_finished_stand_beside_when_it_was_asked_for(alice: Caller, sync: Workflow) -> None:
    item = alice.get(f"/workflow-runs/{a_run(sync).id}").json
    assert item["startedAt"] == NOW.isoformat().replace("+00:00", "Z") and item["createdAt"] > "2026-03"
