"""Every page, wide and narrow, light and dark: accessible, inside its window, and without a complaint in the console."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from domain.accounts.audit import Actor
from domain.accounts.tenants import Tenant
from domain.accounts.users import user_by_email
from domain.demo import EMAIL, SLUG, VIEWER_EMAIL, create_demo_tenant
from domain.firing.run_now import run_schedule_now
from domain.kernel import clock
from domain.kernel.db import db, transaction
from tests.browser.conftest import Visit, Watch
from tests.browser.places import drawer
from tests.browser.site import Json, Site, an_acme
from tests.faults.fleet import wait_until

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
PAGES = {
    "the list of schedules": "/schedules",
    "a list without a match": "/schedules?q=nothing+has+this+name",
    "a schedule": "/schedules/{active}",
    "a paused schedule": "/schedules/{paused}",
    "an invalid schedule": "/schedules/{invalid}",
    "a new schedule": "/schedules/new?workflow={workflow}",
    "an edited schedule": "/schedules/{invalid}/edit",
    "pausing": "/schedules/{active}/pause",
    "deleting": "/schedules/{active}/delete",
    "the list of workflows": "/workflows",
    "a new workflow": "/workflows/new",
    "the editor of a workflow": "/workflows/{workflow}",
    "publishing": "/workflows/{workflow}/publish",
    "a version": "/workflows/{workflow}/versions/1",
    "comparing versions": "/workflows/{workflow}/versions/compare",
    "restoring a version": "/workflows/{workflow}/versions/1/restore",
    "running a workflow": "/workflows/{workflow}/run",
    "the list of runs": "/runs",
    "a run": "/runs/{succeeded}",
    "a failed run": "/runs/{failed}",
    "the settings": "/settings",
    "the members": "/settings/members",
    "a new member": "/settings/members/new",
    "the tokens": "/settings/tokens",
    "a new token": "/settings/tokens/new",
    "the payload schemas": "/settings/schemas",
    "one's password": "/settings/password",
    "the system": "/system",
    "the audit": "/system/audit",
    "nothing there": "/nothing",
}


FINISHED = {"Europe, all day": "succeeded", "Ask the supplier": "failed"}
"""Schedules of the demo tenant, and how their second run ends."""


@pytest.fixture(scope="module")
def demo(site: Site) -> dict[str, Any]:
    """The demo tenant, in which every page has something to show: its admin, its viewer, and the ids of what is shown."""
    with site.app.app_context():
        with transaction():
            create_demo_tenant(clock.database_now())
        tenant_id = site.scalar("SELECT id FROM tenants WHERE slug = :slug", slug=SLUG)
        tenant = db.session.get_one(Tenant, tenant_id)
        users = {name: user_by_email(email) for name, email in (("admin", EMAIL), ("viewer", VIEWER_EMAIL))}
        states: Json = {name: site.cookies(user, tenant) for name, user in users.items() if user}
    return states | {"ids": _stored_ids(site, tenant_id) | _run_ids(site, tenant_id)}


def _stored_ids(site: Site, tenant_id: Any) -> Json:
    query = "SELECT id FROM schedules WHERE tenant_id = :tenant AND status = :status ORDER BY id LIMIT 1"
    ids = {status: site.scalar(query, tenant=tenant_id, status=status) for status in ("active", "paused", "invalid")}
    query = "SELECT id FROM workflows WHERE tenant_id = :tenant AND name = 'Invoice sync'"
    return ids | {"workflow": site.scalar(query, tenant=tenant_id)}


def _run_ids(site: Site, tenant_id: Any) -> Json:
    """One run of each outcome, by status."""
    for name in FINISHED:
        for number in range(2):
            _run_now(site, tenant_id, name, f"{name} {number}")
    query = "SELECT id FROM runs WHERE tenant_id = :tenant AND status = :status LIMIT 1"
    return {
        status: wait_until(lambda status=status: site.scalar(query, tenant=tenant_id, status=status), f"a {status} run")
        for status in FINISHED.values()
    }


def _run_now(site: Site, tenant_id: Any, name: str, key: str) -> None:
    query = "SELECT id FROM schedules WHERE tenant_id = :tenant AND name = :name"
    schedule_id = site.scalar(query, tenant=tenant_id, name=name)
    with site.app.app_context(), transaction():
        run_schedule_now(Actor(tenant_id), schedule_id, key, clock.database_now())


@pytest.mark.parametrize("place", PAGES)
def test_a_page_is_sound_in_every_look(place: str, demo: Json, visit: Visit, watch: Watch) -> None:
    page = visit(demo["admin"])
    page.goto(PAGES[place].format(**demo["ids"]))
    inspect(page, watch)


def test_the_sign_in_page_is_sound_in_every_look(visit: Visit, watch: Watch) -> None:
    page = visit()
    page.goto("/sign-in")
    inspect(page, watch)


@pytest.mark.parametrize("address", ["/schedules", "/workflows", "/runs"])
def test_an_empty_list_is_sound_in_every_look(address: str, site: Site, visit: Visit, watch: Watch) -> None:
    page = visit(an_acme(site, has_workflow=False).alice)
    page.goto(address)
    expect(page.locator(".blank")).to_be_visible()
    inspect(page, watch)


def test_a_refused_page_is_sound_in_every_look(demo: Json, visit: Visit, watch: Watch) -> None:
    page = visit(demo["viewer"])
    page.goto("/schedules/new")
    expect(page.get_by_role("heading", name="Your role does not allow this")).to_be_visible()
    inspect(page, watch)


def test_what_a_viewer_sees_is_sound_in_every_look(demo: Json, visit: Visit, watch: Watch) -> None:
    page = visit(demo["viewer"])
    page.goto(f"/workflows/{demo['ids']['workflow']}")
    inspect(page, watch)


def test_the_drawer_is_sound_in_every_look_with_and_without_errors(demo: Json, visit: Visit, watch: Watch) -> None:
    page = visit(demo["admin"])
    page.goto("/schedules")
    page.get_by_role("link", name="New schedule").click()
    expect(drawer(page).get_by_label("Workflow").first).to_be_focused()
    drawer(page).get_by_role("button", name="Save schedule").last.click()
    expect(drawer(page).locator("[data-error-summary]")).to_be_focused()
    drawer(page).locator("#how-fold > summary").click()
    inspect(page, watch)


def test_an_open_menu_and_a_notice_are_sound_in_every_look(demo: Json, visit: Visit, watch: Watch) -> None:
    page = visit(demo["admin"])
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
