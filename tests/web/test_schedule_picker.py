"""The workflow picker of the dialog: what it finds, and what it says of what cannot be scheduled."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest

from domain.accounts.tenants import Tenant
from domain.schedules.schedules import Schedule
from domain.workflows.workflows import Workflow
from tests.factories import a_published_workflow, a_tenant, a_version, a_workflow
from tests.statements import counted
from tests.web.cast import Browser
from tests.web.schedule_pages import REGION, a_quiet_schedule, errors_at, schedules, typed, value_of


@pytest.fixture
def sync(acme: Tenant, db: Any) -> Workflow:
    workflow = a_published_workflow(acme)
    db.commit()
    return workflow


def results(alice: Browser, words: str) -> str:
    return alice.get("/schedules/picker", query_string={"workflow": words}, htmx=True).text


def offered(page: str) -> list[tuple[str, str]]:
    """Value and version of each option."""
    return re.findall(r'role="option"[^>]* value="([^"]+)"><span>[^<]+</span><span class="ver">(v\d+)</span>', page)


def test_it_finds_by_name_and_key_and_each_option_says_its_version(alice: Browser, acme: Tenant, db: Any) -> None:
    seventh = a_workflow(acme, "Invoice sync")
    a_version(seventh, 7)
    a_published_workflow(acme, "Digest", key="daily-invoices")
    a_published_workflow(acme, "Other")
    a_published_workflow(a_tenant("globex"), "Invoice theirs")
    db.commit()
    assert offered(results(alice, "INVOICE")) == [("Invoice sync", "v7"), ("Digest", "v1")]


def test_what_cannot_be_scheduled_says_why_and_leads_to_where_it_is_mended(
    alice: Browser, acme: Tenant, sync: Workflow, db: Any
) -> None:
    draft, inferred = a_workflow(acme, "Invoice draft"), a_workflow(acme, "Invoice inferred")
    a_version(inferred, payload_schema_mode="inferred")
    db.commit()
    found = results(alice, "invoice")
    assert offered(found) == [("Invoice sync", "v1")]
    words = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", found)).split())
    assert "Invoice draft : not published. Publish it" in words
    assert "Invoice inferred : its payload schema is inferred, not pinned. Pin a schema and publish it" in words
    assert f'href="/workflows/{draft.id}/publish" target="_blank"' in found
    assert f'href="/workflows/{inferred.id}" target="_blank"' in found
    assert alice.get(f"/workflows/{draft.id}/publish").status_code == 200


def test_among_thousands_what_is_called_so_comes_first_and_the_rest_is_cut(
    alice: Browser, acme: Tenant, db: Any
) -> None:
    for number in range(30):
        a_published_workflow(acme, f"A sync {number:02}")
    a_published_workflow(acme, "Sync of the night")
    a_workflow(acme, "sync")
    db.commit()
    with counted() as statements:
        found = results(alice, "sync")
    assert "<b>sync</b>: not published." in found
    assert offered(found)[0] == ("Sync of the night", "v1")
    assert len(offered(found)) == 19 and "More workflows fit." in found
    assert len([one for one in statements if one.startswith("SELECT")]) <= 5


@pytest.mark.parametrize("words", ["%", "_", "\\", "\x00", "<b>", "x" * 300])
def test_whatever_is_typed_is_looked_for_as_it_is(alice: Browser, sync: Workflow, words: str) -> None:
    answer = alice.get("/schedules/picker", query_string={"workflow": words}, htmx=True)
    assert answer.status_code == 200
    assert offered(answer.text) == ([] if words != "\x00" else [("Invoice sync", "v1")])
    assert "<b>" not in answer.text


def test_a_viewer_picks_nothing(bob: Browser, sync: Workflow) -> None:
    assert bob.get("/schedules/picker", htmx=True).status_code == 403


def test_without_javascript_check_shows_choices_and_a_choice_is_a_button(
    alice: Browser, acme: Tenant, sync: Workflow, db: Any
) -> None:
    a_published_workflow(acme, "Invoice region", REGION)
    db.commit()
    checked = alice.post("/schedules", typed(workflow="invoice", name="Kept", check="1")).text
    assert offered(checked) == [("Invoice region", "v1"), ("Invoice sync", "v1")]
    assert '<div class="results">' in checked
    fields = typed(workflow="invoice", name="Kept", payload="{}", payload_start="{}", pick="Invoice region")
    picked = alice.post("/schedules", fields)
    assert picked.status_code == 200
    assert (value_of(picked.text, "workflow"), value_of(picked.text, "name")) == ("Invoice region", "Kept")
    assert 'name="payload/region"' in picked.text and "Version 1, and every later one" in picked.text
    assert '<div class="results" hidden>' in picked.text
    assert schedules() == []


def test_an_edit_that_chooses_an_ineligible_workflow_keeps_the_form_and_links_the_remedy(
    alice: Browser, acme: Tenant, sync: Workflow, db: Any
) -> None:
    draft = a_workflow(acme, "Draft")
    stored: Schedule = a_quiet_schedule(sync)
    answer = alice.post(f"/schedules/{stored.id}/edit", typed(revision="1", workflow="Draft", name="Kept"))
    assert answer.status_code == 422
    assert "has no published version" in errors_at(answer.text, "workflow")
    assert f'href="/workflows/{draft.id}/publish"' in errors_at(answer.text, "workflow")
    assert value_of(answer.text, "name") == "Kept"


def test_a_name_is_suggested_from_workflow_and_timing_and_never_saved_by_itself(alice: Browser, sync: Workflow) -> None:
    page = alice.post("/schedules", typed(name="", check="1")).text
    assert 'placeholder="Invoice sync: Weekdays at 09:00"' in page
    refused = alice.post("/schedules", typed(name=""))
    assert "Enter a name." in errors_at(refused.text, "name")
    assert schedules() == []


def test_the_dialog_as_a_page_warns_before_one_leaves_it(alice: Browser, sync: Workflow) -> None:
    assert re.search(r'<form class="panel"[^>]* data-guard', alice.get("/schedules/new").text)
