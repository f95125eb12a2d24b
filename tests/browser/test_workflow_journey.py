"""From an empty definition to a run that ended, as an author does it, and two authors at once."""

from __future__ import annotations

import json
import re

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Visit
from tests.browser.places import drawer, notice, show_json
from tests.browser.site import SCHEMA_REF, WORKFLOW, Acme, Site, an_acme

NAME = "Region report"
STEPS = [
    {"id": "begin", "type": "state.set", "config": {"state": {"$expr": "payload.region"}}},
    {"id": "rest", "type": "time.wait", "config": {"mode": "duration", "durationMs": 3_600_000}},
    {"id": "end", "type": "control.return", "value": {"$expr": "payload.batchSize"}},
]
LINES = ",\n".join(map(json.dumps, STEPS))
DEFINITION = f'{{"steps": [\n{LINES}\n]}}'


def test_an_author_mends_a_mistake_publishes_runs_and_watches(site: Site, visit: Visit) -> None:
    acme = an_acme(site, has_workflow=False)
    page = visit(acme.alice)
    begin_workflow(page)
    mend_the_definition(page)
    publish_through_the_review(page)
    run_by_hand(page)
    watch_it_end(acme, page)
    page.go_back()
    expect(page.get_by_role("heading", name=NAME, level=1)).to_be_visible()
    expect(drawer(page)).to_be_hidden()
    assert runs_of(acme) == [({"region": "us", "batchSize": 7}, "succeeded")]


def begin_workflow(page: Page) -> None:
    page.goto("/workflows")
    page.get_by_role("link", name="New workflow").first.click()
    expect(drawer(page).get_by_label("Name")).to_be_focused()
    page.keyboard.type(NAME)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=NAME, level=1)).to_be_visible()
    page.locator("#settings-payload summary").click()
    page.get_by_label("Pinned to").select_option(SCHEMA_REF)


def mend_the_definition(page: Page) -> None:
    field = page.locator("#draft-definition[data-enhanced]")
    field.fill(DEFINITION.replace("time.wait", "time.wiat"))
    expect(page.locator(".definition .pce-line.has-error")).to_contain_text("time.wiat")
    page.locator("#draft-problems").get_by_role("link", name=re.compile("line")).click()
    assert "time.wiat" in field.evaluate("area => area.value.slice(area.selectionStart, area.selectionEnd)")
    page.get_by_role("button", name="Save draft").last.click()
    expect(notice(page, "The draft was saved.")).to_be_visible()
    expect(page.locator("#draft-problems")).to_contain_text("Did you mean time.wait?")
    expect(page.locator(".definition .pce-line.has-error")).to_have_count(1)
    expect(page.locator("#outline .has-problem")).to_contain_text("rest")
    page.get_by_role("link", name="Publish…").click()
    expect(drawer(page)).to_contain_text("The draft cannot be published yet")
    expect(drawer(page).get_by_role("button", name=re.compile("Publish version"))).to_have_count(0)
    drawer(page).get_by_role("link", name="Close").click()
    expect(page.get_by_role("link", name="Publish…")).to_be_focused()
    field.fill(DEFINITION)
    page.get_by_role("button", name="Save draft").last.click()
    expect(page.locator(".definition .pce-line.has-error")).to_have_count(0)
    expect(page.locator("#outline .has-problem")).to_have_count(0)


def publish_through_the_review(page: Page) -> None:
    page.get_by_role("link", name="Publish…").click()
    expect(drawer(page)).to_contain_text("The saved draft becomes version 1")
    drawer(page).get_by_role("button", name="Publish version 1").dblclick()
    expect(notice(page, "Version 1 is published.")).to_be_visible()
    expect(page.locator("#workflow-versions").get_by_role("row")).to_have_count(2)


def run_by_hand(page: Page) -> None:
    page.get_by_role("link", name="Run now…").click()
    form = drawer(page)
    form.get_by_label("Region").select_option(label="us")
    form.get_by_label("Invoices per run").fill("7")
    show_json(form)
    expect(form.get_by_role("textbox", name="Payload as JSON")).to_have_value(re.compile('"batchSize": 7'))
    form.get_by_role("button", name="Form", exact=True).click()
    expect(form.get_by_label("Invoices per run")).to_have_value("7")
    form.get_by_role("button", name="Run now").last.dblclick()


def watch_it_end(acme: Acme, page: Page) -> None:
    notice(page, f"{NAME} runs now.").get_by_role("link", name="Open run").click()
    expect(page.get_by_role("status").filter(has_text="Waiting")).to_be_visible()
    page.evaluate("window.isSamePage = true")
    acme.site.execute(
        "UPDATE waits SET due_at = clock_timestamp() WHERE tenant_id = :id AND status = 'open'", id=acme.actor.tenant_id
    )
    expect(page.get_by_role("status").filter(has_text="Succeeded")).to_be_visible()
    assert page.evaluate("window.isSamePage")
    expect(page.locator(".tree")).to_contain_text("rest")
    expect(page.locator("#run-output")).to_have_text("7")


def runs_of(acme: Acme) -> list[tuple[object, str]]:
    query = "SELECT input_json, status FROM runs WHERE tenant_id = :id"
    return [tuple(row) for row in acme.site.rows(query, id=acme.actor.tenant_id)]


def test_the_second_of_two_tabs_is_told_and_loses_nothing(acme: Acme, visit: Visit) -> None:
    first, second = visit(acme.alice), visit(acme.alice)
    for page in (first, second):
        page.goto(f"/workflows/{acme.workflow_id}")
        page.locator("#settings-about summary").click()
    describe(first, "Written in the first tab")
    save(first)
    expect(notice(first, "The draft was saved.")).to_be_visible()
    describe(second, "Written in the second tab")
    second.locator("#draft-definition[data-enhanced]").fill(DEFINITION)
    save(second)
    expect(second.locator("#stored-now")).to_contain_text("Written in the first tab")
    expect(second.get_by_label("Description")).to_have_value("Written in the second tab")
    expect(second.locator("#draft-definition[data-enhanced]")).to_have_value(DEFINITION)
    save(second)
    expect(notice(second, "The draft was saved.")).to_be_visible()
    first.reload()
    expect(first.get_by_label("Description")).to_have_value("Written in the second tab")
    expect(first.get_by_role("heading", name=WORKFLOW, level=1)).to_be_visible()


def describe(page: Page, words: str) -> None:
    field: Locator = page.get_by_label("Description")
    expect(field).to_be_visible()
    field.fill(words)


def save(page: Page) -> None:
    page.get_by_role("button", name="Save draft").last.click()
