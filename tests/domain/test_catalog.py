"""The list of workflows: filtered by what really starts them, with the outcomes of their last runs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from domain.publishing import workflow_count, workflows_page
from tests.factories import NOW, a_published_workflow, a_run, a_schedule, a_tenant, a_version, a_workflow
from tests.statements import counted

ON_PAID = {"type": "event", "eventName": "invoice.paid"}


@pytest.fixture
def acme(db: Any) -> Any:
    return a_tenant("acme")


def names(tenant: Any, **filters: Any) -> list[str]:
    found = [row.name for row in workflows_page(tenant.id, **filters)]
    assert workflow_count(tenant.id, **filters) == len(found)
    return found


def test_the_filter_goes_by_what_really_starts_a_workflow(acme: Any) -> None:
    a_published_workflow(acme, "By hand")
    a_workflow(acme, "Only drafted", draft_trigger=ON_PAID)
    a_published_workflow(acme, "On event", event_name="invoice.paid")
    both = a_published_workflow(acme, "Both", event_name="invoice.paid")
    scheduled = a_published_workflow(acme, "Scheduled")
    unscheduled = a_published_workflow(acme, "Unscheduled")
    for workflow, values in ((both, {}), (scheduled, {"status": "paused"}), (unscheduled, {"deleted_at": NOW})):
        a_schedule(workflow, **values)

    assert names(acme, trigger="none") == ["By hand", "Only drafted", "Unscheduled"]
    assert names(acme, trigger="event") == ["Both", "On event"]
    assert names(acme, trigger="scheduled") == ["Both", "Scheduled"]
    assert len(names(acme, trigger="")) == 6


def test_filters_go_together(acme: Any) -> None:
    a_published_workflow(acme, "Invoice one", event_name="invoice.paid")
    a_published_workflow(acme, "Invoice two", event_name="invoice.paid", paused_at=NOW)
    a_published_workflow(acme, "Order", event_name="order.paid")

    assert names(acme, q="invoice", status="published", trigger="event") == ["Invoice one"]
    assert names(acme, q="invoice", status="paused", trigger="event") == ["Invoice two"]
    assert names(acme, q="invoice", status="draft", trigger="event") == []


def test_a_row_has_the_last_twenty_runs_that_ended_oldest_first(acme: Any) -> None:
    workflow = a_published_workflow(acme)
    for minute in range(25):
        status = "failed" if minute in (0, 7, 24) else "succeeded"
        a_run(workflow, status, finished_at=NOW + timedelta(minutes=minute))
    a_run(workflow, "canceled", started_at=None, ready_at=None, finished_at=NOW + timedelta(minutes=30))
    a_run(workflow, "running")

    (row,) = workflows_page(acme.id)

    assert len(row.recent) == 20
    assert [run.finished_at for run in row.recent] == sorted(run.finished_at for run in row.recent)
    assert [run.status for run in row.recent] == [
        "succeeded", "failed", *["succeeded"] * 16, "failed", "canceled",
    ]  # fmt: skip
    assert (row.recent[0].seconds, row.recent[-1].seconds) == (360.0, None)
    assert row.success_rate == 17 / 19
    assert row.last_run_status == "running"


def test_without_a_run_that_ended_there_is_no_rate(acme: Any) -> None:
    workflow = a_published_workflow(acme)
    a_run(workflow, "canceled")

    (row,) = workflows_page(acme.id)

    assert (row.success_rate, len(row.recent)) == (None, 1)


def test_a_changed_trigger_is_a_newer_draft_and_an_inferred_ref_is_none(acme: Any) -> None:
    workflow = a_workflow(acme, draft_trigger=ON_PAID, draft_schema_mode="inferred")
    a_version(workflow, trigger=ON_PAID, payload_schema_mode="inferred", payload_schema_ref="trigger.clock.v1")

    assert not workflows_page(acme.id)[0].has_newer_draft

    workflow.draft_trigger = None
    assert workflows_page(acme.id)[0].has_newer_draft


def test_the_list_costs_two_queries_however_long_it_is(acme: Any) -> None:
    def cost() -> int:
        with counted() as statements:
            workflows_page(acme.id, trigger="scheduled")
        return len(statements)

    for number in range(8):
        workflow = a_published_workflow(acme, f"W{number}")
        a_schedule(workflow)
        for _ in range(3):
            a_run(workflow)

    assert cost() == 2
