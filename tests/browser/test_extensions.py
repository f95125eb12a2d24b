"""The schedules of an extension in a browser: made in its dialog, run, held, changed and deleted on its page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from domain.demo import publish_examples
from domain.extensions.extensions import extension_of
from domain.extensions.installs import install_extension
from domain.kernel import clock
from domain.kernel.db import transaction
from tests.browser.conftest import Visit, Watch
from tests.browser.places import drawer, notice, say_cron
from tests.browser.site import Acme
from tests.browser.test_every_page import NARROW, WIDE, inspect
from tests.runners import LocalRunner

ECHO, WAREHOUSE = "org.carillon.echo", "org.carillon.warehouse"
# A call is a message, a claim and two processes away, and the page looks again every ten seconds.
CALLED_MILLISECONDS = 90_000


@dataclass(frozen=True)
class Echoing:
    """A tenant that has installed the example which answers what it was asked; `runner` executes it. The warehouse, some of
    whose endpoints cannot be scheduled, is there to be installed."""

    acme: Acme
    extension_id: UUID
    warehouse_id: UUID
    runner: LocalRunner

    @property
    def address(self) -> str:
        return f"/settings/extensions/{self.extension_id}"

    def calls(self) -> list[dict[str, Any]]:
        """Those of this tenant: schedules of tests before this one may still come due."""
        tenant = str(self.acme.actor.tenant_id)
        return [call for call in self.runner.calls() if call["headers"]["x-alga-tenant"] == tenant]

    def schedules(self) -> list[Any]:
        query = """SELECT name, is_named, status, payload_json, max_attempts FROM schedules
                   WHERE tenant_id = :id AND deleted_at IS NULL ORDER BY id"""
        return [tuple(found) for found in self.acme.site.rows(query, id=self.acme.actor.tenant_id)]


@pytest.fixture
def echoing(acme: Acme, runner: LocalRunner) -> Echoing:
    with acme.site.app.app_context(), transaction():
        now = clock.database_now()
        found = {extension_of(acme.actor.tenant_id, one.extension_id).name: one for one in publish_examples(now)}
        version = found[ECHO]
        install_extension(acme.actor, version.extension_id, version.id, [], {}, now)
        return Echoing(acme, version.extension_id, found[WAREHOUSE].extension_id, runner)


def card(page: Page, name: str) -> Locator:
    return page.get_by_role("article", name=name)


def choose(page: Page, name: str, action: str) -> None:
    """One of the actions in the menu of a schedule."""
    card(page, name).locator("summary[aria-label]").click()
    card(page, name).locator(".items").get_by_text(action, exact=True).click()


def open_dialog(page: Page) -> Locator:
    page.get_by_role("link", name="Add schedule").click()
    expect(page.get_by_role("heading", name="New schedule")).to_be_visible()
    return drawer(page)


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["1440", "360"])
def test_an_endpoint_is_scheduled_run_held_changed_and_deleted(echoing: Echoing, visit: Visit, size: Any) -> None:
    page = visit(echoing.acme.alice, viewport=size)
    page.goto(echoing.address)
    expect(page.get_by_role("heading", name="No schedules yet")).to_be_visible()
    form = open_dialog(page)
    form.get_by_label("Endpoint").select_option(label="POST /")
    expect(form.get_by_label("Body as JSON")).to_be_hidden()
    form.get_by_role("switch", name="Send a payload").check()
    form.get_by_label("Body as JSON").first.fill('{"batch": 3}')
    say_cron(form, "0 0 1 1 *")
    form.get_by_role("button", name="Save schedule").last.click()
    expect(notice(page, "POST / was created.")).to_be_visible()
    expect(card(page, "POST /")).to_contain_text("Active")
    assert echoing.schedules() == [("POST /", False, "active", {"batch": 3}, 3)]

    card(page, "POST /").get_by_role("button", name="Run now").click()
    expect(notice(page, "POST / runs now.")).to_be_visible()
    expect(card(page, "POST /").get_by_role("link", name="Succeeded")).to_be_visible(timeout=CALLED_MILLISECONDS)
    (call,) = echoing.calls()
    assert call["executed"] and call["body"]["context"]["trigger"] == "manual"

    card(page, "POST /").get_by_role("button", name="Disable").click()
    expect(card(page, "POST /")).to_contain_text("Paused")
    card(page, "POST /").get_by_role("button", name="Enable").click()
    expect(card(page, "POST /")).to_contain_text("Active")

    choose(page, "POST /", "Edit")
    form = drawer(page)
    form.get_by_label("Endpoint").select_option(label="GET /")
    expect(form.locator("#payload-part")).to_contain_text("A GET sends no payload.")
    expect(form.locator("#what-if")).to_contain_text("It calls GET / from now on, instead of POST /.")
    form.get_by_label("Name").fill("Look")
    form.get_by_role("button", name="Save schedule").last.click()
    expect(card(page, "Look")).to_contain_text("GET /")
    assert echoing.schedules() == [("Look", True, "active", None, 3)]

    choose(page, "Look", "Delete…")
    drawer(page).get_by_role("button", name="Delete").last.click()
    expect(page.get_by_role("heading", name="No schedules yet")).to_be_visible()
    assert echoing.schedules() == []


def test_what_is_typed_while_the_payload_is_being_drawn_again_is_kept(echoing: Echoing, visit: Visit) -> None:
    page = visit(echoing.acme.alice)
    page.goto(echoing.address)
    form = open_dialog(page)
    held: list[Route] = []
    page.route("**/schedules/payload", lambda route: held.append(route), times=1)
    form.get_by_label("Endpoint").select_option(label="POST /")
    form.get_by_role("switch", name="Send a payload").check()
    form.get_by_label("Body as JSON").first.fill('{"batch": 3}')
    with page.expect_response("**/schedules/payload"):
        held[0].continue_()
    say_cron(form, "0 0 1 1 *")
    form.get_by_role("button", name="Save schedule").last.click()
    expect(notice(page, "POST / was created.")).to_be_visible()
    assert echoing.schedules() == [("POST /", False, "active", {"batch": 3}, 3)]


def test_the_last_error_of_a_schedule_is_told_and_page_and_dialog_are_sound(
    echoing: Echoing, visit: Visit, watch: Watch
) -> None:
    page = visit(echoing.acme.alice)
    page.goto(f"/schedules/new?extension={echoing.extension_id}")
    page.get_by_label("Endpoint").select_option(label="POST /fail")
    page.get_by_label("Name").fill("Doomed")
    page.get_by_role("switch", name="Send a payload").check()
    page.get_by_label("Body as JSON").first.fill('{"status": 418}')
    say_cron(page.locator("#dialog-form"), "0 0 1 1 *")
    inspect(page, watch)
    watch.is_on = True
    page.set_viewport_size(WIDE)
    page.get_by_role("button", name="Save schedule").last.click()
    expect(page.get_by_role("heading", name="Doomed", level=1)).to_be_visible()
    page.goto(echoing.address)
    card(page, "Doomed").get_by_role("button", name="Run now").click()
    error = card(page, "Doomed").get_by_role("region", name="Last error")
    expect(error).to_contain_text("418", timeout=CALLED_MILLISECONDS)
    expect(card(page, "Doomed").get_by_role("button", name="Copy Last error")).to_be_visible()
    inspect(page, watch)


def test_why_an_endpoint_cannot_be_scheduled_fits_every_look(echoing: Echoing, visit: Visit, watch: Watch) -> None:
    page = visit(echoing.acme.alice)
    page.goto(f"/settings/extensions/{echoing.warehouse_id}")
    expect(page.get_by_text("Its path has a part to be filled in (:sku)")).to_be_visible()
    inspect(page, watch)


def test_without_scripts_links_lead_to_the_schedules_and_buttons_are_forms(echoing: Echoing, visit: Visit) -> None:
    page = visit(echoing.acme.alice, java_script_enabled=False)
    page.goto(echoing.address)
    page.get_by_role("link", name="Show the schedules").click()
    page.get_by_role("link", name="Add schedule").click()
    page.get_by_label("Endpoint").select_option(label="GET /")
    page.get_by_role("button", name="Check without saving").click()
    expect(page.get_by_text("A GET sends no payload.")).to_be_visible()
    page.get_by_label("Endpoint").select_option(label="POST /")
    page.get_by_role("button", name="Check without saving").click()
    page.get_by_label("Send a payload").check()
    page.get_by_label("Body as JSON").fill("[1, 2]")
    page.get_by_role("button", name="Save schedule").last.click()
    expect(notice(page, "POST / was created.")).to_be_visible()
    expect(page.get_by_role("heading", name="POST /", level=1)).to_be_visible()
    assert echoing.schedules() == [("POST /", False, "active", [1, 2], 3)]
    page.goto(f"{echoing.address}/schedules")
    page.get_by_role("button", name="Disable").click()
    expect(notice(page, "POST / is paused")).to_be_visible()
    assert echoing.schedules()[0][2] == "paused"
