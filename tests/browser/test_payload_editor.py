"""The payload editor in a browser: parts are added and removed under one's hands, and nothing typed gets lost."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

import pytest
from playwright.sync_api import Locator, Page, expect

from domain.demo_workflows import DemoWorkflow
from domain.kernel import clock
from domain.kernel.db import transaction
from domain.workflows.payload_schemas import register_schema
from tests.browser.conftest import Visit
from tests.browser.places import drawer, notice
from tests.browser.site import Acme, publish

ORDER: dict[str, Any] = {
    "type": "object",
    "required": ["region"],
    "properties": {
        "region": {"enum": ["eu", "us"]},
        "comment": {"type": "string", "maxLength": 2000},
        "notify": {"type": "array", "items": {"type": "string", "format": "email"}},
        "labels": {"type": "object", "additionalProperties": {"type": "integer"}},
        "delivery": {
            "oneOf": [
                {
                    "title": "Post",
                    "type": "object",
                    "properties": {"street": {"type": "string"}},
                    "required": ["street"],
                },
                {"title": "Nothing", "type": "null"},
            ]
        },
    },
}


@pytest.fixture
def order(acme: Acme) -> UUID:
    """A published workflow whose payload has every kind of part."""
    what = DemoWorkflow("Order import", "", "payload.Order.v1", [{"id": "end", "type": "control.return", "value": {}}])
    with acme.site.app.app_context(), transaction():
        now = clock.database_now()
        register_schema(acme.actor, what.schema_ref, ORDER, now)
        return publish(acme.actor, what, now)


def open_run(page: Page, workflow: UUID) -> Locator:
    page.goto(f"/workflows/{workflow}")
    page.locator(f'a[href="/workflows/{workflow}/run"]').first.click()
    expect(drawer(page).get_by_role("group", name="Payload as")).to_be_visible()
    return drawer(page)


def press(form: Locator, name: str) -> None:
    form.get_by_role("button", name=name, exact=True).click()


def test_parts_are_added_removed_and_chosen_and_the_run_gets_them(acme: Acme, order: UUID, visit: Visit) -> None:
    page = visit(acme.alice)
    form = open_run(page, order)
    press(form, "Add to Notify")
    expect(form.get_by_label("Notify 1", exact=True)).to_be_focused()
    page.keyboard.type("first@acme.test")
    press(form, "Add to Notify")
    expect(form.get_by_label("Notify 2", exact=True)).to_be_focused()
    page.keyboard.type("second@acme.test")
    press(form, "Remove Notify 1")
    expect(form.get_by_label("Notify 1", exact=True)).to_have_value("second@acme.test")
    press(form, "Add Labels")
    press(form, "Add a name and a value")
    expect(form.get_by_label("Name", exact=True)).to_be_focused()
    page.keyboard.type("team")
    form.get_by_label("Value", exact=True).fill("7")
    form.get_by_label("Delivery").first.select_option(label="Post")
    form.get_by_role("textbox", name="Street").fill("Main street 1")
    form.get_by_role("textbox", name="Comment").fill("two\nlines")
    form.get_by_role("button", name="Run now").last.click()
    summary = form.locator("[data-error-summary]")
    expect(summary).to_be_focused()
    summary.get_by_role("link", name="Region is required").click()
    expect(form.get_by_label("Region")).to_be_focused()
    page.keyboard.press("e")
    press(form, "JSON")
    expect(form.get_by_role("textbox", name="Payload as JSON")).to_have_value(re.compile('"second@acme.test"'))
    press(form, "Form")
    form.get_by_role("button", name="Run now").last.click()
    expect(notice(page, "Order import runs now.")).to_be_visible()
    assert acme.site.scalar("SELECT input_json FROM runs WHERE workflow_id = :id", id=order) == {
        "region": "eu",
        "comment": "two\nlines",
        "notify": ["second@acme.test"],
        "labels": {"team": 7},
        "delivery": {"street": "Main street 1"},
    }


def test_enter_in_a_field_runs_and_presses_no_button_of_the_editor(acme: Acme, order: UUID, visit: Visit) -> None:
    page = visit(acme.alice)
    form = open_run(page, order)
    form.get_by_label("Region").select_option(label="us")
    press(form, "Add to Notify")
    expect(form.get_by_label("Notify 1", exact=True)).to_be_focused()
    page.keyboard.type("ops@acme.test")
    page.keyboard.press("Enter")
    expect(notice(page, "Order import runs now.")).to_be_visible()


def test_a_part_that_was_added_counts_as_typed(acme: Acme, order: UUID, visit: Visit) -> None:
    page = visit(acme.alice)
    form = open_run(page, order)
    press(form, "Add to Notify")
    expect(form.get_by_label("Notify 1", exact=True)).to_be_focused()
    questions: list[str] = []
    page.once("dialog", lambda dialog: (questions.append(dialog.message), dialog.dismiss()))
    page.keyboard.press("Escape")
    expect(form.get_by_label("Notify 1", exact=True)).to_be_visible()
    assert questions == ["Close without saving? What you typed will be lost."]


def test_what_an_empty_text_means_can_be_chosen_with_the_keyboard(acme: Acme, order: UUID, visit: Visit) -> None:
    page = visit(acme.alice)
    form = open_run(page, order)
    form.get_by_label("Region").select_option(label="us")
    form.get_by_role("textbox", name="Comment").focus()
    page.keyboard.press("Tab")
    expect(form.get_by_label("When Comment is empty")).to_be_focused()
    page.keyboard.press("ArrowDown")
    form.get_by_role("button", name="Run now").last.click()
    expect(notice(page, "Order import runs now.")).to_be_visible()
    assert acme.site.scalar("SELECT input_json FROM runs WHERE workflow_id = :id", id=order) == {
        "region": "us",
        "comment": "",
    }


def test_nothing_scrolls_sideways_on_a_phone(acme: Acme, order: UUID, visit: Visit) -> None:
    page = visit(acme.alice, viewport={"width": 360, "height": 740})
    form = open_run(page, order)
    for name in ("Add to Notify", "Add Labels", "Add a name and a value"):
        press(form, name)
        page.wait_for_load_state("networkidle")
    body = form.locator(".panel > .body")
    assert body.evaluate("body => body.scrollWidth - body.clientWidth") == 0
