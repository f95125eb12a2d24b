"""Files of workflows and schedules under someone's hands: chosen, dropped, looked at, confirmed, and kept."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, Route, expect

from domain.bundles.exporting import export_bundle
from domain.bundles.schedule_exporting import export_schedules
from tests.browser.conftest import Visit, Watch
from tests.browser.site import WORKFLOW, Acme, Site, an_acme
from tests.browser.test_bad_input import sign_in_again
from tests.browser.test_every_page import inspect

COPIES = 40
DROP = """([text, name]) => {
  const held = new DataTransfer();
  held.items.add(new File([text], name, { type: "application/json" }));
  for (const kind of ["dragover", "drop"]) {
    document.querySelector("main").dispatchEvent(new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: held }));
  }
}"""

LISTEN = """() => {
  window.told = [];
  const place = document.querySelector("[data-said]");
  new MutationObserver(() => window.told.push(place.textContent)).observe(place, { childList: true });
}"""


def exported(acme: Acme) -> bytes:
    with acme.site.app.app_context():
        return export_bundle(acme.actor.tenant_id)


def copies(content: bytes) -> bytes:
    """A file with many workflows, each under a key and a name of its own."""
    bundle = json.loads(content)
    one = bundle["workflows"][0]
    bundle["workflows"] = [
        one | {"key": f"copy-{at:03}", "metadata": one["metadata"] | {"name": f"Copy {at:03}"}} for at in range(COPIES)
    ]
    return json.dumps(bundle).encode()


def file_of(content: bytes) -> Any:
    return {"name": "workflow-bundle.json", "mimeType": "application/json", "buffer": content}


def workflow_count(acme: Acme) -> int:
    query = "SELECT count(*) FROM workflows WHERE tenant_id = :id AND deleted_at IS NULL"
    return int(acme.site.scalar(query, id=acme.actor.tenant_id))


def test_a_file_is_dropped_looked_at_confirmed_and_imported_while_its_progress_is_told(
    acme: Acme, visit: Visit, watch: Watch
) -> None:
    content = copies(exported(acme))
    page = visit(acme.alice)
    page.goto("/workflows")
    page.locator("#workflows-menu-button").click()
    page.get_by_role("link", name="Import…").click()
    expect(page.get_by_role("heading", name="Import workflows")).to_be_visible()
    page.evaluate(LISTEN)
    with page.expect_response("**/workflows/import/plan") as plan:
        page.evaluate(DROP, [content.decode(), "workflow-bundle.json"])
    expect(page.get_by_role("heading", name=f"{COPIES} workflows in the file")).to_be_focused()
    assert plan.value.headers["content-type"] == "application/x-ndjson"
    assert f"{COPIES} of {COPIES}. Making the list…" in page.evaluate("window.told")
    inspect(page, watch)
    assert workflow_count(acme) == 1

    page.evaluate(LISTEN)
    with page.expect_response("**/workflows/import") as answer:
        page.get_by_role("button", name=f"Import {COPIES} workflows").click()
    expect(page.get_by_text(f"{COPIES} workflows imported.")).to_be_focused()
    assert answer.value.headers["content-type"] == "application/x-ndjson"
    assert f"{COPIES} of {COPIES}. Storing them…" in page.evaluate("window.told")
    assert workflow_count(acme) == 1 + COPIES
    inspect(page, watch)
    page.get_by_role("link", name="Go to the workflows").click()
    expect(page.locator("#workflow-count")).to_have_text(str(1 + COPIES))


def test_a_look_shows_a_bar_until_it_ends_and_the_file_stays_chosen_when_it_fails(
    acme: Acme, visit: Visit, watch: Watch
) -> None:
    page = visit(acme.alice)
    page.goto("/workflows/import")
    held: list[Route] = []
    page.route("**/workflows/import/plan", lambda route: held.append(route))
    bar, field = page.get_by_role("progressbar"), page.get_by_label("workflow-bundle.json")
    field.set_input_files(file_of(exported(acme)))
    expect(bar).to_be_visible()
    watch.is_on = False
    held.pop().fulfill(status=500, body="<p>broken</p>", content_type="text/html")
    expect(page.get_by_text("Carillon could not look at this file, and nothing was imported.")).to_be_visible()
    expect(bar).to_be_hidden()
    expect(field).to_have_value(re.compile("workflow-bundle.json"))
    page.unroute("**/workflows/import/plan")
    page.get_by_role("button", name="Look at the file").click()
    expect(page.get_by_role("heading", name="1 workflow in the file")).to_be_focused()
    expect(bar).to_be_hidden()


def test_another_choice_is_looked_at_with_a_bar_and_taken_back_when_that_fails(
    acme: Acme, visit: Visit, watch: Watch
) -> None:
    page = visit(acme.alice)
    page.goto("/workflows/import")
    page.get_by_label("workflow-bundle.json").set_input_files(file_of(exported(acme)))
    switch, bar = page.get_by_role("switch", name="Replace workflows"), page.get_by_role("progressbar")
    expect(switch).not_to_be_checked()
    held: list[Route] = []
    page.route("**/workflows/import/plan", lambda route: held.append(route))
    switch.press("Space")
    expect(bar).to_be_visible()
    watch.is_on = False
    held.pop().abort("connectionreset")
    expect(page.get_by_text("Carillon does not answer, and nothing was imported.")).to_be_visible()
    expect(bar).to_be_hidden()
    expect(switch).not_to_be_checked()
    page.unroute("**/workflows/import/plan")
    switch.press("Space")
    expect(page.get_by_text("There is nothing to import")).to_be_visible()
    expect(switch).to_be_checked()
    expect(switch).to_be_focused()


def test_an_import_whose_answer_is_lost_is_asked_for_again_and_done_once(
    acme: Acme, visit: Visit, watch: Watch
) -> None:
    page = visit(acme.alice)
    page.goto("/workflows/import")
    page.get_by_label("workflow-bundle.json").set_input_files(file_of(copies(exported(acme))))
    button = page.get_by_role("button", name=f"Import {COPIES} workflows")
    sent: list[str] = []

    def lose(route: Route) -> None:
        sent.append(route.request.url)
        if len(sent) == 1:
            route.fulfill(status=500, body="<p>broken</p>", content_type="text/html")
        elif len(sent) == 2:
            route.fetch()
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route("**/workflows/import", lose)
    watch.is_on = False
    button.click()
    expect(page.get_by_text("Carillon could not finish this import.")).to_be_visible()
    assert workflow_count(acme) == 1
    button.click()
    expect(page.get_by_text("No answer came.")).to_be_visible()
    expect(page.get_by_text(f"{COPIES} workflows imported.")).to_be_focused()
    assert len(sent) == 3 and workflow_count(acme) == 1 + COPIES


def test_an_import_goes_on_where_its_session_ended_when_the_same_person_is_back(acme: Acme, visit: Visit) -> None:
    page = visit(acme.alice)
    page.goto("/workflows/import")
    page.get_by_label("workflow-bundle.json").set_input_files(file_of(copies(exported(acme))))
    button = page.get_by_role("button", name=f"Import {COPIES} workflows")
    expect(button).to_be_visible()
    acme.end_sessions()
    button.click()
    expect(page.get_by_text("You are signed out, and nothing was imported.")).to_be_visible()
    assert workflow_count(acme) == 1
    sign_in_again(page, acme.email)
    button.click()
    expect(page.get_by_text(f"{COPIES} workflows imported.")).to_be_focused()
    assert workflow_count(acme) == 1 + COPIES


def test_what_cannot_be_dropped_is_told_and_never_leaves_the_page(acme: Acme, visit: Visit, watch: Watch) -> None:
    page = visit(acme.alice)
    page.goto("/workflows/import")
    page.locator("[data-drop]").evaluate("form => { form.dataset.most = 1000; }")
    page.evaluate(DROP, [" " * 1_200_000, "huge.json"])
    expect(page.get_by_role("alert").filter(has_text="huge.json has 1.2 MB.")).to_be_visible()
    page.get_by_label("workflow-bundle.json").set_input_files(
        {"name": "picture.png", "mimeType": "image/png", "buffer": b"\x89PNG\xff"}
    )
    expect(page.get_by_role("alert").filter(has_text="This is not UTF-8 text")).to_be_focused()
    page.evaluate(DROP, [exported(acme).decode(), "workflow-bundle.json"])
    expect(page.get_by_role("heading", name="1 workflow in the file")).to_be_visible()
    page.evaluate(DROP, [exported(acme).decode(), "workflow-bundle.json"])
    expect(page.get_by_role("alert").filter(has_text="A file is shown here already.")).to_be_visible()
    inspect(page, watch)


def test_replacing_is_chosen_on_the_plan_and_a_broken_file_is_explained(acme: Acme, visit: Visit) -> None:
    content = exported(acme).replace(WORKFLOW.encode(), b"Renamed sync")
    page = visit(acme.alice)
    page.goto("/workflows/import")
    page.get_by_label("workflow-bundle.json").set_input_files(file_of(content[:-40]))
    expect(page.get_by_role("alert").filter(has_text="Nothing was imported")).to_be_focused()
    expect(page.get_by_role("progressbar")).to_be_hidden()
    page.get_by_label("workflow-bundle.json").set_input_files(file_of(content))
    expect(page.get_by_text("Nothing is imported while there are conflicts")).to_be_visible()
    expect(page.get_by_role("button", name="Import 1 workflow")).to_have_count(0)
    page.get_by_role("switch", name="Replace workflows that exist already").check()
    page.get_by_role("button", name="Import 1 workflow").click()
    expect(page.get_by_text("1 workflow imported.")).to_be_visible()
    page.get_by_role("link", name="Renamed sync").click()
    expect(page.get_by_role("heading", name="Renamed sync", level=1)).to_be_visible()


def test_what_is_selected_is_kept_as_a_file_and_the_list_stays(acme: Acme, visit: Visit) -> None:
    for name in ("Morning sync", "Evening sync"):
        acme.schedule(name)
    page = visit(acme.alice)
    page.goto("/schedules")
    page.get_by_role("checkbox", name="Select Morning sync", exact=True).check()
    content = kept(page, lambda: page.get_by_role("button", name="Export", exact=True).click())
    assert [one["name"] for one in json.loads(content)["schedules"]] == ["Morning sync"]
    expect(page.get_by_role("link", name="Evening sync")).to_be_visible()
    page.goto("/workflows")
    page.get_by_role("checkbox", name=f"Select {WORKFLOW}", exact=True).check()
    content = kept(page, lambda: page.get_by_role("button", name="Export", exact=True).click())
    assert content == exported(acme)


def kept(page: Page, act: Any) -> bytes:
    with page.expect_download() as found:
        act()
    return Path(found.value.path()).read_bytes()


def test_without_scripts_a_file_of_schedules_is_chosen_confirmed_and_imported(site: Site, visit: Visit) -> None:
    acme, other = an_acme(site), an_acme(site)
    other.schedule("Morning sync")
    with site.app.app_context():
        content = export_schedules(other.actor.tenant_id)
    page = visit(acme.alice, java_script_enabled=False)
    page.goto("/schedules/import")
    page.locator("[type=file]").set_input_files(file_of(content))
    page.get_by_role("button", name="Look at the file").click()
    expect(page.get_by_role("heading", name="1 schedule in the file")).to_be_visible()
    page.get_by_role("button", name="Import 1 schedule").click()
    expect(page.get_by_text("1 schedule imported.")).to_be_visible()
    page.get_by_role("link", name="Morning sync").click()
    expect(page.get_by_text("Paused").first).to_be_visible()
