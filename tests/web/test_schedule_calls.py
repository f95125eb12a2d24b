"""Schedules that call an extension's endpoint, on the screens: in the list, on their page, and steered by who may."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask

from domain.accounts.permissions import OPERATOR
from domain.accounts.tenants import Tenant
from domain.extensions.installs import Install
from domain.kernel.db import db as database
from domain.schedules.occurrences import Occurrence
from domain.schedules.schedules import Schedule
from domain.workflows.workflows import Workflow
from tests.calls import a_call_run, a_call_schedule, an_invocation
from tests.factories import (
    NOW,
    a_published_workflow,
    a_user,
    an_endpoint,
    an_extension_version,
    an_install,
)
from tests.statements import counted
from tests.web.cast import Browser, client_of
from tests.web.schedule_pages import FAR, a_quiet_schedule, audited, run_count, schedules, shown_names


@pytest.fixture
def install(acme: Tenant, db: Any) -> Install:
    return an_install(acme)


@pytest.fixture
def sync(acme: Tenant, db: Any) -> Workflow:
    return a_published_workflow(acme)


@pytest.fixture
def omar(app: Flask, acme: Tenant) -> Browser:
    """An operator: workflows are theirs to steer, extensions to see."""
    return client_of(app, a_user(acme, "omar@acme.test", OPERATOR), acme)


def a_quiet_call(install: Install, name: str = "Nightly call", **values: Any) -> Schedule:
    schedule = a_call_schedule(install, name, **{"next_fire_at": FAR} | values)
    database.session.commit()
    return schedule


def words_of(html: str) -> str:
    said = re.sub(r"<[^>]+>", " ", html.partition("<main")[2] or html)
    return re.sub(r" (?=[,.:])", "", re.sub(r"\s+", " ", said))


def an_occurrence(schedule: Schedule, run_id: Any) -> None:
    row = Occurrence(tenant_id=schedule.tenant_id, schedule_id=schedule.id, scheduled_for=NOW, origin_key="timing")
    row.id, row.outcome, row.decided_at = run_id, "fired", NOW
    database.session.add(row)
    database.session.commit()


# The list


def test_the_list_says_what_each_schedule_runs_and_is_narrowed_to_a_kind(
    alice: Browser, install: Install, sync: Workflow
) -> None:
    a_quiet_schedule(sync)
    a_quiet_call(install)
    a_quiet_call(install, "", called="GET /api/health")
    page = alice.get("/schedules?sort=name").text
    assert shown_names(page) == ["GET /api/health", "Morning sync", "Nightly call"]
    assert '<span class="mono">POST /api/sync</span> <span class="ver">com.acme.rmm-sync</span>' in page
    assert '<span class="mono">GET /api/health</span>' not in page
    assert shown_names(alice.get("/schedules?target=workflow").text) == ["Morning sync"]
    only = alice.get("/schedules?target=endpoint&sort=name", htmx=True, headers={"HX-Trigger": "schedule-filters"})
    assert shown_names(only.text) == ["GET /api/health", "Nightly call"]
    assert "target=endpoint" in only.headers["HX-Replace-Url"]
    for typed in ("nightly", "api/sync", "rmm"):
        assert "Nightly call" in shown_names(alice.get(f"/schedules?q={typed}").text)
    assert (
        "Nothing fits the status invalid and the target endpoints."
        in alice.get("/schedules?target=endpoint&status=invalid").text
    )


def test_what_is_held_is_not_called_active_in_the_list_nor_on_its_page(
    alice: Browser, acme: Tenant, install: Install
) -> None:
    schedule = a_quiet_call(install)
    assert "Extension disabled" not in alice.get("/schedules").text
    install.disabled_at, install.disable_reason = NOW, "audit"
    database.session.commit()
    for path in ("/schedules", f"/schedules/{schedule.id}"):
        page = alice.get(path).text
        assert re.search(r'class="state held[^>]*>.*?Extension disabled</span>', page), path
        assert not re.search(r'class="state ok[^>]*>.*?Active</span>', page), path
    page = alice.get(f"/schedules/{schedule.id}").text
    assert "Does not fire: com.acme.rmm-sync is disabled: audit." in page
    assert f'<a href="/settings/extensions/{install.extension_id}">Open extension</a>' in page


def test_a_stale_endpoint_is_named_in_the_list_and_on_the_page_and_leads_to_another_choice(
    alice: Browser, bob: Browser, install: Install
) -> None:
    schedule = a_quiet_call(install, status="paused", pause_reason="not in 2.0.0")
    extension = schedule_extension(install)
    install.version_id = an_extension_version(extension, "2.0.0", ["GET /api/health"]).id
    database.session.commit()
    assert re.search(
        r"Paused</span> <span class=\"minor\"><span class=\"state held\">.*?Stale endpoint",
        alice.get("/schedules").text,
    )
    page = alice.get(f"/schedules/{schedule.id}").text
    assert "Stale endpoint" in page
    assert f'<a href="/schedules/{schedule.id}/edit" data-dialog>Choose another endpoint</a>' in page
    assert "Choose another endpoint" not in bob.get(f"/schedules/{schedule.id}").text


def schedule_extension(install: Install) -> Any:
    from domain.extensions.extensions import Extension

    return database.session.get_one(Extension, install.extension_id)


# Its page


def test_the_page_says_what_is_called_how_often_it_is_tried_and_its_last_error_to_be_copied(
    alice: Browser, install: Install
) -> None:
    schedule = a_quiet_call(install, max_attempts=5)
    page = alice.get(f"/schedules/{schedule.id}").text
    said = words_of(page)
    assert "calls POST /api/sync of com.acme.rmm-sync" in said
    assert f'<a href="/settings/extensions/{install.extension_id}">com.acme.rmm-sync</a>' in page
    assert "Attempts at most 5" in said and "Skips while a run is going" in said
    assert 'data-copy="last-error"' not in page
    from domain.schedules.cursors import ScheduleCursor

    cursor = database.session.get_one(ScheduleCursor, schedule.id)
    cursor.last_run_status, cursor.last_error = "failed", "The endpoint answered 503: try later"
    database.session.commit()
    failing = alice.get(f"/schedules/{schedule.id}").text
    assert 'data-copy="last-error"' in failing
    assert re.search(r'<pre id="last-error"[^>]*>The endpoint answered 503: try later</pre>', failing)


def test_its_history_shows_every_occurrence_with_each_of_its_calls(alice: Browser, install: Install) -> None:
    schedule = a_quiet_call(install)
    run = a_call_run(install, schedule_id=schedule.id, started_by="recurring")
    an_invocation(run, "failed", trigger="schedule", error_code="RUNNER_TIMEOUT", error="No answer within 30 s.")
    an_invocation(run, attempt=2, trigger="schedule", response_excerpt="synced 42 devices")
    an_occurrence(schedule, run.id)
    said = words_of(alice.get(f"/schedules/{schedule.id}").text)
    assert "2 calls, the last succeeded" in said
    for told in ("attempt 1, on schedule", "RUNNER_TIMEOUT", "answered 200 · 180 ms attempt 2", "synced 42 devices"):
        assert told in said
    calls = words_of(alice.get(f"/schedules/{schedule.id}?tab=calls").text)
    assert calls.index("attempt 2, on schedule") < calls.index("attempt 1, on schedule")
    assert "open run" in calls
    runs = words_of(alice.get(f"/schedules/{schedule.id}?tab=runs").text)
    assert "Succeeded 1.0.0" in runs


def test_calls_are_shown_a_page_at_a_time(alice: Browser, install: Install) -> None:
    schedule = a_quiet_call(install)
    assert "It has called nothing yet." in alice.get(f"/schedules/{schedule.id}?tab=calls").text
    run = a_call_run(install, schedule_id=schedule.id)
    for number in range(21):
        an_invocation(run, iteration=str(number), response_excerpt=f"answer {number}.")
    database.session.commit()
    first = alice.get(f"/schedules/{schedule.id}?tab=calls").text
    assert "answer 20." in first and "answer 0." not in first
    older = re.search(r'rel="next" href="([^"]+)"', first)
    assert older is not None
    second = alice.get(older[1].replace("&amp;", "&")).text
    assert "answer 0." in second and "answer 1." not in second.replace("answer 1x", "")


def test_the_list_and_the_page_take_as_many_statements_for_many_as_for_one(alice: Browser, install: Install) -> None:
    schedule = a_quiet_call(install)

    def cost(path: str) -> int:
        with counted() as statements:
            assert alice.get(path).status_code == 200
        return len(statements)

    def a_call(number: int) -> None:
        run = a_call_run(install, schedule_id=schedule.id, started_by="recurring")
        an_invocation(run)
        row = Occurrence(tenant_id=schedule.tenant_id, schedule_id=schedule.id, origin_key="timing")
        row.id, row.outcome, row.decided_at, row.scheduled_for = run.id, "fired", NOW, NOW.replace(minute=number)
        database.session.add(row)
        database.session.commit()

    a_call(1)
    cost("/schedules")
    before = cost("/schedules"), cost(f"/schedules/{schedule.id}")
    for number in range(2, 12):
        a_call(number)
        a_quiet_call(install, f"S{number}")
    assert (cost("/schedules"), cost(f"/schedules/{schedule.id}")) == before


# Who may


def test_an_operator_sees_endpoint_schedules_and_changes_only_those_of_workflows(
    omar: Browser, alice: Browser, install: Install, sync: Workflow
) -> None:
    of_workflow, of_endpoint = a_quiet_schedule(sync), a_quiet_call(install)
    page = omar.get("/schedules").text
    assert f'id="select-{of_workflow.id}"' in page and f'id="select-{of_endpoint.id}"' not in page
    assert f'id="menu-{of_workflow.id}"' in page and f'id="menu-{of_endpoint.id}"' not in page
    shown = omar.get(f"/schedules/{of_endpoint.id}").text
    assert "Nightly call" in shown and "Run now" not in shown and 'id="pause"' not in shown
    for verb in ("run-now", "pause", "resume", "delete", "skip-next", "edit"):
        assert omar.post(f"/schedules/{of_endpoint.id}/{verb}").status_code == 403, verb
    assert "Run now" in alice.get(f"/schedules/{of_endpoint.id}").text
    assert run_count() == 0
    run = a_call_run(install, "running")
    database.session.commit()
    assert omar.post(f"/runs/{run.id}/cancel", {"reason": "x"}).status_code == 403
    assert "Cancel run" not in omar.get(f"/runs/{run.id}").text


def test_what_an_operator_does_to_many_leaves_out_endpoints_and_says_so(
    omar: Browser, install: Install, sync: Workflow
) -> None:
    of_workflow, of_endpoint = a_quiet_schedule(sync), a_quiet_call(install)
    ids = [str(of_workflow.id), str(of_endpoint.id)]
    asked = omar.post("/schedules/bulk/ask", {"action": "pause", "id": ids}).text
    assert "1 schedule left out. What calls an extension" in words_of(asked)
    assert str(of_workflow.id) in asked and str(of_endpoint.id) not in asked
    of_all = omar.post("/schedules/bulk/ask", {"action": "pause", "all": "1"}).text
    assert "stays as it is" in of_all and str(of_endpoint.id) not in of_all
    assert omar.post("/schedules/bulk/ask", {"action": "pause", "id": ids[1:]}).status_code == 403
    assert omar.post("/schedules/bulk/ask?target=endpoint", {"action": "pause", "all": "1"}).status_code == 403
    forced = {"action": "pause", "ids": " ".join(ids), "request_key": "k1", "ends": "open"}
    assert omar.post("/schedules/bulk", forced).status_code == 403
    assert [one.status for one in schedules()] == ["active", "active"]
    assert omar.post("/schedules/bulk", forced | {"ids": ids[0]}).status_code == 303
    assert [one.status for one in schedules()] == ["paused", "active"]


def test_an_operator_cannot_undo_what_was_done_to_endpoints(omar: Browser, alice: Browser, install: Install) -> None:
    schedule = a_quiet_call(install)
    form = {"action": "pause", "ids": str(schedule.id), "request_key": "k2", "ends": "open"}
    alice.post("/schedules/bulk", form)
    assert [one.status for one in schedules()] == ["paused"]
    assert omar.post("/schedules/bulk/undo?key=k2").status_code == 403
    assert alice.post("/schedules/bulk/undo?key=k2").status_code == 303
    assert [one.status for one in schedules()] == ["active"]


def test_one_is_steered_like_any_other(alice: Browser, charlie: Browser, install: Install) -> None:
    schedule = a_quiet_call(install)
    assert charlie.post(f"/schedules/{schedule.id}/pause").status_code == 404
    alice.post(f"/schedules/{schedule.id}/pause", {"reason": "maintenance", "ends": "open"})
    assert "Paused by Alice: maintenance" in alice.get("/schedules").text
    alice.post(f"/schedules/{schedule.id}/resume")
    alice.post(f"/schedules/{schedule.id}/delete")
    assert schedules() == []
    deleted = alice.get(f"/schedules/{schedule.id}").text
    assert "Deleted" in deleted and "POST /api/sync" in deleted
    assert [action for action, _ in audited()] == ["schedule.paused", "schedule.resumed", "schedule.deleted"]


def test_its_changes_name_the_endpoint_and_the_extension(alice: Browser, acme: Tenant, install: Install) -> None:
    from domain.accounts.audit import record_change
    from tests.factories import an_actor

    schedule = a_quiet_call(install)
    health = an_endpoint(version_of_install(install), "GET /api/health")
    before = {"endpointId": str(schedule.endpoint_id), "maxAttempts": 3, "isNamed": False}
    after = {"endpointId": str(health.id), "maxAttempts": 5, "isNamed": True, "installId": str(install.id)}
    record_change(an_actor(acme, alice.user), "schedule.edited", schedule, before=before, after=after)
    database.session.commit()
    said = words_of(alice.get(f"/schedules/{schedule.id}?tab=changes").text)
    assert re.search(r"Endpoint was POST /api/sync → became GET /api/health", said)
    assert re.search(r"Attempts at most was 3 → became 5", said)
    assert re.search(r"Has a name of its own was no → became yes", said)
    assert "com.acme.rmm-sync" in said


def version_of_install(install: Install) -> Any:
    from domain.extensions.extensions import ExtensionVersion

    return database.session.get_one(ExtensionVersion, install.version_id)
