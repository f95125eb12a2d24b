"""Everything once with the keyboard alone."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Visit
from tests.browser.places import drawer, notice, row
from tests.browser.site import WORKFLOW, Acme

TABS_MAX = 40


def test_a_schedule_is_made_found_and_opened_with_the_keyboard_alone(acme: Acme, visit: Visit) -> None:
    acme.schedule("Morning sync")
    page = visit(acme.alice)
    page.goto("/schedules")
    page.keyboard.press("c")
    form = drawer(page)
    expect(form.get_by_label("Workflow").first).to_be_focused()
    page.keyboard.type(WORKFLOW)
    tab_to(page, form.get_by_label("Name"))
    page.keyboard.type("Evening sync")
    tab_to(page, form.get_by_role("radio", name="Daily", exact=True))
    for _ in ("Weekly", "Monthly", "Cron"):
        page.keyboard.press("ArrowRight")
    expect(form.locator("[name=every_drawn]")).to_have_value("cron")
    expect(form.get_by_role("radio", name="Cron", exact=True)).to_be_focused()
    tab_to(page, form.get_by_label("Cron pattern"))
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("0 18 1 1 *")
    expect(form.locator("#payload-schema-fold")).to_be_attached()
    tab_to(page, form.get_by_role("button", name="JSON", exact=True))
    page.keyboard.press("Enter")
    expect(form.locator("textarea[data-enhanced]")).to_be_attached()
    tab_to(page, form.get_by_label("Payload as JSON"))
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.insert_text('{"region": "eu", "batchSize": 3}')
    tab_to(page, form.get_by_role("button", name="Save schedule").last)
    page.keyboard.press("Enter")
    expect(notice(page, "Evening sync was created.")).to_be_visible()
    expect(page.get_by_role("link", name="New schedule")).to_be_focused()

    page.keyboard.press("/")
    search = page.get_by_label("Search name, workflow, extension or path")
    expect(search).to_be_focused()
    page.keyboard.type("sync")
    expect(page).to_have_url(re.compile("q=sync"))
    page.keyboard.press("Escape")
    expect(search).to_have_value("sync")
    names = page.locator("tbody a.name")
    expect(names).to_have_count(2)
    for key, at in (("j", 0), ("j", 1), ("j", 1), ("k", 0)):
        page.keyboard.press(key)
        expect(names.nth(at)).to_be_focused()
    opened = names.nth(0).inner_text()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=opened, level=1)).to_be_visible()
    page.keyboard.type("gw")
    expect(page.get_by_role("heading", name="Workflows", level=1)).to_be_visible()


def test_dialogs_opened_by_a_key_close_with_escape_and_give_the_focus_back(acme: Acme, visit: Visit) -> None:
    acme.schedule("Morning sync")
    page = visit(acme.alice)
    page.goto("/schedules")
    page.keyboard.press("j")
    name = row(page, "Morning sync").get_by_role("link", name="Morning sync")
    expect(name).to_be_focused()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("c")
    expect(drawer(page)).to_be_hidden()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_hidden()
    expect(name).to_be_focused()
    for key, heading in (("e", "Edit Morning sync"), ("p", "Pause Morning sync")):
        page.keyboard.press(key)
        expect(drawer(page).get_by_role("heading", name=heading)).to_be_visible()
        page.keyboard.press("Escape")
        expect(drawer(page)).to_be_hidden()
        expect(name).to_be_focused()


def test_a_menu_opens_closes_and_gives_the_focus_back_by_keys(acme: Acme, visit: Visit) -> None:
    acme.schedule("Morning sync")
    page = visit(acme.alice)
    page.goto("/schedules")
    button = row(page, "Morning sync").locator("summary[aria-label]")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Run now")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Run now")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Run now")).to_be_hidden()
    expect(button).to_be_focused()


def test_the_first_tab_leads_past_the_navigation(acme: Acme, visit: Visit) -> None:
    page = visit(acme.bob)
    page.goto("/schedules")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator("main :focus")).to_have_count(1)


def tab_to(page: Page, aim: Locator) -> None:
    """Press Tab until `aim` has the focus."""
    for _ in range(TABS_MAX):
        if aim.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    expect(aim).to_be_focused()
