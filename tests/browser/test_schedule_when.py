"""Saying when in a browser: ways to repeat that follow each other, a preview that follows the typing, with keys alone."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Request, Route, expect

from tests.browser.conftest import Visit, Watch
from tests.browser.places import drawer, notice, open_new_schedule, row, say_cron
from tests.browser.site import WORKFLOW, Acme
from tests.browser.test_every_page import inspect
from tests.faults.fleet import wait_until

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
ODD = "*/20 8-17 * * 1-5"


@pytest.fixture
def form(acme: Acme, visit: Visit) -> Locator:
    page = visit(acme.alice, timezone_id="Asia/Tokyo")
    page.goto("/schedules")
    return open_new_schedule(page)


def choose_way(form: Locator, name: str) -> None:
    form.get_by_role("radio", name=name, exact=True).check()
    expect(form.locator("[name=every_drawn]")).to_have_value(name.lower())


def preview(form: Locator) -> Locator:
    return form.locator("#timing-preview")


def pressed(form: Locator) -> list[str]:
    return [day for day in DAYS if form.get_by_role("checkbox", name=day).is_checked()]


def test_weekdays_are_pressed_and_released_and_the_pattern_follows(form: Locator) -> None:
    choose_way(form, "Weekly")
    assert pressed(form) == list(DAYS[:5])
    for day in ("Tue", "Wed", "Sun"):
        form.get_by_text(day, exact=True).click()
    form.locator("#at").fill("07:15")
    expect(preview(form)).to_contain_text("15 7 * * 1,4,5,0")
    expect(preview(form)).to_contain_text("Mondays, Thursdays, Fridays and Sundays at 07:15, UTC")
    for day in pressed(form):
        form.get_by_text(day, exact=True).click()
    expect(preview(form)).to_have_text("Choose at least one weekday.")


def test_changing_the_way_to_repeat_loses_nothing(form: Locator) -> None:
    choose_way(form, "Weekly")
    form.locator("#at").fill("07:15")
    choose_way(form, "Cron")
    cron = form.get_by_label("Cron pattern")
    expect(cron).to_have_value("15 7 * * 1,2,3,4,5")
    cron.fill("45 8 * * 6,7")
    choose_way(form, "Weekly")
    assert pressed(form) == ["Sat", "Sun"]
    expect(form.locator("#at")).to_have_value("08:45")
    choose_way(form, "Cron")
    cron.fill(ODD)
    expect(preview(form)).to_contain_text(ODD)
    choose_way(form, "Daily")
    expect(form.get_by_text(f"The buttons cannot show {ODD}.")).to_be_visible()
    expect(preview(form)).to_contain_text("Daily at 08:45, UTC")
    choose_way(form, "Cron")
    expect(cron).to_have_value(ODD)


def test_what_is_typed_before_an_answer_arrives_stays(form: Locator) -> None:
    page = form.page

    def answer_late(route: Route) -> None:
        page.wait_for_timeout(1)
        held.append(route)

    held: list[Route] = []
    page.route("**/schedules/when", answer_late)
    form.get_by_role("radio", name="Cron", exact=True).check()
    cron = form.get_by_label("Cron pattern")
    cron.press_sequentially("5 5 * * *")
    expect(preview(form)).to_contain_text("Daily at 05:05, UTC")
    for route in held:
        route.continue_()
    expect(cron).to_have_value("5 5 * * *")
    expect(cron).to_be_focused()


def test_a_form_that_is_left_waits_for_no_answer(form: Locator) -> None:
    page, asked, given_up = form.page, list[Request](), list[Request]()
    expect(preview(form)).to_contain_text("UTC")
    page.route("**/schedules/preview", lambda _route: None)
    page.on("request", lambda request: asked.append(request))
    page.on("requestfailed", lambda request: given_up.append(request))
    page.on("dialog", lambda question: question.accept())
    with page.expect_request("**/schedules/preview"):
        form.get_by_label("Time zone").fill("Europe/Paris")
    page.keyboard.press("Escape")
    expect(drawer(page)).to_be_hidden()

    def all_given_up() -> bool:
        page.wait_for_timeout(50)
        return [request for request in asked if request.url.endswith("/preview")] == given_up

    wait_until(all_given_up, "every question to be given up", 30)


def test_the_preview_follows_the_typing_and_the_cursor_stays(form: Locator) -> None:
    say_cron(form, "")
    cron = form.get_by_label("Cron pattern")
    cron.press_sequentially("30 2 31 * *", delay=20)
    expect(preview(form)).to_contain_text("On day 31 of every month that has it at 02:30, UTC")
    expect(preview(form)).to_contain_text("There is no day 31 in Feb, Apr, Jun, Sep and Nov")
    expect(preview(form).locator(".fires li")).to_have_count(5)
    expect(cron).to_be_focused()
    cron.press_sequentially("x")
    expect(preview(form)).to_contain_text("cannot read")
    expect(cron).to_be_focused()
    assert cron.evaluate("field => field.selectionStart") == len("30 2 31 * *x")
    said = form.locator("#timing-said")
    expect(said).to_contain_text("cannot read")
    assert said.get_attribute("role") == "status"


def test_a_clock_change_is_foretold_for_the_zone_that_is_typed(form: Locator) -> None:
    say_cron(form, "30 2 * * *")
    form.get_by_label("Time zone").fill("europe/paris")
    expect(preview(form)).to_contain_text("Europe/Paris")
    expect(preview(form)).to_contain_text("02:30 does not exist, it fires at 03:00.")
    form.locator("#how-fold summary").click()
    form.get_by_text("Not that day").click()
    expect(preview(form)).to_contain_text("02:30 does not exist, it does not fire.")


def test_the_zone_of_the_browser_is_offered_first(form: Locator) -> None:
    first = form.locator("#zones option").first
    expect(first).to_have_attribute("value", "Asia/Tokyo")
    expect(first).to_have_text("UTC+9, of this browser")
    expect(form.get_by_label("Time zone")).to_have_value("UTC")


def test_a_schedule_is_said_with_the_keyboard_alone_and_edited_in_its_builder(acme: Acme, visit: Visit) -> None:
    page = visit(acme.alice)
    page.goto("/schedules")
    form = open_new_schedule(page)
    form.get_by_label("Workflow").first.fill(WORKFLOW)
    form.get_by_label("Name").fill("Weekend sync")
    form.get_by_role("radio", name="Daily", exact=True).focus()
    page.keyboard.press("ArrowRight")
    expect(form.locator("[name=every_drawn]")).to_have_value("weekly")
    expect(form.get_by_role("radio", name="Weekly", exact=True)).to_be_focused()
    for day in DAYS:
        page.keyboard.press("Tab")
        expect(form.get_by_role("checkbox", name=day)).to_be_focused()
        page.keyboard.press("Space")
    assert pressed(form) == ["Sat", "Sun"]
    expect(preview(form)).to_contain_text("Weekends at 09:00, UTC")
    form.get_by_label("Region").select_option(index=1)
    form.get_by_role("button", name="Save schedule").last.click()
    expect(notice(page, "Weekend sync was created.")).to_be_visible()
    row(page, "Weekend sync").locator("summary[aria-label]").click()
    page.get_by_role("link", name="Edit", exact=True).click()
    again = drawer(page)
    expect(again.get_by_role("radio", name="Weekly", exact=True)).to_be_checked()
    assert pressed(again) == ["Sat", "Sun"]


def test_a_missing_weekday_is_told_at_the_buttons(form: Locator) -> None:
    choose_way(form, "Weekly")
    for day in pressed(form):
        form.get_by_text(day, exact=True).click()
    form.get_by_role("button", name="Save schedule").last.click()
    summary = form.locator("[data-error-summary]")
    expect(summary).to_be_focused()
    summary.get_by_role("link", name="On: Choose at least one weekday.").click()
    group = form.get_by_role("group", name="On")
    expect(group).to_be_focused()
    expect(group).to_contain_text("Choose at least one weekday.")


@pytest.mark.parametrize("way", ["Hourly", "Weekly", "Monthly", "Cron", "Once"])
def test_every_way_is_accessible_and_fits(acme: Acme, visit: Visit, watch: Watch, way: str) -> None:
    page = visit(acme.alice)
    page.goto("/schedules/new")
    page.locator("#when").get_by_role("radio", name=way, exact=True).check()
    if way == "Monthly":
        page.get_by_label("Day of month").fill("31")
        expect(page.locator(".remarks")).to_be_visible()
    inspect(page, watch)
