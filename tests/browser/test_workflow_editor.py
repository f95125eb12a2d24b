"""Alice writes a definition: mistakes show where they are while she types, and nothing of it is lost on the way."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Visit
from tests.browser.places import notice
from tests.browser.site import Acme

BROKEN = '{\n "steps": [\n  {"id": "a", "type": "control.return"},\n  {"id": "b", "type": "state.sett"}\n ]\n}'


def editor(page: Page, acme: Acme) -> Locator:
    page.goto(f"/workflows/{acme.workflow_id}")
    field = page.locator("#draft-definition[data-enhanced]")
    expect(field).to_be_attached()
    return field


def selected_text(field: Locator) -> str:
    return str(field.evaluate("area => area.value.slice(area.selectionStart, area.selectionEnd)"))


def test_a_mistake_is_marked_at_its_line_and_at_its_step(acme: Acme, visit: Visit) -> None:
    page = visit(acme.alice)
    field = editor(page, acme)

    field.fill(BROKEN)

    problems = page.locator("#draft-problems")
    expect(problems).to_contain_text("There is no step type state.sett. Did you mean state.set?")
    expect(page.locator("#outline .has-problem")).to_contain_text("b")
    marked = page.locator(".definition .pce-line.has-error")
    expect(marked).to_have_count(1)
    expect(marked).to_contain_text("state.sett")
    problems.get_by_role("link", name="line 4").click()
    assert selected_text(field) == '{"id": "b", "type": "state.sett"}'

    field.fill(BROKEN.replace("sett", "set").replace('"state.set"', '"control.return"'))
    expect(page.locator("#draft-check")).not_to_contain_text("There is no step type")
    expect(marked).to_have_count(0)


def test_saving_keeps_the_cursor_where_it_is(acme: Acme, visit: Visit) -> None:
    page = visit(acme.alice)
    field = editor(page, acme)
    field.evaluate("area => { area.focus(); area.setSelectionRange(100, 100); }")

    page.keyboard.press("Control+s")

    expect(notice(page, "The draft was saved.")).to_be_visible()
    expect(page.locator("#draft-definition[data-enhanced]")).to_be_focused()
    assert field.evaluate("area => area.selectionStart") == 100


def test_a_link_to_a_field_opens_the_group_that_hides_it(acme: Acme, visit: Visit) -> None:
    page = visit(acme.alice)
    editor(page, acme)
    page.locator("#settings-payload summary").click()
    page.get_by_text("Inferred", exact=True).click()
    page.locator("#settings-payload summary").click()

    page.get_by_role("button", name="Check").click()
    page.locator("#draft-problems").get_by_role("link", name="Payload schema").click()

    expect(page.locator("#draft-schema-mode")).to_be_visible()
    expect(page.locator("#draft-schema-mode")).to_be_focused()


def test_a_mapping_is_judged_while_it_is_typed(acme: Acme, visit: Visit) -> None:
    page = visit(acme.alice)
    editor(page, acme)
    page.locator("#settings-trigger summary").click()
    page.get_by_text("Event", exact=True).first.click()
    page.get_by_label("Event *").fill("invoice.paid")

    region = page.get_by_label("region", exact=False).first
    region.fill("payload.region")
    expect(page.locator("#mapping-0-error")).to_contain_text("sees the event alone")
    region.fill("event.payload.region")
    expect(page.locator("#mapping-0-error")).to_be_empty()
    expect(page.locator("#mapping-notes")).to_contain_text("The payload needs batchSize")

    page.locator("#mapping-part").get_by_text("JSON", exact=True).click()
    expect(page.locator("#draft-mapping[data-enhanced]")).to_have_value(
        '{\n  "region": {\n    "$expr": "event.payload.region"\n  }\n}'
    )
