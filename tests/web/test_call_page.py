"""The page of a run that calls an extension's endpoint: what was called, every call, what was answered."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from domain.accounts.tenants import Tenant
from domain.extensions.installs import Install
from domain.runs.runs import Run
from domain.runs.waits import Wait
from tests.calls import a_call_run, a_call_schedule, an_invocation
from tests.factories import NOW, a_published_workflow, a_run, a_step, an_install
from tests.statements import counted
from tests.web.cast import Browser


@pytest.fixture
def install(acme: Tenant, db: Any) -> Install:
    return an_install(acme)


def words_of(html: str) -> str:
    said = re.sub(r"<[^>]+>", " ", html.partition("<main")[2] or html)
    return re.sub(r" (?=[,.:])", "", re.sub(r"\s+", " ", said))


def said_by(browser: Browser, run: Run) -> str:
    return words_of(browser.get(f"/runs/{run.id}").text)


def test_the_page_says_what_was_called_and_how_each_call_ended(alice: Browser, install: Install) -> None:
    schedule = a_call_schedule(install)
    run = a_call_run(install, "succeeded", schedule_id=schedule.id, started_by="recurring", input_json={"full": True})
    failure = {"error_code": "RUNNER_HTTP_ERROR", "error": "The runner answered with HTTP 503.", "http_status": 503}
    an_invocation(run, "failed", trigger="schedule", **failure)
    an_invocation(run, attempt=2, trigger="schedule", response_excerpt='{"synced": 42}')
    page = alice.get(f"/runs/{run.id}").text
    said = words_of(page)
    assert re.search(r'<h1>POST /api/sync</h1>.*?<span class="tag">com.acme.rmm-sync 1.0.0</span>', page, re.DOTALL)
    assert "Failed · the runner answered HTTP 503 · 180 ms attempt 1, on schedule, 2 Mar 2026 10:00 UTC" in said
    assert "The runner answered with HTTP 503. Copy" not in said and 'aria-label="Copy the error of attempt 1"' in page
    assert "RUNNER_HTTP_ERROR" in said
    assert "Succeeded · answered 200 · 180 ms attempt 2, on schedule" in said
    assert "{&#34;synced&#34;: 42}" in page
    assert "&#34;full&#34;: true" in page and "Body of the request" in said
    assert f'<a href="/settings/extensions/{install.extension_id}">com.acme.rmm-sync</a> 1.0.0' in page
    assert "Steps" not in said and "Run with changes" not in said and "Run again" in said


def test_a_call_by_hand_a_lost_one_and_one_not_sent_say_so(alice: Browser, install: Install) -> None:
    error = {"code": "INSTALL_DISABLED", "message": "com.acme.rmm-sync is disabled.", "category": "final"}
    run = a_call_run(install, "failed", "GET /api/health", error=error)
    an_invocation(run, "lost")
    an_invocation(run, "not_sent", 2, error_code="INSTALL_DISABLED", error=error["message"])
    page = alice.get(f"/runs/{run.id}").text
    said = words_of(page)
    assert "Outcome unknown · 180 ms attempt 1, by hand" in said
    assert "Its worker was lost before the answer was on record." in said
    assert "Not sent · 180 ms attempt 2, by hand" in said
    assert "It sent no body." in said
    assert '<b id="run-error">com.acme.rmm-sync is disabled.</b>' in page and 'data-copy="run-error"' in page


def test_between_two_calls_it_says_when_the_next_one_is_made(alice: Browser, install: Install, db: Any) -> None:
    run = a_call_run(install, "waiting")
    assert "Nothing has been called yet." in said_by(alice, run)
    a_step(run, status="waiting", finished_at=None)
    an_invocation(run, "failed", error_code="RUNNER_TIMEOUT", error="No answer within 30 s.")
    wait = Wait(tenant_id=run.tenant_id, run_id=run.id, kind="retry", step_path="root.steps[0]", iteration="")
    wait.attempt, wait.opened_at, wait.due_at, wait.status = 1, NOW, NOW + timedelta(days=3650), "open"
    db.add(wait)
    db.flush()
    assert "attempt 2" in said_by(alice, run)
    assert "RUNNER_TIMEOUT" in said_by(alice, run)


def test_a_run_of_what_was_uninstalled_stays_readable_and_is_not_offered_again(
    alice: Browser, install: Install, db: Any
) -> None:
    run = a_call_run(install)
    assert "Run again" in said_by(alice, run)
    install.deleted_at = NOW
    db.flush()
    said = said_by(alice, run)
    assert "com.acme.rmm-sync 1.0.0 (uninstalled since)" in said
    assert "Run again" not in said


def test_a_step_of_a_workflow_shows_the_calls_it_made(alice: Browser, acme: Tenant, install: Install, db: Any) -> None:
    run = a_run(a_published_workflow(acme))
    a_step(run)
    a_step(run, "root.steps[1]", position=1)
    other = a_call_run(install)
    call = an_invocation(other, response_excerpt="of the first step")
    call.run_id = run.id
    db.flush()
    shown = alice.get(f"/runs/{run.id}?step=root.steps[0]").text
    assert "of the first step" in shown and "attempt 1, by hand" in words_of(shown)
    assert "of the first step" not in alice.get(f"/runs/{run.id}?step=root.steps[1]").text


def test_nobody_else_reads_it_and_a_viewer_changes_nothing(
    alice: Browser, bob: Browser, charlie: Browser, install: Install
) -> None:
    run = a_call_run(install, "running")
    assert charlie.get(f"/runs/{run.id}").status_code == 404
    assert "Cancel run" not in said_by(bob, run) and "Cancel run" in said_by(alice, run)
    assert bob.get(f"/runs/{run.id}/cancel").status_code == 403


def test_the_page_takes_as_many_statements_for_ten_calls_as_for_one(alice: Browser, install: Install) -> None:
    run = a_call_run(install)
    an_invocation(run)
    with counted() as one:
        alice.get(f"/runs/{run.id}")
    for attempt in range(2, 11):
        an_invocation(run, attempt=attempt)
    with counted() as ten:
        assert "attempt 10," in alice.get(f"/runs/{run.id}").text
    assert len(one) == len(ten)
