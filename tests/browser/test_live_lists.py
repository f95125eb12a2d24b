"""Lists that narrow while someone types and refresh by themselves, without getting in the way."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from playwright.sync_api import Page, Request, Route, expect

from tests.browser.conftest import Visit
from tests.browser.places import drawer, notice, row
from tests.browser.site import Acme

REFRESH_MILLISECONDS = 6_000
A_LIST, A_RUN = re.compile("/schedules$"), re.compile("/run-now$")
# Nothing refreshes by itself.
NO_POLLING = """
const later = window.setTimeout;
window.setTimeout = (act, delay, ...given) => (delay >= 5000 ? 0 : later(act, delay, ...given));
"""


def test_a_search_waits_for_the_end_of_the_word_and_keeps_the_focus(acme: Acme, visit: Visit) -> None:
    acme.schedule("Morning sync")
    acme.schedule("Evening sync")
    page = visit(acme.alice)
    page.clock.install()
    page.goto("/schedules")
    asked = searches(page)
    # However slowly the keys follow each other here, for the page they do at once.
    page.clock.pause_at(datetime.now(UTC) + timedelta(hours=1))
    search = page.get_by_label("Search name, workflow, extension or path")
    search.press_sequentially("morning")
    assert asked == []
    page.clock.resume()
    expect(row(page, "Evening sync")).to_have_count(0)
    expect(row(page, "Morning sync")).to_be_visible()
    expect(page.locator("#schedule-count")).to_have_text("1")
    expect(page).to_have_url(re.compile(r"\?q=morning$"))
    assert len(asked) == 1
    expect(search).to_be_focused()
    search.press_sequentially(" sync")
    expect(search).to_have_value("morning sync")
    expect(page).to_have_url(re.compile("q=morning(%20|[+])sync"))
    page.reload()
    expect(search).to_have_value("morning sync")
    expect(row(page, "Evening sync")).to_have_count(0)


def test_a_list_that_is_as_it_was_is_not_sent_again(acme: Acme, visit: Visit) -> None:
    schedule_id = acme.schedule("Morning sync")
    page = visit(acme.alice)
    page.clock.install()
    page.goto("/schedules")

    def refreshed() -> int:
        with page.expect_response(A_LIST) as answer:
            page.clock.fast_forward(REFRESH_MILLISECONDS)
        page.wait_for_function("() => !document.querySelector('.htmx-request, .htmx-swapping, .htmx-settling')")
        page.clock.run_for(100)
        return answer.value.status

    assert [refreshed() for _ in range(3)] == [200, 204, 204]
    acme.schedule("Evening sync")
    assert [refreshed() for _ in range(2)] == [200, 204]
    expect(row(page, "Evening sync")).to_be_visible()
    # Once a person has changed something, the list is drawn again.
    row(page, "Morning sync").locator("summary[aria-label]").click()
    page.locator(f"#menu-{schedule_id}").get_by_role("button", name="Run now").click()
    expect(notice(page, "Morning sync runs now.")).to_be_visible()
    assert refreshed() == 200


def test_a_refresh_leaves_an_open_menu_open(acme: Acme, visit: Visit) -> None:
    acme.schedule("Morning sync")
    page = visit(acme.alice)
    page.clock.install()
    page.goto("/schedules")
    button = row(page, "Morning sync").locator("summary[aria-label]")
    button.click()
    expect(page.get_by_role("button", name="Run now")).to_be_visible()
    asked = refreshes(page)
    acme.schedule("Evening sync")
    page.clock.fast_forward(REFRESH_MILLISECONDS)
    expect(page.get_by_role("button", name="Run now")).to_be_visible()
    assert asked == []
    page.keyboard.press("Escape")
    page.clock.fast_forward(REFRESH_MILLISECONDS)
    expect(row(page, "Evening sync")).to_be_visible()
    expect(row(page, "Morning sync").locator("summary[aria-label]")).to_be_focused()


def test_a_refresh_leaves_the_focus_where_it_is(acme: Acme, visit: Visit) -> None:
    schedule_id = acme.schedule("Morning sync")
    page = visit(acme.alice)
    page.clock.install()
    for address, aim in (
        ("/schedules", page.get_by_role("link", name="Morning sync")),
        ("/schedules", page.get_by_role("link", name="Last fire")),
        (f"/schedules/{schedule_id}", page.get_by_role("link", name="Skipped")),
        (f"/schedules/{schedule_id}", page.get_by_role("button", name="Run now")),
    ):
        page.goto(address)
        aim.focus()
        page.evaluate("document.querySelector('[data-live]').dataset.old = ''")
        page.clock.fast_forward(2 * REFRESH_MILLISECONDS)
        expect(page.locator("[data-live][data-old]")).to_have_count(0)
        expect(aim).to_be_focused()


def test_a_refresh_waits_while_a_dialog_is_open(acme: Acme, visit: Visit) -> None:
    acme.schedule("Morning sync")
    page = visit(acme.alice)
    page.clock.install()
    page.goto("/schedules")
    page.get_by_role("link", name="New schedule").click()
    expect(page.get_by_role("heading", name="New schedule")).to_be_visible()
    asked = refreshes(page)
    page.clock.fast_forward(2 * REFRESH_MILLISECONDS)
    expect(drawer(page).get_by_label("Workflow").first).to_be_focused()
    assert asked == []


def test_what_is_done_in_a_row_while_the_list_is_asked_for_is_done_and_told(acme: Acme, visit: Visit) -> None:
    acme.schedule("Morning sync")
    page = visit(acme.alice)
    page.add_init_script(NO_POLLING)
    page.goto("/schedules")
    page.keyboard.press("j")
    lists, runs = held(page, A_LIST), held(page, A_RUN)
    with page.expect_request(A_LIST):
        page.evaluate("htmx.trigger(document.body, 'schedules-changed')")
    page.keyboard.press("e")
    expect(drawer(page).get_by_role("heading", name="Edit Morning sync")).to_be_visible()
    page.keyboard.press("Escape")
    expect(drawer(page)).to_be_hidden()

    row(page, "Morning sync").locator("summary[aria-label]").click()
    with page.expect_request(A_RUN):
        page.get_by_role("button", name="Run now").click()
    page.unroute(A_LIST)
    with page.expect_response(A_LIST):
        lists[0].continue_()
    runs[0].continue_()
    expect(notice(page, "Morning sync runs now")).to_be_visible()


def held(page: Page, address: re.Pattern[str]) -> list[Route]:
    """The requests for an address, which wait until the test lets them go."""
    found: list[Route] = []
    page.route(address, lambda route: found.append(route))
    return found


def test_the_page_of_a_schedule_shows_what_its_buttons_did(acme: Acme, visit: Visit) -> None:
    """The button that was pressed keeps the focus, which must not keep the page from refreshing."""
    schedule_id = acme.schedule("Morning sync")
    page = visit(acme.alice)
    page.add_init_script(NO_POLLING)
    page.goto(f"/schedules/{schedule_id}")
    page.get_by_role("button", name="Run now").click()
    expect(notice(page, "Morning sync runs now.")).to_be_visible()
    expect(page.get_by_role("table")).to_contain_text("run by hand")
    expect(page.get_by_role("button", name="Run now")).to_be_focused()
    page.get_by_role("link", name="Pause…").click()
    drawer(page).get_by_label("Reason").fill("stock-taking")
    drawer(page).get_by_role("button", name="Pause schedule").click()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("link", name="Pause…")).to_be_visible()


def searches(page: Page) -> list[str]:
    return requests(page, "q=")


def refreshes(page: Page) -> list[str]:
    return requests(page, "/schedules")


def requests(page: Page, part: str) -> list[str]:
    """Addresses asked for by scripts from now on that end with `part`, or hold it when it is a parameter."""
    asked: list[str] = []

    def hear(request: Request) -> None:
        is_meant = part in request.url if part.endswith("=") else request.url.endswith(part)
        if is_meant and request.resource_type in ("xhr", "fetch"):
            asked.append(request.url)

    page.on("request", hear)
    return asked
