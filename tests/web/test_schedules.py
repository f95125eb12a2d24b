"""The list of schedules, the page of one, and its actions, as alice, bob the viewer and charlie meet them."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from domain.accounts.tenants import Tenant
from domain.kernel.ids import new_id
from domain.runs.heartbeats import SCHEDULER, beat
from domain.schedules.cursors import ScheduleCursor
from domain.schedules.narrowing import ScheduleFilter
from domain.schedules.pages import schedules_page
from domain.schedules.schedules import Schedule
from domain.timing.words import absolute
from domain.workflows.workflows import Workflow
from tests.factories import NOW, a_published_workflow, a_run, a_version
from tests.statements import counted
from tests.web.cast import Browser
from tests.web.schedule_pages import REGION, a_quiet_schedule, an_occurrence, audited, run_count, schedules, shown_names
from web.schedules.rows import _drawn_cells, drawn_cells, listed

ACTIONS = ["/pause", "/resume", "/delete", "/run-now", "/edit"]


@pytest.fixture
def sync(acme: Tenant) -> Workflow:
    return a_published_workflow(acme)


def test_a_schedule_whose_zone_is_no_longer_known_takes_no_page_away(alice: Browser, sync: Workflow, db: Any) -> None:
    """Zones are renamed: the machine may know one less than the day before."""
    a_quiet_schedule(sync, "Sound")
    lost = a_quiet_schedule(sync, "Lost", timezone="Atlantis/Centre")
    db.get(ScheduleCursor, lost.id).last_fire_at = NOW
    an_occurrence(db, lost, 1, "skipped", reason="overlap")
    assert sorted(shown_names(alice.get("/schedules").text)) == ["Lost", "Sound"]
    for place in ("", "/edit", "?tab=runs", "?tab=changes", "?tab=json"):
        assert alice.get(f"/schedules/{lost.id}{place}").status_code == 200, place
    for page in ("/runs", f"/runs?schedule={lost.id}", "/system", f"/workflows/{sync.id}"):
        assert alice.get(page).status_code == 200, page


@pytest.fixture
def morning(sync: Workflow) -> Schedule:
    return a_quiet_schedule(sync, cron="0 9 * * 1-5", timezone="Europe/Paris")


def test_the_list_shows_what_when_and_where_each_schedule_stands(alice: Browser, morning: Schedule) -> None:
    page = alice.get("/schedules").text
    assert shown_names(page) == ["Morning sync"]
    for said in ("Active", "Invoice sync", "v1", "Weekdays at 09:00", "0 9 * * 1-5 · Europe/Paris", "never"):
        assert said in page
    assert '<time datetime="2100-01-01T00:00:00Z"' in page
    assert 'aria-label="No occurrences yet"' in page


def test_the_bars_of_a_list_change_with_the_run_and_with_the_day(
    alice: Browser, sync: Workflow, morning: Schedule, db: Any
) -> None:
    """What was drawn is remembered."""
    run = a_run(sync, "running", schedule_id=morning.id)
    fired = an_occurrence(db, morning, 0, "fired", id=run.id)

    def labels(at: datetime = NOW) -> list[str]:
        row = schedules_page(morning.tenant_id, ScheduleFilter()).rows[0]
        return re.findall("<title>(.+?)</title>", listed(row, at).bars)

    on_the_day = absolute(fired.scheduled_for, "Europe/Paris", NOW)
    assert labels() == labels() == [f"{on_the_day}: running"]
    run.status, run.finished_at = "succeeded", NOW + timedelta(seconds=2)
    db.commit()
    assert labels() == [f"{on_the_day}: succeeded in 2 s"]
    later = NOW + timedelta(days=20)
    assert labels(later) == [f"{absolute(fired.scheduled_for, 'Europe/Paris', later)}: succeeded in 2 s"] != labels()


def test_a_line_is_drawn_again_when_it_says_something_else(app: Flask, morning: Schedule, db: Any) -> None:
    """What was drawn is remembered, for whoever asks next."""
    db.get(ScheduleCursor, morning.id).last_fire_at = NOW - timedelta(days=1)
    db.commit()

    def drawn(at: datetime = NOW) -> tuple[bool, str]:
        misses = _drawn_cells.cache_info().misses
        (row,) = schedules_page(morning.tenant_id, ScheduleFilter()).rows
        with app.test_request_context("/"):
            cells = drawn_cells(listed(row, at), at)
        return _drawn_cells.cache_info().misses > misses, cells

    first = drawn()
    assert first[0] and first[1].count("1 d ago") == 1
    assert drawn() == (False, first[1])
    assert drawn(NOW + timedelta(seconds=3)) == (False, first[1])
    assert drawn(NOW - timedelta(hours=2)) == (False, first[1].replace("1 d ago", "22 h ago"))
    changes = [
        update(ScheduleCursor).values(last_error="The remote side did not answer."),
        update(Schedule).values(timezone="UTC"),
        update(Schedule).values(name="Evening"),
        update(Schedule).values(status="paused", paused_at=NOW),
        update(Schedule).values(pause_reason="stock-taking"),
    ]
    for change in changes:
        before = drawn()[1]
        db.execute(change)
        is_new, after = drawn()
        assert is_new and after != before, str(change)


def test_what_is_kept_of_a_line_is_nothing_of_who_asked(alice: Browser, bob: Browser, morning: Schedule) -> None:
    for browser in (alice, bob, alice):
        page = browser.get("/schedules").text
        (line,) = re.findall(f'<tr id="schedule-{morning.id}">.+?</tr>', page, re.DOTALL)
        cells = line[line.index('<td class="c-name">') : line.index('<td class="c-act">')]
        assert "csrf" not in cells and "request_key" not in cells
        assert ("Run now" in line, "Select Morning sync" in line) == ((browser is alice),) * 2
        assert browser is bob or set(re.findall('name="csrf_token" value="([^"]+)"', page)) == {browser.csrf_token}


def test_the_menu_of_each_row_is_its_own(alice: Browser, sync: Workflow) -> None:
    rows = {
        a_quiet_schedule(sync, "First"): "Pause…",
        a_quiet_schedule(sync, "Second"): "Pause…",
        a_quiet_schedule(sync, "Held", status="paused"): "Resume",
        a_quiet_schedule(sync, "Late", status="paused", next_fire_at=NOW): "Resume…",
        a_quiet_schedule(sync, "Broken", status="invalid"): "",
    }
    page = alice.get("/schedules").text
    for row, word in rows.items():
        menu = page.split(f'<details class="menu" id="menu-{row.id}">')[1].split("</details>")[0]
        assert f'aria-label="Actions for {row.name}"' in menu
        assert set(re.findall("[0-9a-f]{8}-[0-9a-f-]{27}", menu)) - set(re.findall('key" value="([^"]+)', menu)) == {
            str(row.id)
        }
        assert (f'action="/schedules/{row.id}/run-now"' in menu) == (row.status != "invalid")
        assert re.findall("</svg>((?:Pause|Resume)…?)<", menu) == ([word] if word else [])


def test_htmx_gets_the_rows_alone_and_a_history_step_gets_the_page(alice: Browser, morning: Schedule) -> None:
    fragment = alice.get("/schedules", htmx=True).text
    assert fragment.lstrip().startswith('<div class="sheet schedules" id="schedule-list"')
    assert 'id="schedule-count" hx-swap-oob="true">1<' in fragment
    again = alice.get("/schedules", htmx=True, headers={"HX-History-Restore-Request": "true"})
    assert again.text.lstrip().startswith("<!doctype html>")


def test_the_filters_are_in_the_address_and_stay_in_the_form(alice: Browser, acme: Tenant, sync: Workflow) -> None:
    a_quiet_schedule(sync, "Held", status="paused")
    a_quiet_schedule(sync, "Broken", status="invalid")
    a_quiet_schedule(a_published_workflow(acme, "Digest"), "Nightly", status="paused")
    page = alice.get(f"/schedules?status=paused&q=sync&workflow={sync.id}&trigger=recurring&sort=name").text
    assert shown_names(page) == ["Held"]
    for kept in ('value="sync"', 'value="paused" selected', 'value="recurring" selected', 'value="name" selected'):
        assert kept in page
    assert "Workflow: Invoice sync" in page
    assert 'href="/schedules?q=sync&amp;trigger=recurring&amp;status=paused&amp;sort=name"' in page
    assert f'href="/schedules/new?workflow={sync.id}" data-dialog' in page
    assert shown_names(alice.get("/schedules?status=nonsense&sort=nonsense&page=nonsense&q=%00").text)


def test_a_workflow_may_be_typed_into_its_filter(alice: Browser, acme: Tenant, morning: Schedule) -> None:
    a_quiet_schedule(a_published_workflow(acme, "Digest"), "Nightly")
    answer = alice.get("/schedules?q=&workflow=digest&status=", htmx=True, headers={"HX-Trigger": "schedule-filters"})
    assert shown_names(answer.text) == ["Nightly"]
    assert "Workflow: Digest" in answer.text
    assert "/schedules?workflow=" in answer.headers["HX-Replace-Url"]
    assert "q=" not in answer.headers["HX-Replace-Url"]
    unknown = alice.get("/schedules?workflow=Nothing")
    assert "No workflow is called &#34;Nothing&#34;" in unknown.text
    assert shown_names(unknown.text) == []


def test_a_live_refresh_leaves_the_filters_alone(alice: Browser, morning: Schedule) -> None:
    refreshed = alice.get("/schedules?q=sync", htmx=True, headers={"HX-Trigger": "schedule-list"})
    assert 'id="picked-workflow"' not in refreshed.text
    assert "HX-Replace-Url" not in refreshed.headers


def test_an_empty_list_says_what_it_is_and_offers_what_fills_it(
    alice: Browser, bob: Browser, morning: Schedule
) -> None:
    assert "No schedule matches" in alice.get("/schedules?q=nothing").text
    alice.post(f"/schedules/{morning.id}/delete")
    empty = alice.get("/schedules").text
    assert "No schedules yet" in empty
    assert 'href="/schedules/new"' in empty
    assert 'href="/schedules/new"' not in bob.get("/schedules").text


def test_the_list_takes_as_many_statements_for_forty_schedules_as_for_one(
    alice: Browser, sync: Workflow, morning: Schedule
) -> None:
    def cost() -> int:
        with counted() as statements:
            assert alice.get("/schedules").status_code == 200
        return len(statements)

    cost()
    for_one = cost()
    for number in range(39):
        a_quiet_schedule(sync, f"S{number}")
    assert cost() == for_one


def test_the_page_of_a_schedule_says_in_one_sentence_when_it_fires(alice: Browser, morning: Schedule) -> None:
    beat(new_id(), SCHEDULER, "host", 1, "dev", 60)
    page = alice.get(f"/schedules/{morning.id}").text
    assert "Fires next" in page
    assert page.count('<span class="off">') == 10
    assert "It has not been due yet." in page
    assert "Waits for the previous run" in page
    fragment = alice.get(f"/schedules/{morning.id}", htmx=True).text
    assert fragment.lstrip().startswith('<div id="schedule" data-live')


def test_the_page_of_a_held_schedule_says_why_and_links_to_what_helps(
    alice: Browser, bob: Browser, sync: Workflow
) -> None:
    broken = a_quiet_schedule(sync, status="invalid", invalid_reason="/region: is required")
    page = alice.get(f"/schedules/{broken.id}").text
    assert "Does not fire: its payload does not fit version 1 of Invoice sync: /region: is required" in page
    assert f'href="/schedules/{broken.id}/edit" data-dialog>Fix payload' in page
    assert "Fix payload" not in bob.get(f"/schedules/{broken.id}").text


def test_pausing_asks_for_a_reason_and_resuming_goes_on(alice: Browser, morning: Schedule) -> None:
    address = f"/schedules/{morning.id}"
    asked = alice.get(f"{address}/pause", htmx=True).text
    assert asked.lstrip().startswith('<form class="panel"')
    assert alice.post(f"{address}/pause", {"reason": "supplier outage"}).location == address
    paused = schedules()[0]
    assert (paused.status, paused.pause_reason, paused.paused_by) == ("paused", "supplier outage", alice.user.id)
    page = alice.get(address).text
    assert "Does not fire: it was paused by Alice: supplier outage." in page
    assert alice.post(f"{address}/resume").status_code == 303
    assert schedules()[0].status == "active"
    assert [action for action, _ in audited()] == ["schedule.paused", "schedule.resumed"]
    assert "<b>Resumed</b>" in alice.get(f"{address}?tab=changes").text


def test_a_reason_that_cannot_be_kept_is_refused_at_its_field(alice: Browser, morning: Schedule) -> None:
    answer = alice.post(f"/schedules/{morning.id}/pause", {"reason": "x" * 501}, htmx=True)
    assert answer.status_code == 422
    assert "at most 500 characters" in answer.text
    assert "x" * 501 in answer.text
    assert schedules()[0].status == "active"


def test_beside_a_list_an_action_answers_with_a_toast_and_tells_the_list(alice: Browser, morning: Schedule) -> None:
    answer = alice.post(f"/schedules/{morning.id}/pause", {"reason": "", "place": "drawer"}, htmx=True)
    assert (answer.status_code, answer.text) == (204, "")
    events = json.loads(answer.headers["HX-Trigger"])
    assert events["toast"] == {
        "message": "Morning sync is paused.",
        "undo": {"url": f"/schedules/{morning.id}/resume"},
    }
    assert {"drawer:close", "schedules-changed"} < set(events)
    on_a_page = alice.post(f"/schedules/{morning.id}/delete", {"place": "page"}, htmx=True)
    assert on_a_page.headers["HX-Redirect"] == "/schedules"


def test_resuming_what_does_not_fit_any_more_is_refused_with_the_reason(alice: Browser, sync: Workflow) -> None:
    held = a_quiet_schedule(sync, status="paused")
    a_version(sync, 2, REGION)
    answer = alice.post(f"/schedules/{held.id}/resume", htmx=True)
    assert answer.status_code == 422
    assert "region" in json.loads(answer.headers["HX-Trigger"])["toast"]["message"]
    assert alice.post(f"/schedules/{held.id}/resume").status_code == 422
    assert schedules()[0].status == "paused"


def test_a_double_click_on_run_now_gives_one_run(alice: Browser, morning: Schedule) -> None:
    page = alice.get("/schedules").text
    key = page.split('name="request_key" value="')[1].split('"')[0]
    answers = [alice.post(f"/schedules/{morning.id}/run-now", {"request_key": key}, htmx=True) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [204, 204]
    first, second = (json.loads(answer.headers["HX-Trigger"])["toast"] for answer in answers)
    assert first == second
    assert first["message"] == "Morning sync runs now."
    assert first["href"].startswith("/runs/")
    assert run_count() == 1
    other_key = alice.get("/schedules").text.split('name="request_key" value="')[1].split('"')[0]
    alice.post(f"/schedules/{morning.id}/run-now", {"request_key": other_key})
    assert run_count() == 2
    assert "run by hand" in alice.get(f"/schedules/{morning.id}").text


def test_the_key_of_one_schedule_runs_no_other(alice: Browser, sync: Workflow, morning: Schedule) -> None:
    other = a_quiet_schedule(sync, "Evening sync")
    for schedule in (morning, other):
        alice.post(f"/schedules/{schedule.id}/run-now", {"request_key": "same"})
    assert run_count() == 2


def test_what_cannot_run_now_says_why(alice: Browser, sync: Workflow) -> None:
    broken = a_quiet_schedule(sync, status="invalid")
    answer = alice.post(f"/schedules/{broken.id}/run-now", {"request_key": "k"}, htmx=True)
    assert answer.status_code == 409
    assert "cannot run" in json.loads(answer.headers["HX-Trigger"])["toast"]["message"]
    assert run_count() == 0
    assert "/run-now" not in alice.get("/schedules").text


def test_a_deleted_schedule_leaves_the_list_and_its_page_stays_readable(alice: Browser, morning: Schedule) -> None:
    asked = alice.get(f"/schedules/{morning.id}/delete").text
    assert "cannot be brought back" in asked
    assert alice.post(f"/schedules/{morning.id}/delete").location == "/schedules"
    assert shown_names(alice.get("/schedules").text) == []
    page = alice.get(f"/schedules/{morning.id}").text
    assert "Does not fire: it was deleted." in page
    assert "/run-now" not in page
    assert alice.post(f"/schedules/{morning.id}/pause").status_code == 404


def test_a_viewer_reads_everything_and_sees_no_controls(bob: Browser, morning: Schedule) -> None:
    for address in ("/schedules", f"/schedules/{morning.id}"):
        page = bob.get(address).text
        assert "Morning sync" in page
        assert not any(f"{morning.id}{action}" in page for action in ACTIONS)
        assert "New schedule" not in page


@pytest.mark.parametrize("action", ["", *ACTIONS])
def test_what_a_viewer_forges_is_refused_and_on_record(bob: Browser, morning: Schedule, action: str) -> None:
    answer = bob.post(f"/schedules/{morning.id}{action}" if action else "/schedules")
    assert answer.status_code == 403
    assert [result for _, result in audited()] == ["refused"]
    stored = schedules()[0]
    assert (stored.status, stored.revision, run_count()) == ("active", 1, 0)


def test_strangers_are_told_that_there_is_nothing(charlie: Browser, morning: Schedule, db: Any) -> None:
    for action in ("", "/pause", "/delete", "/edit"):
        assert charlie.get(f"/schedules/{morning.id}{action}").status_code == 404
    for action in ACTIONS:
        assert charlie.post(f"/schedules/{morning.id}{action}").status_code == 404
    assert shown_names(charlie.get("/schedules").text) == []
    assert charlie.get("/schedules/workflows").text.strip() == ""
    assert db.get(ScheduleCursor, morning.id).next_fire_at is not None


def test_in_the_community_edition_every_page_says_that_schedules_belong_to_the_other(
    alice: Browser, acme: Tenant, morning: Schedule, db: Any
) -> None:
    acme.edition = "community"
    db.commit()
    for address in ("/schedules", f"/schedules/{morning.id}", "/schedules/new"):
        answer = alice.get(address)
        assert answer.status_code == 403
        assert "EDITION_REQUIRED" in answer.text
    assert alice.post(f"/schedules/{morning.id}/delete").status_code == 403
    assert schedules()[0].deleted_at is None
    assert audited() == [("schedules.delete", "refused")]
