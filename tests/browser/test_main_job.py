"""The main job, from signing in to deleting the schedule, as an operator does it."""

from __future__ import annotations

import json
import re
import signal

import pytest
from playwright.sync_api import Page, expect

from domain.demo_workflows import INVOICE_SYNC
from tests.browser.conftest import Visit
from tests.browser.places import choose, drawer, fill_payload, notice, row
from tests.browser.site import PAYLOAD, SCHEMA_REF, WORKFLOW, Site, an_acme, soon
from tests.factories import PASSWORD

NAME = "First sync"
# Long enough to save the form and look at the list on a machine that is busy, short enough to wait for.
DUE_SECONDS = 30


@pytest.mark.timeout(300)
def test_an_operator_publishes_schedules_watches_and_deletes(site: Site, visit: Visit) -> None:
    acme = an_acme(site, has_workflow=False)
    page = visit()
    sign_in(page, acme.email)
    publish_a_workflow(page)
    site.fleet.send(site.worker, signal.SIGSTOP)
    try:
        create_a_one_time_schedule(page)
        watch_it_fire(page)
        watch_its_run(site, page)
    finally:
        site.fleet.send(site.worker, signal.SIGCONT)
    late = site.scalar(
        "SELECT extract(epoch FROM decided_at - scheduled_for) FROM occurrences o JOIN schedules s "
        "ON s.id = o.schedule_id WHERE s.tenant_id = :id",
        id=acme.actor.tenant_id,
    )
    assert 0 <= late < DUE_SECONDS
    make_it_repeat(page)
    pause_and_resume(page)
    run_it_now(page)
    delete_it(page)


def sign_in(page: Page, email: str) -> None:
    page.goto("/")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile("/schedules$"))


def publish_a_workflow(page: Page) -> None:
    page.get_by_role("link", name="Workflows", exact=True).click()
    page.get_by_role("link", name="New workflow").first.click()
    drawer(page).get_by_label("Name").fill(WORKFLOW)
    drawer(page).get_by_role("button", name="Create workflow").click()
    expect(page.get_by_role("heading", name=WORKFLOW, level=1)).to_be_visible()
    page.locator("#settings-payload summary").click()
    page.get_by_label("Pinned to").select_option(SCHEMA_REF)
    page.get_by_role("textbox", name="Definition").fill(json.dumps({"steps": INVOICE_SYNC.steps}))
    page.get_by_role("button", name="Save draft").click()
    expect(notice(page, "The draft was saved.")).to_be_visible()
    page.get_by_role("link", name="Publish…").click()
    expect(drawer(page)).to_contain_text("The saved draft becomes version 1")
    drawer(page).get_by_role("button", name="Publish version 1").click()
    expect(notice(page, "Version 1 is published.")).to_be_visible()


def create_a_one_time_schedule(page: Page) -> None:
    page.get_by_role("link", name="New schedule").click()
    form = drawer(page)
    expect(form.get_by_label("Workflow").first).to_have_value(re.compile(WORKFLOW))
    form.get_by_label("Name").fill(NAME)
    fill_payload(form, json.dumps(PAYLOAD))
    form.get_by_text("Once", exact=True).click()
    form.get_by_label("Date and time").fill(soon(DUE_SECONDS))
    form.get_by_role("button", name="Save schedule").last.click()
    expect(notice(page, f"{NAME} was created.")).to_be_visible()
    page.get_by_role("link", name="Schedules", exact=True).click()
    expect(row(page, NAME)).to_contain_text("Active")
    expect(row(page, NAME)).to_contain_text("Once")


def watch_it_fire(page: Page) -> None:
    page.get_by_role("link", name="Runs", exact=True).click()
    page.evaluate("window.isSamePage = true")
    line = page.get_by_role("row").filter(has_text=NAME)
    expect(line).to_contain_text("Queued", timeout=90_000)
    assert page.evaluate("window.isSamePage")
    line.get_by_role("link", name=WORKFLOW).click()
    expect(page.locator("#run")).to_contain_text(f"Fired by {NAME}")


def watch_its_run(site: Site, page: Page) -> None:
    expect(page.get_by_role("status").filter(has_text="Queued")).to_be_visible()
    page.evaluate("window.isSamePage = true")
    site.fleet.send(site.worker, signal.SIGCONT)
    expect(page.get_by_role("status").filter(has_text="Succeeded")).to_be_visible()
    expect(page.get_by_role("button", name="Run again")).to_be_visible()
    expect(page.locator("#run[data-live]")).to_have_count(0)
    assert page.evaluate("window.isSamePage")


def make_it_repeat(page: Page) -> None:
    page.get_by_role("link", name="Schedules", exact=True).click()
    expect(row(page, NAME)).to_contain_text("Completed")
    choose(page, NAME, "Edit")
    form = drawer(page)
    form.get_by_text("Repeats", exact=True).click()
    form.get_by_role("radio", name="Weekly", exact=True).check()
    expect(form.locator("#timing-preview")).to_contain_text("Weekdays at 09:00, UTC")
    form.get_by_role("button", name="Save schedule").last.click()
    expect(notice(page, f"{NAME} was saved.")).to_be_visible()
    expect(row(page, NAME)).to_contain_text("Weekdays at 09:00")
    expect(row(page, NAME)).to_contain_text("Active")


def pause_and_resume(page: Page) -> None:
    choose(page, NAME, "Pause…")
    drawer(page).get_by_label("Reason").fill("supplier outage")
    drawer(page).get_by_role("button", name="Pause schedule").click()
    expect(notice(page, f"{NAME} is paused.").get_by_role("button", name="Undo")).to_be_visible()
    expect(row(page, NAME)).to_contain_text("Paused by Alice: supplier outage")
    choose(page, NAME, "Resume")
    expect(notice(page, f"{NAME} goes on")).to_be_visible()
    expect(row(page, NAME)).to_contain_text("Active")


def run_it_now(page: Page) -> None:
    choose(page, NAME, "Run now")
    notice(page, f"{NAME} runs now.").get_by_role("link", name="Open run").click()
    expect(page.locator("#run")).to_contain_text(f"Run now of {NAME}, asked for by Alice")
    expect(page.get_by_role("status").filter(has_text="Succeeded")).to_be_visible()


def delete_it(page: Page) -> None:
    page.get_by_role("link", name="Schedules", exact=True).click()
    choose(page, NAME, "Delete…")
    drawer(page).get_by_role("button", name="Delete schedule").click()
    expect(notice(page, f"{NAME} was deleted.")).to_be_visible()
    expect(page.get_by_role("heading", name="No schedules yet")).to_be_visible()
