"""The list of schedules under someone's hands: it narrows, refreshes, and acts on many."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import Visit, Watch
from tests.browser.places import drawer, notice, row
from tests.browser.site import WORKFLOW, Acme, Site
from tests.browser.test_every_page import inspect

REFRESH_MILLISECONDS = 6_000
LINES = "part => { const range = document.createRange(); range.selectNodeContents(part); return range.getClientRects().length; }"


def box(page: Page, name: str) -> Locator:
    return page.get_by_role("checkbox", name=f"Select {name}", exact=True)


def statuses(site: Site, acme: Acme) -> dict[str, str]:
    query = "SELECT name, status FROM schedules WHERE tenant_id = :id AND deleted_at IS NULL"
    return {found.name: found.status for found in site.rows(query, id=acme.actor.tenant_id)}


def test_typing_in_the_middle_of_a_search_keeps_the_caret(acme: Acme, visit: Visit) -> None:
    acme.schedule("Morning sync")
    acme.schedule("Evening sync")
    page = visit(acme.alice)
    page.goto("/schedules?q=mornsync")
    search = page.get_by_label("Search name, workflow, extension or path")
    search.focus()
    search.evaluate("field => field.setSelectionRange(4, 4)")
    page.keyboard.type("ing ", delay=60)
    expect(row(page, "Morning sync")).to_be_visible()
    expect(page).to_have_url(re.compile("q=morning(%20|[+])sync"))
    page.keyboard.type("!")
    expect(search).to_have_value("morning !sync")
    expect(page.get_by_text("No schedule matches")).to_be_visible()
    expect(page.get_by_text("the search “morning !sync”")).to_be_visible()


def test_the_way_back_leads_to_the_filter_that_was_left(acme: Acme, visit: Visit) -> None:
    acme.schedule("Morning sync")
    acme.schedule("Evening sync")
    page = visit(acme.alice)
    page.goto("/schedules")
    page.get_by_label("Search name, workflow, extension or path").fill("evening")
    expect(row(page, "Morning sync")).to_have_count(0)
    page.get_by_role("link", name="Evening sync").click()
    expect(page.get_by_role("heading", name="Evening sync")).to_be_visible()
    page.go_back()
    expect(page.get_by_label("Search name, workflow, extension or path")).to_have_value("evening")
    expect(row(page, "Evening sync")).to_be_visible()
    expect(row(page, "Morning sync")).to_have_count(0)


def test_a_workflow_brings_its_filter_which_can_be_taken_away(acme: Acme, visit: Visit) -> None:
    acme.schedule("Morning sync")
    page = visit(acme.alice)
    page.goto(f"/schedules?workflow={acme.workflow_id}&status=paused")
    expect(page.get_by_text("No schedule matches")).to_be_visible()
    page.get_by_role("link", name="New schedule").first.click()
    expect(drawer(page).get_by_label("Workflow").first).to_have_value(WORKFLOW)
    page.keyboard.press("Escape")
    page.get_by_role("link", name=f"Remove filter Workflow: {WORKFLOW}").click()
    expect(page).to_have_url(re.compile(r"/schedules\?status=paused$"))


def test_a_selection_stays_while_the_list_would_refresh(acme: Acme, visit: Visit) -> None:
    acme.schedule("Morning sync")
    page = visit(acme.alice)
    page.clock.install()
    page.goto("/schedules")
    page.get_by_role("link", name="Morning sync").focus()
    page.keyboard.press("x")
    expect(box(page, "Morning sync")).to_be_checked()
    expect(page.get_by_text("1 selected")).to_be_visible()
    acme.schedule("Evening sync")
    page.clock.fast_forward(2 * REFRESH_MILLISECONDS)
    expect(box(page, "Morning sync")).to_be_checked()
    expect(row(page, "Evening sync")).to_have_count(0)
    page.keyboard.press("x")
    page.clock.fast_forward(REFRESH_MILLISECONDS)
    expect(row(page, "Evening sync")).to_be_visible()
    expect(page.get_by_role("button", name="Pause…")).to_be_hidden()


def test_rows_do_not_change_places_under_the_pointer(acme: Acme, visit: Visit) -> None:
    acme.schedule("Morning sync")
    page = visit(acme.alice)
    page.clock.install()
    page.goto("/schedules?sort=name")
    row(page, "Morning sync").hover()
    acme.schedule("Evening sync")
    with page.expect_response(re.compile("sort=name")):
        page.clock.fast_forward(REFRESH_MILLISECONDS)
    page.mouse.move(5, 5)
    expect(row(page, "Evening sync")).to_have_count(0)
    page.clock.fast_forward(REFRESH_MILLISECONDS)
    expect(row(page, "Evening sync")).to_be_visible()


def test_a_list_that_cannot_refresh_says_how_old_it_is(acme: Acme, visit: Visit, watch: Watch) -> None:
    acme.schedule("Morning sync")
    page = visit(acme.alice)
    page.clock.install()
    page.goto("/schedules")

    def refuse(route: Route) -> None:
        route.abort()

    watch.is_on = False  # htmx and the browser note that nobody answered
    page.route("**/schedules", refuse)
    page.clock.fast_forward(REFRESH_MILLISECONDS)
    expect(notice(page, "Not up to date since")).to_be_visible()
    expect(row(page, "Morning sync")).to_be_visible()
    page.unroute("**/schedules", refuse)
    page.clock.fast_forward(REFRESH_MILLISECONDS)
    expect(notice(page, "Not up to date since")).to_have_count(0)


def test_many_are_paused_and_resumed_again_by_undo(acme: Acme, site: Site, visit: Visit) -> None:
    names = ["Alpha", "Beta", "Gamma", "Delta"]
    for name in names:
        acme.schedule(name)
    page = visit(acme.alice)
    page.goto("/schedules?sort=name")
    box(page, "Alpha").check()
    box(page, "Delta").click(modifiers=["Shift"])
    expect(page.get_by_text("3 selected")).to_be_visible()
    page.get_by_role("button", name="Pause…", exact=True).click()
    expect(drawer(page).get_by_role("heading", name="Pause 3 schedules")).to_be_visible()
    drawer(page).get_by_label("Reason").fill("stock-taking")
    drawer(page).get_by_role("button", name="Pause 3 schedules").click()
    expect(notice(page, "3 schedules paused.")).to_be_visible()
    expect(drawer(page)).to_be_hidden()
    expect(row(page, "Beta").get_by_text("Paused", exact=True)).to_be_visible()
    expect(box(page, "Alpha")).not_to_be_checked()
    assert sorted(statuses(site, acme).values()) == ["active", "paused", "paused", "paused"]
    notice(page, "3 schedules paused.").get_by_role("button", name="Undo").click()
    expect(notice(page, "3 schedules resumed again.")).to_be_visible()
    expect(row(page, "Beta").get_by_text("Active", exact=True)).to_be_visible()
    assert set(statuses(site, acme).values()) == {"active"}


def test_all_on_the_page_are_deleted_after_a_question(acme: Acme, site: Site, visit: Visit) -> None:
    for name in ("Alpha", "Beta"):
        acme.schedule(name)
    page = visit(acme.alice)
    page.goto("/schedules")
    page.get_by_role("checkbox", name="Select all on this page").check()
    page.get_by_role("button", name="Delete…", exact=True).click()
    expect(drawer(page).get_by_text("cannot be brought back")).to_be_visible()
    assert len(statuses(site, acme)) == 2
    drawer(page).get_by_role("button", name="Delete 2 schedules").click()
    expect(page.get_by_role("heading", name="No schedules yet")).to_be_visible()
    assert statuses(site, acme) == {}


def test_what_was_refused_stays_to_be_read(acme: Acme, visit: Visit, watch: Watch) -> None:
    acme.schedule("Held", enabled=False)
    acme.schedule("Going")
    page = visit(acme.alice)
    page.goto("/schedules")
    page.get_by_role("checkbox", name="Select all on this page").check()
    page.get_by_role("button", name="Pause…", exact=True).click()
    drawer(page).get_by_role("button", name="Pause 2 schedules").click()
    expect(drawer(page).get_by_role("heading", name="1 schedule paused")).to_be_visible()
    expect(drawer(page).get_by_role("link", name="Held")).to_be_visible()
    inspect(page, watch)
    drawer(page).get_by_role("link", name="Back to the schedules").click()
    expect(row(page, "Going").get_by_text("Paused", exact=True)).to_be_visible()


def test_the_list_with_a_selection_and_its_question_are_sound_in_every_look(
    acme: Acme, visit: Visit, watch: Watch
) -> None:
    acme.schedule("Morning sync of the invoices of all branches in the whole of northern Europe")
    acme.schedule("Held", enabled=False)
    page = visit(acme.alice)
    page.goto("/schedules")
    box(page, "Held").check()
    inspect(page, watch)
    page.get_by_role("button", name="Pause…", exact=True).click()
    expect(drawer(page).get_by_role("heading", name="Pause 1 schedule")).to_be_visible()
    inspect(page, watch)


def test_on_a_phone_a_row_has_two_lines_and_its_box(acme: Acme, visit: Visit) -> None:
    acme.schedule("Held with a long name that has no room", enabled=False)
    page = visit(acme.alice, viewport={"width": 360, "height": 740})
    page.goto("/schedules")
    line = page.locator("tbody tr")
    assert line.evaluate("line => line.offsetHeight") < 70
    line.get_by_role("checkbox").check()
    expect(page.get_by_role("button", name="Resume…", exact=True)).to_be_in_viewport()


def test_on_a_phone_the_head_of_a_list_wraps_and_leaves_its_title_whole(acme: Acme, visit: Visit) -> None:
    acme.schedule("Morning sync")
    page = visit(acme.alice, viewport={"width": 360, "height": 740})
    for address in ("/schedules", "/schedules?q=sync", "/workflows", "/runs"):
        page.goto(address)
        title = page.get_by_role("heading", level=1)
        assert title.evaluate(LINES) == 1, address
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, address


def test_the_exact_time_is_told_to_a_keyboard_too(acme: Acme, visit: Visit) -> None:
    acme.schedule("Morning sync")
    page = visit(acme.alice)
    page.goto("/schedules")
    row(page, "Morning sync").locator(".c-next time").focus()
    tip = page.get_by_role("tooltip")
    expect(tip).to_contain_text("UTC")
    expect(tip).to_contain_text("(yours)")
