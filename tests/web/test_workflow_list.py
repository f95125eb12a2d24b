"""The list of workflows: what it shows, how it is narrowed, and what it costs."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from domain.accounts.tenants import Tenant
from tests.factories import NOW, a_published_workflow, a_run, a_schedule, a_version, a_workflow
from tests.statements import counted
from tests.web.cast import Browser
from tests.web.workflow_pages import names_on, part_of
from web.workflows.rows import rate_words


def test_an_empty_list_says_what_a_workflow_is_and_has_the_button(alice: Browser, bob: Browser) -> None:
    assert 'href="/workflows/new"' in alice.get("/workflows").text
    page = bob.get("/workflows").text
    assert "No workflows yet" in page
    assert 'href="/workflows/new"' not in page


def test_the_list_shows_version_status_schedules_and_last_run(alice: Browser, acme: Tenant, db: Any) -> None:
    sync = a_published_workflow(acme, "Invoice sync")
    a_schedule(sync)
    a_schedule(sync, "gone", deleted_at=NOW)
    a_run(sync, "queued")
    last = a_run(sync)
    sync.draft_definition = {"steps": []}
    a_published_workflow(acme, "Held", paused_at=NOW)
    a_workflow(acme, "New idea")
    db.commit()

    page = alice.get("/workflows").text

    assert names_on(page) == ["Held", "Invoice sync", "New idea"]
    row = page.split(">Invoice sync</a>")[1].split("</tr>")[0]
    assert ">v1</a>" in row and "draft ahead" in row and "Published" in row
    assert f'href="/schedules?workflow={sync.id}" aria-label="1 schedule of Invoice sync"' in row
    assert f'href="/runs/{last.id}"' in row and "Succeeded" in row
    assert "draft ahead" not in page.split("Held")[1].split("</tr>")[0]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["Alpha", "Beta", "Gamma"]),
        ("q=alp", ["Alpha"]),
        ("q=GAM", ["Gamma"]),
        ("q=beta-key", ["Beta"]),
        ("q=%25", []),
        ("status=draft", ["Gamma"]),
        ("status=published", ["Alpha"]),
        ("status=paused", ["Beta"]),
        ("status=nonsense", ["Alpha", "Beta", "Gamma"]),
        ("q=a&status=paused", ["Beta"]),
        ("trigger=none", ["Gamma"]),
        ("trigger=event", ["Beta"]),
        ("trigger=scheduled", ["Alpha"]),
        ("trigger=cron", ["Alpha", "Beta", "Gamma"]),
        ("trigger=event&status=paused&q=be", ["Beta"]),
    ],
)
def test_the_filters_are_in_the_address(alice: Browser, acme: Tenant, db: Any, query: str, found: list[str]) -> None:
    a_schedule(a_published_workflow(acme, "Alpha"))
    beta = a_published_workflow(acme, "Beta", key="beta-key", paused_at=NOW, event_name="invoice.paid")
    a_schedule(beta, "gone", deleted_at=NOW)
    a_workflow(acme, "Gamma", draft_trigger={"type": "event", "eventName": "invoice.paid"})
    a_workflow(acme, "Gone", deleted_at=NOW)
    db.commit()

    for htmx in (False, True):
        page = alice.get(f"/workflows?{query}", htmx=htmx).text
        assert names_on(page) == found
        assert ("<html" in page) is not htmx


def test_filtering_puts_only_what_is_chosen_into_the_address(alice: Browser, acme: Tenant, db: Any) -> None:
    asked = "/workflows?q=sync&status=&trigger=event"

    answer = alice.get(asked, htmx=True, headers={"HX-Trigger": "workflow-filters"})

    assert answer.headers["HX-Replace-Url"] == "/workflows?q=sync&trigger=event"
    assert "HX-Replace-Url" not in alice.get(asked, htmx=True).headers
    assert "No workflow matches" in answer.text and 'href="/workflows"' in answer.text


def test_each_workflow_says_what_starts_it(alice: Browser, acme: Tenant, db: Any) -> None:
    a_published_workflow(acme, "On paid", event_name="invoice.paid")
    a_schedule(a_published_workflow(acme, "On time"))
    a_published_workflow(acme, "By hand")
    db.commit()

    page = alice.get("/workflows").text

    for name, words in [("On paid", "invoice.paid"), ("On time", "Scheduled"), ("By hand", "No trigger")]:
        row = part_of(page, f">{name}</a>", "</tr>")
        assert words in part_of(row, 'class="c-when"', "</td>")


def test_the_last_twenty_runs_are_drawn_and_told_in_words(alice: Browser, acme: Tenant, db: Any) -> None:
    busy = a_published_workflow(acme, "Busy")
    for number in range(25):
        a_run(busy, "failed" if number in (3, 20) else "succeeded", finished_at=NOW + timedelta(minutes=number))
    a_run(busy, "canceled", finished_at=NOW + timedelta(hours=1))
    a_run(busy, "running")
    a_published_workflow(acme, "Fresh")
    db.commit()

    page = alice.get("/workflows").text

    bars = part_of(part_of(page, ">Busy</a>", "</tr>"), 'class="c-bars"', "</td>")
    assert 'aria-label="Last 20: 18 ok, 1 failed, 1 canceled"' in bars and bars.count("<title>") == 20
    assert "95 % ok" in bars
    assert 'aria-label="No run has ended yet"' in part_of(page, ">Fresh</a>", "</tr>")


@pytest.mark.parametrize(
    ("fraction", "words"),
    [(None, ""), (0.0, "0 % ok"), (1.0, "100 % ok"), (0.999, "99 % ok"), (0.001, "1 % ok"), (0.95, "95 % ok")],
)
def test_a_rate_is_never_rounded_to_all_or_nothing(fraction: float | None, words: str) -> None:
    assert rate_words(fraction) == words


def test_the_list_goes_on_page_by_page_whatever_the_case_of_names(alice: Browser, acme: Tenant, db: Any) -> None:
    for number in range(55):
        a_workflow(acme, f"{'Flow' if number % 2 else 'flow'} {number:02}")
    db.commit()

    first = alice.get("/workflows").text
    following = re.search(r'rel="next" href="([^"]+)"', first)
    assert following
    second = alice.get(following[1].replace("&amp;", "&")).text

    assert [name.lower() for name in names_on(first) + names_on(second)] == [f"flow {n:02}" for n in range(55)]
    assert 'rel="next"' not in second


def test_a_long_list_costs_as_many_queries_as_a_short_one(alice: Browser, acme: Tenant, db: Any) -> None:
    def queries() -> int:
        db.commit()
        with counted() as statements:
            assert alice.get("/workflows").status_code == 200
        return len(statements)

    alice.get("/workflows")
    a_schedule(a_published_workflow(acme, "One"))
    few = queries()
    for number in range(20):
        workflow = a_published_workflow(acme, f"Flow {number}")
        a_schedule(workflow)
        a_run(workflow)

    assert queries() == few


def test_the_list_marks_no_draft_when_the_version_is_the_same_again(alice: Browser, acme: Tenant, db: Any) -> None:
    sync = a_published_workflow(acme)
    a_version(sync, 2)
    db.commit()

    assert "draft ahead" not in alice.get("/workflows").text
