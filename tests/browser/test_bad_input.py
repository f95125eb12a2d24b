"""What goes wrong while someone types: nothing typed is lost, and the page says what to correct."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Visit
from tests.browser.places import drawer, fill_schedule, notice, open_new_schedule, row
from tests.browser.site import NEVER_SOON, WORKFLOW, Acme
from tests.factories import PASSWORD

PAYLOAD = '{"region": "eu", "batchSize": 3}'


def test_a_refused_schedule_keeps_what_was_typed_and_leads_to_each_error(acme: Acme, visit: Visit) -> None:
    page = visit(acme.alice)
    page.goto("/schedules")
    form = open_new_schedule(page)
    fill_schedule(form, WORKFLOW, "Broken sync", "0 9 * * * *", '{"region": "moon", "batchSize": 3}')
    form.get_by_label("Time zone").fill("America")
    form.get_by_role("button", name="Save schedule").last.click()
    summary = form.locator("[data-error-summary]")
    expect(summary).to_be_focused()
    expect(form.get_by_label("Name")).to_have_value("Broken sync")
    expect(form.get_by_label("Cron pattern")).to_have_value("0 9 * * * *")
    expect(form.get_by_label("Time zone")).to_have_value("America")
    expect(form.get_by_label("Payload as JSON")).to_have_value(re.compile("moon"))
    expect(summary).to_contain_text("/region")
    for label in ("Cron pattern", "Time zone", "Payload"):
        summary.get_by_role("link", name=re.compile(f"^{label}:")).first.click()
        field = form.get_by_label("Payload as JSON" if label == "Payload" else label)
        expect(field).to_be_focused()
        expect(field).to_have_attribute("aria-invalid", "true")
    assert acme.site.scalar("SELECT count(*) FROM schedules WHERE tenant_id = :id", id=acme.actor.tenant_id) == 0


def test_of_two_tabs_the_second_sees_what_the_first_has_saved(acme: Acme, visit: Visit) -> None:
    acme.schedule("Morning sync")
    first = visit(acme.alice)
    second = first.context.new_page()
    for page in (first, second):
        page.goto("/schedules")
        row(page, "Morning sync").locator("summary[aria-label]").click()
        page.get_by_role("link", name="Edit", exact=True).click()
        expect(drawer(page).get_by_label("Name")).to_have_value("Morning sync")
    drawer(first).get_by_label("Name").fill("Dawn sync")
    save(first)
    expect(notice(first, "Dawn sync was saved.")).to_be_visible()
    drawer(second).get_by_label("Name").fill("Noon sync")
    save(second)
    expect(drawer(second).locator("#stored-now")).to_contain_text("Dawn sync")
    expect(drawer(second).get_by_label("Name")).to_have_value("Noon sync")
    save(second)
    expect(notice(second, "Noon sync was saved.")).to_be_visible()
    expect(row(second, "Noon sync")).to_be_visible()


def test_a_double_click_on_run_now_starts_one_run(acme: Acme, visit: Visit) -> None:
    schedule_id = acme.schedule("Morning sync")
    page = visit(acme.alice)
    page.goto(f"/schedules/{schedule_id}")
    page.get_by_role("button", name="Run now").dblclick()
    expect(notice(page, "Morning sync runs now.")).to_be_visible()
    page.wait_for_load_state("networkidle")
    expect(notice(page, "Morning sync runs now.")).to_have_count(1)
    assert acme.run_count(schedule_id) == 1


def test_the_back_button_does_not_bring_a_saved_form_back(acme: Acme, visit: Visit) -> None:
    page = visit(acme.alice)
    page.goto("/workflows")
    page.get_by_role("link", name="Schedules", exact=True).click()
    form = open_new_schedule(page)
    expect(page).to_have_url(re.compile("/schedules/new$"))
    fill_schedule(form, WORKFLOW, "Morning sync", NEVER_SOON, PAYLOAD)
    save(page)
    expect(row(page, "Morning sync")).to_be_visible()
    expect(page).to_have_url(re.compile("/schedules$"))
    page.go_back()
    expect(page.get_by_role("heading", name="Workflows", level=1)).to_be_visible()
    page.go_forward()
    expect(row(page, "Morning sync")).to_be_visible()
    expect(drawer(page)).to_be_hidden()


def test_the_back_button_closes_the_drawer_and_asks_before_losing_what_was_typed(acme: Acme, visit: Visit) -> None:
    page = visit(acme.alice)
    questions: list[str] = []
    page.goto("/schedules")
    form = open_new_schedule(page)
    form.get_by_label("Name").fill("Half a schedule")
    page.once("dialog", lambda dialog: (questions.append(dialog.message), dialog.dismiss()))
    page.go_back()
    expect(form.get_by_label("Name")).to_have_value("Half a schedule")
    expect(page).to_have_url(re.compile("/schedules/new$"))
    page.once("dialog", lambda dialog: (questions.append(dialog.message), dialog.accept()))
    page.go_back()
    expect(drawer(page)).to_be_hidden()
    expect(page).to_have_url(re.compile("/schedules$"))
    assert questions == ["Close without saving? What you typed will be lost."] * 2


def test_an_ended_session_is_told_and_what_was_typed_stays(acme: Acme, visit: Visit) -> None:
    page = visit(acme.alice)
    page.clock.install()
    page.goto("/schedules")
    form = open_new_schedule(page)
    fill_schedule(form, WORKFLOW, "Late sync", NEVER_SOON, PAYLOAD)
    acme.end_sessions()
    save(page)
    told = notice(page, "You are signed out.")
    expect(told.get_by_role("link", name="Sign in")).to_be_visible()
    # The list behind the drawer keeps refreshing itself, and pickers keep asking: none of them leads away from the form.
    page.clock.fast_forward(11_000)
    form.get_by_label("Workflow").first.press_sequentially("x")
    page.clock.fast_forward(1_000)
    page.wait_for_load_state("networkidle")
    expect(form.get_by_label("Name")).to_have_value("Late sync")
    expect(form.get_by_label("Payload as JSON")).to_have_value(re.compile("batchSize"))
    expect(told).to_have_count(1)


def end_session_while_typing(acme: Acme, page: Page) -> Locator:
    """The new schedule that was refused because nobody is signed in any more."""
    page.goto("/schedules")
    form = open_new_schedule(page)
    fill_schedule(form, WORKFLOW, "Late sync", NEVER_SOON, PAYLOAD)
    acme.end_sessions()
    save(page)
    expect(notice(page, "You are signed out.")).to_be_visible()
    return form


def sign_in_again(page: Page, email: str) -> None:
    """In a tab of its own, as the notice says."""
    other = page.context.new_page()
    other.goto("/sign-in")
    other.get_by_label("E-mail").fill(email)
    other.get_by_label("Password").fill(PASSWORD)
    other.get_by_role("button", name="Sign in").click()
    expect(other).to_have_url(re.compile("/schedules$"))
    other.close()


def return_to(page: Page) -> None:
    """Chromium without a screen tells no tab that it has the focus again."""
    page.bring_to_front()
    page.evaluate("dispatchEvent(new Event('focus'))")


def schedules_of(acme: Acme) -> list[str]:
    found = acme.site.rows("SELECT name FROM schedules WHERE tenant_id = :id", id=acme.actor.tenant_id)
    return [row.name for row in found]


def test_who_signs_in_again_in_another_tab_saves_what_was_typed(acme: Acme, visit: Visit) -> None:
    page = visit(acme.alice)
    form = end_session_while_typing(acme, page)
    return_to(page)
    page.wait_for_load_state("networkidle")
    expect(notice(page, "You are signed out.")).to_be_visible()
    sign_in_again(page, acme.email)
    return_to(page)
    expect(notice(page, "You are signed in again.")).to_be_visible()
    expect(notice(page, "You are signed out.")).to_have_count(0)
    expect(form.get_by_label("Name")).to_have_value("Late sync")
    save(page)
    expect(notice(page, "Late sync")).to_be_visible()
    assert schedules_of(acme) == ["Late sync"]


def test_who_saves_at_once_after_signing_in_again_is_not_refused(acme: Acme, visit: Visit) -> None:
    page = visit(acme.alice)
    end_session_while_typing(acme, page)
    save(page)
    expect(notice(page, "You are signed out.")).to_have_count(1)
    sign_in_again(page, acme.email)
    save(page)
    expect(notice(page, "Late sync")).to_be_visible()
    assert schedules_of(acme) == ["Late sync"]


def test_nothing_is_sent_on_behalf_of_another_person_who_signed_in(acme: Acme, visit: Visit) -> None:
    page = visit(acme.alice)
    form = end_session_while_typing(acme, page)
    sign_in_again(page, acme.email.replace("alice", "bob"))
    return_to(page)
    told = notice(page, "Another person or tenant is signed in now.")
    expect(told).to_be_visible()
    expect(notice(page, "You are signed out.")).to_have_count(0)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    token = page.locator("meta[name=csrf-token]").get_attribute("content")
    save(page)
    page.evaluate("htmx.ajax('GET', '/schedules', '#main')")
    page.wait_for_load_state("networkidle")
    assert set(sent) <= {"GET"} and len(sent) <= 1, "at most a look who is signed in"
    assert page.locator("meta[name=csrf-token]").get_attribute("content") == token
    expect(form.get_by_label("Name")).to_have_value("Late sync")
    acme.end_sessions()
    sign_in_again(page, acme.email)
    return_to(page)
    expect(notice(page, "You are signed in again.")).to_be_visible()
    save(page)
    expect(notice(page, "Late sync")).to_be_visible()
    assert schedules_of(acme) == ["Late sync"]


def test_the_drawer_shares_no_id_with_the_page_behind_it(acme: Acme, visit: Visit) -> None:
    """Else a label or an error link in the drawer would lead to a field behind it."""
    page = visit(acme.alice)
    page.goto(f"/workflows/{acme.workflow_id}")
    for name in ("New schedule", "Run now…", "Pause…", "Publish…"):
        page.get_by_role("link", name=name).click()
        expect(drawer(page)).to_be_visible()
        twice = """() => { const ids = [...document.querySelectorAll('[id]')].map((element) => element.id);
            return ids.filter((id, at) => ids.indexOf(id) !== at); }"""
        assert page.evaluate(twice) == []
        page.keyboard.press("Escape")
        expect(drawer(page)).to_be_hidden()


def save(page: Page) -> None:
    drawer(page).get_by_role("button", name="Save schedule").last.click()
