"""The pages of events and their catalogue, as alice the admin, bob the viewer and charlie of another tenant meet them."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import func, select

from domain.accounts.permissions import OPERATOR
from domain.accounts.tenants import Tenant
from domain.events.events import Event, EventType
from domain.events.pages import PAGE_SIZE
from domain.runs.runs import Run
from domain.workflows.payload_schemas import register_schema
from tests.factories import (
    NOW,
    a_delivery,
    a_published_workflow,
    a_run,
    a_triggered_workflow,
    a_user,
    an_actor,
    an_event,
    an_event_type,
)
from tests.statements import counted
from tests.web.cast import Browser, client_of

REF = "payload.InvoicePaid.v1"
PAID = {
    "type": "object",
    "properties": {"number": {"type": "integer"}, "token": {"type": "string", "x-secret": True}},
    "required": ["number"],
}
GOOD = {"name": "invoice.paid", "correlation_key": "42", "payload": '{"number": 42}', "request_key": "one click"}


@pytest.fixture
def invoice_paid(acme: Tenant, db: Any) -> EventType:
    register_schema(an_actor(acme), REF, PAID, NOW)
    entry = an_event_type(acme, "invoice.paid", REF, "Somebody paid.")
    db.commit()
    return entry


def words_of(html: str) -> str:
    said = re.sub(r"<[^>]+>", " ", html.partition("<main")[2] or html)
    return re.sub(r" (?=[,.])", "", re.sub(r"\s+", " ", said))


def rows_of(page: str) -> list[UUID]:
    return [UUID(found) for found in re.findall(r'<a class="name mono" href="/events/([^"]+)">', page)]


# The list


def test_without_a_catalogue_the_list_says_what_events_are_and_begins_with_it(alice: Browser, bob: Browser) -> None:
    page = alice.get("/events").text
    assert "An event tells Carillon that something happened" in page and 'href="/events/types/new"' in page
    assert 'href="/events/new"' not in page
    assert 'href="/events/types/new"' not in bob.get("/events").text


def test_without_events_the_list_offers_to_send_one(alice: Browser, bob: Browser, invoice_paid: EventType) -> None:
    page = alice.get("/events").text
    assert "POST /api/events" in page and 'href="/events/new"' in page
    assert 'href="/events/new"' not in bob.get("/events").text


def test_a_line_says_what_came_from_whom_and_what_it_did(bob: Browser, acme: Tenant, db: Any) -> None:
    workflow = a_published_workflow(acme, "Billing")
    event = an_event(acme, correlation_key="42<b>", source="run", run_id=a_run(workflow).id)
    a_delivery(event, workflow, a_run(workflow))
    a_delivery(event, workflow, reason="It is paused.")
    an_event(acme, "order.paid")
    db.commit()

    page = bob.get("/events").text
    said = words_of(page)
    assert "invoice.paid 1 started 1 refused 42&lt;b&gt; a run of Billing" in said
    assert "order.paid nothing – Alice API" in said
    assert 'hx-trigger="every 5s"' in page


@pytest.mark.parametrize(
    ("query", "found"),
    [("name=invoice.paid", 1), ("correlation=42", 1), ("outcome=refused", 1), ("outcome=started", 0),
     ("outcome=nothing", 1), ("outcome=rubbish", 2), ("name=none", 0)],
)  # fmt: skip
def test_the_list_is_narrowed_by_its_address(bob: Browser, acme: Tenant, db: Any, query: str, found: int) -> None:
    a_delivery(an_event(acme, correlation_key="42"), a_published_workflow(acme), reason="It is paused.")
    an_event(acme, "order.paid")
    db.commit()

    page = bob.get(f"/events?{query}", htmx=True).text
    assert len(rows_of(page)) == found
    assert ("No event matches" in page) == (found == 0)


def test_pages_go_on_behind_the_last_line(bob: Browser, acme: Tenant, db: Any) -> None:
    ids = [an_event(acme).id for _ in range(PAGE_SIZE + 2)][::-1]
    db.commit()

    first = bob.get("/events?name=invoice.paid").text
    assert rows_of(first) == ids[:PAGE_SIZE]
    following = re.search(r'rel="next" href="([^"]+)"', first)
    assert following
    second = bob.get(following[1].replace("&amp;", "&")).text
    assert rows_of(second) == ids[PAGE_SIZE:]
    assert "data-live" not in second and 'rel="prev"' in second


def test_many_events_cost_as_many_statements_as_few(bob: Browser, acme: Tenant, db: Any) -> None:
    workflow = a_published_workflow(acme)

    def cost(count: int) -> int:
        for _ in range(count):
            a_delivery(an_event(acme), workflow, a_run(workflow))
        db.commit()
        with counted() as statements:
            assert bob.get("/events").status_code == 200
        return len(statements)

    assert cost(2) == cost(20)


# One event


def test_an_event_shows_its_payload_and_what_it_did_in_each_workflow(
    bob: Browser, acme: Tenant, invoice_paid: EventType, db: Any
) -> None:
    workflow, gone = a_published_workflow(acme, "Billing"), a_published_workflow(acme, "Gone")
    gone.deleted_at = NOW
    event = an_event(acme, payload={"number": 42, "token": {"$sealed": "gibberish"}}, correlation_key="42")
    run = a_run(workflow, "running")
    a_delivery(event, workflow, run)
    a_delivery(event, gone, reason="Gone is paused: supplier outage.")
    db.commit()

    page = bob.get(f"/events/{event.id}").text
    said = words_of(page)
    assert "Billing Started Running" in said and f"/runs/{run.id}" in page
    assert "Gone deleted Refused Gone is paused: supplier outage." in said
    assert "gibberish" not in page and "$kept" in page and "&#34;number&#34;: 42" in page
    assert f"/events/types/{invoice_paid.id}" in page
    assert 'hx-trigger="every 2s"' in page


def test_an_event_whose_runs_have_ended_is_still(bob: Browser, acme: Tenant, db: Any) -> None:
    workflow = a_published_workflow(acme)
    event = an_event(acme)
    a_delivery(event, workflow, a_run(workflow, "failed"))
    db.commit()
    page = bob.get(f"/events/{event.id}", htmx=True).text
    assert "data-live" not in page and "<html" not in page


def test_an_event_that_did_nothing_says_why(bob: Browser, acme: Tenant, db: Any) -> None:
    event = an_event(acme)
    db.commit()
    assert "Nobody was interested" in bob.get(f"/events/{event.id}").text


# Sending


def test_an_event_is_sent_by_hand_and_starts_what_it_triggers(
    alice: Browser, acme: Tenant, invoice_paid: EventType, db: Any
) -> None:
    a_triggered_workflow(acme, "Thanks", "invoice.paid")
    a_triggered_workflow(acme, "Paused", "invoice.paid").paused_at = NOW
    db.commit()

    answer = alice.post("/events", GOOD)

    event = db.scalars(select(Event)).one()
    assert (answer.status_code, answer.location) == (303, f"/events/{event.id}")
    assert (event.source, event.correlation_key, event.payload) == ("manual", "42", {"number": 42})
    assert db.scalar(select(Run.started_by)) == "event"
    assert "invoice.paid was taken: 1 run started, 1 refused." in alice.get(answer.location).text


def test_a_double_click_sends_one(alice: Browser, invoice_paid: EventType, db: Any) -> None:
    answers = [alice.post("/events", GOOD) for _ in range(2)]
    assert answers[0].location == answers[1].location
    assert db.scalar(select(func.count()).select_from(Event)) == 1


def test_the_same_click_with_another_event_is_told_apart(alice: Browser, invoice_paid: EventType, db: Any) -> None:
    alice.post("/events", GOOD)
    answer = alice.post("/events", GOOD | {"payload": '{"number": 43}'}, htmx=True)
    assert answer.status_code == 409
    assert "used for another event" in answer.text and 'value="one click"' not in answer.text
    assert db.scalar(select(func.count()).select_from(Event)) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "invoice.sent"}, "The catalogue has no event called invoice.sent"),
        ({"payload": '{"number": "many"}'}, "/number: must be a whole number"),
        ({"payload": "{"}, "not valid JSON"),
        ({"correlation_key": "a\nb"}, "cannot contain line breaks"),
    ],
)
def test_what_is_refused_keeps_what_was_typed(
    alice: Browser, invoice_paid: EventType, db: Any, change: dict[str, str], said: str
) -> None:
    for htmx in (False, True):
        answer = alice.post("/events", GOOD | change, htmx=htmx)
        assert answer.status_code == 422
        assert said in answer.text
        assert (GOOD | change)["payload"].replace('"', "&#34;") in answer.text
    assert db.scalars(select(Event)).all() == []


def test_the_dialog_begins_with_the_event_that_was_asked_for(
    alice: Browser, acme: Tenant, invoice_paid: EventType, db: Any
) -> None:
    an_event_type(acme, "a.first")
    db.commit()
    assert '<option selected value="a.first">' in alice.get("/events/new", htmx=True).text
    page = alice.get("/events/new?name=invoice.paid", htmx=True).text
    assert '<option selected value="invoice.paid">' in page and 'name="payload/number"' in page


def test_another_event_brings_its_own_fields_and_keeps_what_was_written(
    alice: Browser, acme: Tenant, invoice_paid: EventType, db: Any
) -> None:
    an_event_type(acme, "a.first")
    db.commit()
    begun = {"name": "invoice.paid", "payload-mode": "json", "payload": "{}", "payload-drawn": "a.first"}
    assert 'name="payload/number"' in alice.post("/events/payload", begun, htmx=True).text
    written = alice.post("/events/payload", begun | {"payload": '{"number": 7, "more": 1}'}, htmx=True).text
    assert "&#34;more&#34;: 1" in written and "<html" not in written


def test_without_a_catalogue_nothing_can_be_sent(alice: Browser) -> None:
    page = alice.get("/events/new", htmx=True).text
    assert "Add one there first" in page and "btn-primary" not in page


def test_a_secret_that_was_typed_is_sealed_and_never_shown(
    alice: Browser, acme: Tenant, invoice_paid: EventType, db: Any
) -> None:
    a_triggered_workflow(acme, "Thanks", "invoice.paid", schema=PAID)
    db.commit()
    answer = alice.post("/events", GOOD | {"payload": '{"number": 1, "token": "opensesame-77"}'})
    event, run = db.scalars(select(Event)).one(), db.scalars(select(Run)).one()
    assert list(event.payload["token"]) == ["$sealed"] and run.input_json == event.payload
    assert "opensesame" not in alice.get(answer.location).text


def test_an_operator_sends_and_a_viewer_does_not(
    app: Flask, acme: Tenant, bob: Browser, invoice_paid: EventType
) -> None:
    olga = client_of(app, a_user(acme, "olga@acme.test", OPERATOR), acme)
    assert olga.post("/events", GOOD).status_code == 303
    assert olga.get("/events/types/new").status_code == 403
    assert bob.post("/events", GOOD).status_code == 403
    assert bob.get("/events/new").status_code == 403


# The catalogue


def test_an_event_is_added_to_the_catalogue(alice: Browser, db: Any) -> None:
    form = {"name": "order.paid", "description": "Said by the shop.", "payload_schema_ref": "payload.Empty.v1"}
    answer = alice.post("/events/types", form)
    entry = db.scalars(select(EventType)).one()
    assert (answer.status_code, answer.location) == (303, f"/events/types/{entry.id}")
    page = alice.get(answer.location).text
    assert "Said by the shop." in page and "No workflow names it" in page
    assert "order.paid" in alice.get("/events/types?q=shop", htmx=True).text
    assert "No event matches" in alice.get("/events/types?q=other", htmx=True).text


def test_a_clock_is_not_what_an_event_carries(alice: Browser) -> None:
    page = alice.get("/events/types/new", htmx=True).text
    assert "payload.Empty.v1" in page and "trigger.clock.v1" not in page


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "order paid"}, "such as invoice.paid: letters"),
        ({"name": "invoice.paid"}, "in the catalogue already"),
        ({"payload_schema_ref": "payload.Gone.v1"}, "No payload schema is registered as payload.Gone.v1"),
    ],
)
def test_a_refused_entry_keeps_what_was_typed(
    alice: Browser, invoice_paid: EventType, change: dict[str, str], said: str
) -> None:
    form = {"name": "order.paid", "description": "Typed.", "payload_schema_ref": "payload.Empty.v1"} | change
    answer = alice.post("/events/types", form, htmx=True)
    assert answer.status_code == 422
    assert said in answer.text and "Typed." in answer.text and form["name"] in answer.text


def test_an_entry_is_edited_and_deleted(alice: Browser, invoice_paid: EventType, db: Any) -> None:
    address = f"/events/types/{invoice_paid.id}"
    assert "Somebody paid." in alice.get(f"{address}/edit", htmx=True).text
    form = {"description": "Money came.", "payload_schema_ref": "payload.Empty.v1"}
    assert alice.post(f"{address}/edit", form).location == address
    assert "Money came." in alice.get(address).text
    assert alice.post(f"{address}/edit", form | {"description": "\x01"}).status_code == 422

    assert alice.post(f"{address}/delete").location == "/events/types"
    assert db.scalars(select(EventType)).all() == []


def test_an_entry_in_use_is_not_deleted_and_says_who_is_interested(
    alice: Browser, acme: Tenant, invoice_paid: EventType, db: Any
) -> None:
    workflow = a_triggered_workflow(acme, "Thanks", "invoice.paid")
    db.commit()
    address = f"/events/types/{invoice_paid.id}"
    assert f"/workflows/{workflow.id}" in alice.get(address).text
    answer = alice.post(f"{address}/delete", htmx=True)
    assert answer.status_code == 422 and "it starts Thanks" in answer.text


def test_the_catalogue_costs_as_many_statements_for_many_as_for_few(bob: Browser, acme: Tenant, db: Any) -> None:
    def cost(count: int, prefix: str) -> int:
        for number in range(count):
            an_event_type(acme, f"{prefix}.n{number}")
        db.commit()
        with counted() as statements:
            assert bob.get("/events/types").status_code == 200
        return len(statements)

    assert cost(2, "few") == cost(20, "many")


def test_a_viewer_reads_the_catalogue_and_changes_nothing(bob: Browser, invoice_paid: EventType) -> None:
    page = bob.get(f"/events/types/{invoice_paid.id}").text
    assert "number" in page
    assert f"{invoice_paid.id}/edit" not in page and "/delete" not in page and "/events/new" not in page
    assert "/events/types/new" not in bob.get("/events/types").text


def test_another_tenant_finds_nothing(charlie: Browser, acme: Tenant, invoice_paid: EventType, db: Any) -> None:
    event = an_event(acme)
    db.commit()
    told = charlie.get("/events").text + charlie.get("/events/types").text
    assert str(event.id) not in told and str(invoice_paid.id) not in told
    assert charlie.get(f"/events/{event.id}").status_code == 404
    assert charlie.get(f"/events/types/{invoice_paid.id}").status_code == 404
