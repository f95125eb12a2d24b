"""An event arrives: once, checked, and delivered to everyone it concerns, whatever is wrong with some of them."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from domain.accounts.audit import Actor, AuditEntry
from domain.accounts.request_keys import claim_request
from domain.accounts.tenants import Tenant
from domain.events import ingest
from domain.events.events import BY_API, BY_RUN, Event, EventDelivery, EventType
from domain.events.ingest import MAX_DEPTH, EventKeyReused, delivery_counts, ingest_event
from domain.kernel.errors import Refused
from domain.runs.runs import Run
from domain.runs.steps import RunStep
from domain.runs.waits import Wait
from tests.domain.events.conftest import REF
from tests.factories import NOW, a_published_workflow, a_run, a_step, a_tenant, a_triggered_workflow, an_event_type
from tests.statements import counted

PAYLOAD = {"number": 42, "customer": {"name": "Zoe"}}


@pytest.fixture(autouse=True)
def known(invoice_paid: EventType) -> EventType:
    return invoice_paid


def send(actor: Actor, key: str = "one", payload: Any = PAYLOAD, correlation_key: str = "", **values: Any) -> Event:
    name = values.pop("name", "invoice.paid")
    return ingest_event(actor, name, payload, correlation_key, key, NOW, values.pop("source", BY_API), **values)


def deliveries(db: Any, event: Event) -> list[tuple[str, str | None]]:
    query = select(EventDelivery.outcome, EventDelivery.reason).where(EventDelivery.event_id == event.id)
    return [tuple(row) for row in db.execute(query.order_by(EventDelivery.id))]


def a_waiting_run(acme: Tenant, db: Any, correlation_key: str = "42", filters: Any = None) -> Run:
    """A run that has stopped at its first step until invoice.paid comes."""
    run = a_run(a_published_workflow(acme, f"Waits {correlation_key} {filters}"), "waiting")
    a_step(run, status="waiting", node_type="event.wait", finished_at=None)
    db.add(
        Wait(
            tenant_id=acme.id, run_id=run.id, step_path="root.steps[0]", iteration="", attempt=1, kind="event",
            event_name="invoice.paid", correlation_key=correlation_key, filters=filters, opened_at=NOW,
        )
    )  # fmt: skip
    db.flush()
    return run


def test_an_event_is_written_down_with_who_sent_it(alice: Actor, db: Any) -> None:
    event = send(alice, correlation_key="42")

    assert (event.name, event.correlation_key, event.payload, event.source) == ("invoice.paid", "42", PAYLOAD, "api")
    assert (event.actor_id, event.actor_label, event.received_at, event.depth) == (alice.user_id, "Alice", NOW, 0)
    assert deliveries(db, event) == []
    assert db.scalars(select(AuditEntry.action).where(AuditEntry.subject_id == event.id)).all() == ["event.sent"]


def test_it_starts_every_workflow_that_it_triggers_with_its_payload(alice: Actor, acme: Tenant, db: Any) -> None:
    workflows = [a_triggered_workflow(acme, f"Number {number}", "invoice.paid") for number in range(3)]
    an_event_type(acme, "order.paid")
    a_triggered_workflow(acme, "Other", "order.paid")
    a_published_workflow(acme, "By hand")

    event = send(alice, correlation_key="42")

    assert deliveries(db, event) == [("started", None)] * 3
    runs = db.scalars(select(Run).order_by(Run.id)).all()
    assert [run.workflow_id for run in runs] == [workflow.id for workflow in workflows]
    assert {(run.started_by, run.status, run.actor_id) for run in runs} == {("event", "queued", alice.user_id)}
    assert [run.input_json for run in runs] == [PAYLOAD] * 3
    assert runs[0].trigger_metadata == {
        "triggerType": "event",
        "firedAt": "2026-03-02T10:00:00Z",
        "eventId": str(event.id),
        "eventName": "invoice.paid",
        "correlationKey": "42",
        "depth": 1,
    }


def test_a_mapping_makes_the_payload_of_the_run(alice: Actor, acme: Tenant, db: Any) -> None:
    mapping = {
        "invoice.number": {"$expr": "event.payload.number"},
        "invoice.about": {"$expr": "event.name & ' ' & event.correlationKey"},
        "schema": {"$expr": "event.payloadSchemaRef"},
        "kind": "paid",
    }
    a_triggered_workflow(acme, "Thanks", "invoice.paid", payloadMapping=mapping)
    a_triggered_workflow(acme, "Narrow", "invoice.paid", payloadMapping={"ref": {"$expr": "event.payloadSchemaRef"}},
                         sourcePayloadSchemaRef="payload.Other.v1")  # fmt: skip

    send(alice, correlation_key="42")

    assert db.scalars(select(Run.input_json).order_by(Run.id)).all() == [
        {"invoice": {"number": 42, "about": "invoice.paid 42"}, "schema": REF, "kind": "paid"},
        {"ref": "payload.Other.v1"},
    ]


def test_one_that_cannot_start_is_on_record_and_stops_nobody_else(alice: Actor, acme: Tenant, db: Any) -> None:
    paused = a_triggered_workflow(acme, "Paused", "invoice.paid")
    paused.paused_at, paused.pause_reason = NOW, "supplier outage"
    needs_region = {"type": "object", "required": ["region"]}
    a_triggered_workflow(acme, "Narrow", "invoice.paid", schema=needs_region)
    a_triggered_workflow(
        acme, "Broken", "invoice.paid", payloadMapping={"n": {"$expr": "event.payload.number & 1 / 0"}}
    )
    a_triggered_workflow(acme, "In the way", "invoice.paid", payloadMapping={"a": 1, "a.b": 2})
    last = a_triggered_workflow(acme, "Last", "invoice.paid")

    event = send(alice)

    said = deliveries(db, event)
    assert [outcome for outcome, _ in said] == ["refused"] * 4 + ["started"]
    assert said[0][1] == "Paused is paused: supplier outage. Resume it first."
    assert said[1][1] == "The payload does not fit: /region: region is required"
    assert said[2][1].startswith("The payload mapping cannot be computed: ")
    assert "the mapping sets a itself" in said[3][1]
    assert db.scalars(select(Run.workflow_id)).all() == [last.id]
    assert delivery_counts(event.id) == {"refused": 4, "started": 1}


def test_an_error_of_ours_is_on_record_and_stops_nobody_else(
    alice: Actor, acme: Tenant, db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = a_triggered_workflow(acme, "Broken", "invoice.paid")
    a_triggered_workflow(acme, "Fine", "invoice.paid")
    launch = ingest.launch

    def launch_or_fail(actor: Any, workflow: Any, *rest: Any) -> Any:
        run = launch(actor, workflow, *rest)
        if workflow.id == broken.id:
            raise ZeroDivisionError
        return run

    monkeypatch.setattr(ingest, "launch", launch_or_fail)
    event = send(alice)

    said = deliveries(db, event)
    assert [outcome for outcome, _ in said] == ["refused", "started"]
    assert "it is in the log" in str(said[0][1])
    assert db.scalar(select(func.count()).select_from(Run)) == 1


def test_what_passes_by_itself_is_raised_so_that_the_event_is_sent_again(
    alice: Actor, acme: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_triggered_workflow(acme, "Locked", "invoice.paid")

    def collide(*_: Any) -> Any:
        raise OperationalError("SELECT", {}, Exception("lock timeout"))

    monkeypatch.setattr(ingest, "launch", collide)
    with pytest.raises(OperationalError):
        send(alice)


def test_a_saturated_workflow_has_its_run_queued(alice: Actor, acme: Tenant, db: Any) -> None:
    workflow = a_triggered_workflow(acme, "One at a time", "invoice.paid")
    workflow.concurrency_limit = 1
    a_run(workflow, "running")

    event = send(alice)

    assert deliveries(db, event) == [("started", None)]
    assert db.scalars(select(Run.status).where(Run.started_by == "event")).all() == ["queued"]


def test_a_deleted_workflow_and_one_with_another_trigger_are_not_asked(alice: Actor, acme: Tenant, db: Any) -> None:
    a_triggered_workflow(acme, "Gone", "invoice.paid").deleted_at = NOW
    a_triggered_workflow(acme, "Moved on", "invoice.paid").event_name = None
    drafted = a_published_workflow(acme, "Drafted")
    drafted.draft_trigger = {"type": "event", "eventName": "invoice.paid"}
    db.flush()

    assert deliveries(db, send(alice)) == []


def test_runs_that_wait_for_it_go_on(alice: Actor, acme: Tenant, db: Any) -> None:
    waiting = a_waiting_run(acme, db)
    picky = a_waiting_run(acme, db, filters=[{"path": "number", "op": ">", "value": 100}])
    other = a_waiting_run(acme, db, "43")

    event = send(alice, correlation_key="42")

    assert db.execute(select(EventDelivery.outcome, EventDelivery.run_id, EventDelivery.workflow_id)).all() == [
        ("resumed", waiting.id, waiting.workflow_id)
    ]
    output = db.scalar(select(RunStep.output).where(RunStep.run_id == waiting.id))
    assert (output["event"]["id"], output["event"]["payload"]) == (str(event.id), PAYLOAD)
    db.expire_all()
    assert (waiting.status, picky.status, other.status) == ("queued", "waiting", "waiting")


def test_an_event_without_correlation_wakes_nobody(alice: Actor, acme: Tenant, db: Any) -> None:
    waiting = a_waiting_run(acme, db, "")
    send(alice)
    db.expire_all()
    assert waiting.status == "waiting"


# Once


def test_sending_it_again_gives_the_first_event_and_does_nothing(alice: Actor, acme: Tenant, db: Any) -> None:
    a_triggered_workflow(acme, "Thanks", "invoice.paid")
    first = send(alice, payload={"number": 1, "customer": {}})
    again = send(alice, payload={"customer": {}, "number": 1})

    assert again.id == first.id
    assert [db.scalar(select(func.count()).select_from(model)) for model in (Event, EventDelivery, Run)] == [1, 1, 1]


@pytest.mark.parametrize(
    "other", [{"payload": {"number": 43}}, {"correlation_key": "42"}, {"name": "invoice.sent"}], ids=str
)
def test_the_same_key_with_another_event_is_a_conflict(alice: Actor, db: Any, other: dict[str, Any]) -> None:
    send(alice)
    with pytest.raises(EventKeyReused):
        send(alice, **other)


def test_a_key_that_did_something_else_is_a_conflict(alice: Actor) -> None:
    claim_request(alice.tenant_id, "one", "runs.launch")
    with pytest.raises(EventKeyReused):
        send(alice)


def test_another_key_is_another_event(alice: Actor, db: Any) -> None:
    assert send(alice, "one").id != send(alice, "two").id


# What is refused


@pytest.mark.parametrize("name", ["invoice.sent", "", "a\x00b", "x" * 500, "invoice paid"])
def test_an_event_that_is_not_in_the_catalogue_is_refused(alice: Actor, db: Any, name: str) -> None:
    with pytest.raises(Refused) as refused:
        send(alice, name=name)
    assert [(problem.path, problem.code) for problem in refused.value.problems] == [("name", "UNKNOWN_EVENT")]
    assert db.scalars(select(Event)).all() == []


@pytest.mark.parametrize(
    ("payload", "path"),
    [
        ({}, "payload/number"),
        ({"number": "x"}, "payload/number"),
        ([], "payload"),
        (None, "payload"),
        ({"number": 1, "n": "a\x00"}, "payload/n"),
        ({"number": 1, "n": "x" * 300_000}, "payload"),
    ],
)
def test_a_payload_that_does_not_fit_is_refused_at_its_place(alice: Actor, payload: Any, path: str) -> None:
    with pytest.raises(Refused) as refused:
        send(alice, payload=payload)
    assert [problem.path for problem in refused.value.problems] == [path]


@pytest.mark.parametrize(
    ("key", "code"),
    [("a\nb", "CORRELATION_KEY_CHARACTERS"), ("\ud800", "CORRELATION_KEY_CHARACTERS"),
     ("x" * 257, "CORRELATION_KEY_TOO_LONG")],
)  # fmt: skip
def test_a_correlation_key_that_ties_nothing_is_refused(alice: Actor, key: str, code: str) -> None:
    with pytest.raises(Refused) as refused:
        send(alice, correlation_key=key)
    assert [(problem.path, problem.code) for problem in refused.value.problems] == [("correlationKey", code)]


def test_a_circle_of_events_ends(alice: Actor, acme: Tenant, db: Any) -> None:
    a_triggered_workflow(acme, "Echo", "invoice.paid")
    last = send(alice, "last", source=BY_RUN, depth=MAX_DEPTH)
    assert db.scalar(select(Run.trigger_metadata))["depth"] == MAX_DEPTH + 1
    assert deliveries(db, last) == [("started", None)]

    with pytest.raises(Refused, match="11 events in a row") as refused:
        send(alice, "beyond", source=BY_RUN, depth=MAX_DEPTH + 1)
    assert refused.value.problems[0].code == "EVENT_LOOP"


def test_another_tenant_is_not_concerned(alice: Actor, acme: Tenant, db: Any) -> None:
    globex = a_tenant("globex")
    an_event_type(globex, "invoice.paid")
    theirs = a_triggered_workflow(globex, "Theirs", "invoice.paid")
    a_waiting_run(globex, db)

    event = send(alice, correlation_key="42")

    assert deliveries(db, event) == []
    assert db.scalar(select(func.count()).where(Run.workflow_id == theirs.id)) == 0


def test_a_hundred_workflows_cost_a_fixed_number_of_statements_each(alice: Actor, acme: Tenant, db: Any) -> None:
    def cost(count: int, key: str) -> int:
        for number in range(count):
            a_triggered_workflow(acme, f"{key} {number}", "invoice.paid")
        with counted() as statements:
            send(alice, key)
        return len(statements)

    few = cost(2, "few")
    many = cost(10, "many")
    assert many - few <= 10 * 8


def test_what_was_sent_by_a_run_names_it_and_leaves_no_audit_row(alice: Actor, acme: Tenant, db: Any) -> None:
    run = a_run(a_published_workflow(acme))
    event = send(alice, source=BY_RUN, run_id=run.id, depth=1)
    assert (event.run_id, event.depth) == (run.id, 1)
    assert db.scalars(select(AuditEntry).where(AuditEntry.action == "event.sent")).all() == []
