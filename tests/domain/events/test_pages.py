"""The list of events and what each of them did."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from domain.accounts.tenants import Tenant
from domain.events.events import EventDelivery, EventType
from domain.events.pages import EventFilters, event_detail, events_page
from domain.kernel.errors import NotFound
from tests.factories import NOW, a_delivery, a_published_workflow, a_run, a_tenant, an_event
from tests.statements import counted


def test_a_line_counts_what_the_event_did(acme: Tenant, invoice_paid: EventType, db: Any) -> None:
    workflow = a_published_workflow(acme)
    run = a_run(workflow)
    event = an_event(acme, correlation_key="42", source="run", run_id=run.id)
    for _ in range(2):
        a_delivery(event, workflow, a_run(workflow))
    a_delivery(event, workflow, reason="It is paused.")
    db.add(EventDelivery(event_id=event.id, workflow_id=workflow.id, run_id=run.id, outcome="resumed"))
    db.flush()

    (row,) = events_page(acme.id)
    assert (row.name, row.correlation_key, row.source, row.received_at) == ("invoice.paid", "42", "run", NOW)
    assert (row.started, row.resumed, row.refused) == (2, 1, 1)
    assert (row.run_id, row.run_workflow) == (run.id, "Invoice sync")


def test_the_newest_come_first_and_a_page_goes_on_where_the_last_ended(acme: Tenant, db: Any) -> None:
    events = [an_event(acme) for _ in range(5)]
    newest_first = [event.id for event in reversed(events)]

    assert [row.id for row in events_page(acme.id)] == newest_first
    assert [row.id for row in events_page(acme.id, before=newest_first[1], limit=2)] == newest_first[2:4]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (EventFilters(name="invoice.paid"), ["started", "refused"]),
        (EventFilters(correlation_key="42"), ["started"]),
        (EventFilters(outcome="started"), ["started"]),
        (EventFilters(outcome="refused"), ["refused"]),
        (EventFilters(outcome="resumed"), []),
        (EventFilters(outcome="nothing"), ["nothing"]),
        (EventFilters(name="order.paid", outcome="nothing"), ["nothing"]),
        (EventFilters(name="%"), []),
    ],
    ids=str,
)
def test_the_list_is_narrowed(acme: Tenant, db: Any, filters: EventFilters, found: list[str]) -> None:
    workflow = a_published_workflow(acme)
    made = {
        "started": an_event(acme, correlation_key="42"),
        "refused": an_event(acme),
        "nothing": an_event(acme, "order.paid"),
    }
    a_delivery(made["started"], workflow, a_run(workflow))
    a_delivery(made["refused"], workflow, reason="It is paused.")

    names = {event.id: name for name, event in made.items()}
    assert sorted(names[row.id] for row in events_page(acme.id, filters)) == sorted(found)


def test_many_events_cost_as_many_statements_as_few(acme: Tenant, db: Any) -> None:
    workflow = a_published_workflow(acme)

    def cost(count: int) -> int:
        for _ in range(count):
            a_delivery(an_event(acme), workflow, a_run(workflow))
        with counted() as statements:
            events_page(acme.id, EventFilters(name="invoice.paid", outcome="started"))
        return len(statements)

    assert cost(2) == cost(20) == 1


def test_an_event_tells_of_each_delivery(acme: Tenant, invoice_paid: EventType, db: Any) -> None:
    workflow, gone = a_published_workflow(acme), a_published_workflow(acme, "Gone")
    gone.deleted_at = NOW
    event = an_event(acme)
    a_delivery(event, workflow, a_run(workflow, "running"))
    a_delivery(event, gone, reason="Gone is paused.")

    detail = event_detail(acme.id, event.id)
    assert [(row.workflow_name, row.run_status, row.reason, row.is_deleted) for row in detail.deliveries] == [
        ("Invoice sync", "running", None, False),
        ("Gone", None, "Gone is paused.", True),
    ]
    assert (detail.event_type, detail.is_settled, detail.has_more) == (invoice_paid, False, False)


def test_an_event_is_settled_when_its_runs_have_ended_or_are_kept_no_more(acme: Tenant, db: Any) -> None:
    workflow = a_published_workflow(acme)
    event = an_event(acme)
    a_delivery(event, workflow, a_run(workflow, "failed"))
    forgotten = a_run(workflow, "running")
    a_delivery(event, workflow, forgotten)
    db.execute(text("DELETE FROM runs WHERE id = :id"), {"id": forgotten.id})
    assert event_detail(acme.id, event.id).is_settled


def test_another_tenant_finds_nothing(acme: Tenant, db: Any) -> None:
    event = an_event(acme)
    globex = a_tenant("globex")
    assert events_page(globex.id) == []
    with pytest.raises(NotFound):
        event_detail(globex.id, event.id)
