"""The editions: schedules belong to enterprise; workflows, runs, events and tasks to both."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from domain.accounts.tenants import COMMUNITY, ENTERPRISE, Tenant
from domain.schedules.schedules import Schedule
from domain.workflows.workflows import Workflow
from tests.factories import a_published_workflow, a_run, a_schedule, a_token
from tests.web.callers import Caller
from tests.web.cast import Browser

LINK = 'href="/schedules'


@pytest.fixture
def sync(acme: Tenant) -> Workflow:
    return a_published_workflow(acme, schema={"type": "object"})


@pytest.fixture
def nightly(sync: Workflow) -> Schedule:
    return a_schedule(sync, "Nightly")


@pytest.fixture
def program(app: Flask, acme: Tenant) -> Caller:
    return Caller(app.test_client(), a_token(acme)[1])


def put_on(edition: str, tenant: Tenant, db: Any) -> None:
    tenant.edition = edition
    db.commit()


@pytest.mark.parametrize(
    "place", ["/workflows", "/workflows/{workflow}", "/runs", "/runs/{run}", "/tasks", "/events", "/settings/secrets"]
)
def test_nothing_leads_to_schedules_where_the_edition_has_none(
    alice: Browser, acme: Tenant, nightly: Schedule, db: Any, place: str
) -> None:
    workflow = db.get(Workflow, nightly.workflow_id)
    run = a_run(workflow, schedule_id=nightly.id, started_by="manual")
    db.commit()
    path = place.format(workflow=workflow.id, run=run.id)
    assert LINK in alice.get(path).text
    put_on(COMMUNITY, acme, db)
    answer = alice.get(path)
    assert answer.status_code == 200
    assert LINK not in answer.text
    put_on(ENTERPRISE, acme, db)
    assert LINK in alice.get(path).text


def test_without_schedules_the_start_page_is_the_list_of_workflows(alice: Browser, acme: Tenant, db: Any) -> None:
    assert alice.get("/").location == "/schedules"
    put_on(COMMUNITY, acme, db)
    assert alice.get("/").location == "/workflows"


def test_without_schedules_the_list_of_shortcuts_does_not_name_them(alice: Browser, acme: Tenant, db: Any) -> None:
    assert "Go to schedules" in alice.get("/workflows").text
    put_on(COMMUNITY, acme, db)
    assert "Go to schedules" not in alice.get("/workflows").text


def test_the_api_answers_that_the_edition_has_no_schedules(
    program: Caller, acme: Tenant, sync: Workflow, nightly: Schedule, db: Any
) -> None:
    put_on(COMMUNITY, acme, db)
    one = f"/schedules/{nightly.id}"
    for answer in (
        program.get("/schedules"),
        program.get(one),
        program.post("/schedules", {"workflowId": str(sync.id), "cron": "0 * * * *"}),
        program.patch(one, {"name": "Daily"}),
        program.post(f"{one}/run-now", {}),
        program.post(f"{one}/pause", {}),
        program.delete(one),
    ):
        assert answer.status_code == 403
        assert answer.json["code"] == "EDITION_REQUIRED"
    db.refresh(nightly)
    assert (nightly.name, nightly.status, nightly.deleted_at) == ("Nightly", "active", None)
    put_on(ENTERPRISE, acme, db)
    assert program.get(one).status_code == 200


def test_people_and_programs_start_workflows_in_either_edition(
    alice: Browser, program: Caller, acme: Tenant, sync: Workflow, db: Any
) -> None:
    earlier = a_run(sync, input_json={})
    put_on(COMMUNITY, acme, db)
    assert program.post(f"/workflow-runs/{earlier.id}/rerun", {}).status_code == 202
    answer = alice.post(f"/workflows/{sync.id}/run", {"payload": "{}", "request_key": "key-1"})
    assert answer.status_code == 303, answer.text


def test_an_address_that_merely_begins_alike_is_not_about_schedules(program: Caller, acme: Tenant, db: Any) -> None:
    put_on(COMMUNITY, acme, db)
    assert program.get("/workflow-runs").status_code == 200
