"""The same job in a browser without JavaScript: links are pages, buttons are forms."""

from __future__ import annotations

import json

from playwright.sync_api import Page, expect

from domain.events.event_types import register_event_type
from domain.kernel import clock
from domain.kernel.db import transaction
from tests.browser.conftest import Visit
from tests.browser.places import notice
from tests.browser.site import PAYLOAD, SCHEMA_REF, WORKFLOW, Acme
from tests.browser.steps import ASKING, EVENT
from tests.faults.fleet import wait_until

NAME = "Plain sync"


def test_a_schedule_is_created_edited_held_run_and_deleted_without_scripts(acme: Acme, visit: Visit) -> None:
    page = visit(acme.alice, java_script_enabled=False)
    page.goto("/schedules")
    page.get_by_role("link", name="New schedule").first.click()
    page.get_by_label("Workflow").first.fill(WORKFLOW)
    page.get_by_label("Name").fill(NAME)
    page.get_by_role("radio", name="Weekly", exact=True).check()
    page.get_by_role("button", name="Check without saving").click()
    expect(page.locator("#timing-preview")).to_contain_text("Weekdays at 09:00, UTC")
    expect(page.get_by_label("Name")).to_have_value(NAME)
    page.get_by_label("Region").select_option(json.dumps(PAYLOAD["region"]))
    page.get_by_label("Invoices per run").fill(str(PAYLOAD["batchSize"]))
    page.get_by_role("button", name="JSON", exact=True).click()
    expect(page.get_by_label("Payload as JSON")).to_have_value(json.dumps(PAYLOAD, indent=2))
    page.get_by_role("button", name="Save schedule").last.click()
    expect(notice(page, f"{NAME} was created.")).to_be_visible()
    expect(page.get_by_role("heading", name=NAME, level=1)).to_be_visible()

    page.get_by_role("link", name="Edit", exact=True).click()
    expect(page.get_by_role("checkbox", name="Fri")).to_be_checked()
    page.get_by_role("radio", name="Cron", exact=True).check()
    page.get_by_label("Cron pattern").fill("0 9 31 2 *")
    page.get_by_role("button", name="Save schedule").last.click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was saved")
    expect(page.get_by_label("Cron pattern")).to_have_value("0 9 31 2 *")
    page.get_by_label("Cron pattern").fill("30 6 * * *")
    page.get_by_role("button", name="Save schedule").last.click()
    expect(notice(page, f"{NAME} was saved.")).to_be_visible()

    page.get_by_role("link", name="Pause…").click()
    page.get_by_label("Reason").fill("stock-taking")
    page.get_by_role("button", name="Pause schedule").click()
    expect(notice(page, f"{NAME} is paused.")).to_be_visible()
    expect(page.get_by_text("stock-taking").first).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(notice(page, f"{NAME} goes on")).to_be_visible()

    page.get_by_role("button", name="Run now").click()
    notice(page, f"{NAME} runs now.").get_by_role("link", name="Open run").click()
    expect(page.get_by_text(f"Run now of {NAME}")).to_be_visible()

    page.goto("/schedules")
    page.locator("summary", has=page.get_by_label(f"Actions for {NAME}")).or_(
        page.get_by_label(f"Actions for {NAME}")
    ).first.click()
    page.get_by_role("link", name="Delete…").click()
    page.get_by_role("button", name="Delete schedule").click()
    expect(page.get_by_role("heading", name="No schedules yet")).to_be_visible()


def test_lists_are_searched_without_scripts(acme: Acme, visit: Visit) -> None:
    acme.schedule("Morning sync")
    acme.schedule("Evening sync")
    page = visit(acme.bob, java_script_enabled=False)
    page.goto("/schedules")
    page.get_by_label("Search name, workflow, extension or path").fill("morn")
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_role("link", name="Morning sync")).to_be_visible()
    expect(page.get_by_role("link", name="Evening sync")).to_have_count(0)
    expect(page.get_by_label("Search name, workflow, extension or path")).to_have_value("morn")


def test_a_workflow_is_written_started_by_an_event_and_answered_without_scripts(acme: Acme, visit: Visit) -> None:
    with acme.site.app.app_context(), transaction():
        register_event_type(acme.actor, EVENT, "A batch was asked for.", SCHEMA_REF, clock.database_now())
    page = visit(acme.alice, java_script_enabled=False)
    write_and_publish(page)
    page.goto("/events")
    page.get_by_role("link", name="Send event").first.click()
    page.get_by_label("Region").select_option(label="us")
    page.get_by_role("button", name="Send event").last.click()
    expect(page.get_by_role("heading", name=EVENT, level=1)).to_be_visible()
    await_run(acme, "waiting")
    page.get_by_role("link", name="Tasks").first.click()
    page.get_by_role("link", name="Take us?").click()
    page.get_by_role("button", name="Send answer").last.click()
    expect(page.get_by_role("alert")).to_contain_text("Approved is required")
    page.get_by_label("Approved").select_option(label="No")
    page.get_by_role("button", name="Send answer").last.click()
    notice(page, f"Answered. {ASKING.name} goes on.").get_by_role("link", name="Open run").click()
    expect(page.locator("#run")).to_be_visible()
    await_run(acme, "succeeded")
    page.reload()
    expect(page.get_by_role("status").filter(has_text="Succeeded")).to_be_visible()
    expect(page.locator("#run-output")).to_contain_text('"approved": false')
    page.get_by_role("button", name="Run again").click()
    # The database knows of the new run before the browser has its page.
    expect(notice(page, "It runs again with the same input.")).to_be_visible()
    await_run(acme, "waiting")
    page.reload()
    page.get_by_role("link", name="Cancel run…").click()
    page.get_by_label("Reason").fill("asked twice")
    page.get_by_role("button", name="End this run").click()
    expect(page.locator("#run [role=status]")).to_have_text("Canceled")
    expect(page.get_by_text("asked twice").first).to_be_visible()


def write_and_publish(page: Page) -> None:
    page.goto("/workflows/new")
    page.get_by_label("Name").fill(ASKING.name)
    page.get_by_role("button", name="Create workflow").last.click()
    for group in ("trigger", "payload"):
        page.locator(f"#settings-{group} summary").click()
    page.get_by_text("Event", exact=True).first.click()
    page.get_by_label("Event *").fill(EVENT)
    page.get_by_label("Pinned to").select_option(SCHEMA_REF)
    definition = page.get_by_role("textbox", name="Definition")
    definition.fill(json.dumps({"steps": ASKING.steps}).replace("human.task", "human.tusk"))
    page.get_by_role("button", name="Check").click()
    expect(page.locator("#draft-problems")).to_contain_text("Did you mean human.task?")
    definition.fill(json.dumps({"steps": ASKING.steps}))
    page.get_by_role("button", name="Save draft").last.click()
    expect(notice(page, "The draft was saved.")).to_be_visible()
    page.get_by_role("link", name="Publish…").click()
    page.get_by_role("button", name="Publish version 1").click()
    expect(notice(page, "Version 1 is published.")).to_be_visible()


def await_run(acme: Acme, status: str) -> None:
    query = "SELECT status FROM runs WHERE tenant_id = :id ORDER BY id DESC LIMIT 1"
    wait_until(lambda: acme.site.scalar(query, id=acme.actor.tenant_id) == status, f"a run that is {status}")
