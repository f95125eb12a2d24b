"""The dialog that creates and edits a schedule: what it refuses, what it keeps, and what it shows while one types."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.accounts.tenants import Tenant
from domain.schedules.schedules import Schedule
from domain.workflows.workflows import Workflow
from tests.factories import a_published_workflow, a_version, a_workflow
from tests.web.cast import Browser
from tests.web.schedule_pages import (
    REGION,
    a_quiet_schedule,
    audited,
    errors_at,
    is_chosen,
    schedules,
    summary,
    typed,
    value_of,
)


@pytest.fixture
def sync(acme: Tenant, db: Any) -> Workflow:
    workflow = a_published_workflow(acme)
    db.commit()
    return workflow


@pytest.fixture
def strict(acme: Tenant, db: Any) -> Workflow:
    workflow = a_published_workflow(acme, "Strict sync", REGION, draft_schema_ref="payload.Region.v1")
    db.commit()
    return workflow


@pytest.fixture
def morning(sync: Workflow) -> Schedule:
    return a_quiet_schedule(sync, cron="0 9 * * 1-5", timezone="Europe/Paris")


def test_a_form_without_javascript_makes_a_schedule_and_goes_to_its_page(alice: Browser, sync: Workflow) -> None:
    answer = alice.post("/schedules", typed())
    (made,) = schedules()
    assert (answer.status_code, answer.location) == (303, f"/schedules/{made.id}")
    assert (made.name, made.cron, made.timezone, made.status) == (
        "Morning sync",
        "0 9 * * 1-5",
        "Europe/Paris",
        "active",
    )
    assert (made.workflow_id, made.workflow_version, made.created_by) == (sync.id, 1, alice.user.id)
    assert "Morning sync was created." in alice.get(answer.location).text


def test_in_the_drawer_saving_closes_it_and_tells_the_list(alice: Browser, sync: Workflow) -> None:
    answer = alice.post("/schedules", typed(place="drawer", enabled=None), htmx=True)
    assert answer.status_code == 204
    events = json.loads(answer.headers["HX-Trigger"])
    (made,) = schedules()
    assert events["toast"]["href"] == f"/schedules/{made.id}"
    assert "schedules-changed" in events
    assert made.status == "paused"


def test_once_means_a_wall_time_of_its_zone(alice: Browser, sync: Workflow) -> None:
    alice.post("/schedules", typed(trigger_type="schedule", run_at="2099-07-01T02:00", cron=""))
    (made,) = schedules()
    assert (made.run_at, made.cron) == (datetime(2099, 7, 1, 0, 0, tzinfo=UTC), None)


def test_the_dialog_is_a_page_or_a_fragment_and_knows_the_workflow_it_came_from(
    alice: Browser, strict: Workflow
) -> None:
    page = alice.get(f"/schedules/new?workflow={strict.id}").text
    assert page.lstrip().startswith("<!doctype html>")
    assert value_of(page, "workflow") == "Strict sync"
    assert value_of(page, "place") == "page"
    assert "payload.Region.v1" in page
    assert 'name="payload/region"' in page and 'value="&#34;us&#34;"' in page
    fragment = alice.get("/schedules/new", htmx=True).text
    assert fragment.lstrip().startswith('<form class="panel"')
    assert value_of(fragment, "place") == "drawer"
    assert value_of(fragment, "timezone") == "UTC"
    assert is_chosen(fragment, "overlap", "queue")
    assert is_chosen(fragment, "catch_up", "latest")


BAD = {
    "no workflow": ({"workflow": ""}, "workflow", "Choose the workflow to run."),
    "an unknown workflow": ({"workflow": "Nothing"}, "workflow", 'No workflow is called "Nothing".'),
    "an unpublished workflow": ({"workflow": "A draft"}, "workflow", "has no published version"),
    "an unpinned schema": ({"workflow": "Inferred"}, "workflow", "infers its payload schema"),
    "no name": ({"name": " \u00a0"}, "name", "Enter a name."),
    "a long name": ({"name": "n" * 129}, "name", "at most 128 characters"),
    "a control character in the name": ({"name": "a\tb"}, "name", "cannot contain a tab"),
    "a hidden character in the name": ({"name": "a\u202eb"}, "name", "U+202E"),
    "no pattern": ({"cron": ""}, "cron", "Enter when it repeats"),
    "four fields": ({"cron": "0 9 * *"}, "cron", "exactly five are needed"),
    "six fields": ({"cron": "0 0 9 * * *"}, "cron", "exactly five are needed"),
    "a pattern out of range": ({"cron": "61 9 * * *"}, "cron", "61"),
    "a pattern that never fires": ({"cron": "0 0 30 2 *"}, "cron", "never"),
    "half a zone": ({"timezone": "America"}, "timezone", "time zone"),
    "the zone of the machine": ({"timezone": "localtime"}, "timezone", "time zone"),
    "a path as a zone": ({"timezone": "../x"}, "timezone", "time zone"),
    "a time in the past": ({"trigger_type": "schedule", "run_at": "2020-01-01T00:00"}, "run_at", "has passed"),
    "no time": ({"trigger_type": "schedule", "run_at": ""}, "run_at", "Choose a date and a time."),
    "a time without zone": (
        {"trigger_type": "schedule", "run_at": "2099-01-01T00:00", "timezone": ""},
        "timezone",
        "Choose a time zone",
    ),
    "no such day": ({"trigger_type": "schedule", "run_at": "2099-02-30T00:00"}, "run_at", "does not exist"),
    "no trigger": ({"trigger_type": "sometimes"}, "trigger_type", "Choose schedule (once) or recurring."),
    "no JSON": ({"payload": "{a: 1"}, "payload", "not valid JSON"),
    "no object": ({"payload": "[1]"}, "payload", "must be a JSON object"),
    "not a number": ({"payload": '{"a": NaN}'}, "payload", "NaN"),
    "a key twice": ({"payload": '{"a": 1, "a": 2}'}, "payload", "appears twice"),
    "too many levels": ({"payload": '{"a": ' + "[" * 40 + "]" * 40 + "}"}, "payload", "deeper than 32 levels"),
    "too many bytes": ({"payload": '{"a": "' + "x" * 256_000 + '"}'}, "payload", "larger than 256,000 bytes"),
    "a secret": ({"payload": '{"a": {"$secret": "KEY"}}'}, "payload", "only in fields that the payload schema marks"),
    "a missing key": (
        {"workflow": "Strict sync", "payload": "{}"},
        "payload",
        "/region: ",
    ),
    "an unknown key": ({"workflow": "Strict sync", "payload": '{"region": "eu", "x": 1}'}, "payload", "/x: "),
    "an unknown overlap": ({"overlap": "maybe"}, "overlap", "Choose one of queue, skip, allow."),
    "an end before the start": (
        {"starts_at": "2099-02-01T00:00", "ends_at": "2099-01-01T00:00"},
        "ends_at",
        "before the start",
    ),
    "a lateness in words": ({"max_lateness_seconds": "soon"}, "max_lateness_seconds", "whole number of seconds"),
    "a spread beyond bounds": ({"spread_seconds": "3601"}, "spread_seconds", "from 0 to 3600"),
}


@pytest.mark.parametrize("htmx", [False, True], ids=["page", "fragment"])
@pytest.mark.parametrize(("change", "field", "said"), BAD.values(), ids=BAD.keys())
def test_a_refusal_names_the_field_and_the_reason_keeps_what_was_typed_and_changes_nothing(
    alice: Browser,
    acme: Tenant,
    sync: Workflow,
    strict: Workflow,
    db: Any,
    change: dict[str, str],
    field: str,
    said: str,
    htmx: bool,
) -> None:
    a_workflow(acme, "A draft")
    a_version(a_workflow(acme, "Inferred"), payload_schema_mode="inferred")
    db.commit()
    fields = typed(max_lateness_seconds="77", overlap="skip") | change
    answer = alice.post("/schedules", fields, htmx=htmx)
    assert answer.status_code == 422
    assert said in errors_at(answer.text, field)
    assert said in summary(answer.text)
    kept = answer.text.replace("&#34;", '"')
    for name in ("workflow", "name", "timezone", "cron", "max_lateness_seconds", "run_at", "ends_at"):
        assert value_of(answer.text, name).replace("&#34;", '"') == fields.get(name, "")
    assert fields["payload"] in kept
    assert is_chosen(answer.text, "overlap", "skip") == (fields["overlap"] == "skip")
    assert answer.text.lstrip().startswith('<form class="panel"' if htmx else "<!doctype html>")
    assert (schedules(), audited()) == ([], [])


def test_everything_that_is_wrong_is_said_at_once(alice: Browser, acme: Tenant, db: Any) -> None:
    a_workflow(acme, "A draft")
    db.commit()
    wrong = typed(workflow="A draft", name="", cron="", timezone="Mars", payload="[]", overlap="x")
    said = alice.post("/schedules", wrong).text
    for field in ("workflow", "name", "cron", "timezone", "payload", "overlap"):
        assert errors_at(said, field), field
    assert '<details class="fold" id="how-fold" open>' in said


def test_a_name_is_taken_once_per_workflow(alice: Browser, morning: Schedule) -> None:
    answer = alice.post("/schedules", typed())
    assert answer.status_code == 422
    assert "has a schedule named Morning sync already" in errors_at(answer.text, "name")
    assert len(schedules()) == 1


def test_what_was_typed_cannot_become_markup(alice: Browser, sync: Workflow) -> None:
    evil = '"><script>alert(1)</script>'
    page = alice.post("/schedules", typed(name=evil, workflow=evil, payload="</textarea>" + evil)).text
    assert "<script>alert" not in page
    assert page.count("</textarea>") == 1


def test_the_preview_speaks_while_one_types_and_refuses_in_words(alice: Browser, sync: Workflow) -> None:
    said = alice.post("/schedules/preview", typed(), htmx=True)
    assert said.status_code == 200
    assert "Weekdays at 09:00, Europe/Paris" in said.text
    assert said.text.count("<li>") == 5
    assert "UTC+" in said.text
    refused = alice.post("/schedules/preview", typed(cron="99 * * * *", name=""), htmx=True).text
    assert "99" in refused and "<li>" not in refused
    once = alice.post("/schedules/preview", typed(trigger_type="schedule", run_at="2099-12-01T02:00"), htmx=True).text
    assert "Once, 1 Dec 2099 at 02:00" in once and once.count('class="off"') == 1
    assert "Say when" in alice.post("/schedules/preview", typed(cron=""), htmx=True).text
    assert schedules() == []


def test_without_javascript_a_form_can_be_checked_without_saving_it(alice: Browser, sync: Workflow) -> None:
    checked = alice.post("/schedules", typed(check="1"))
    assert checked.status_code == 200
    assert "Weekdays at 09:00, Europe/Paris" in checked.text
    assert value_of(checked.text, "name") == "Morning sync"
    assert (schedules(), audited()) == ([], [])


def test_the_payload_part_follows_the_workflow_and_keeps_what_was_written(alice: Browser, strict: Workflow) -> None:
    fresh = alice.post("/schedules/payload", typed(workflow="Strict sync", payload="{}", payload_start="{}"), htmx=True)
    assert 'name="payload/region"' in fresh.text
    assert "payload.Region.v1" in fresh.text
    written = alice.post("/schedules/payload", typed(workflow="Strict sync", payload='{"mine": 1}'), htmx=True)
    assert "{&#34;mine&#34;: 1}" in written.text
    assert 'name="payload/region"' not in written.text
    unknown = alice.post("/schedules/payload", typed(workflow="Nothing"), htmx=True).text
    assert "No workflow is called" in errors_at(unknown.replace(' hx-swap-oob="true"', ""), "workflow")


def test_a_workflow_of_the_clock_contract_asks_for_no_payload(alice: Browser, acme: Tenant, db: Any) -> None:
    clock = a_published_workflow(acme, "Heartbeat", draft_schema_ref="trigger.clock.v1")
    db.commit()
    page = alice.get(f"/schedules/new?workflow={clock.id}").text
    assert "There is nothing to fill in." in page
    assert "<textarea" not in page
    assert alice.post("/schedules", typed(workflow="Heartbeat", payload=None)).status_code == 303
    assert schedules()[0].payload_json == {}


def test_the_picker_searches_on_the_server_and_says_what_cannot_be_scheduled(
    alice: Browser, acme: Tenant, sync: Workflow, db: Any
) -> None:
    a_workflow(acme, "Invoice draft")
    a_published_workflow(acme, "Digest")
    db.commit()
    options = alice.get("/schedules/workflows?workflow=invoice", htmx=True).text
    assert re.findall(r'value="([^"]+)">([^<]+)<', options) == [
        ("Invoice sync", "v1"),
        ("Invoice draft", "not published"),
    ]


def test_the_same_form_sent_twice_makes_one_schedule_and_changed_another(alice: Browser, sync: Workflow) -> None:
    key = value_of(alice.get("/schedules/new").text, "request_key")
    assert key
    first = alice.post("/schedules", typed(request_key=key))
    again = alice.post("/schedules", typed(request_key=key))
    assert (first.status_code, again.status_code, again.location) == (303, 303, first.location)
    assert audited() == [("schedule.created", "changed")]
    assert alice.post("/schedules", typed(request_key=key, name="Evening sync")).status_code == 303
    assert [schedule.name for schedule in schedules()] == ["Morning sync", "Evening sync"]


def test_a_schedule_that_was_deleted_can_be_made_again_from_its_form(alice: Browser, sync: Workflow) -> None:
    made = alice.post("/schedules", typed(request_key="k1")).location
    assert alice.post(f"{made}/delete", {}).status_code == 303
    assert alice.post("/schedules", typed(request_key="k1")).status_code == 303
    assert [f"/schedules/{schedule.id}" == made for schedule in schedules()] == [False]


def test_a_refused_form_keeps_its_key(alice: Browser, sync: Workflow) -> None:
    refused = alice.post("/schedules", typed(request_key="k1", cron="99 * * * *"))
    assert value_of(refused.text, "request_key") == "k1"
    assert alice.post("/schedules", typed(request_key="k1")).status_code == 303
