"""The page of one schedule: its tabs, each under an address of its own, and what stands in them."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import pytest

from domain.accounts.audit import record_change
from domain.accounts.tenants import Tenant
from domain.schedules.schedules import Schedule
from domain.workflows.workflows import Workflow
from tests.factories import a_published_workflow, a_run, an_actor
from tests.statements import counted
from tests.web.cast import Browser
from tests.web.schedule_pages import a_quiet_schedule, an_occurrence, typed

TABS = ["", "?tab=runs", "?tab=changes", "?tab=json"]
SECRET_SCHEMA = {
    "type": "object",
    "properties": {"region": {"type": "string"}, "token": {"type": "string", "x-secret": True}},
}


@pytest.fixture
def sync(acme: Tenant) -> Workflow:
    return a_published_workflow(acme)


@pytest.fixture
def morning(sync: Workflow) -> Schedule:
    return a_quiet_schedule(sync, cron="0 9 * * 1-5", timezone="Europe/Paris")


def test_next_and_last_stand_above_the_tabs_whatever_the_tab(alice: Browser, db: Any, morning: Schedule) -> None:
    for number in range(12):
        an_occurrence(db, morning, number, "missed", detail="Nobody looked in time.")
    for tab in TABS:
        page = alice.get(f"/schedules/{morning.id}{tab}").text
        above = page.split('aria-label="Records of this schedule"')[0]
        assert above.count('<span class="off">') == 10
        assert above.count('<span class="off clamp"') == 10


def test_each_tab_has_an_address_of_its_own_with_and_without_htmx(alice: Browser, morning: Schedule) -> None:
    for tab, label in zip(TABS, ["Occurrences", "Runs", "Changes", "JSON"], strict=True):
        address = f"/schedules/{morning.id}{tab}"
        page = alice.get(address).text
        current = re.search(r'<a href="([^"]+)" hx-get="\1" data-label="(\w+)" aria-current="page">', page)
        assert current and (current[1], current[2]) == (address, label)
        fragment = alice.get(address, htmx=True).text
        assert fragment.startswith(f'<div id="schedule" data-live hx-get="{address}"')
        assert "<!doctype" not in fragment
    assert 'data-label="Occurrences" aria-current="page"' in alice.get(f"/schedules/{morning.id}?tab=nonsense").text


def test_a_refresh_asks_for_the_same_tab_filter_and_page(alice: Browser, db: Any, morning: Schedule) -> None:
    for number in range(25):
        an_occurrence(db, morning, number, "missed")
    page = alice.get(f"/schedules/{morning.id}?outcome=missed").text
    older = html.unescape(page.split('rel="next" href="')[1].split('"')[0])
    refreshed = html.unescape(alice.get(older, htmx=True).text.split('hx-get="')[1].split('"')[0])
    assert refreshed == older


def test_the_ledger_is_paged_and_filtered_by_its_address(alice: Browser, db: Any, morning: Schedule) -> None:
    for number in range(21):
        an_occurrence(db, morning, number, "skipped", detail=f"Because of {number}.")
    an_occurrence(db, morning, 30, "missed", detail="Nobody looked.")
    address = f"/schedules/{morning.id}?outcome=skipped"
    page = alice.get(address).text
    assert ledger(page) == [f"Because of {number}." for number in range(20)]
    older = alice.get(html.unescape(page.split('rel="next" href="')[1].split('"')[0])).text
    assert ledger(older) == ["Because of 20."]
    assert html.unescape(older.split('rel="prev" href="')[1].split('"')[0]) == address
    assert ledger(alice.get(f"/schedules/{morning.id}?outcome=missed").text) == ["Nobody looked."]
    assert "None with this outcome." in alice.get(f"/schedules/{morning.id}?outcome=refused").text
    assert alice.get(f"/schedules/{morning.id}?before=rubbish|%00&outcome=rubbish").status_code == 200


def test_the_runs_are_those_of_this_schedule_a_page_at_a_time(
    alice: Browser, db: Any, sync: Workflow, morning: Schedule
) -> None:
    other = a_quiet_schedule(sync, "Evening sync")
    mine = [a_run(sync, schedule_id=morning.id) for _ in range(21)]
    theirs = a_run(sync, schedule_id=other.id)
    db.commit()
    page = alice.get(f"/schedules/{morning.id}?tab=runs").text
    assert f'href="/runs?schedule={morning.id}"' in page
    assert linked_runs(page) == [str(run.id) for run in reversed(mine[1:])]
    older = alice.get(html.unescape(page.split('rel="next" href="')[1].split('"')[0])).text
    assert linked_runs(older) == [str(mine[0].id)]
    assert str(theirs.id) not in page + older
    assert alice.get(f"/schedules/{morning.id}?tab=runs&before=rubbish").status_code == 200


def test_a_change_says_who_and_what_each_field_was_and_became_in_words(alice: Browser, morning: Schedule) -> None:
    fields = typed(revision="1", name="Evening sync", cron="0 18 * * *", overlap="skip", max_lateness_seconds="90")
    assert alice.post(f"/schedules/{morning.id}/edit", fields).status_code == 303
    page = alice.get(f"/schedules/{morning.id}?tab=changes").text
    assert "<b>Edited</b>" in page and "<bdi>Alice</bdi>" in page
    assert changed(page) == {
        "Name": ("Morning sync", "Evening sync"),
        "Cron pattern": ("0 9 * * 1-5", "0 18 * * *"),
        "When the previous run is still going": ("Waits for the previous run", "Skips while a run is going"),
        "At most late": ("nothing", "1 min 30 s"),
    }


def test_a_move_names_the_workflows_and_a_payload_tells_place_by_place(
    alice: Browser, acme: Tenant, sync: Workflow
) -> None:
    moved = a_quiet_schedule(sync, payload_json={"a": {"b": [1, 2]}, "gone": True})
    a_published_workflow(acme, "Digest", schema={"type": "object"})
    payload = '{"a": {"b": [1, 3]}, "new": "x"}'
    fields = typed(revision="1", workflow="Digest", cron="0 * * * *", timezone="UTC", payload=payload)
    assert alice.post(f"/schedules/{moved.id}/edit", fields).status_code == 303
    found = changed(alice.get(f"/schedules/{moved.id}?tab=changes").text)
    assert found["Workflow"] == ("Invoice sync", "Digest")
    assert found["Payload /a/b/1"] == ("2", "3")
    assert found["Payload /gone"] == ("true", "nothing")
    assert found["Payload /new"] == ("nothing", "x")


def test_a_secret_is_shown_in_no_tab_and_its_replacement_is_told(alice: Browser, acme: Tenant) -> None:
    guarded = a_published_workflow(acme, "Guarded", schema=SECRET_SCHEMA)
    first, second = "the first canary", "the second canary"
    fields = typed(workflow="Guarded", payload=json.dumps({"region": "eu", "token": first}))
    address = alice.post("/schedules", fields).location
    fields |= {"revision": "1", "payload": json.dumps({"region": "eu", "token": second})}
    assert alice.post(f"{address}/edit", fields).status_code == 303
    pages = [html.unescape(alice.get(f"{address}{tab}").text) for tab in TABS]
    assert not any(word in page for page in pages for word in (first, second, "$sealed"))
    assert changed(pages[2])["Payload"] == ("", "a secret in it was replaced")
    assert '"$kept": true' in pages[3]
    assert guarded.id


def test_changes_are_paged(alice: Browser, db: Any, acme: Tenant, morning: Schedule) -> None:
    for number in range(11):
        record_change(an_actor(acme), "schedule.paused", morning, reason=f"Reason {number}")
    db.commit()
    page = alice.get(f"/schedules/{morning.id}?tab=changes").text
    assert re.findall(r"Reason \d+", page) == [f"Reason {number}" for number in range(10, 0, -1)]
    older = alice.get(html.unescape(page.split('rel="next" href="')[1].split('"')[0])).text
    assert re.findall(r"Reason \d+", older) == ["Reason 0"]


def test_a_run_by_hand_is_a_change_with_a_link_to_the_run(alice: Browser, morning: Schedule) -> None:
    alice.post(f"/schedules/{morning.id}/run-now", {"request_key": "k"})
    page = alice.get(f"/schedules/{morning.id}?tab=changes").text
    assert "<b>Run by hand</b>" in page
    assert re.search(r'<a href="/runs/[0-9a-f-]+">Open the run</a>', page)


def test_the_json_is_what_the_api_gives(alice: Browser, acme: Tenant, morning: Schedule) -> None:
    page = html.unescape(alice.get(f"/schedules/{morning.id}?tab=json").text)
    shown = json.loads(page.split('id="schedule-json"')[1].split(">", 1)[1].split("</pre>")[0])
    secret = alice.post("/settings/tokens", {"name": "t", "scopes": ["workflow:read"], "days": "30"}).text
    token = re.search(r"carillon_[\w-]+", secret)
    assert token
    headers = {"Authorization": f"Bearer {token[0]}"}
    assert shown == alice.client.get(f"/api/schedules/{morning.id}", headers=headers).json
    assert 'data-copy="schedule-json"' in page


def test_a_deleted_schedule_stays_readable_in_every_tab(alice: Browser, bob: Browser, morning: Schedule) -> None:
    alice.post(f"/schedules/{morning.id}/delete")
    for browser in (alice, bob):
        for tab in TABS:
            page = browser.get(f"/schedules/{morning.id}{tab}").text
            assert "Deleted" in page and "Morning sync" in page
            assert f"/schedules/{morning.id}/" not in page
    assert "<b>Deleted</b>" in alice.get(f"/schedules/{morning.id}?tab=changes").text


@pytest.mark.parametrize("tab", TABS)
def test_strangers_are_told_that_there_is_nothing(charlie: Browser, morning: Schedule, tab: str) -> None:
    answer = charlie.get(f"/schedules/{morning.id}{tab}")
    assert answer.status_code == 404
    assert "Morning sync" not in answer.text


@pytest.mark.parametrize("tab", TABS)
def test_a_tab_takes_as_many_statements_full_as_nearly_empty(
    alice: Browser, db: Any, acme: Tenant, sync: Workflow, morning: Schedule, tab: str
) -> None:
    def fill(numbers: range) -> None:
        for number in numbers:
            an_occurrence(db, morning, number, "missed")
            a_run(sync, schedule_id=morning.id)
            record_change(an_actor(acme), "schedule.paused", morning, reason="x")
        db.commit()

    address = f"/schedules/{morning.id}{tab}"

    def cost() -> int:
        with counted() as statements:
            assert alice.get(address).status_code == 200
        return len(statements)

    fill(range(1))
    cost()
    for_one = cost()
    fill(range(1, 30))
    assert cost() == for_one


def ledger(page: str) -> list[str]:
    """The reasons that stand in the table of occurrences."""
    table = page.split("What became of each time")[1].split("</table>")[0]
    return re.findall(r'<div class="meta">([^<]*\.)</div>', html.unescape(table))


def linked_runs(page: str) -> list[str]:
    return re.findall(r'<a class="name" href="/runs/([0-9a-f-]+)"', page)


def changed(page: str) -> dict[str, tuple[str, str]]:
    """What was changed, by label: before and after."""
    found = {}
    for label, rest in re.findall(r"<li><b>([^<]+)</b>(.*?)</li>", html.unescape(page), re.DOTALL):
        before = re.search(r"<del><span[^>]*>was </span>(.*?)</del>", rest)
        after = re.search(r"<ins><span[^>]*>became </span>(.*?)</ins>", rest)
        found[label] = (before[1] if before else "", after[1] if after else "")
    return found
