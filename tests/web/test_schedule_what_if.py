"""What an edit would change, told before it is saved."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest

from domain.accounts.tenants import Tenant
from domain.schedules.cursors import ScheduleCursor
from domain.schedules.schedules import Schedule
from domain.workflows.workflows import Workflow
from tests.factories import a_published_workflow
from tests.statements import counted
from tests.web.cast import Browser
from tests.web.schedule_pages import REGION, a_quiet_schedule, audited, run_count, schedules, typed


@pytest.fixture
def sync(acme: Tenant, db: Any) -> Workflow:
    workflow = a_published_workflow(acme, schema={"type": "object"})
    db.commit()
    return workflow


@pytest.fixture
def morning(sync: Workflow) -> Schedule:
    return a_quiet_schedule(sync, cron="0 9 * * *", timezone="Europe/Paris")


def edited(**changes: Any) -> dict[str, Any]:
    """The form of `morning` as it opens, then changed."""
    return typed(**{"revision": "1", "cron": "0 9 * * *"} | changes)


def said(alice: Browser, schedule: Schedule, **changes: Any) -> str:
    """The words of the fragment."""
    answer = alice.post(f"/schedules/{schedule.id}/what-if", edited(**changes), htmx=True)
    assert answer.status_code == 200
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


def test_a_form_as_it_opens_changes_nothing_and_says_nothing(alice: Browser, morning: Schedule) -> None:
    assert said(alice, morning) == ""
    assert said(alice, morning, name="Renamed") == ""
    assert "What saving changes" not in alice.get(f"/schedules/{morning.id}/edit").text


def test_another_hour_moves_each_fire_and_nothing_starts_at_once(alice: Browser, morning: Schedule) -> None:
    words = said(alice, morning, cron="0 18 * * *")
    assert "30 fires, as many as before" in words
    assert re.search(r"(29|30) moved on the same day", words)
    assert "was 09:00 will be 18:00 UTC+" in words
    assert re.search(r"and (24|25) more", words)
    assert re.search(
        r"The first fire under the new timing is \w+ \d+ \w+ 18:00 UTC\+\d \(.+\); saving fires nothing", words
    )
    assert (audited(), [schedule.cron for schedule in schedules()]) == ([], ["0 9 * * *"])


def test_the_fire_that_was_told_is_the_one_that_comes(alice: Browser, morning: Schedule, db: Any) -> None:
    found = alice.post(f"/schedules/{morning.id}/what-if", edited(cron="30 18 * * *"), htmx=True).text
    told = re.findall(r'first fire under the new timing is .*?<time datetime="([^"]+)"', found)
    assert alice.post(f"/schedules/{morning.id}/edit", edited(cron="30 18 * * *")).status_code == 303
    db.expire_all()
    next_fire_at = db.get(ScheduleCursor, morning.id).next_fire_at
    assert told == [next_fire_at.strftime("%Y-%m-%dT%H:%M:%SZ")]
    assert run_count() == 0


def test_a_busy_pattern_is_told_by_its_totals(alice: Browser, sync: Workflow) -> None:
    busy = a_quiet_schedule(sync, "Busy", cron="* * * * *")
    words = said(alice, busy, cron="0 * * * *", timezone="UTC")
    assert "43,200 fires become 720" in words
    assert "The first that are removed" in words and "and so on" in words


def test_what_is_refused_is_not_compared(alice: Browser, morning: Schedule) -> None:
    assert said(alice, morning, cron="99 * * * *") == ""


def test_switching_it_off_removes_every_fire(alice: Browser, morning: Schedule) -> None:
    words = said(alice, morning, enabled=None)
    assert "30 fires become 0" in words and "30 removed" in words
    assert "It stops firing until someone resumes it. Runs that are queued or going go on." in words
    assert "Nothing fires after this is saved." in words


def test_switching_on_what_is_paused_adds_its_fires(alice: Browser, sync: Workflow) -> None:
    paused = a_quiet_schedule(sync, "Paused", cron="0 9 * * *", timezone="Europe/Paris", status="paused")
    assert "0 fires become 30" in said(alice, paused)
    assert "What passed meanwhile is not made up." in said(alice, paused)
    assert said(alice, paused, enabled=None) == ""


def test_the_rest_of_an_edit_is_told_in_words(alice: Browser, acme: Tenant, morning: Schedule, db: Any) -> None:
    a_published_workflow(acme, "Strict sync", REGION)
    db.commit()
    payload = said(alice, morning, payload='{"a": 1}')
    assert (
        "The new payload goes into every run that is asked for from now on. Runs that are queued keep theirs."
        in payload
    )
    assert "Its times stay as they are; saving fires nothing." in payload
    moved = said(alice, morning, workflow="Strict sync")
    assert "It moves from Invoice sync to Strict sync; its payload is checked with version 1 of that." in moved
    assert "may start as soon as this is saved" in said(alice, morning, overlap="allow")
    assert "Runs that wait already keep their turn." in said(alice, morning, overlap="skip")
    assert "How late a start may be changes" in said(alice, morning, max_lateness_seconds="60")


def test_without_javascript_check_tells_it_on_the_page(alice: Browser, morning: Schedule) -> None:
    page = alice.post(f"/schedules/{morning.id}/edit", edited(cron="0 18 * * *", check="1"))
    assert page.status_code == 200
    assert "moved on the same day" in page.text
    assert [schedule.cron for schedule in schedules()] == ["0 9 * * *"]


def test_a_viewer_and_a_stranger_are_told_nothing(bob: Browser, charlie: Browser, morning: Schedule) -> None:
    for browser, status in ((bob, 403), (charlie, 404)):
        assert browser.post(f"/schedules/{morning.id}/what-if", edited(cron="0 18 * * *")).status_code == status


def test_it_costs_a_fixed_number_of_statements(alice: Browser, morning: Schedule, sync: Workflow) -> None:
    said(alice, morning)  # what a session costs once
    costs = []
    for cron in ("0 18 * * *", "* * * * *"):
        with counted() as statements:
            said(alice, morning, cron=cron)
        costs.append(len(statements))
    assert costs[0] == costs[1] <= 9
