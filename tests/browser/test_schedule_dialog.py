"""The dialog of a schedule in a browser: the picker, what an edit would change, a rehearsal, and what keeps typing safe."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from playwright.sync_api import Page, expect

from domain.demo_workflows import INVOICE_SYNC
from domain.kernel import clock
from domain.kernel.db import transaction
from domain.workflows.drafts import create_workflow
from tests.browser.conftest import Visit, Watch
from tests.browser.places import drawer, notice, open_new_schedule, row
from tests.browser.site import WORKFLOW, Acme, publish
from tests.browser.test_every_page import inspect

OTHER = "Invoice archive"
DRAFT = "Invoice draft"
TABS_MAX = 60


@pytest.fixture
def crowd(acme: Acme) -> Acme:
    """Beside its workflow another one that can be scheduled, and one that cannot."""
    with acme.site.app.app_context(), transaction():
        now = clock.database_now()
        publish(acme.actor, replace(INVOICE_SYNC, name=OTHER), now)
        create_workflow(acme.actor, DRAFT, now)
    return acme


def names(acme: Acme) -> list[str]:
    found = acme.site.rows(
        "SELECT name FROM schedules WHERE tenant_id = :id AND deleted_at IS NULL ORDER BY id", id=acme.actor.tenant_id
    )
    return [row.name for row in found]


def tab_to(page: Page, name: str) -> None:
    for _ in range(TABS_MAX):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent.trim()") == name:
            return
    raise AssertionError(f"{name} was not reached with {TABS_MAX} tabs")


def test_a_schedule_is_made_with_the_keyboard_alone(crowd: Acme, visit: Visit) -> None:
    source = crowd.schedule("Morning sync")
    page = visit(crowd.alice)
    page.goto(f"/schedules/new?like={source}")
    field = page.get_by_role("combobox", name="Workflow")
    expect(field).to_have_value(WORKFLOW)
    field.focus()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("invoice")
    options = page.locator("#workflow-options").get_by_role("option")
    expect(options).to_have_count(2)
    expect(field).to_have_attribute("aria-expanded", "true")
    expect(page.locator(".results")).to_contain_text(f"{DRAFT}: not published.")
    page.keyboard.press("Escape")
    expect(options.first).to_be_hidden()
    page.keyboard.press("ArrowDown")
    expect(options.filter(has_text=OTHER)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowDown")
    expect(options.filter(has_text=WORKFLOW)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(field).to_have_value(OTHER)
    expect(field).to_be_focused()
    expect(page.locator("#workflow-hint")).to_contain_text("Version 1, and every later one")
    expect(page.locator("#payload-schema-fold")).to_be_attached()
    page.keyboard.press("Tab")
    expect(page.get_by_label("Name")).to_be_focused()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("Archive")
    tab_to(page, "Save schedule")
    page.keyboard.press("Enter")
    expect(notice(page, "Archive was created.")).to_be_visible()
    assert names(crowd) == ["Morning sync", "Archive"]


def test_escape_closes_the_results_first_and_the_drawer_after(crowd: Acme, visit: Visit) -> None:
    page = visit(crowd.alice)
    page.goto("/schedules")
    form = open_new_schedule(page)
    form.get_by_role("combobox", name="Workflow").click()
    expect(form.locator(".results")).to_be_visible()
    page.keyboard.press("Escape")
    expect(form.locator(".results")).to_be_hidden()
    expect(form.get_by_role("combobox", name="Workflow")).to_be_focused()
    page.keyboard.press("Escape")
    expect(drawer(page)).to_be_hidden()


def test_a_result_is_chosen_with_the_pointer_and_the_rest_of_the_form_stays(crowd: Acme, visit: Visit) -> None:
    page = visit(crowd.alice)
    page.goto("/schedules/new")
    page.get_by_label("Name").fill("Kept")
    page.get_by_role("combobox", name="Workflow").click()
    page.get_by_role("option", name=OTHER).click()
    expect(page.locator("#workflow-hint")).to_contain_text("Version 1")
    expect(page.locator(".results")).to_be_hidden()
    expect(page.get_by_label("Name")).to_have_value("Kept")
    assert names(crowd) == []


def test_what_an_edit_changes_is_told_while_one_types_and_the_focus_stays(acme: Acme, visit: Visit) -> None:
    schedule = acme.schedule("Morning sync", cron="0 9 1 1,6 *")
    page = visit(acme.alice)
    page.goto(f"/schedules/{schedule}/edit")
    told = page.locator("#what-if")
    expect(told).to_be_empty()
    pattern = page.locator("[name=cron]")
    pattern.fill("*/5 9 1-31 1-12 *")
    expect(told).to_contain_text("added")
    expect(told).to_contain_text("saving fires nothing")
    expect(pattern).to_be_focused()
    page.get_by_role("switch", name="Enabled").uncheck()
    expect(told).to_contain_text("It stops firing until someone resumes it.")
    expect(told).to_contain_text("Nothing fires after this is saved.")


def test_a_rehearsal_runs_beside_the_form_and_keeps_all_of_it(acme: Acme, visit: Visit, watch: Watch) -> None:
    source = acme.schedule("Morning sync")
    page = visit(acme.alice)
    page.goto(f"/schedules/new?like={source}")
    page.get_by_label("Name").fill("Not saved yet")
    page.locator("#rehearse-fold summary").click()
    page.get_by_label("Rehearse as if it were").fill("2031-07-01T09:00")
    page.get_by_role("button", name="Rehearse now").dblclick()
    shown = page.locator("#rehearsal")
    expect(shown.get_by_role("status")).to_contain_text("Succeeded")
    expect(shown.get_by_role("link", name="Open run")).to_have_attribute("target", "_blank")
    expect(page.get_by_label("Name")).to_have_value("Not saved yet")
    expect(page.get_by_label("Rehearse as if it were")).to_have_value("2031-07-01T09:00")
    found = acme.site.rows(
        "SELECT is_rehearsal, schedule_id, trigger_metadata FROM runs WHERE tenant_id = :id", id=acme.actor.tenant_id
    )
    assert [(run.is_rehearsal, run.schedule_id) for run in found] == [(True, None)]
    assert found[0].trigger_metadata["scheduledFor"] == "2031-07-01T09:00:00Z"
    assert names(acme) == ["Morning sync"]
    picture(page, "rehearsed")
    inspect(page, watch)


def test_a_rehearsal_that_is_refused_leads_to_the_field(acme: Acme, visit: Visit) -> None:
    page = visit(acme.alice)
    page.goto("/schedules")
    form = open_new_schedule(page)
    form.get_by_label("Name").fill("Kept")
    form.locator("#rehearse-fold summary").click()
    form.get_by_role("button", name="Rehearse now").click()
    expect(form.locator("[data-error-summary]")).to_be_focused()
    expect(form.locator("[data-error-summary]")).to_contain_text("Nothing was started.")
    expect(form.get_by_label("Name")).to_have_value("Kept")


LEAVING = {
    "cancel in the drawer": "confirm",
    "escape in the drawer": "confirm",
    "back from the drawer": "confirm",
    "cancel on the page": "beforeunload",
}


@pytest.mark.parametrize(("way", "question"), LEAVING.items(), ids=LEAVING.keys())
def test_one_is_asked_before_what_was_typed_is_left(acme: Acme, visit: Visit, way: str, question: str) -> None:
    page = visit(acme.alice)
    if "drawer" in way:
        page.goto("/schedules")
        open_new_schedule(page)
    else:
        page.goto("/schedules/new")
    form = page.locator("#dialog-form")
    form.get_by_label("Name").fill("Not lost")
    page.on("dialog", lambda dialog: dialog.dismiss())
    with page.expect_event("dialog") as asked:
        if "escape" in way:
            page.keyboard.press("Escape")
        elif "back" in way:
            page.evaluate("setTimeout(() => history.back())")
        else:
            form.get_by_role("link", name="Cancel").click(no_wait_after=True)
    assert asked.value.type == question
    expect(form.get_by_label("Name")).to_have_value("Not lost")
    expect(form).to_be_visible()


def test_in_the_drawer_moved_fires_are_told_beside_the_list(acme: Acme, visit: Visit) -> None:
    acme.schedule("Morning sync", cron="0 9 1-31 1-12 *")
    page = visit(acme.alice)
    page.goto("/schedules")
    row(page, "Morning sync").locator("summary[aria-label]").click()
    page.get_by_role("link", name="Edit", exact=True).click()
    drawer(page).locator("[name=cron]").fill("0 18 1-31 1-12 *")
    expect(drawer(page).locator("#what-if")).to_contain_text("moved on the same day")
    drawer(page).locator("#what-if").scroll_into_view_if_needed()
    picture(page, "moved")


def test_a_double_click_on_save_makes_one_schedule(acme: Acme, visit: Visit) -> None:
    source = acme.schedule("Morning sync")
    page = visit(acme.alice)
    page.goto(f"/schedules/new?like={source}")
    page.get_by_label("Name").fill("Once only")
    page.get_by_role("button", name="Save schedule").last.dblclick()
    expect(notice(page, "Once only was created.")).to_be_visible()
    assert names(acme) == ["Morning sync", "Once only"]


def test_the_whole_dialog_stands_on_a_phone_and_for_every_reader(crowd: Acme, visit: Visit, watch: Watch) -> None:
    schedule = crowd.schedule("Morning sync", cron="0 9 1 1,6 *")
    page = visit(crowd.alice, viewport={"width": 360, "height": 740})
    page.goto(f"/schedules/{schedule}/edit")
    page.locator("[name=cron]").fill("0 9 1-31 1-12 *")
    expect(page.locator("#what-if")).to_contain_text("added")
    page.locator("#rehearse-fold summary").click()
    page.get_by_role("combobox", name="Workflow").click()
    expect(page.get_by_role("option").first).to_be_visible()
    picture(page, "phone")
    inspect(page, watch)


def picture(page: Page, name: str) -> None:
    """For whoever wants to look: in the directory that CARILLON_PICTURES names."""
    place = os.environ.get("CARILLON_PICTURES")
    for scheme in ("light", "dark") if place else ():
        page.emulate_media(color_scheme=scheme)
        page.screenshot(path=f"{place}/{name}-{scheme}.png", full_page=True)
