"""The catalogue of events: what may stand in it, and what keeps an entry from being deleted."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from domain.accounts.audit import AuditEntry
from domain.events.event_types import (
    delete_event_type,
    edit_event_type,
    event_type_choices,
    event_type_of,
    event_types_page,
    known_event_type,
    register_event_type,
)
from domain.events.events import EventType
from domain.kernel.errors import NotFound, Refused
from domain.runs.waits import Wait
from domain.workflows.payload_schemas import EMPTY_REF, PayloadSchema, register_schema
from tests.factories import (
    NOW,
    a_published_workflow,
    a_run,
    a_tenant,
    a_triggered_workflow,
    a_user,
    a_version,
    a_workflow,
    an_actor,
    an_event_type,
)

REF = "payload.InvoicePaid.v1"
WAIT = {"id": "paid", "type": "event.wait", "config": {"eventName": "invoice.paid", "correlationKey": "k"}}


@pytest.fixture
def acme(db: Any) -> Any:
    return a_tenant("acme")


@pytest.fixture
def alice(acme: Any) -> Any:
    actor = an_actor(acme, a_user(acme, "alice@acme.test", "admin"))
    register_schema(actor, REF, {"type": "object"}, NOW)
    return actor


def register(actor: Any, name: str = "invoice.paid", description: str = "", ref: str = EMPTY_REF) -> EventType:
    return register_event_type(actor, name, description, ref, NOW)


def actions(db: Any) -> list[str]:
    return [entry for entry in db.scalars(select(AuditEntry.action).order_by(AuditEntry.id)) if "event" in entry]


def test_an_event_is_added_and_its_schema_never_changes_from_then_on(alice: Any, db: Any) -> None:
    made = register(alice, " invoice.paid ", "Somebody paid.\r\n", REF)

    assert (made.name, made.description, made.payload_schema_ref) == ("invoice.paid", "Somebody paid.", REF)
    assert db.scalars(select(PayloadSchema.used_at)).one() == NOW
    assert actions(db) == ["event_type.registered"]
    assert [(choice.name, choice.payload_schema_ref) for choice in event_type_choices(alice.tenant_id)] == [
        ("invoice.paid", REF)
    ]


@pytest.mark.parametrize("name", ["invoice.paid", "TICKET_CREATED", "a", "order-line.v2.shipped_late", "a" * 128])
def test_a_name_is_words_with_dots_between_them(alice: Any, name: str) -> None:
    assert register(alice, name).name == name


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("", "NAME_REQUIRED"),
        ("invoice paid", "EVENT_NAME_INVALID"),
        (".paid", "EVENT_NAME_INVALID"),
        ("invoice..paid", "EVENT_NAME_INVALID"),
        ("invoice.", "EVENT_NAME_INVALID"),
        ("1st", "EVENT_NAME_INVALID"),
        ("facture.payée", "EVENT_NAME_INVALID"),
        ("a\x00b", "EVENT_NAME_INVALID"),
        ("a" * 129, "NAME_TOO_LONG"),
    ],
)
def test_any_other_name_is_refused(alice: Any, name: str, code: str) -> None:
    with pytest.raises(Refused) as refused:
        register(alice, name)
    assert [(problem.path, problem.code) for problem in refused.value.problems] == [("name", code)]


def test_everything_that_is_wrong_is_said_at_once(alice: Any) -> None:
    with pytest.raises(Refused) as refused:
        register(alice, "not a name", "a\x00b", "payload.Gone.v1")
    assert {(problem.path, problem.code) for problem in refused.value.problems} == {
        ("name", "EVENT_NAME_INVALID"),
        ("description", "DESCRIPTION_CHARACTERS"),
        ("payload_schema_ref", "UNKNOWN_PAYLOAD_SCHEMA_REF"),
    }


@pytest.mark.parametrize("ref", ["", "a\x00b", "payload.Gone.v1"])
def test_a_schema_that_is_not_registered_is_refused(alice: Any, ref: str) -> None:
    with pytest.raises(Refused, match="payload_schema_ref"):
        register(alice, ref=ref)


def test_a_name_is_taken_once_per_tenant(alice: Any, db: Any) -> None:
    register(alice)
    with pytest.raises(Refused) as refused:
        register(alice)
    assert refused.value.problems[0].code == "EVENT_NAME_TAKEN"

    other = a_tenant("globex")
    assert register(an_actor(other)).tenant_id == other.id


def test_editing_writes_down_what_changed_and_only_that(alice: Any, db: Any) -> None:
    entry = register(alice)
    edit_event_type(alice, entry.id, "", EMPTY_REF, NOW)
    assert actions(db) == ["event_type.registered"]

    edit_event_type(alice, entry.id, "Somebody paid.", REF, NOW)
    last = db.scalars(select(AuditEntry).order_by(AuditEntry.id.desc()).limit(1)).one()
    assert (last.action, last.before, last.after) == (
        "event_type.edited",
        {"description": "", "payloadSchemaRef": EMPTY_REF},
        {"description": "Somebody paid.", "payloadSchemaRef": REF},
    )


def test_an_event_that_nobody_names_is_deleted(alice: Any, db: Any) -> None:
    entry = register(alice)
    delete_event_type(alice, entry.id)

    assert db.scalars(select(EventType)).all() == []
    assert actions(db)[-1] == "event_type.deleted"


def test_it_stays_while_a_published_workflow_has_it_as_its_trigger(alice: Any, acme: Any) -> None:
    entry = register(alice)
    workflow = a_triggered_workflow(acme, "Thank the customer", "invoice.paid")
    workflow.draft_trigger = None
    with pytest.raises(Refused, match="is in use: it starts Thank the customer"):
        delete_event_type(alice, entry.id)


def test_it_stays_while_a_draft_has_it_as_its_trigger(alice: Any, acme: Any) -> None:
    entry = register(alice)
    workflow = a_workflow(acme, "Thanks", draft_trigger={"type": "event", "eventName": "invoice.paid"})
    with pytest.raises(Refused, match="the draft of Thanks has it as its trigger"):
        delete_event_type(alice, entry.id)
    workflow.deleted_at = NOW
    delete_event_type(alice, entry.id)


@pytest.mark.parametrize("place", ["draft", "published", "nested", "open"])
def test_it_stays_while_a_step_waits_for_it(alice: Any, acme: Any, db: Any, place: str) -> None:
    entry = register(alice)
    nested = {"id": "maybe", "type": "control.if", "condition": {"$expr": "true"}, "then": [], "else": [WAIT]}
    if place == "open":
        # Of a version that is published no more.
        run = a_run(a_published_workflow(acme), "waiting")
        db.add(
            Wait(
                tenant_id=acme.id, run_id=run.id, step_path="root.steps[0]", iteration="", attempt=1, kind="event",
                event_name="invoice.paid", correlation_key="k", opened_at=NOW,
            )
        )  # fmt: skip
    else:
        step = nested if place == "nested" else WAIT
        workflow = a_workflow(acme, draft_definition={"steps": [step]})
        if place == "published":
            a_version(workflow)
            workflow.draft_definition = {"steps": []}
    db.flush()
    with pytest.raises(Refused, match="Invoice sync waits for it") as refused:
        delete_event_type(alice, entry.id)
    assert refused.value.problems[0].code == "EVENT_IN_USE"


def test_a_step_that_only_speaks_of_it_does_not_hold_it(alice: Any, acme: Any) -> None:
    entry = register(alice)
    other = {"id": "say", "type": "action.call", "config": {"actionId": "log.write", "eventName": "invoice.paid"}}
    a_workflow(acme, draft_definition={"steps": [other]})
    an_event_type(acme, "order.paid")
    a_triggered_workflow(acme, "Other", "order.paid")
    delete_event_type(alice, entry.id)


def test_the_catalogue_is_listed_by_name_with_how_many_workflows_it_starts(alice: Any, acme: Any) -> None:
    for name in ("order.placed", "invoice.paid", "invoice.sent"):
        register(alice, name, "About money." if "invoice" in name else "")
    a_triggered_workflow(acme, "One", "invoice.paid")
    a_triggered_workflow(acme, "Two", "invoice.paid").deleted_at = NOW

    page = event_types_page(acme.id)
    assert [(row.name, row.workflows) for row in page] == [
        ("invoice.paid", 1),
        ("invoice.sent", 0),
        ("order.placed", 0),
    ]
    assert [row.name for row in event_types_page(acme.id, after="invoice.paid", limit=1)] == ["invoice.sent"]
    assert [row.name for row in event_types_page(acme.id, q="MONEY")] == ["invoice.paid", "invoice.sent"]
    assert event_types_page(acme.id, q="%") == []


def test_another_tenant_finds_nothing(alice: Any, db: Any) -> None:
    entry = register(alice)
    charlie = an_actor(a_tenant("globex"))
    for attempt in (
        lambda: event_type_of(charlie.tenant_id, entry.id),
        lambda: edit_event_type(charlie, entry.id, "", EMPTY_REF, NOW),
        lambda: delete_event_type(charlie, entry.id),
    ):
        with pytest.raises(NotFound):
            attempt()
    with pytest.raises(Refused):
        known_event_type(charlie.tenant_id, "invoice.paid")
    assert event_type_choices(charlie.tenant_id) == []
