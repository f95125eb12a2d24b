"""Schedules over the API, from a body of three members to a run that succeeded: the ticket's acceptance list first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import select

from domain.accounts.audit import AuditEntry
from domain.accounts.tenants import Tenant
from domain.demo_workflows import HEARTBEAT, STOCK_CHECK
from domain.execution import Worker
from domain.firing.skipping import skip_next
from domain.firing.tick import fire_due
from domain.kernel import clock
from domain.kernel.ids import new_id
from domain.runs.admission import admit_waiting
from domain.runs.runs import LANES, Run
from domain.runs.store_items import StoreItem
from domain.schedules.cursors import ScheduleCursor
from domain.schedules.schedules import Schedule
from domain.timing.zones import parse_instant
from domain.workflows.workflows import Workflow
from tests.factories import a_published_workflow, a_schedule, a_token, a_user, a_version, a_workflow, an_actor
from tests.statements import counted
from tests.web.callers import Caller, problems_of

REGION = {"type": "object", "properties": {"region": {"enum": ["eu", "us"]}}, "required": ["region"]}


@pytest.fixture
def alice(app: Flask, acme: Tenant) -> Caller:
    return Caller(app.test_client(), a_token(acme, a_user(acme))[1])


@pytest.fixture
def heartbeat(acme: Tenant) -> Workflow:
    return a_running_workflow(acme, HEARTBEAT.name, HEARTBEAT.steps)


def a_running_workflow(tenant: Tenant, name: str, steps: list[Any]) -> Workflow:
    """A published workflow with effects, limited to one run at a time."""
    workflow = a_workflow(tenant, name, draft_definition={"steps": steps}, concurrency_limit=1)
    a_version(workflow, is_pure=False)
    return workflow


def a_minimal_body(workflow: Workflow, **changes: Any) -> dict[str, Any]:
    return {"workflowId": str(workflow.id), "cron": "0 7 * * *", "enabled": True} | changes


def due_at(schedule: dict[str, Any]) -> datetime:
    return parse_instant(schedule["nextFireAt"])


def execute_everything() -> int:
    """Admit and execute until nothing is left; how many admissions there were."""
    worker, rounds = Worker(new_id(), 3600), 0
    while admit_waiting(clock.database_now()):
        rounds += 1
        for lane in LANES:
            while worker.work(lane):
                pass
    return rounds


# The acceptance list of the task scheduler


def test_a_schedule_is_created_read_edited_and_deleted(alice: Caller, heartbeat: Workflow) -> None:
    made = alice.post("/schedules", a_minimal_body(heartbeat))
    assert made.status_code == 201 and made.location == f"/api/schedules/{made.json['id']}"
    address = f"/schedules/{made.json['id']}"
    assert (made.json["cron"], made.json["enabled"], made.json["lastRunAt"]) == ("0 7 * * *", True, None)
    assert alice.get(address).json == made.json
    assert [item["id"] for item in alice.get("/schedules").json["items"]] == [made.json["id"]]
    edited = alice.patch(address, {"cron": "30 8 * * *"})
    assert (edited.status_code, edited.json["cron"]) == (200, "30 8 * * *")
    assert due_at(edited.json).strftime("%H:%M") == "08:30"
    off = alice.patch(address, {"enabled": False}).json
    assert (off["enabled"], off["status"], off["nextFireAt"]) == (False, "paused", None)
    assert alice.patch(address, {"enabled": True}).json["enabled"] is True
    assert alice.delete(address).status_code == 204
    assert alice.get(address).status_code == alice.delete(address).status_code == 404
    assert alice.get("/schedules").json["items"] == []


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "Nightly", "startsAt": "2030-01-01T00:00:00+02:00", "spreadSeconds": 60, "externalKey": "nightly"},
        {"enabled": False, "maxLatenessSeconds": 5},
        {"cron": None, "runAt": "2030-05-01T12:00:00+02:00", "timezone": "Europe/Berlin"},
        {"payload": {"zones": [1, 2.5, 1e22, 1.0, "ü"], "a": {"long key": None, "b": True}}},
    ],
)
def test_what_is_answered_to_a_new_schedule_is_what_is_read_of_it(
    alice: Caller, acme: Tenant, changes: dict[str, Any], db: Any
) -> None:
    sync = a_published_workflow(acme, schema={"type": "object"})
    made = alice.post("/schedules", a_minimal_body(sync, **changes))
    assert made.status_code == 201, made.text
    db.expire_all()
    assert alice.get(f"/schedules/{made.json['id']}").text == made.text


def test_a_new_schedule_costs_three_statements(alice: Caller, heartbeat: Workflow) -> None:
    assert alice.post("/schedules", a_minimal_body(heartbeat)).status_code == 201
    with counted() as statements:
        assert alice.post("/schedules", a_minimal_body(heartbeat, name="Second")).status_code == 201
    who, target, rows = (one for one in statements if "SAVEPOINT" not in one)
    assert "FROM api_tokens" in who and "FOR SHARE OF workflows" in target
    assert all(f"INSERT INTO {table} " in rows for table in ("schedules", "schedule_cursors", "audit_entries"))


def test_an_enabled_schedule_runs_its_workflow_when_its_time_comes(alice: Caller, heartbeat: Workflow, db: Any) -> None:
    made = alice.post("/schedules", a_minimal_body(heartbeat, payload={})).json
    assert fire_due(due_at(made) - timedelta(seconds=1)) == 0
    assert fire_due(due_at(made)) == 1
    execute_everything()
    runs = alice.get(f"/workflow-runs?scheduleId={made['id']}").json["items"]
    assert [(run["status"], run["scheduledFor"], run["startedBy"]) for run in runs] == [
        ("succeeded", made["nextFireAt"], "recurring")
    ]
    assert db.scalars(select(StoreItem.value).where(StoreItem.key == "heartbeats")).all() == [1]
    after = alice.get(f"/schedules/{made['id']}").json
    assert (after["lastFireAt"], after["lastRunStatus"]) == (made["nextFireAt"], "succeeded")
    assert after["lastRunAt"] == after["lastFinishedAt"] == runs[0]["finishedAt"]
    assert due_at(after) == due_at(made) + timedelta(days=1)


def test_a_disabled_schedule_never_runs(alice: Caller, heartbeat: Workflow) -> None:
    made = alice.post("/schedules", a_minimal_body(heartbeat, enabled=False)).json
    assert (made["status"], made["nextFireAt"]) == ("paused", None)
    assert fire_due(clock.now() + timedelta(days=400)) == 0
    assert alice.get("/workflow-runs").json["items"] == []


def test_a_failed_run_is_on_record_and_the_schedule_goes_on(alice: Caller, acme: Tenant) -> None:
    workflow = a_running_workflow(acme, STOCK_CHECK.name, STOCK_CHECK.steps)
    address = f"/schedules/{alice.post('/schedules', a_minimal_body(workflow)).json['id']}"
    finished = []
    for _ in range(3):
        fire_due(due_at(alice.get(address).json))
        execute_everything()
        finished.append(alice.get(address).json)
    first, second, third = finished
    assert [one["lastRunStatus"] for one in finished] == ["succeeded", "failed", "succeeded"]
    assert [one["enabled"] for one in finished] == [True] * 3
    assert second["lastRunAt"] == first["lastRunAt"] and second["lastFinishedAt"] > first["lastFinishedAt"]
    assert "not valid JSON" in second["lastError"] and third["lastError"] is None


def test_two_fires_of_one_workflow_do_not_run_at_the_same_time(alice: Caller, heartbeat: Workflow, db: Any) -> None:
    for cron in ("0 7 * * *", "0 7 * * 0-6"):
        made = alice.post("/schedules", a_minimal_body(heartbeat, cron=cron))
    assert fire_due(due_at(made.json)) == 2
    assert admit_waiting(clock.database_now()) == 1
    assert admit_waiting(clock.database_now()) == 0
    ready = select(Run.id).where(Run.ready_at.is_not(None))
    assert len(db.scalars(ready).all()) == 1
    for lane in LANES:
        while Worker(new_id(), 3600).work(lane):
            pass
    execute_everything()
    assert [run["status"] for run in alice.get("/workflow-runs").json["items"]] == ["succeeded"] * 2


# Creating


def test_what_is_left_out_has_a_sensible_value(alice: Caller, acme: Tenant, heartbeat: Workflow, db: Any) -> None:
    acme.timezone = "Europe/Paris"
    db.flush()
    made = alice.post("/schedules", a_minimal_body(heartbeat)).json
    assert (made["name"], made["timezone"], made["payload"]) == ("Heartbeat: daily at 07:00", "Europe/Paris", {})
    assert (made["targetKind"], made["triggerType"], made["overlap"], made["catchUp"]) == (
        "workflow", "recurring", "queue", "latest",
    )  # fmt: skip
    assert (made["workflowName"], made["workflowVersion"], made["revision"]) == ("Heartbeat", 1, 1)
    again = alice.post("/schedules", a_minimal_body(heartbeat)).json
    assert again["name"] == "Heartbeat: daily at 07:00 (2)"


def test_every_policy_can_be_given_and_is_answered(alice: Caller, heartbeat: Workflow) -> None:
    policies = {
        "overlap": "skip", "catchUp": "all", "startsAt": "2030-01-01T00:00:00Z", "endsAt": "2031-01-01T00:00:00Z",
        "maxLatenessSeconds": 300, "spreadSeconds": 30, "dstGap": "skip", "dstRepeat": "both", "externalKey": "erp-7",
    }  # fmt: skip
    made = alice.post("/schedules", a_minimal_body(heartbeat, name="All", timezone="America/New_York", **policies)).json
    assert {name: made[name] for name in policies} == policies


def test_a_one_time_schedule_needs_only_its_instant(alice: Caller, heartbeat: Workflow) -> None:
    at = (datetime.now(UTC) + timedelta(days=2)).replace(microsecond=0)
    body = {"workflowId": str(heartbeat.id), "runAt": at.isoformat()}
    made = alice.post("/schedules", body).json
    assert (made["triggerType"], made["cron"], due_at(made)) == ("schedule", None, at)


@pytest.mark.parametrize(
    ("changes", "problems"),
    [
        ({"cron": "0 7 * *"}, {"cron": "CRON_INVALID"}),
        ({"cron": "0 7 * * * *"}, {"cron": "CRON_INVALID"}),
        ({"cron": 7}, {"cron": "CRON_INVALID"}),
        ({"cron": None}, {"cron": "CRON_REQUIRED"}),
        ({"cron": "0 0 31 2 *"}, {"cron": "CRON_NEVER_FIRES"}),
        ({"timezone": "America"}, {"timezone": "TIMEZONE_INVALID"}),
        ({"timezone": ["UTC"]}, {"timezone": "TIMEZONE_INVALID"}),
        ({"enabled": "yes"}, {"enabled": "BOOLEAN_REQUIRED"}),
        ({"enabled": None}, {"enabled": "BOOLEAN_REQUIRED"}),
        ({"payload": "{}"}, {"payload": "PAYLOAD_NOT_OBJECT"}),
        ({"payload": None}, {"payload": "PAYLOAD_NOT_OBJECT"}),
        ({"payload": {"$secret": "X"}}, {"payload": "SECRET_NOT_ALLOWED"}),
        ({"targetKind": "lambda"}, {"targetKind": "TARGET_KIND_INVALID"}),
        ({"targetKind": "endpoint"}, {"endpointId": "ENDPOINT_REQUIRED"}),
        ({"maxAttempts": 3}, {"maxAttempts": "ENDPOINT_ONLY"}),
        ({"overlap": "sometimes"}, {"overlap": "CHOICE_INVALID"}),
        ({"overlap": {}}, {"overlap": "CHOICE_INVALID"}),
        ({"spreadSeconds": -1}, {"spreadSeconds": "NUMBER_INVALID"}),
        ({"spreadSeconds": True}, {"spreadSeconds": "NUMBER_INVALID"}),
        ({"maxLatenessSeconds": 1.5}, {"maxLatenessSeconds": "NUMBER_INVALID"}),
        ({"name": ""}, {"name": "NAME_REQUIRED"}),
        ({"name": "x" * 129}, {"name": "NAME_TOO_LONG"}),
        ({"name": 7}, {"name": "NAME_CHARACTERS"}),
        ({"workflowId": "x"}, {"workflowId": "ID_INVALID"}),
        ({"workflowId": 7}, {"workflowId": "ID_INVALID"}),
        ({"workflowId": str(UUID(int=7))}, {"workflowId": "WORKFLOW_NOT_FOUND"}),
        ({"runAt": "2030-01-01T00:00:00Z"}, {"runAt": "TIMING_AMBIGUOUS"}),
        ({"triggerType": "schedule"}, {"cron": "TIMING_AMBIGUOUS"}),
        ({"triggerType": "daily"}, {"triggerType": "TRIGGER_TYPE_INVALID"}),
        ({"cron": None, "runAt": "2030-01-01T00:00:00"}, {"runAt": "RUN_AT_INVALID"}),
        ({"cron": None, "runAt": "2020-01-01T00:00:00Z"}, {"runAt": "RUN_AT_IN_PAST"}),
        ({"startsAt": "tomorrow"}, {"startsAt": "RUN_AT_INVALID"}),
    ],
)
def test_a_refusal_names_the_field_and_changes_nothing(
    alice: Caller, heartbeat: Workflow, db: Any, changes: dict[str, Any], problems: dict[str, str]
) -> None:
    answer = alice.post("/schedules", a_minimal_body(heartbeat, **changes))
    assert (answer.status_code, problems_of(answer)) == (422, problems)
    assert all(problem["message"] for problem in answer.json["errors"])
    assert db.scalars(select(Schedule.id)).all() == []


def test_all_that_is_wrong_is_told_at_once(alice: Caller, acme: Tenant) -> None:
    workflow = a_published_workflow(acme, schema=REGION)
    answer = alice.post("/schedules", a_minimal_body(workflow, cron="x", payload={"region": "mars"}))
    assert set(problems_of(answer)) == {"cron", "payload/region"}


def test_nothing_but_an_id_is_missing_from_an_empty_body(alice: Caller) -> None:
    assert problems_of(alice.post("/schedules")) == {"workflowId": "WORKFLOW_REQUIRED"}


def test_a_workflow_that_was_never_published_cannot_be_scheduled(alice: Caller, acme: Tenant) -> None:
    answer = alice.post("/schedules", a_minimal_body(a_workflow(acme)))
    assert problems_of(answer) == {"workflowId": "WORKFLOW_NOT_PUBLISHED"}


# Editing


def test_a_partial_edit_leaves_everything_else(alice: Caller, acme: Tenant) -> None:
    workflow = a_published_workflow(acme, schema=REGION)
    body = a_minimal_body(workflow, name="Sync", payload={"region": "eu"}, overlap="allow", spreadSeconds=9)
    before = alice.post("/schedules", body).json
    after = alice.patch(f"/schedules/{before['id']}", {"payload": {"region": "us"}}).json
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"payload", "revision", "updatedAt"} and after["payload"] == {"region": "us"}


def test_an_edit_of_an_older_revision_is_a_conflict(alice: Caller, heartbeat: Workflow) -> None:
    address = f"/schedules/{alice.post('/schedules', a_minimal_body(heartbeat)).json['id']}"
    assert alice.patch(address, {"name": "One", "revision": 1}).status_code == 200
    for body in ({"name": "Two", "revision": 1}, {"enabled": False, "revision": 1}, {"revision": 1}):
        answer = alice.patch(address, body)
        assert (answer.status_code, answer.json["code"]) == (409, "CONFLICT")
    assert alice.get(address).json["name"] == "One"
    assert problems_of(alice.patch(address, {"revision": "1"})) == {"revision": "NUMBER_INVALID"}


def test_an_edit_that_says_nothing_changes_nothing(alice: Caller, heartbeat: Workflow) -> None:
    made = alice.post("/schedules", a_minimal_body(heartbeat)).json
    for body in ({}, {"revision": 1}, {"enabled": True}, {"targetKind": "workflow"}):
        assert alice.patch(f"/schedules/{made['id']}", body).json == made


def test_an_edit_turns_a_repeating_schedule_into_a_one_time_one_and_back(alice: Caller, heartbeat: Workflow) -> None:
    address = f"/schedules/{alice.post('/schedules', a_minimal_body(heartbeat)).json['id']}"
    once = alice.patch(address, {"runAt": "2030-01-01T08:00:00+01:00"}).json
    assert (once["triggerType"], once["runAt"], once["cron"]) == ("schedule", "2030-01-01T07:00:00Z", None)
    again = alice.patch(address, {"cron": "@daily"}).json
    assert (again["triggerType"], again["runAt"], again["cron"]) == ("recurring", None, "0 0 * * *")


def test_null_puts_a_member_back_to_its_default(alice: Caller, heartbeat: Workflow) -> None:
    body = a_minimal_body(heartbeat, overlap="skip", maxLatenessSeconds=60, externalKey="x", timezone="Asia/Tokyo")
    address = f"/schedules/{alice.post('/schedules', body).json['id']}"
    after = alice.patch(address, {"overlap": None, "maxLatenessSeconds": None, "externalKey": None}).json
    assert (after["overlap"], after["maxLatenessSeconds"], after["externalKey"]) == ("queue", None, None)
    assert after["timezone"] == "Asia/Tokyo"
    assert problems_of(alice.patch(address, {"name": None})) == {"name": "NAME_REQUIRED"}


def test_a_refused_edit_changes_nothing(alice: Caller, heartbeat: Workflow) -> None:
    made = alice.post("/schedules", a_minimal_body(heartbeat)).json
    answer = alice.patch(f"/schedules/{made['id']}", {"cron": "0 0 31 2 *", "name": "New"})
    assert problems_of(answer) == {"cron": "CRON_NEVER_FIRES"}
    assert alice.get(f"/schedules/{made['id']}").json == made


def test_enabling_an_invalid_schedule_needs_a_payload_that_fits(alice: Caller, acme: Tenant) -> None:
    workflow = a_published_workflow(acme, schema=REGION)
    address = f"/schedules/{a_schedule(workflow, status='invalid').id}"
    assert problems_of(alice.patch(address, {"enabled": True})) == {"payload/region": "REQUIRED"}
    assert alice.post(f"{address}/run-now").json["code"] == "SCHEDULE_INVALID"
    mended = alice.patch(address, {"payload": {"region": "eu"}}).json
    assert (mended["status"], mended["invalidReason"]) == ("paused", None)
    assert alice.patch(address, {"enabled": True}).json["status"] == "active"


def test_a_completed_schedule_with_a_new_instant_is_due_again(alice: Caller, heartbeat: Workflow) -> None:
    past = datetime(2026, 1, 5, 8, tzinfo=UTC)
    values = {"trigger_type": "schedule", "cron": None, "run_at": past, "status": "completed", "next_fire_at": None}
    schedule = a_schedule(heartbeat, "Once", **values)
    edited = alice.patch(f"/schedules/{schedule.id}", {"runAt": "2030-01-01T08:00:00Z"}).json
    assert (edited["status"], edited["nextFireAt"]) == ("active", "2030-01-01T08:00:00Z")


# Run now, pause, resume


def test_run_now_answers_with_the_run(alice: Caller, heartbeat: Workflow) -> None:
    made = alice.post("/schedules", a_minimal_body(heartbeat)).json
    answer = alice.post(f"/schedules/{made['id']}/run-now")
    assert answer.status_code == 202 and answer.location == f"/api/workflow-runs/{answer.json['id']}"
    assert (answer.json["status"], answer.json["startedBy"], answer.json["scheduleId"]) == (
        "queued",
        "manual",
        made["id"],
    )
    execute_everything()
    assert alice.get(f"/workflow-runs/{answer.json['id']}").json["output"] == {"beat": 1}
    assert alice.get(f"/schedules/{made['id']}").json["lastFireAt"] is None


def test_the_next_fire_is_the_one_after_an_instant_that_will_be_skipped(
    alice: Caller, acme: Tenant, heartbeat: Workflow
) -> None:
    made = alice.post("/schedules", a_minimal_body(heartbeat)).json
    skip_next(an_actor(acme), UUID(made["id"]), due_at(made), clock.now())
    shown = alice.get(f"/schedules/{made['id']}").json
    assert (shown["skipNextAt"], due_at(shown)) == (made["nextFireAt"], due_at(made) + timedelta(days=1))
    assert [one["nextFireAt"] for one in alice.get("/schedules").json["items"]] == [shown["nextFireAt"]]


def test_pause_keeps_the_reason_and_resume_goes_on_from_the_next_instant(alice: Caller, heartbeat: Workflow) -> None:
    made = alice.post("/schedules", a_minimal_body(heartbeat)).json
    address = f"/schedules/{made['id']}"
    paused = alice.post(f"{address}/pause", {"reason": "Audit"}).json
    assert (paused["status"], paused["pauseReason"], paused["nextFireAt"]) == ("paused", "Audit", None)
    assert alice.post(f"{address}/pause").json["code"] == "STALE_TRANSITION"
    assert alice.post(f"{address}/resume", {"revision": 1}).status_code == 409
    resumed = alice.post(f"{address}/resume", {"revision": paused["revision"]}).json
    assert (resumed["status"], resumed["nextFireAt"]) == ("active", made["nextFireAt"])
    assert problems_of(alice.post(f"{address}/pause", {"reason": 7})) == {"reason": "TEXT_REQUIRED"}
    assert problems_of(alice.post(f"{address}/resume", {"why": "x"})) == {"why": "UNKNOWN_FIELD"}


def test_changes_are_on_record_with_the_name_of_the_token(alice: Caller, heartbeat: Workflow, db: Any) -> None:
    made = alice.post("/schedules", a_minimal_body(heartbeat)).json
    alice.delete(f"/schedules/{made['id']}")
    entries = db.execute(select(AuditEntry.action, AuditEntry.actor_label).order_by(AuditEntry.id)).all()
    assert [tuple(entry) for entry in entries] == [
        ("schedule.created", "Alice (token Billing export)"),
        ("schedule.deleted", "Alice (token Billing export)"),
    ]
    cursor = db.scalars(select(ScheduleCursor)).one()
    assert cursor.next_fire_at is None


def test_what_was_held_back_is_on_record_as_refused(alice: Caller, acme: Tenant, db: Any) -> None:
    schedule = a_schedule(a_published_workflow(acme), status="invalid")
    assert alice.post(f"/schedules/{schedule.id}/run-now").status_code == 409
    entry = db.scalars(select(AuditEntry)).one()
    assert (entry.result, entry.subject_kind, entry.subject_id) == ("refused", "schedule", schedule.id)
