"""The dialog of a schedule, for an endpoint of an extension: what it offers, refuses, keeps and tells."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from domain.accounts.permissions import OPERATOR
from domain.accounts.tenants import Tenant
from domain.extensions.installs import Install
from domain.runs.runs import Run
from tests.factories import NOW, a_published_workflow, a_user, an_extension, an_extension_version, an_install
from tests.web.cast import Browser, client_of
from tests.web.extension_pages import a_newer_version, a_sync_install, endpoint_id, typed_call, words_of
from tests.web.schedule_pages import audited, errors_at, is_chosen, run_count, schedules, summary, typed, value_of


@pytest.fixture
def install(acme: Tenant, db: Any) -> Install:
    made = a_sync_install(acme)
    db.commit()
    return made


def new_address(install: Install) -> str:
    return f"/schedules/new?extension={install.extension_id}"


def offered(page: str) -> list[str]:
    found = re.search(r'<select[^>]* name="endpoint".*?</select>', page, re.DOTALL)
    return re.findall(r"<option[^>]*>([^<]*)<", found[0]) if found else []


def chosen(page: str) -> str:
    found = re.search(r'<option selected value="[^"]*">([^<]*)<', page)
    return found[1] if found else ""


def test_it_offers_the_endpoints_of_the_installed_version_that_can_be_scheduled(
    alice: Browser, install: Install
) -> None:
    page = alice.get(new_address(install)).text
    assert offered(page) == ["Choose an endpoint", "GET /api/health", "POST /api/push", "POST /api/sync"]
    assert "Of com.acme.rmm-sync 1.0.0. 1 more of it cannot be scheduled" in words_of(page)
    assert value_of(page, "timezone") == "UTC"
    assert value_of(page, "max_attempts") == "3"
    assert is_chosen(page, "overlap", "skip") and is_chosen(page, "catch_up", "latest")
    assert 'name="workflow"' not in page
    assert alice.get(new_address(install), htmx=True).text.lstrip().startswith('<form class="panel"')


def test_without_a_name_and_without_javascript_it_is_called_by_its_endpoint(alice: Browser, install: Install) -> None:
    answer = alice.post("/schedules", typed_call(install))
    (made,) = schedules()
    assert (answer.status_code, answer.location) == (303, f"/schedules/{made.id}")
    assert (made.target_kind, made.name, made.is_named) == ("endpoint", "POST /api/push", False)
    assert (made.install_id, str(made.endpoint_id)) == (install.id, endpoint_id(install, "POST /api/push"))
    assert (made.payload_json, made.max_attempts, made.overlap, made.workflow_id) == (None, 3, "skip", None)
    assert (made.cron, made.timezone, made.status) == ("0 9 * * 1-5", "Europe/Paris", "active")
    assert audited() == [("schedule.created", "changed")]


def test_in_the_drawer_saving_closes_it_and_tells_the_card(alice: Browser, install: Install) -> None:
    answer = alice.post("/schedules", typed_call(install, name="Nightly push", place="drawer"), htmx=True)
    events = json.loads(answer.headers["HX-Trigger"])
    (made,) = schedules()
    assert (answer.status_code, made.name, made.is_named) == (204, "Nightly push", True)
    assert events["toast"]["href"] == f"/schedules/{made.id}"
    assert "schedules-changed" in events


def test_a_payload_is_sent_only_when_that_was_chosen(alice: Browser, install: Install) -> None:
    alice.post("/schedules", typed_call(install, payload='{"a": 1}'))
    alice.post("/schedules", typed_call(install, payload='[1, {"a": 2}]', has_body="y", cron="0 10 * * *"))
    alice.post("/schedules", typed_call(install, "GET /api/health", payload='{"a": 1}', has_body="y", max_attempts="1"))
    assert [(made.payload_json, made.max_attempts) for made in schedules()] == [
        (None, 3),
        ([1, {"a": 2}], 3),
        (None, 1),
    ]


def test_an_endpoint_with_a_request_schema_is_filled_in_as_a_form(alice: Browser, install: Install) -> None:
    part = alice.post("/schedules/payload", typed_call(install, "POST /api/sync"), htmx=True).text
    assert 'name="payload/region"' in part and 'id="endpoint-hint" hx-swap-oob="true"' in part
    assert "Request schema of POST /api/sync" in words_of(part)
    assert re.search(r'<input[^>]*checked[^>]*name="has_body"', part)
    drawn = {"payload-mode": "form", "payload-drawn": endpoint_id(install, "POST /api/sync"), "has_body": "y"}
    answer = alice.post("/schedules", typed_call(install, "POST /api/sync", **drawn, **{"payload/region": '"us"'}))
    assert (answer.status_code, [made.payload_json for made in schedules()]) == (303, [{"region": "us"}])


def test_another_endpoint_keeps_what_was_typed_and_a_get_sends_nothing(alice: Browser, install: Install) -> None:
    was = {"has_body": "y", "payload": '{"a": 1}', "payload-drawn": endpoint_id(install, "POST /api/push")}
    part = alice.post("/schedules/payload", typed_call(install, "GET /api/health", **was), htmx=True).text
    assert "A GET sends no payload." in part and "textarea" not in part
    kept = {"has_body": "y", "payload": value_of(part, "payload").replace("&#34;", '"')}
    kept["payload-drawn"] = value_of(part, "payload-drawn")
    assert json.loads(kept["payload"]) == {"a": 1}
    again = alice.post("/schedules/payload", typed_call(install, **kept), htmx=True).text
    assert re.search(r'<input[^>]*checked[^>]*name="has_body"', again) and "&#34;a&#34;: 1" in again


BAD = {
    "no endpoint": ({"called": ""}, "endpoint", "Choose the endpoint to call."),
    "an endpoint of nobody": ({"endpoint": "0198c0de-0000-7000-8000-000000000000"}, "endpoint", "Choose the endpoint"),
    "one that cannot be": ({"called": "GET /api/devices/:id"}, "endpoint", "cannot do"),
    "too often": ({"cron": "*/4 * * * *"}, "cron", "300 seconds"),
    "too often said otherwise": ({"cron": "0,1,2 * * * *"}, "cron", "300 seconds"),
    "no JSON": ({"has_body": "y", "payload": "{a: 1}"}, "payload", "not valid JSON"),
    "a number": ({"has_body": "y", "payload": "3"}, "payload", "object"),
    "nothing to send": ({"has_body": "y", "payload": " "}, "payload", "Type the JSON that is sent"),
    "what the schema refuses": (
        {"called": "POST /api/sync", "has_body": "y", "payload": '{"region": "mars"}'},
        "payload",
        "/region",
    ),
    "too large": ({"has_body": "y", "payload": '{"a": "' + "x" * 100_000 + '"}'}, "payload", "100,000 bytes"),
    "eleven tries": ({"max_attempts": "11"}, "max_attempts", "10"),
    "no tries": ({"max_attempts": "0"}, "max_attempts", "1"),
    "a long name": ({"name": "n" * 129}, "name", "at most 128 characters"),
}


@pytest.mark.parametrize("htmx", [False, True], ids=["page", "fragment"])
@pytest.mark.parametrize(("change", "field", "said"), BAD.values(), ids=BAD.keys())
def test_a_refusal_stands_at_its_field_and_keeps_what_was_typed(
    alice: Browser, install: Install, htmx: bool, change: dict[str, Any], field: str, said: str
) -> None:
    answer = alice.post("/schedules", typed_call(install, **{"name": "Kept"} | change), htmx=htmx)
    assert answer.status_code == 422
    assert said in errors_at(answer.text, field)
    assert said in summary(answer.text)
    assert value_of(answer.text, "name") == change.get("name", "Kept")
    assert schedules() == []


def test_a_name_is_its_own_within_the_install(alice: Browser, install: Install) -> None:
    for _ in range(2):
        answer = alice.post("/schedules", typed_call(install, name="Push", request_key=""))
    assert (answer.status_code, len(schedules())) == (422, 1)
    assert "Choose another name" in errors_at(answer.text, "name")


def test_two_without_a_name_may_call_the_same_endpoint(alice: Browser, install: Install) -> None:
    assert [alice.post("/schedules", typed_call(install)).status_code for _ in range(2)] == [303, 303]
    assert [made.name for made in schedules()] == ["POST /api/push"] * 2


def test_editing_begins_with_what_is_stored_and_changes_what_was_changed(alice: Browser, install: Install) -> None:
    alice.post("/schedules", typed_call(install, payload='{"a": 1}', has_body="y", max_attempts="5"))
    (made,) = schedules()
    page = alice.get(f"/schedules/{made.id}/edit").text
    assert (chosen(page), value_of(page, "name"), value_of(page, "max_attempts")) == ("POST /api/push", "", "5")
    assert "up to 5 tries" in page and "&#34;a&#34;: 1" in page
    changed = typed_call(install, "GET /api/health", revision="1", name="Health", payload='{"a": 1}', has_body="y")
    said = words_of(alice.post(f"/schedules/{made.id}/what-if", changed, htmx=True).text)
    assert "It calls GET /api/health from now on, instead of POST /api/push." in said
    assert "The new payload goes into every run" in said and "How often a call is tried changes" in said
    assert alice.post(f"/schedules/{made.id}/edit", changed).status_code == 303
    (made,) = schedules()
    assert (made.name, made.is_named, made.payload_json, made.max_attempts) == ("Health", True, None, 3)
    assert str(made.endpoint_id) == endpoint_id(install, "GET /api/health")


def test_what_opens_unchanged_changes_nothing(alice: Browser, install: Install) -> None:
    alice.post("/schedules", typed_call(install))
    (made,) = schedules()
    form = typed_call(install, revision="1")
    assert words_of(alice.post(f"/schedules/{made.id}/what-if", form, htmx=True).text) == ""


def test_somebody_elses_edit_is_shown_beside_ones_own(alice: Browser, install: Install) -> None:
    alice.post("/schedules", typed_call(install))
    (made,) = schedules()
    alice.post(f"/schedules/{made.id}/edit", typed_call(install, revision="1", payload="[]", has_body="y"))
    answer = alice.post(f"/schedules/{made.id}/edit", typed_call(install, "GET /api/health", revision="1"))
    said = words_of(answer.text)
    assert answer.status_code == 409
    assert "Endpoint POST /api/push" in said and "Send a payload yes" in said


def test_a_schedule_stays_of_its_kind(alice: Browser, install: Install, acme: Tenant, db: Any) -> None:
    a_published_workflow(acme)
    db.commit()
    alice.post("/schedules", typed_call(install))
    (made,) = schedules()
    answer = alice.post(f"/schedules/{made.id}/edit", typed(revision="1"))
    assert (answer.status_code, errors_at(answer.text, "endpoint")) == (422, "Choose the endpoint to call.")
    assert schedules()[0].target_kind == "endpoint"


def test_a_stale_endpoint_says_so_and_another_one_heals_it(alice: Browser, install: Install, db: Any) -> None:
    alice.post("/schedules", typed_call(install, enabled=None))
    a_newer_version(install, "POST /api/new")
    db.commit()
    (made,) = schedules()
    page = alice.get(f"/schedules/{made.id}/edit").text
    assert offered(page) == ["POST /api/new", "POST /api/push (not in 2.0.0)"]
    assert chosen(page) == "POST /api/push (not in 2.0.0)"
    assert "Version 2.0.0 has no POST /api/push. Choose another one; until then it cannot be enabled." in words_of(page)
    stale = typed_call(install, "", endpoint=str(made.endpoint_id), revision="1")
    refused = alice.post(f"/schedules/{made.id}/edit", stale)
    assert refused.status_code == 422 and "POST /api/push is not of version 2.0.0" in errors_at(
        refused.text, "endpoint"
    )
    healed = alice.post(f"/schedules/{made.id}/edit", typed_call(install, "POST /api/new", revision="1"))
    assert healed.status_code == 303
    assert (schedules()[0].name, schedules()[0].status) == ("POST /api/new", "active")


def test_who_types_during_an_upgrade_gets_the_endpoint_that_took_its_place(
    alice: Browser, install: Install, db: Any
) -> None:
    form = typed_call(install)
    a_newer_version(install, "GET /api/health", "POST /api/push")
    db.commit()
    assert alice.post("/schedules", form).status_code == 303
    assert str(schedules()[0].endpoint_id) == endpoint_id(install, "POST /api/push") != form["endpoint"]


def test_a_copy_begins_with_everything_and_starts_paused(alice: Browser, install: Install) -> None:
    alice.post("/schedules", typed_call(install, name="Push", payload='{"a": 1}', has_body="y", max_attempts="5"))
    (made,) = schedules()
    page = alice.get(f"/schedules/new?like={made.id}").text
    assert (value_of(page, "name"), chosen(page), value_of(page, "max_attempts")) == (
        "Push (copy)",
        "POST /api/push",
        "5",
    )
    assert "&#34;a&#34;: 1" in page and value_of(page, "extension") == str(install.extension_id)
    alice.post("/schedules", typed_call(install, name="Push (copy)", like=str(made.id), enabled=None))
    assert [(one.name, one.status) for one in schedules()] == [("Push", "active"), ("Push (copy)", "paused")]


def test_what_is_typed_can_be_rehearsed_before_it_is_saved(
    alice: Browser, install: Install, has_runner: None, db: Any
) -> None:
    form = typed_call(install, payload='{"a": 1}', has_body="y", rehearse="1", rehearsal_key="k", name="")
    answer = alice.post("/schedules", form, htmx=True)
    assert answer.status_code == 200 and "Rehearsal" in answer.text
    (run,) = db.scalars(select(Run))
    assert (run.target_kind, run.is_rehearsal, run.input_json, run.install_id) == (
        "endpoint",
        True,
        {"a": 1},
        install.id,
    )
    assert (schedules(), run_count()) == ([], 1)


def test_the_timing_follows_what_is_typed_and_knows_the_smaller_gap(alice: Browser, install: Install) -> None:
    assert (
        "Every 5 minutes" in alice.post("/schedules/preview", typed_call(install, cron="*/5 * * * *"), htmx=True).text
    )
    refused = alice.post("/schedules/preview", typed_call(install, cron="*/4 * * * *"), htmx=True)
    assert "at least 300 seconds must lie between two runs" in words_of(refused.text)
    assert "Every 5" in alice.post("/schedules/when", typed_call(install, cron="*/5 * * * *"), htmx=True).text


def test_where_nothing_can_be_scheduled_the_dialog_says_why(alice: Browser, acme: Tenant, db: Any) -> None:
    absent = an_extension_version(an_extension(acme, "com.acme.absent"))
    nothing = a_sync_install(acme, ["PUT /api/sync"])
    db.commit()
    page = words_of(alice.get(f"/schedules/new?extension={absent.extension_id}").text)
    assert "com.acme.absent is not installed. Install it" in page and "Save schedule" not in page
    page = words_of(alice.get(new_address(nothing)).text)
    assert "No endpoint of version 1.0.0 can be scheduled. Only GET and POST" in page
    nothing.disabled_at, nothing.disable_reason = NOW, "It is broken"
    db.commit()
    page = words_of(alice.get(new_address(nothing)).text)
    assert "com.acme.rmm-sync is disabled: It is broken. Enable it first." in page


def test_what_was_typed_when_the_extension_was_disabled_is_not_lost(alice: Browser, install: Install, db: Any) -> None:
    form = typed_call(install, name="Kept")
    install.disabled_at = NOW
    db.commit()
    answer = alice.post("/schedules", form)
    assert (answer.status_code, value_of(answer.text, "name")) == (422, "Kept")
    assert "is disabled. Enable it first." in errors_at(answer.text, "endpoint")


def test_only_who_may_change_extensions_may_open_or_send_it(
    app: Flask, acme: Tenant, alice: Browser, bob: Browser, charlie: Browser, install: Install
) -> None:
    alice.post("/schedules", typed_call(install))
    (made,) = schedules()
    oscar = client_of(app, a_user(acme, "oscar@acme.test", OPERATOR), acme)
    for person in (bob, oscar):
        opened = [person.get(address) for address in (new_address(install), f"/schedules/new?like={made.id}")]
        opened += [person.get(f"/schedules/{made.id}/edit"), person.post("/schedules", typed_call(install))]
        opened += [
            person.post("/schedules/payload", typed_call(install)),
            person.post("/schedules/preview", typed_call(install)),
        ]
        opened.append(person.post(f"/schedules/{made.id}/edit", typed_call(install, revision="1", name="Taken over")))
        assert {answer.status_code for answer in opened} == {403}
    theirs = [charlie.get(new_address(install)), charlie.post("/schedules", typed_call(install))]
    assert {answer.status_code for answer in theirs} == {404}
    assert [one.name for one in schedules()] == ["POST /api/push"]


@pytest.mark.parametrize("rehearse", [None, "1"], ids=["saved", "rehearsed"])
def test_secrets_of_a_call_go_to_no_workflow_and_no_other_extension(
    alice: Browser, acme: Tenant, has_runner: None, db: Any, rehearse: str | None
) -> None:
    schema = {"type": "object", "properties": {"token": {"type": "string", "x-secret": True}}}
    guarded = [{"method": "POST", "path": "/api/push", "handler": "dist/main", "requestSchema": schema}]
    install = a_sync_install(acme, guarded)
    a_published_workflow(acme, "Collector", schema=schema)
    other = an_install(acme, an_extension_version(an_extension(acme, "com.acme.other"), endpoints=guarded))
    db.commit()
    alice.post("/schedules", typed_call(install, payload='{"token": "purple-tortoise"}', has_body="y"))
    (made,) = schedules()
    copied = {"payload": '{"token": {"$kept": true}}', "like": str(made.id), "name": "Copy", "rehearse": rehearse}
    for form in (typed(workflow="Collector", **copied), typed_call(other, has_body="y", **copied)):
        answer = alice.post("/schedules", form)
        assert answer.status_code == 422 and "Type the value again" in words_of(answer.text)
    assert [one.id for one in schedules()] == [made.id] and run_count() == 0
    same = alice.post("/schedules", typed_call(install, has_body="y", **copied))
    assert same.status_code == (200 if rehearse else 303)
