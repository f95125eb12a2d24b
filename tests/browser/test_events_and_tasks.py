"""An event starts a workflow that asks a person; and what else belongs to several people or tenants."""

from __future__ import annotations

import re
from uuid import UUID

import pytest
from playwright.sync_api import Page, expect

from domain.accounts.audit import Actor
from domain.accounts.members import add_member
from domain.accounts.permissions import VIEWER
from domain.events.event_types import register_event_type
from domain.kernel import clock
from domain.kernel.db import transaction
from tests.browser.conftest import Visit
from tests.browser.places import drawer, notice, row
from tests.browser.site import SCHEMA_REF, WORKFLOW, Acme, Site, an_acme, publish
from tests.browser.steps import ASKING, EVENT


@pytest.fixture
def asking(acme: Acme) -> UUID:
    """A workflow that an event of the catalogue starts, and that asks a person."""
    with acme.site.app.app_context(), transaction():
        now = clock.database_now()
        register_event_type(acme.actor, EVENT, "A batch was asked for.", SCHEMA_REF, now)
        return publish(acme.actor, ASKING, now, {"type": "event", "eventName": EVENT})


def test_an_event_starts_a_run_that_asks_and_goes_on_with_the_answer(acme: Acme, asking: UUID, visit: Visit) -> None:
    page = visit(acme.alice)
    send_an_event(page)
    assert acme.site.scalar("SELECT count(*) FROM events WHERE tenant_id = :id", id=acme.actor.tenant_id) == 1
    find_the_question(page)
    answer_it(page)
    page.go_back()
    expect(page.get_by_role("heading", name="Nothing waits for an answer")).to_be_visible()
    expect(page.get_by_role("link", name="Tasks", exact=True)).to_be_visible()
    page.get_by_label("Status").select_option("answered")
    row(page, "Take eu?").get_by_role("link", name="Take eu?").click()
    expect(page.get_by_text("The answer", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Send answer")).to_have_count(0)
    runs = acme.site.rows("SELECT status, output FROM runs WHERE workflow_id = :id", id=asking)
    assert [tuple(run) for run in runs] == [("succeeded", {"approved": True, "comment": "go on"})]


def send_an_event(page: Page) -> None:
    page.goto("/events")
    page.get_by_role("link", name="Send event").first.click()
    form = drawer(page)
    expect(form.get_by_label("Event").first).to_have_value(EVENT)
    form.get_by_label("Region").select_option(label="eu")
    form.get_by_role("button", name="Send event").last.dblclick()
    expect(page.get_by_role("heading", name=EVENT, level=1)).to_be_visible()
    expect(page).to_have_url(re.compile("/events/[0-9a-f-]{36}$"))
    expect(page.get_by_role("row").filter(has_text=ASKING.name)).to_contain_text("Waiting")
    page.go_back()
    expect(drawer(page)).to_be_hidden()


def find_the_question(page: Page) -> None:
    page.reload()
    expect(page.get_by_role("link", name="Notifications, 1 unread")).to_be_visible()
    page.get_by_role("link", name="Tasks 1 open").click()
    row(page, "Take eu?").get_by_role("link", name="Take eu?").click()
    expect(page.get_by_text("Batches are looked at first.")).to_be_visible()


def answer_it(page: Page) -> None:
    page.get_by_role("button", name="Send answer").last.click()
    summary = page.locator("[data-error-summary]")
    summary.get_by_role("link", name="Approved is required").click()
    expect(page.get_by_label("Approved")).to_be_focused()
    page.get_by_label("Approved").select_option(label="Yes")
    page.get_by_label("Comment", exact=True).fill("go on")
    page.get_by_role("button", name="Send answer").last.dblclick()
    told = notice(page, f"Answered. {ASKING.name} goes on.")
    told.get_by_role("link", name="Open run").click()
    expect(page.get_by_role("status").filter(has_text="Succeeded")).to_be_visible()
    expect(page.locator("#run")).to_contain_text(f"Started by the event {EVENT}")


def test_who_belongs_to_two_tenants_sees_one_at_a_time(acme: Acme, site: Site, visit: Visit) -> None:
    other = an_acme(site, has_workflow=False)
    with site.app.app_context(), transaction():
        add_member(Actor(other.actor.tenant_id), acme.email, "Alice", VIEWER)
        name = site.scalar("SELECT name FROM tenants WHERE id = :id", id=other.actor.tenant_id)
    page = visit(acme.alice)
    page.goto("/workflows")
    expect(row(page, WORKFLOW)).to_be_visible()
    page.get_by_label("Account of Alice").click()
    page.get_by_role("button", name=name).click()
    expect(notice(page, "You work in another tenant now.")).to_be_visible()
    expect(page.locator(".tenant")).to_contain_text(name)
    page.go_back()
    expect(page.locator(".tenant")).to_contain_text(name)
    expect(page.get_by_role("link", name=WORKFLOW)).to_have_count(0)
    page.goto(f"/workflows/{acme.workflow_id}")
    expect(page.get_by_role("heading", level=1)).to_contain_text("nothing", ignore_case=True)
