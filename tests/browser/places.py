"""Parts of the pages as a person finds them: by their role and their words."""

from __future__ import annotations

from urllib.parse import parse_qs

from playwright.sync_api import Locator, Page, expect


def drawer(page: Page) -> Locator:
    return page.locator("#drawer")


def row(page: Page, name: str) -> Locator:
    """The line of a list that is about `name`."""
    return page.get_by_role("row").filter(has=page.get_by_role("link", name=name, exact=True))


def notice(page: Page, words: str) -> Locator:
    return page.locator(".notice").filter(has_text=words)


def choose(page: Page, name: str, action: str) -> None:
    """One of the actions in the menu of the schedule `name` on the list."""
    row(page, name).locator("summary[aria-label]").click()
    row(page, name).locator(".items").get_by_text(action, exact=True).click()


def open_new_schedule(page: Page) -> Locator:
    """The drawer of a new schedule, opened from the list."""
    page.get_by_role("link", name="New schedule").first.click()
    expect(page.get_by_role("heading", name="New schedule")).to_be_visible()
    return drawer(page)


def fill_schedule(form: Locator, workflow: str, name: str, cron: str, payload: str) -> None:
    """The fields of a repeating schedule, in the order of the form."""
    form.get_by_label("Workflow", exact=False).first.fill(workflow)
    form.get_by_label("Name").fill(name)
    # Until the times for it have come, what stands below them moves, and may move away from under a click.
    with form.page.expect_response(lambda answer: parse_qs(answer.request.post_data or "").get("cron") == [cron]):
        say_cron(form, cron)
    fill_payload(form, payload)


def say_cron(form: Locator, cron: str) -> None:
    """The pattern itself, typed once the part that says when has been drawn for it."""
    form.get_by_role("radio", name="Cron", exact=True).check()
    expect(form.locator("[name=every_drawn]")).to_have_value("cron")
    form.get_by_label("Cron pattern").fill(cron)


def fill_payload(form: Locator, payload: str) -> None:
    """The JSON field, once the part of the form that follows the workflow has arrived."""
    expect(form.locator("#payload-schema-fold")).to_be_attached()
    show_json(form)
    form.get_by_label("Payload as JSON").fill(payload)


def show_json(form: Locator) -> None:
    """Turns the payload to JSON, if it is shown as a form."""
    as_json = form.get_by_role("button", name="JSON", exact=True)
    if as_json.get_attribute("aria-pressed") == "false":
        as_json.click()
    # Until the code editor has taken the place of the plain field, what is typed may end up in either.
    expect(form.locator("textarea[data-enhanced]")).to_be_attached()
    expect(form.get_by_role("textbox", name="Payload as JSON")).to_be_visible()
