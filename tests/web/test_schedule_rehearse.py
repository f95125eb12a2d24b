"""Rehearsing: what stands in the dialog runs once as a marked test run, and nothing else happens."""

from __future__ import annotations

import html
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from domain.accounts.tenants import Tenant
from domain.kernel import clock
from domain.kernel.db import db as database
from domain.runs.runs import Run
from domain.schedules.occurrences import Occurrence
from domain.schedules.schedules import Schedule
from domain.workflows.built_in_schemas import CLOCK_SCHEMA
from domain.workflows.schema_rules import payload_problems
from domain.workflows.workflows import Workflow
from tests.factories import NOW, a_published_workflow, a_run, a_token
from tests.statements import counted
from tests.web.callers import Caller
from tests.web.cast import Browser
from tests.web.schedule_pages import REGION, a_quiet_schedule, audited, errors_at, schedules, summary, typed, value_of


@pytest.fixture
def strict(acme: Tenant, db: Any) -> Workflow:
    workflow = a_published_workflow(acme, "Strict sync", REGION, draft_schema_ref="payload.Region.v1")
    db.commit()
    return workflow


@pytest.fixture
def morning(strict: Workflow) -> Schedule:
    return a_quiet_schedule(strict, cron="0 9 * * *", timezone="Europe/Paris", payload_json={"region": "eu"})


def rehearsing(**changes: Any) -> dict[str, Any]:
    form = {"workflow": "Strict sync", "payload": '{"region": "eu"}', "rehearse": "1", "rehearsal_key": "k1"}
    return typed(**form | changes)


def runs() -> list[Run]:
    database.session.expire_all()
    return list(database.session.scalars(select(Run).order_by(Run.id)))


def test_what_is_typed_runs_once_marked_and_nothing_is_saved(alice: Browser, strict: Workflow) -> None:
    answer = alice.post("/schedules", rehearsing(name=""), htmx=True)
    assert answer.status_code == 200
    assert answer.text.lstrip().startswith('<div id="rehearsal" data-live')
    (run,) = runs()
    assert (run.is_rehearsal, run.schedule_id, run.started_by, run.actor_id) == (True, None, "manual", alice.user.id)
    assert (run.workflow_id, run.workflow_version, run.input_json) == (strict.id, 1, {"region": "eu"})
    assert f'href="/runs/{run.id}" target="_blank"' in answer.text
    told = run.trigger_metadata
    assert told["rehearsal"] is True and told["triggerType"] == "manual" and told["cron"] == "0 9 * * 1-5"
    assert (told["scheduleName"], told["timezone"]) == (None, "Europe/Paris")
    assert schedules() == []
    assert database.session.scalar(select(func.count()).select_from(Occurrence)) == 0
    assert audited() == [("schedule.rehearsed", "changed")]


def test_for_any_nominal_time_the_run_is_told_that_time(alice: Browser, acme: Tenant, db: Any) -> None:
    a_published_workflow(acme, "Heartbeat", CLOCK_SCHEMA, draft_schema_ref="trigger.clock.v1")
    db.commit()
    fields = rehearsing(workflow="Heartbeat", payload=None, rehearse_for="2025-07-01T09:00")
    assert alice.post("/schedules", fields, htmx=True).status_code == 200
    (run,) = runs()
    assert run.input_json["scheduledFor"] == run.trigger_metadata["scheduledFor"] == "2025-07-01T07:00:00Z"
    assert run.input_json["triggerType"] == "manual"
    fired_at = datetime.fromisoformat(run.input_json["firedAt"])
    assert abs(fired_at - clock.database_now()) < timedelta(minutes=5)
    assert payload_problems(CLOCK_SCHEMA, run.input_json) == []


def test_of_a_stored_schedule_it_is_about_that_one_and_counts_for_nothing_of_it(
    alice: Browser, morning: Schedule
) -> None:
    answer = alice.post(f"/schedules/{morning.id}/edit", rehearsing(revision="1", name="Evening"), htmx=True)
    assert answer.status_code == 200
    (run,) = runs()
    assert (run.schedule_id, run.trigger_metadata["scheduleId"]) == (None, str(morning.id))
    assert [(one.name, one.revision) for one in schedules()] == [("Morning sync", 1)]


def test_a_secret_that_is_not_typed_again_is_the_stored_one(alice: Browser, acme: Tenant, db: Any) -> None:
    schema = {"type": "object", "properties": {"key": {"type": "string", "x-secret": True}}}
    a_published_workflow(acme, "Secret sync", schema)
    db.commit()
    alice.post("/schedules", typed(workflow="Secret sync", payload='{"key": "hush"}'))
    (stored,) = schedules()
    fields = rehearsing(workflow="Secret sync", payload='{"key": {"$kept": true}}', revision="1")
    answer = alice.post(f"/schedules/{stored.id}/edit", fields, htmx=True)
    assert "hush" not in answer.text
    assert runs()[0].input_json == stored.payload_json


def test_a_double_click_starts_one_and_changed_content_another(alice: Browser, strict: Workflow) -> None:
    first = alice.post("/schedules", rehearsing(), htmx=True).text
    again = alice.post("/schedules", rehearsing(rehearsal_key=value_of(first, "rehearsal_key")), htmx=True).text
    assert value_of(first, "rehearsed") == value_of(again, "rehearsed")
    alice.post("/schedules", rehearsing(payload='{"region": "us"}'), htmx=True)
    assert [run.input_json["region"] for run in runs()] == ["eu", "us"]


BAD = {
    "a missing key": ({"payload": "{}"}, "payload", "region"),
    "no JSON": ({"payload": "{"}, "payload", "not valid JSON"),
    "no workflow": ({"workflow": ""}, "workflow", "Choose the workflow to run."),
    "an unknown workflow": ({"workflow": "Nothing"}, "workflow", "No workflow is called"),
    "a zone that is none": ({"timezone": "Mars"}, "timezone", "time zone"),
    "a day that is none": ({"rehearse_for": "2026-02-30T09:00"}, "rehearse_for", "does not exist"),
}


@pytest.mark.parametrize(("change", "field", "said"), BAD.values(), ids=BAD.keys())
def test_a_refusal_stands_at_its_field_keeps_what_was_typed_and_starts_nothing(
    alice: Browser, strict: Workflow, change: dict[str, str], field: str, said: str
) -> None:
    answer = alice.post("/schedules", rehearsing(name="Kept", **change), htmx=True)
    assert (answer.status_code, answer.headers["HX-Retarget"]) == (422, "#dialog-form")
    assert said in errors_at(answer.text, field)
    assert "Nothing was started." in answer.text and said in summary(answer.text)
    assert value_of(answer.text, "name") == "Kept"
    assert (runs(), audited()) == ([], [])


def test_a_paused_workflow_cannot_be_rehearsed(alice: Browser, strict: Workflow, db: Any) -> None:
    strict.paused_at, strict.pause_reason = NOW, "audit"
    db.commit()
    answer = alice.post("/schedules", rehearsing(), htmx=True)
    assert "is paused: audit. Resume it first." in errors_at(answer.text, "workflow")
    assert runs() == []


def test_without_javascript_the_page_keeps_the_form_and_shows_the_run(alice: Browser, strict: Workflow) -> None:
    page = alice.post("/schedules", rehearsing(name="Kept")).text
    (run,) = runs()
    assert page.lstrip().startswith("<!doctype html>")
    assert (value_of(page, "name"), value_of(page, "rehearsed")) == ("Kept", str(run.id))
    checked = alice.post("/schedules", typed(workflow="Strict sync", rehearsed=str(run.id), check="1")).text
    assert f'href="/runs/{run.id}"' in checked


def test_its_state_asks_again_until_it_is_over(alice: Browser, strict: Workflow, db: Any) -> None:
    run = a_run(strict, "running", is_rehearsal=True)
    db.commit()
    going = alice.get(f"/schedules/rehearsals/{run.id}?key=k1", htmx=True).text
    assert "data-live" in going and value_of(going, "rehearsal_key") == "k1"
    run.status, run.finished_at, run.output = "succeeded", NOW, {"written": 3}
    db.commit()
    over = alice.get(f"/schedules/rehearsals/{run.id}?key=k1", htmx=True).text
    assert "data-live" not in over and value_of(over, "rehearsal_key") != "k1"
    assert '"written": 3' in html.unescape(over)


def test_no_other_run_is_shown_as_one(alice: Browser, charlie: Browser, strict: Workflow, db: Any) -> None:
    run, rehearsal = a_run(strict), a_run(strict, is_rehearsal=True)
    db.commit()
    assert alice.get(f"/schedules/rehearsals/{run.id}", htmx=True).status_code == 404
    assert charlie.get(f"/schedules/rehearsals/{rehearsal.id}", htmx=True).status_code == 404


def test_a_viewer_cannot_rehearse(bob: Browser, strict: Workflow) -> None:
    assert bob.post("/schedules", rehearsing(), htmx=True).status_code == 403
    assert runs() == []


def test_lists_and_pages_mark_a_rehearsal_and_can_leave_it_out(
    app: Flask, alice: Browser, acme: Tenant, strict: Workflow, db: Any
) -> None:
    caller = Caller(app.test_client(), a_token(acme)[1])
    told = {"scheduledFor": "2026-03-02T09:00:00Z", "scheduleName": "Morning sync", "rehearsal": True}
    run = a_run(strict, is_rehearsal=True, actor_id=alice.user.id, trigger_metadata=told)
    other = a_run(strict)
    db.commit()
    both = alice.get("/runs", htmx=True).text
    assert both.count('<span class="tag">Rehearsal</span>') == 1 and "rehearsing Morning sync" in both
    for asked, shown, hidden in (("yes", run, other), ("no", other, run)):
        listed = alice.get(f"/runs?rehearsal={asked}", htmx=True).text
        assert f"/runs/{shown.id}" in listed and f"/runs/{hidden.id}" not in listed
        found = caller.get(f"/workflow-runs?rehearsal={asked}").json["items"]
        assert [(one["id"], one["isRehearsal"]) for one in found] == [(str(shown.id), asked == "yes")]
    page = alice.get(f"/runs/{run.id}").text
    assert '<span class="tag">Rehearsal</span>' in page and "Rehearsal of Morning sync, started by Alice" in page
    assert caller.get(f"/workflow-runs/{run.id}").json["isRehearsal"] is True


def test_a_rehearsal_that_is_run_again_stays_one(alice: Browser, strict: Workflow, db: Any) -> None:
    run = a_run(strict, is_rehearsal=True, input_json={"region": "eu"})
    db.commit()
    assert alice.post(f"/runs/{run.id}/run-again", {}).status_code == 303
    assert [one.is_rehearsal for one in runs()] == [True, True]


def test_the_dialog_costs_a_fixed_number_of_statements(
    alice: Browser, acme: Tenant, morning: Schedule, db: Any
) -> None:
    def cost() -> list[int]:
        costs = []
        for address in ("/schedules/new", f"/schedules/{morning.id}/edit"):
            with counted() as statements:
                assert alice.get(address, htmx=True).status_code == 200
            costs.append(len(statements))
        return costs

    cost()
    before = cost()
    for number in range(30):
        a_schedule_of = a_published_workflow(acme, f"Sync {number}")
        a_quiet_schedule(a_schedule_of, f"Schedule {number}")
    assert cost() == before
    assert max(before) <= 9
