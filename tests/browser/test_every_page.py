"""Every page, wide and narrow, light and dark: accessible, inside its window, and without a complaint in the console."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit, Watch
from tests.browser.places import drawer
from tests.browser.shop import Shop, open_shop
from tests.browser.site import Site, an_acme

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 360, "height": 740}
ALL_RULES = "{}"
CONTRAST = '{runOnly: ["color-contrast"]}'
LOOKS = [
    (WIDE, "light", ALL_RULES),
    (WIDE, "dark", CONTRAST),
    (NARROW, "light", ALL_RULES),
    (NARROW, "dark", CONTRAST),
]
"""Colours are all that differs between light and dark."""
SIDEWAYS = """() => {
  const places = [document.documentElement, ...document.querySelectorAll("#drawer[open] .body, .sheet, table")];
  return places.filter((place) => place.scrollWidth > place.clientWidth + 1)
    .map((place) => `${place.localName}.${place.className} is ${place.scrollWidth} px wide in ${place.clientWidth}`);
}"""
VIOLATIONS = """axe.run(document, {resultTypes: ["violations"], ...RULES}).then((answer) => answer.violations.flatMap(
  (violation) => violation.nodes.map((node) => `${violation.id}: ${node.target} ${node.any.map((a) => a.message)[0] ?? ""}`)
))"""
OPEN_FOLDS = "document.querySelectorAll('main details:not(.menu)').forEach((fold) => { fold.open = true; })"
PAGES = {
    "the list of schedules": "/schedules",
    "importing schedules": "/schedules/import",
    "a list without a match": "/schedules?q=nothing+has+this+name",
    "a schedule": "/schedules/{active}",
    "a paused schedule": "/schedules/{paused}",
    "an invalid schedule": "/schedules/{invalid}",
    "a new schedule": "/schedules/new?workflow={workflow}",
    "an edited schedule": "/schedules/{invalid}/edit",
    "the runs of a schedule": "/schedules/{active}?tab=runs",
    "the changes of a schedule": "/schedules/{active}?tab=changes",
    "a schedule as JSON": "/schedules/{active}?tab=json",
    "copying a schedule": "/schedules/new?like={active}",
    "skipping the next": "/schedules/{active}/skip-next",
    "backfilling": "/schedules/{active}/backfill",
    "resuming": "/schedules/{paused}/resume",
    "pausing": "/schedules/{active}/pause",
    "deleting": "/schedules/{active}/delete",
    "the list of workflows": "/workflows",
    "importing workflows": "/workflows/import",
    "a new workflow": "/workflows/new",
    "the editor of a workflow": "/workflows/{workflow}",
    "publishing": "/workflows/{workflow}/publish",
    "a version": "/workflows/{workflow}/versions/1",
    "comparing versions": "/workflows/{workflow}/versions/compare",
    "a workflow with a trigger and a mapping": "/workflows/{fulfilment}",
    "publishing with what changes": "/workflows/{fulfilment}/publish",
    "pausing a workflow": "/workflows/{workflow}/pause",
    "deleting a workflow": "/workflows/{workflow}/delete",
    "two versions side by side": "/workflows/{payroll}/versions/compare?from=1&to=2",
    "restoring a version": "/workflows/{workflow}/versions/1/restore",
    "running a workflow": "/workflows/{workflow}/run",
    "the list of runs": "/runs",
    "a run": "/runs/{succeeded}",
    "a list of runs that is narrowed": "/runs?status=waiting&by=event&from=2026-01-01T00:00",
    "a failed run": "/runs/{failed}",
    "a run that was tried again": "/runs/{tried}",
    "a run that waits": "/runs/{asking}",
    "a run that called another": "/runs/{sold}",
    "a canceled run": "/runs/{gone}",
    "canceling a run": "/runs/{asking}/cancel",
    "running again": "/runs/{sold}/run-again",
    "the list of events": "/events",
    "an event": "/events/{event}",
    "sending an event": "/events/new",
    "the catalogue of events": "/events/types",
    "an event of the catalogue": "/events/types/{event_type}",
    "a new event of the catalogue": "/events/types/new",
    "the inbox": "/tasks",
    "a question": "/tasks/{task}",
    "an answered question": "/tasks/{answered}",
    "what one was told": "/notifications",
    "the actions": "/actions",
    "an action": "/actions/show?id=http.request&version=1",
    "the secrets": "/settings/secrets",
    "a new secret": "/settings/secrets/new",
    "another value of a secret": "/settings/secrets/{secret}/replace",
    "deleting a secret": "/settings/secrets/{secret}/delete",
    "the settings": "/settings",
    "the members": "/settings/members",
    "a new member": "/settings/members/new",
    "the tokens": "/settings/tokens",
    "a new token": "/settings/tokens/new",
    "the payload schemas": "/settings/schemas",
    "one's password": "/settings/password",
    "the system": "/system",
    "the audit": "/system/audit",
    "the outbox": "/system/outbox",
    "nothing there": "/nothing",
}


@pytest.fixture(scope="module")
def shop(site: Site) -> Shop:
    return open_shop(site)


@pytest.mark.parametrize("place", PAGES)
def test_a_page_is_sound_in_every_look(place: str, shop: Shop, visit: Visit, watch: Watch) -> None:
    page = visit(shop.admin)
    page.goto(PAGES[place].format(**shop.ids))
    page.evaluate(OPEN_FOLDS)
    inspect(page, watch)


def test_the_sign_in_page_is_sound_in_every_look(visit: Visit, watch: Watch) -> None:
    page = visit()
    page.goto("/sign-in")
    inspect(page, watch)


@pytest.mark.parametrize(
    "address", ["/schedules", "/workflows", "/runs", "/events", "/tasks", "/notifications", "/settings/secrets"]
)
def test_an_empty_list_is_sound_in_every_look(address: str, site: Site, visit: Visit, watch: Watch) -> None:
    page = visit(an_acme(site, has_workflow=False).alice)
    page.goto(address)
    expect(page.locator(".blank")).to_be_visible()
    inspect(page, watch)


def test_the_top_bar_and_the_tabs_stay_where_they_are_from_page_to_page(shop: Shop, visit: Visit) -> None:
    page = visit(shop.admin)
    for width in (1440, 1000):
        page.set_viewport_size({"width": width, "height": 900})
        bars = {
            address: places(page, address, ".nav-wide a") for address in ("/schedules", "/runs", "/tasks", "/system")
        }
        assert len({str(bar) for bar in bars.values()}) == 1, bars
        assert page.evaluate(SIDEWAYS) == []
    addresses = ("/settings", "/settings/secrets", "/actions", "/settings/password")
    assert len({str(places(page, address, ".tabs a")) for address in addresses}) == 1


def test_the_current_tab_is_in_sight_on_a_phone(shop: Shop, visit: Visit) -> None:
    page = visit(shop.admin, viewport=NARROW)
    page.goto("/settings/password")
    expect(page.locator(".tabs [aria-current]")).to_be_in_viewport(ratio=1)


def places(page: Page, address: str, selector: str) -> list[list[int]]:
    """Where the links stand on the page of `address`: left and upper edge of each."""
    page.goto(address)
    edges = "all => all.map((a) => a.getBoundingClientRect()).map((box) => [Math.round(box.left), Math.round(box.top)])"
    found: list[list[int]] = page.locator(selector).evaluate_all(edges)
    assert found
    return found


def test_a_refused_page_is_sound_in_every_look(shop: Shop, visit: Visit, watch: Watch) -> None:
    page = visit(shop.viewer)
    page.goto("/schedules/new")
    expect(page.get_by_role("heading", name="Your role does not allow this")).to_be_visible()
    inspect(page, watch)


def test_what_a_viewer_sees_is_sound_in_every_look(shop: Shop, visit: Visit, watch: Watch) -> None:
    page = visit(shop.viewer)
    page.goto(f"/workflows/{shop.ids['workflow']}")
    inspect(page, watch)


def test_the_drawer_is_sound_in_every_look_with_and_without_errors(shop: Shop, visit: Visit, watch: Watch) -> None:
    page = visit(shop.admin)
    page.goto("/schedules")
    page.get_by_role("link", name="New schedule").click()
    expect(drawer(page).get_by_label("Workflow").first).to_be_focused()
    drawer(page).get_by_role("button", name="Save schedule").last.click()
    expect(drawer(page).locator("[data-error-summary]")).to_be_focused()
    drawer(page).locator("#how-fold > summary").click()
    inspect(page, watch)


def test_an_open_menu_and_a_notice_are_sound_in_every_look(shop: Shop, visit: Visit, watch: Watch) -> None:
    page = visit(shop.admin)
    page.goto("/schedules")
    page.get_by_label("Actions for Morning digest").click()
    page.evaluate("document.dispatchEvent(new CustomEvent('toast', {detail: {message: 'Said', kind: 'error'}}))")
    expect(page.locator(".notice")).to_be_visible()
    inspect(page, watch)


def inspect(page: Page, watch: Watch) -> None:
    """Look at the page as it is in every look; fails with all that is wrong in any of them."""
    page.wait_for_load_state("networkidle")
    found: list[str] = []
    for size, scheme, _ in LOOKS:
        put_on(page, size, scheme)
        found += [f"{size['width']} px: {what}" for what in page.evaluate(SIDEWAYS)]
    assert watch.complaints == []
    # axe writes styles of its own, which the policy refuses.
    watch.is_on = False
    session = page.context.new_cdp_session(page)
    session.send("Runtime.evaluate", {"expression": axe()})
    for size, scheme, rules in LOOKS:
        put_on(page, size, scheme)
        expression = VIOLATIONS.replace("RULES", rules)
        answer = session.send(
            "Runtime.evaluate", {"expression": expression, "awaitPromise": True, "returnByValue": True}
        )
        assert "exceptionDetails" not in answer, answer
        found += [f"{size['width']} px {scheme}: {what}" for what in answer["result"]["value"]]
    assert found == []


def put_on(page: Page, size: Any, scheme: Any) -> None:
    page.set_viewport_size(size)
    page.emulate_media(color_scheme=scheme)
    expect(page.locator("html")).to_have_attribute("data-bs-theme", scheme)


@cache
def axe() -> str:
    return AXE.read_text()
