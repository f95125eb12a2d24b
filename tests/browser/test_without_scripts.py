"""The same job in a browser without JavaScript: links are pages, buttons are forms."""

from __future__ import annotations

import json

from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.places import notice
from tests.browser.site import PAYLOAD, WORKFLOW, Acme

NAME = "Plain sync"


def test_a_schedule_is_created_edited_held_run_and_deleted_without_scripts(acme: Acme, visit: Visit) -> None:
    page = visit(acme.alice, java_script_enabled=False)
    page.goto("/schedules")
    page.get_by_role("link", name="New schedule").first.click()
    page.get_by_label("Workflow").first.fill(WORKFLOW)
    page.get_by_label("Name").fill(NAME)
    page.get_by_role("button", name="Weekdays at 09:00").click()
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
    page.get_by_label("Search name or workflow").fill("morn")
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_role("link", name="Morning sync")).to_be_visible()
    expect(page.get_by_role("link", name="Evening sync")).to_have_count(0)
    expect(page.get_by_label("Search name or workflow")).to_have_value("morn")
