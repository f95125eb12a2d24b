"""A schedule is steered in a browser: paused for a while, resumed, one skipped, a past range made up for, copied."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.places import drawer, notice
from tests.browser.site import Acme

WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 360, "height": 740}
TABS_MAX = 40


@pytest.fixture(params=[WIDE, NARROW], ids=["wide", "narrow"])
def page(request: pytest.FixtureRequest, acme: Acme, visit: Visit) -> Page:
    """A page of alice's, wide and narrow."""
    return visit(acme.alice, viewport=request.param)


def latest_instant() -> datetime:
    """Of an hourly schedule whose next one does not come while the test lasts."""
    return datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=5)


def hourly(latest: datetime) -> str:
    return f"{latest.minute} * * * *"


def set_back(acme: Acme, schedule_id: UUID, hours: int, latest: datetime) -> None:
    """The schedule was paused so long ago that `hours` of its instants have been missed."""
    first = latest - timedelta(hours=hours - 1)
    values: dict[str, Any] = {"id": schedule_id, "first": first, "at": first - timedelta(minutes=30)}
    acme.site.execute("UPDATE schedules SET paused_at = :at, created_at = :at WHERE id = :id", **values)
    acme.site.execute("UPDATE schedule_cursors SET next_fire_at = :first WHERE schedule_id = :id", **values)


def choose_more(page: Page, action: str) -> None:
    page.locator("#schedule-menu > summary").click()
    page.locator("#schedule-menu").get_by_role("link", name=action).click()


def test_a_schedule_is_paused_until_a_time_and_says_when_it_goes_on(acme: Acme, page: Page) -> None:
    schedule_id = acme.schedule("Morning sync", timezone="Europe/Paris")
    page.goto(f"/schedules/{schedule_id}")
    page.get_by_role("link", name="Pause…").click()
    form = drawer(page)
    form.get_by_label("Reason").fill("stock-taking")
    expect(form.get_by_label("Date and time in Europe/Paris")).to_be_hidden()
    form.get_by_role("radio", name="At a time").check()
    form.get_by_role("button", name="Pause schedule").click()
    expect(form.locator("[data-error-summary]")).to_be_focused()
    expect(form.get_by_label("Reason")).to_have_value("stock-taking")
    form.get_by_label("Date and time in Europe/Paris").fill("2090-06-01T09:00")
    form.get_by_role("button", name="Pause schedule").click()
    expect(notice(page, "It fires again from 1 Jan 2091 00:00 UTC+1")).to_be_visible()
    expect(page.get_by_text("after the pause ends 1 Jun 2090 09:00 UTC+2")).to_be_visible()
    expect(page.get_by_role("button", name="Resume", exact=True)).to_be_visible()
    notice(page, "Morning sync is paused").get_by_role("button", name="Undo").click()
    expect(page.get_by_role("link", name="Pause…")).to_be_visible()


def test_resuming_after_a_backlog_asks_and_makes_up_what_was_chosen(acme: Acme, page: Page) -> None:
    latest = latest_instant()
    schedule_id = acme.schedule("Hourly sync", cron=hourly(latest), enabled=False, overlap="allow")
    set_back(acme, schedule_id, 3, latest)
    page.goto(f"/schedules/{schedule_id}")
    page.get_by_role("link", name="Resume…").click()
    form = drawer(page)
    expect(form).to_contain_text("3 occurrences were missed.")
    expect(form.get_by_role("radio", name="Skip them")).to_be_checked()
    form.get_by_role("radio", name="Run the latest").check()
    form.get_by_role("button", name="Resume schedule").click()
    expect(notice(page, "1 missed time runs now. 2 are on record as skipped.")).to_be_visible()
    expect(page.get_by_role("link", name="Pause…")).to_be_visible()
    expect(page.get_by_role("table")).to_contain_text("2 times")
    assert acme.run_count(schedule_id) == 1


def test_the_next_one_is_skipped_and_that_is_undone(acme: Acme, page: Page) -> None:
    schedule_id = acme.schedule("Morning sync")
    page.goto(f"/schedules/{schedule_id}")
    choose_more(page, "Skip next…")
    drawer(page).get_by_role("button", name="Skip this one").click()
    expect(page.get_by_text("will be skipped by Alice", exact=True)).to_be_visible()
    expect(page.locator(".fires del").first).to_be_visible()
    notice(page, "Morning sync will skip").get_by_role("button", name="Undo").click()
    expect(page.locator(".fires del")).to_have_count(0)
    # What was said of the first undo is not to be taken for what is said of the second.
    page.reload()
    choose_more(page, "Skip next…")
    drawer(page).get_by_role("button", name="Skip this one").click()
    page.get_by_role("button", name="Undo the skip").click()
    expect(notice(page, "Morning sync skips nothing.")).to_be_visible()
    expect(page.locator(".fires del")).to_have_count(0)


def test_a_backfill_is_looked_at_started_and_watched(acme: Acme, page: Page) -> None:
    latest = latest_instant()
    schedule_id = acme.schedule("Hourly sync", cron=hourly(latest))
    page.goto(f"/schedules/{schedule_id}")
    choose_more(page, "Backfill…")
    form = drawer(page)
    form.get_by_label("From, in UTC").fill(f"{latest - timedelta(hours=3):%Y-%m-%dT%H:%M}")
    form.get_by_label("To, in UTC").fill(f"{latest - timedelta(hours=1):%Y-%m-%dT%H:%M}")
    form.get_by_role("button", name="Check", exact=True).click()
    expect(form.get_by_role("status")).to_contain_text("3 runs start")
    assert acme.run_count(schedule_id) == 0
    form.get_by_role("button", name="Start 3 runs").click()
    expect(notice(page, "A backfill of Hourly sync starts 3 runs, 1 at a time.")).to_be_visible()
    expect(page.locator("#backfills")).to_contain_text("3 of 3 runs are over")
    expect(page.locator("#backfills")).to_contain_text("3 succeeded")
    expect(page.locator("#backfills[data-live]")).to_have_count(0)


def test_a_schedule_is_duplicated_and_starts_paused(acme: Acme, page: Page) -> None:
    schedule_id = acme.schedule("Morning sync")
    page.goto(f"/schedules/{schedule_id}")
    choose_more(page, "Duplicate…")
    form = drawer(page)
    expect(form.get_by_label("Name")).to_have_value("Morning sync (copy)")
    form.get_by_role("button", name="Save schedule").last.click()
    notice(page, "Morning sync (copy) was created.").get_by_role("link", name="Open schedule").click()
    expect(page.get_by_role("heading", name="Morning sync (copy)", level=1)).to_be_visible()
    expect(page.locator(".page-head")).to_contain_text("Paused")


def test_tabs_swap_in_place_have_addresses_and_go_back(acme: Acme, page: Page) -> None:
    schedule_id = acme.schedule("Morning sync")
    page.goto(f"/schedules/{schedule_id}")
    assert page.evaluate("window.scrollY") == 0
    page.evaluate("window.isSamePage = true")
    for name, ending in (("Runs", "?tab=runs"), ("Changes", "?tab=changes"), ("JSON", "?tab=json")):
        link = page.get_by_role("navigation", name="Records of this schedule").get_by_role("link", name=name)
        link.click()
        expect(link).to_have_attribute("aria-current", "page")
        expect(link).to_be_focused()
        assert page.url.endswith(ending)
    assert page.evaluate("window.isSamePage")
    expect(page.get_by_role("region", name="JSON")).to_contain_text('"name": "Morning sync"')
    page.go_back()
    expect(page.get_by_role("table", name="Changes of this schedule")).to_be_visible()


def test_all_of_it_with_the_keyboard_alone(acme: Acme, visit: Visit) -> None:
    latest = latest_instant()
    schedule_id = acme.schedule("Hourly sync", cron=hourly(latest), overlap="allow")
    page = visit(acme.alice)
    page.goto(f"/schedules/{schedule_id}")
    page.keyboard.press("p")
    expect(drawer(page).get_by_label("Reason")).to_be_focused()
    page.keyboard.type("stock-taking")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Resume", exact=True)).to_be_visible()
    set_back(acme, schedule_id, 2, latest)
    # The drawer goes back to the address of the page beneath it.
    expect(page).to_have_url(re.compile(rf"/schedules/{schedule_id}$"))
    page.reload()
    page.keyboard.press("p")
    expect(drawer(page).get_by_role("radio", name="Skip them")).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(drawer(page).get_by_role("radio", name="Run all")).to_be_checked()
    page.keyboard.press("Enter")
    expect(notice(page, "2 missed times run now.")).to_be_visible()
    # The page is drawn again; a key pressed just then would go to what it replaces.
    expect(page.get_by_role("link", name="Pause…")).to_be_visible()
    expect(page.locator(".htmx-settling")).to_have_count(0)
    menu = page.locator("#schedule-menu > summary")
    menu.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip next…")).to_be_focused()
    page.keyboard.press("Enter")
    expect(drawer(page).get_by_role("heading", name="Skip the next of Hourly sync")).to_be_visible()
    page.keyboard.press("Escape")
    expect(drawer(page)).to_be_hidden()
    expect(menu).to_be_focused()
