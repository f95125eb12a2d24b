"""Events over the API: told once, checked by name, answered with what they did."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from domain.accounts.permissions import VIEWER
from domain.accounts.tenants import Tenant
from domain.events.events import Event
from domain.runs.runs import Run
from domain.workflows.payload_schemas import register_schema
from tests.factories import (
    NOW,
    a_delivery,
    a_published_workflow,
    a_run,
    a_task,
    a_tenant,
    a_token,
    a_triggered_workflow,
    a_user,
    an_actor,
    an_event,
    an_event_type,
)
from tests.web.callers import Caller, problems_of

REF = "payload.InvoicePaid.v1"
PAID = {
    "type": "object",
    "properties": {"number": {"type": "integer"}, "token": {"type": "string", "x-secret": True}},
    "required": ["number"],
}
BODY = {"name": "invoice.paid", "correlationKey": "42", "payload": {"number": 42}}


@pytest.fixture
def alice(app: Flask, acme: Tenant) -> Caller:
    return Caller(app.test_client(), a_token(acme, a_user(acme))[1])


@pytest.fixture
def bob(app: Flask, acme: Tenant) -> Caller:
    return Caller(app.test_client(), a_token(acme, a_user(acme, "bob@acme.test", VIEWER))[1])


@pytest.fixture(autouse=True)
def invoice_paid(acme: Tenant, db: Any) -> None:
    register_schema(an_actor(acme), REF, PAID, NOW)
    an_event_type(acme, "invoice.paid", REF)
    db.commit()


def event_count(db: Any) -> int:
    return int(db.scalar(select(func.count()).select_from(Event)))


def test_an_event_is_taken_and_answered_with_what_it_did(alice: Caller, acme: Tenant, db: Any) -> None:
    workflow = a_triggered_workflow(acme, "Thanks", "invoice.paid")
    paused = a_triggered_workflow(acme, "Paused", "invoice.paid")
    paused.paused_at = NOW
    db.commit()

    answer = alice.post("/events", BODY)

    event, run = db.scalars(select(Event)).one(), db.scalars(select(Run)).one()
    assert (answer.status_code, answer.headers["Location"]) == (202, f"/api/events/{event.id}")
    assert answer.json | {"receivedAt": None} == {
        "id": str(event.id),
        "name": "invoice.paid",
        "correlationKey": "42",
        "source": "api",
        "runId": None,
        "receivedAt": None,
        "payload": {"number": 42},
        "deliveries": [
            {
                "outcome": "started", "workflowId": str(workflow.id), "workflowName": "Thanks",
                "runId": str(run.id), "runStatus": "queued", "reason": None,
            },
            {
                "outcome": "refused", "workflowId": str(paused.id), "workflowName": "Paused",
                "runId": None, "runStatus": None, "reason": "Paused is paused. Resume it first.",
            },
        ],
    }  # fmt: skip
    assert alice.get(f"/events/{event.id}").json == answer.json


def test_a_name_is_enough_for_an_event_that_carries_nothing(alice: Caller, acme: Tenant, db: Any) -> None:
    an_event_type(acme, "night.over")
    db.commit()
    answer = alice.post("/events", {"name": "night.over"})
    assert (answer.status_code, answer.json["payload"], answer.json["correlationKey"]) == (202, {}, None)


def test_sending_it_again_with_its_key_answers_the_same_and_does_nothing(alice: Caller, acme: Tenant, db: Any) -> None:
    a_triggered_workflow(acme, "Thanks", "invoice.paid")
    db.commit()
    answers = [alice.post("/events", BODY, key="payment-17") for _ in range(3)]
    assert [(answer.status_code, answer.json) for answer in answers] == [(202, answers[0].json)] * 3
    assert event_count(db) == 1
    assert db.scalar(select(func.count()).select_from(Run)) == 1

    other = alice.post("/events", BODY | {"payload": {"number": 43}}, key="payment-17")
    assert (other.status_code, other.json["code"]) == (409, "IDEMPOTENCY_KEY_REUSED")


def test_no_key_is_taken_for_that_of_what_another_request_did(alice: Caller, acme: Tenant, db: Any) -> None:
    task, done = a_task(a_run(a_published_workflow(acme), "waiting")), a_run(a_published_workflow(acme, "Done"))
    db.commit()
    answered = alice.post(f"/tasks/{task.id}/answer", {"answer": {"approved": True}}, key="one")
    assert answered.status_code == 200
    for key in ("one:act", "act.one", "act.api:one"):
        assert alice.post("/events", BODY, key=key).status_code == 202
        assert alice.post(f"/workflow-runs/{done.id}/rerun", {}, key=f"{key}:act").status_code == 202
    assert event_count(db) == 3


def test_without_a_key_every_request_is_an_event(alice: Caller, db: Any) -> None:
    assert [alice.post("/events", BODY).status_code for _ in range(2)] == [202, 202]
    assert event_count(db) == 2


@pytest.mark.parametrize(
    ("change", "path", "code"),
    [
        ({"name": None}, "name", "TEXT_EXPECTED"),
        ({"name": 5}, "name", "TEXT_EXPECTED"),
        ({"name": "invoice.sent"}, "name", "UNKNOWN_EVENT"),
        ({"name": "x" * 200}, "name", "TOO_LONG"),
        ({"correlationKey": 42}, "correlationKey", "TEXT_EXPECTED"),
        ({"correlationKey": "a\nb"}, "correlationKey", "CORRELATION_KEY_CHARACTERS"),
        ({"correlationKey": "x" * 300}, "correlationKey", "TOO_LONG"),
        ({"payload": {}}, "payload/number", "REQUIRED"),
        ({"payload": []}, "payload", "TYPE"),
        ({"payload": None}, "payload", "TYPE"),
        ({"payload": {"number": 1, "token": {"$sealed": "x"}}}, "payload/token", "SEALED_NOT_ALLOWED"),
        ({"depth": 3}, "depth", "UNKNOWN_FIELD"),
        ({"source": "manual"}, "source", "UNKNOWN_FIELD"),
    ],
)
def test_what_cannot_be_used_is_refused_at_its_field(
    alice: Caller, db: Any, change: dict[str, Any], path: str, code: str
) -> None:
    answer = alice.post("/events", BODY | change, key="once")
    assert answer.status_code == 422
    assert problems_of(answer) == {path: code}
    assert event_count(db) == 0
    # A refused request does not use up its key.
    assert alice.post("/events", BODY, key="once").status_code == 202


def test_a_name_must_be_given(alice: Caller) -> None:
    assert problems_of(alice.post("/events", {"payload": {"number": 1}})) == {"name": "REQUIRED"}


def test_a_secret_is_never_answered(alice: Caller, db: Any) -> None:
    sent = alice.post("/events", BODY | {"payload": {"number": 1, "token": "opensesame-77"}}, key="secret")
    read = alice.get(f"/events/{sent.json['id']}")
    again = alice.post("/events", BODY | {"payload": {"number": 1, "token": "opensesame-77"}}, key="secret")
    for answer in (sent, read, again):
        assert answer.json["payload"] == {"number": 1, "token": {"$kept": True}}
        assert "opensesame" not in answer.text and "$sealed" not in answer.text


def test_the_list_goes_on_page_by_page_and_is_narrowed(alice: Caller, acme: Tenant, db: Any) -> None:
    workflow = a_published_workflow(acme)
    events = [an_event(acme, correlation_key=str(number)) for number in range(3)]
    a_delivery(events[0], workflow, a_run(workflow))
    db.commit()

    first = alice.get("/events?limit=2").json
    second = alice.get(f"/events?limit=2&cursor={first['nextCursor']}").json
    found = [item["correlationKey"] for item in first["items"] + second["items"]]
    assert (found, second["nextCursor"]) == (["2", "1", "0"], None)
    assert [item["started"] for item in alice.get("/events?outcome=started").json["items"]] == [1]
    assert [item["correlationKey"] for item in alice.get("/events?correlationKey=1").json["items"]] == ["1"]
    assert alice.get("/events?name=order.paid").json["items"] == []
    assert problems_of(alice.get("/events?outcome=rubbish&what=1")) == {"what": "UNKNOWN_FIELD"}
    assert problems_of(alice.get("/events?outcome=rubbish")) == {"outcome": "CHOICE_INVALID"}


def test_the_longest_correlation_key_can_be_looked_for(alice: Caller, acme: Tenant, db: Any) -> None:
    longest = "k" * 256
    an_event(acme, correlation_key=longest)
    db.commit()
    assert len(alice.get(f"/events?correlationKey={longest}").json["items"]) == 1
    assert problems_of(alice.get(f"/events?correlationKey={longest}k")) == {"correlationKey": "TOO_LONG"}


def test_a_viewer_reads_and_sends_nothing(bob: Caller, acme: Tenant, db: Any) -> None:
    event = an_event(acme)
    db.commit()
    assert bob.get(f"/events/{event.id}").status_code == 200
    assert bob.post("/events", BODY).status_code == 403
    assert event_count(db) == 1


def test_another_tenant_finds_nothing(app: Flask, acme: Tenant, db: Any) -> None:
    event = an_event(acme)
    charlie = Caller(app.test_client(), a_token(a_tenant("globex"))[1])
    db.commit()
    assert charlie.get(f"/events/{event.id}").status_code == 404
    assert charlie.get("/events").json["items"] == []
    assert problems_of(charlie.post("/events", BODY)) == {"name": "UNKNOWN_EVENT"}
