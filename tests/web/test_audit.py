"""The page of the audit log: looking things up, and what an entry says."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from domain.accounts.audit import record_change, record_refusal
from domain.accounts.tenants import edit_tenant
from domain.kernel import clock
from tests.factories import a_published_workflow, a_schedule, an_actor
from tests.statements import counted
from tests.web.cast import Browser


def said(page: str) -> list[str]:
    """What was done, line by line."""
    return re.findall(r'<td class="c-name"><b>([^<]*)</b>', page)


def log(browser: Browser, **asked: Any) -> list[str]:
    answer = browser.get(f"/system/audit?{urlencode(asked)}")
    assert answer.status_code == 200
    return said(answer.text)


@pytest.fixture
def entries(alice: Browser, bob: Browser, db: Any) -> dict[str, Any]:
    """A schedule that alice edited and paused and that bob was refused to delete; and a renamed tenant."""
    schedule = a_schedule(a_published_workflow(alice.tenant), "Morning sync")
    by_alice = an_actor(alice.tenant, alice.user)
    edit_tenant(by_alice, "Acme 100%", "Europe/Berlin")
    db.flush()
    record_change(by_alice, "schedule.edited", schedule, before={"cron": "0 7 * * *"}, after={"cron": "0 8 * * *"})
    db.flush()
    record_change(by_alice, "schedule.paused", schedule, reason="Quarter end")
    db.flush()
    record_refusal(an_actor(alice.tenant, bob.user), "schedule.delete", "schedule", schedule.id, "This needs more.")
    db.commit()
    return {"schedule": schedule.id}


def test_the_newest_entries_come_first(alice: Browser, entries: dict[str, Any]) -> None:
    assert log(alice) == ["Schedule delete", "Schedule paused", "Schedule edited", "Tenant edited"]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"q": "quarter"}, ["Schedule paused"]),
        ({"q": "8 morning"}, ["Schedule edited"]),
        ({"q": "schedule edited"}, ["Schedule edited"]),
        ({"q": "100%"}, ["Tenant edited"]),
        ({"q": "1_0"}, []),
        ({"who": "bob"}, ["Schedule delete"]),
        ({"who": "ALICE", "about": "tenant"}, ["Tenant edited"]),
        ({"action": "schedule.paused"}, ["Schedule paused"]),
        ({"about": "tenant"}, ["Tenant edited"]),
        ({"result": "refused"}, ["Schedule delete"]),
        ({"q": "sync", "who": "bob"}, []),
    ],
)
def test_it_is_narrowed_by_what_the_address_says(
    alice: Browser, entries: dict[str, Any], asked: dict[str, str], found: list[str]
) -> None:
    assert log(alice, **asked) == found


def test_it_is_narrowed_to_one_subject(alice: Browser, entries: dict[str, Any]) -> None:
    page = alice.get(f"/system/audit?subject={entries['schedule']}").text
    assert len(said(page)) == 3
    assert "Remove filter one schedule" in page
    assert f'name="subject" value="{entries["schedule"]}"' in page


def test_times_are_those_of_the_tenants_zone(alice: Browser, entries: dict[str, Any]) -> None:
    today = clock.database_now().date()
    yesterday, tomorrow, later = (today + timedelta(days=days) for days in (-1, 1, 2))
    assert len(log(alice, **{"from": yesterday, "to": tomorrow})) == 4
    assert log(alice, **{"from": later}) == []
    assert log(alice, to=today - timedelta(days=2)) == []
    assert "Since" in alice.get(f"/system/audit?from={yesterday}").text


def test_nonsense_in_the_address_is_left_out(alice: Browser, entries: dict[str, Any]) -> None:
    asked = {"before": "x", "about": "x", "result": "\x00", "subject": "x", "from": "x", "to": "9999-12-31"}
    assert len(log(alice, **asked)) == 4


def test_pages_follow_each_other_and_keep_the_filter(alice: Browser, db: Any) -> None:
    for number in range(120):
        edit_tenant(an_actor(alice.tenant, alice.user), f"Name {number}", "UTC")
    db.commit()
    url, sizes = "/system/audit?about=tenant&q=name", []
    while url:
        page = alice.get(url).text
        sizes.append(len(said(page)))
        following = re.search(r'rel="next" href="([^"]*)"', page)
        url = html.unescape(following[1]) if following else ""
        assert "about=tenant" in url and "q=name" in url if url else True
    assert sizes == [50, 50, 20]


def test_typing_swaps_the_list_alone_and_the_address_follows(alice: Browser, entries: dict[str, Any]) -> None:
    answer = alice.get("/system/audit?q=quarter&who=&about=&from=", htmx=True)
    assert answer.text.lstrip().startswith('<div class="sheet" id="audit-list"')
    assert said(answer.text) == ["Schedule paused"]
    assert answer.headers["HX-Replace-Url"] == "/system/audit?q=quarter"
    assert "hx-swap-oob" in answer.text


def test_an_entry_says_in_words_what_was_and_what_became(alice: Browser, db: Any) -> None:
    schedule = a_schedule(a_published_workflow(alice.tenant))
    before = {"catchUp": "all", "isNamed": True, "config": {"region": "eu", "host": "a.test"}, "capabilities": []}
    after = {
        "catchUp": "skip",
        "isNamed": False,
        "config": {"region": "us", "host": "a.test"},
        "capabilities": ["b", "c"],
    }
    record_change(an_actor(alice.tenant), "schedule.edited", schedule, before=before, after=after)
    db.commit()
    page = re.sub(r"<[^>]*>|\s+", " ", alice.get("/system/audit").text)
    page = re.sub(r"\s+", " ", html.unescape(page))
    assert "Config /region was eu → became us" in page
    assert "Capabilities was nothing → became b, c" in page
    assert "/host" not in page
    assert "{" not in page and "catchUp" not in page


def test_an_entry_names_its_request_and_leads_to_all_of_that_request(alice: Browser, db: Any) -> None:
    alice.post("/settings", {"name": "Renamed", "timezone": "UTC"}, headers={"X-Request-Id": "request-4711"})
    page = alice.get("/system/audit").text
    assert "/system/audit?q=request-4711" in page
    assert len(log(alice, q="request-4711")) == len(said(page)) == 1


def test_nothing_on_record_says_so_and_what_to_do(alice: Browser, entries: dict[str, Any]) -> None:
    page = alice.get("/system/audit?q=nothing-like-this").text
    assert "Nothing on record here" in page and "Show the whole log" in page


def test_who_may_not_manage_members_sees_nothing_and_strangers_none_of_it(
    bob: Browser, charlie: Browser, entries: dict[str, Any]
) -> None:
    assert bob.get("/system/audit").status_code == 403
    assert log(charlie) == []
    assert log(charlie, subject=entries["schedule"]) == []


def test_it_costs_the_same_however_much_there_is(alice: Browser, entries: dict[str, Any], db: Any) -> None:
    def cost(**asked: Any) -> int:
        with counted() as statements:
            log(alice, **asked)
        return sum(not one.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK")) for one in statements)

    few = [cost(), cost(q="name"), cost(subject=entries["schedule"])]
    assert max(few) <= 8
    for number in range(60):
        edit_tenant(an_actor(alice.tenant, alice.user), f"Name {number}", "UTC")
    db.commit()
    many = [cost(), cost(q="name"), cost(subject=entries["schedule"])]
    assert all(later <= first for first, later in zip(few, many, strict=True))
