"""The schedules on the page of an extension: each with what it calls, when, how it went, and what can be done about it."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from domain.accounts.permissions import OPERATOR
from domain.accounts.tenants import COMMUNITY, Tenant
from domain.extensions.installs import Install
from domain.runs.runs import Run
from domain.schedules.cursors import ScheduleCursor
from domain.schedules.occurrences import Occurrence
from domain.schedules.schedules import Schedule
from tests.factories import NOW, a_user, an_extension, an_extension_version
from tests.statements import counted
from tests.web.cast import Browser, client_of
from tests.web.extension_pages import a_newer_version, a_sync_install, typed_call, words_of
from tests.web.schedule_pages import FAR, run_count, schedules


@pytest.fixture
def install(acme: Tenant, db: Any) -> Install:
    made = a_sync_install(acme)
    db.commit()
    return made


def address(install: Any) -> str:
    return f"/settings/extensions/{install.extension_id}/schedules"


def a_call_schedule(alice: Browser, install: Install, db: Any, called: str = "POST /api/push", **form: Any) -> Schedule:
    """Made with the dialog; its next fire is far away."""
    assert alice.post("/schedules", typed_call(install, called, **form)).status_code == 303
    made = schedules()[-1]
    cursor = db.get(ScheduleCursor, made.id)
    cursor.next_fire_at = FAR
    cursor.wake_at = FAR if made.status == "active" else None
    db.commit()
    return made


def a_call_run(schedule: Schedule, db: Any, status: str = "succeeded", error: str | None = None) -> Run:
    """Of an instant that was due at `NOW` and took 1.2 seconds."""
    at = NOW - timedelta(hours=1)
    run = Run(tenant_id=schedule.tenant_id, schedule_id=schedule.id, target_kind="endpoint", lane="call", status=status)
    run.install_id, run.endpoint_id, run.started_by, run.input_json = (
        schedule.install_id,
        schedule.endpoint_id,
        "schedule",
        None,
    )
    run.extension_version_id = db.get(Install, schedule.install_id).version_id
    run.ready_at, run.started_at, run.finished_at = at, at, at + timedelta(seconds=1.2)
    db.add(run)
    db.flush()
    db.add(
        Occurrence(
            id=run.id,
            tenant_id=schedule.tenant_id,
            schedule_id=schedule.id,
            scheduled_for=at,
            outcome="fired",
            origin_key="timing",
            decided_at=at,
        )
    )
    cursor = db.get(ScheduleCursor, schedule.id)
    cursor.last_fire_at, cursor.last_finished_at, cursor.last_run_status, cursor.last_error = at, at, status, error
    db.commit()
    return run


def card(browser: Browser, install: Any) -> str:
    answer = browser.get(address(install), htmx=True)
    assert answer.status_code == 200
    assert answer.text.lstrip().startswith('<section class="sheet" id="extension-schedules"')
    return answer.text


def actions(page: str) -> list[str]:
    """What can be pressed, in order."""
    found = re.findall(r"<(?:button|a)\b[^>]*>(.*?)</(?:button|a)>", page, re.DOTALL)
    return [word for text in found if (word := re.sub(r"<[^>]+>", "", text).strip())]


def test_the_page_loads_its_schedules_by_itself_and_leads_to_them_without_scripts(
    alice: Browser, install: Install
) -> None:
    page = alice.get(f"/settings/extensions/{install.extension_id}").text
    assert f'hx-get="{address(install)}" hx-trigger="load, every 10s"' in page
    assert "Loading the schedules…" in page
    assert f'<noscript><a href="{address(install)}">' in page
    whole = alice.get(address(install)).text
    assert whole.lstrip().startswith("<!doctype html>") and 'id="extension-schedules"' in whole


def test_each_says_what_it_calls_when_and_how_it_went(
    alice: Browser, install: Install, has_runner: None, db: Any
) -> None:
    run = a_call_run(a_call_schedule(alice, install, db, name="Nightly push"), db)
    a_call_schedule(alice, install, db, "GET /api/health", cron="0 10 * * *")
    page = card(alice, install)
    said = words_of(page)
    assert "Schedules 2 of at most 50" in said
    assert "Nightly push Active" in said and "GET /api/health Active" in said
    assert "Calls POST /api/push" in said
    assert "0 9 * * 1-5 · Europe/Paris" in said
    assert re.search(r"Last run Succeeded .* · 1\.2 s", said) and f'href="/runs/{run.id}"' in page
    assert "Last run never" in said
    assert 'aria-label="Last 1: 1 ok"' in page
    assert re.search(r"Next in \d+ d", said)
    assert "schedules-changed from:body" in page


def test_the_last_error_stands_there_to_be_copied(alice: Browser, install: Install, db: Any) -> None:
    schedule = a_call_schedule(alice, install, db)
    a_call_run(schedule, db, "failed", "The endpoint answered 500: <b>no disk</b>")
    page = card(alice, install)
    assert "The endpoint answered 500: &lt;b&gt;no disk&lt;/b&gt;" in page
    assert f'data-copy="last-error-{schedule.id}" aria-label="Copy Last error"' in page
    assert "Last run Failed" in words_of(page)


def test_what_can_be_done_follows_the_state(alice: Browser, install: Install, db: Any) -> None:
    made = a_call_schedule(alice, install, db)
    assert actions(card(alice, install)) == [
        "In Schedules", "Add schedule", "POST /api/push", "Run now", "Disable", "Edit", "Duplicate…", "Delete…",
    ]  # fmt: skip
    alice.post(f"/schedules/{made.id}/pause", {"ends": "open"})
    assert (schedules()[0].status, schedules()[0].pause_reason) == ("paused", None)
    assert actions(card(alice, install))[3:5] == ["Run now", "Enable"]
    alice.post(f"/schedules/{made.id}/resume")
    assert schedules()[0].status == "active"
    alice.post(f"/schedules/{made.id}/delete")
    assert "No schedules yet" in card(alice, install)


def test_pressing_run_now_twice_is_one_run(alice: Browser, install: Install, db: Any, has_runner: None) -> None:
    made = a_call_schedule(alice, install, db)
    key = re.findall(r'name="request_key" value="([^"]+)"', card(alice, install))[0]
    for _ in range(2):
        answer = alice.post(f"/schedules/{made.id}/run-now", {"request_key": key}, htmx=True)
        assert answer.status_code == 204
    assert run_count() == 1


def test_a_disabled_extension_holds_its_schedules_and_says_so(alice: Browser, install: Install, db: Any) -> None:
    a_call_schedule(alice, install, db)
    install.disabled_at, install.disable_reason = NOW, "It is broken"
    db.commit()
    page = card(alice, install)
    assert "com.acme.rmm-sync is disabled: It is broken. Enable it first." in words_of(page)
    assert "Until then its schedules are held" in words_of(page)
    assert not {"Run now", "Enable", "Add schedule"} & set(actions(page))
    assert {"Disable", "Edit", "Delete…"} <= set(actions(page))


def test_a_stale_endpoint_asks_for_another_one(alice: Browser, install: Install, db: Any) -> None:
    made = a_call_schedule(alice, install, db, enabled=None)
    a_newer_version(install, "POST /api/new")
    db.commit()
    page = card(alice, install)
    assert "POST /api/push Paused Stale endpoint" in words_of(page)
    assert not {"Run now", "Enable"} & set(actions(page))
    assert re.search(rf'href="/schedules/{made.id}/edit" data-dialog class="btn btn-sm btn-primary"', page)


def test_without_any_schedule_it_says_why_and_what_helps(alice: Browser, bob: Browser, acme: Tenant, db: Any) -> None:
    ready = a_sync_install(acme)
    db.commit()
    page = card(alice, ready)
    assert "No schedules yet" in page and f'href="/schedules/new?extension={ready.extension_id}" data-dialog' in page
    assert "Someone with the role admin can add one." in card(bob, ready)
    ready.disabled_at = NOW
    db.commit()
    assert "None can be added while the extension is disabled." in card(alice, ready)


def test_where_nothing_can_be_scheduled_the_reason_stands_there(alice: Browser, acme: Tenant, db: Any) -> None:
    nothing = a_sync_install(acme, ["PUT /api/sync", "GET /api/devices/:id"])
    absent = an_extension_version(an_extension(acme, "com.acme.absent"))
    empty = an_extension_version(an_extension(acme, "com.acme.empty"), endpoints=[])
    db.commit()
    page = card(alice, nothing)
    assert "No endpoint of version 1.0.0 can be scheduled." in page and "Add schedule" not in page
    assert "com.acme.absent is not installed." in card(alice, absent)
    assert empty.endpoints_at is not None


def test_without_a_runner_it_says_that_nothing_can_be_called(
    alice: Browser, install: Install, db: Any, request: pytest.FixtureRequest
) -> None:
    a_call_schedule(alice, install, db)
    assert "This installation has no runner" in card(alice, install)
    request.getfixturevalue("has_runner")
    assert "This installation has no runner" not in card(alice, install)


def test_who_may_not_change_extensions_reads(
    app: Flask, acme: Tenant, alice: Browser, bob: Browser, charlie: Browser, install: Install, db: Any
) -> None:
    a_call_schedule(alice, install, db)
    oscar = client_of(app, a_user(acme, "oscar@acme.test", OPERATOR), acme)
    for person in (bob, oscar):
        assert actions(card(person, install)) == ["In Schedules", "POST /api/push"]
    assert charlie.get(address(install)).status_code == 404


def test_an_edition_without_schedules_says_so(alice: Browser, acme: Tenant, install: Install, db: Any) -> None:
    acme.edition = COMMUNITY
    db.commit()
    assert "They belong to the enterprise edition." in card(alice, install)


def test_it_costs_a_fixed_number_of_statements(alice: Browser, install: Install, db: Any) -> None:
    a_call_run(a_call_schedule(alice, install, db), db)
    with counted() as few:
        card(alice, install)
    for hour in range(3):
        a_call_run(a_call_schedule(alice, install, db, cron=f"0 {hour} * * *"), db)
    with counted() as many:
        card(alice, install)
    assert len(many) == len(few)
