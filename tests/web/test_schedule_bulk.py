"""One action on many schedules, as alice, bob the viewer and charlie meet it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from domain.accounts.tenants import Tenant
from domain.firing import bulk
from domain.schedules.schedules import Schedule
from domain.workflows.workflows import Workflow
from tests.factories import a_published_workflow, a_version
from tests.statements import counted
from tests.web.cast import Browser
from tests.web.schedule_pages import REGION, a_quiet_schedule, audited, run_count, schedules, shown_names
from web.schedules import bulk as pages

ADDRESSES = ["/schedules/bulk/ask", "/schedules/bulk", "/schedules/bulk/continue", "/schedules/bulk/undo"]


@pytest.fixture
def sync(acme: Tenant) -> Workflow:
    return a_published_workflow(acme)


@pytest.fixture
def three(sync: Workflow) -> list[Schedule]:
    return [a_quiet_schedule(sync, name) for name in ("Alpha", "Beta", "Gamma")]


def send(browser: Browser, action: str, those: list[Schedule], key: str = "k", **more: Any) -> Any:
    ids = " ".join(str(one.id) for one in those)
    return browser.post("/schedules/bulk", {"action": action, "ids": ids, "request_key": key} | more, htmx=True)


def events(answer: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer.headers["HX-Trigger"])
    return found


def statuses() -> dict[str, str]:
    return {one.name: one.status for one in schedules()}


def test_each_row_can_be_selected_and_the_actions_stand_below(alice: Browser, three: list[Schedule]) -> None:
    page = alice.get("/schedules").text
    for one in three:
        assert f'form="bulk" name="id" value="{one.id}"' in page
    assert [word for word in ("Pause…", "Resume…", "Run now…", "Delete…") if f">{word}</button>" not in page] == []


def test_first_it_says_how_many_and_which(alice: Browser, three: list[Schedule]) -> None:
    asked = {"action": "delete", "id": [str(one.id) for one in three[:2]]}
    answer = alice.post("/schedules/bulk/ask", asked, htmx=True)
    assert "Delete 2 schedules" in answer.text
    assert "cannot be brought back" in answer.text
    assert [name for name in ("Alpha", "Beta", "Gamma") if f"<li>{name}</li>" in answer.text] == ["Alpha", "Beta"]
    assert len(schedules()) == 3


def test_nothing_selected_is_said_and_not_done(alice: Browser, three: list[Schedule]) -> None:
    answer = alice.post("/schedules/bulk/ask", {"action": "delete"}, htmx=True)
    assert answer.status_code == 422
    assert "Select at least one schedule first." in answer.text + str(answer.headers)
    assert alice.post("/schedules/bulk/ask", {"action": "explode", "id": str(three[0].id)}).status_code == 422


def test_all_that_match_are_found_again_on_the_server(alice: Browser, acme: Tenant, three: list[Schedule]) -> None:
    a_quiet_schedule(a_published_workflow(acme, "Digest"), "Nightly")
    page = alice.get("/schedules?q=invoice&all=1").text
    assert page.count(" checked>") == 4
    assert "All 3 that match" in page
    address = re.search(r'action="(/schedules/bulk/ask[^"]*)"', page)
    assert address is not None
    answer = alice.post(address[1], {"action": "pause", "all": "1"}, htmx=True)
    assert "Pause 3 schedules" in answer.text
    assert "Nightly" not in answer.text


def test_at_most_a_bound_is_done_at_a_time_and_it_says_so(
    alice: Browser, three: list[Schedule], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "BULK_LIMIT", 2)
    monkeypatch.setattr(bulk, "BULK_LIMIT", 2)
    answer = alice.post("/schedules/bulk/ask", {"action": "pause", "all": "1"}, htmx=True).text
    assert "More than 2 match" in answer
    assert "Pause 2 schedules" in answer
    send(alice, "pause", three)
    assert sorted(statuses().values()) == ["active", "paused", "paused"]


def test_many_are_paused_with_one_reason_and_undo_resumes_exactly_these(
    alice: Browser, sync: Workflow, three: list[Schedule]
) -> None:
    a_quiet_schedule(sync, "Held before", status="paused")
    answer = send(alice, "pause", three, reason="stock-taking")
    assert answer.status_code == 204
    told = events(answer)
    assert told["toast"]["message"] == "3 schedules paused."
    assert list(told) == ["selection:clear", "toast", "drawer:close", "schedules-changed"]
    assert {one.pause_reason for one in schedules() if one.name != "Held before"} == {"stock-taking"}
    assert [entry for entry in audited() if entry[0] == "schedule.paused"] == [("schedule.paused", "changed")] * 3
    undone = alice.post(told["toast"]["undo"]["url"], htmx=True)
    assert events(undone)["toast"]["message"] == "3 schedules resumed again."
    assert statuses() == {"Alpha": "active", "Beta": "active", "Gamma": "active", "Held before": "paused"}


def test_undo_leaves_alone_what_was_changed_since(alice: Browser, three: list[Schedule]) -> None:
    undo = events(send(alice, "pause", three))["toast"]["undo"]["url"]
    for action in ("resume", "pause"):
        alice.post(f"/schedules/{three[0].id}/{action}")
    told = events(alice.post(undo, htmx=True))["toast"]
    assert told["message"] == "2 schedules resumed again. 1 schedule not."
    assert statuses() == {"Alpha": "paused", "Beta": "active", "Gamma": "active"}
    assert "it was changed after it was paused" in alice.get(told["href"]).text
    assert events(alice.post(undo, htmx=True))["toast"]["message"] == told["message"]


def test_what_was_refused_is_said_by_reason_with_links(alice: Browser, sync: Workflow, three: list[Schedule]) -> None:
    held = [a_quiet_schedule(sync, name, status="paused") for name in ("Held", "Held too")]
    broken = a_quiet_schedule(sync, "Broken", status="invalid")
    answer = send(alice, "pause", [*three, *held, broken])
    assert answer.status_code == 200
    assert "3 schedules paused" in answer.text
    assert "3 schedules not:" in answer.text
    assert re.search(r'it is paused; only an active schedule can be paused <span class="tag">2</span>', answer.text)
    for one in (*held, broken):
        assert f'<a href="/schedules/{one.id}">{one.name}</a>' in answer.text
    assert sorted(result for action, result in audited() if action == "schedules.pause") == ["refused"] * 3


def test_resuming_many_keeps_those_whose_payload_does_not_fit_any_more(alice: Browser, sync: Workflow) -> None:
    fits = a_quiet_schedule(sync, "Fits", status="paused", payload_json={"region": "eu"})
    misfit = a_quiet_schedule(sync, "Misfit", status="paused")
    a_version(sync, 2, REGION)
    answer = send(alice, "resume", [fits, misfit])
    assert "1 schedule resumed" in answer.text
    assert "region" in answer.text
    assert statuses() == {"Fits": "active", "Misfit": "paused"}


def test_the_same_form_sent_twice_is_one_action(alice: Browser, three: list[Schedule]) -> None:
    first, second = (send(alice, "run", three, key="once") for _ in range(2))
    assert events(first)["toast"] == events(second)["toast"]
    assert run_count() == 3
    paused, again = (send(alice, "pause", three, key="twice") for _ in range(2))
    assert (paused.status_code, again.status_code) == (204, 204)
    assert [action for action, _ in audited()].count("schedule.paused") == 3


def test_many_are_deleted_and_stay_readable(alice: Browser, three: list[Schedule]) -> None:
    assert events(send(alice, "delete", three[:2]))["toast"] == {"message": "2 schedules deleted."}
    assert shown_names(alice.get("/schedules").text) == ["Gamma"]
    assert alice.get(f"/schedules/{three[0].id}").status_code == 200


def test_a_long_action_shows_how_far_it_has_come_and_goes_on(
    alice: Browser, three: list[Schedule], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "AT_ONCE_SECONDS", -1)
    answer = send(alice, "pause", three, key="long")
    assert "3 schedules left." in answer.text
    assert 'hx-post="/schedules/bulk/continue"' in answer.text
    assert set(statuses().values()) == {"active"}
    monkeypatch.setattr(pages, "AT_ONCE_SECONDS", 60)
    assert alice.post("/schedules/bulk/continue", {"key": "long"}, htmx=True).status_code == 204
    assert set(statuses().values()) == {"paused"}


def test_a_piece_is_done_by_itself_and_the_next_follows(
    alice: Browser, three: list[Schedule], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "PIECE", 2)
    assert send(alice, "pause", three).status_code == 204
    assert set(statuses().values()) == {"paused"}


def test_without_scripts_it_ends_on_a_page_that_says_what_was_done(alice: Browser, three: list[Schedule]) -> None:
    asked = alice.post("/schedules/bulk/ask", {"action": "pause", "id": str(three[0].id)}).text
    assert asked.lstrip().startswith("<!doctype html>")
    ids = str(three[0].id)
    sent = alice.post("/schedules/bulk", {"action": "pause", "ids": ids, "request_key": "plain", "reason": ""})
    assert (sent.status_code, sent.location) == (303, "/schedules/bulk?key=plain")
    page = alice.get(sent.location).text
    assert "1 schedule paused" in page
    assert "Undo: resume them" in page
    assert alice.post("/schedules/bulk/undo?key=plain").location == "/schedules/bulk?key=undo:plain"
    assert statuses()["Alpha"] == "active"


def test_a_reason_that_cannot_be_kept_is_refused_at_its_field(alice: Browser, three: list[Schedule]) -> None:
    answer = send(alice, "pause", three, reason="x" * 501)
    assert answer.status_code == 422
    assert "at most 500 characters" in answer.text
    assert "x" * 501 in answer.text
    assert set(statuses().values()) == {"active"}


def test_a_pause_of_many_may_end_by_itself(alice: Browser, three: list[Schedule]) -> None:
    send(alice, "pause", three, ends="hour")
    assert all(one.paused_until is not None for one in schedules())


def test_ids_of_another_tenant_are_not_found(alice: Browser, charlie: Browser, three: list[Schedule]) -> None:
    assert charlie.post("/schedules/bulk/ask", {"action": "delete", "id": str(three[0].id)}).status_code == 422
    answer = send(charlie, "delete", three)
    assert "there is no such schedule any more" in answer.text
    assert not any(one.name in answer.text for one in three)
    assert set(statuses().values()) == {"active"}
    send(alice, "pause", three, key="hers")
    assert charlie.get("/schedules/bulk?key=hers").status_code == 404
    assert charlie.post("/schedules/bulk/undo?key=hers").status_code == 404
    assert set(statuses().values()) == {"paused"}


def test_a_viewer_sees_nothing_to_select(bob: Browser, three: list[Schedule]) -> None:
    page = bob.get("/schedules?all=1").text
    assert shown_names(page) == ["Alpha", "Beta", "Gamma"]
    assert 'type="checkbox"' not in page
    assert "/schedules/bulk" not in page


@pytest.mark.parametrize("address", ADDRESSES)
def test_what_a_viewer_forges_is_refused_and_on_record(bob: Browser, three: list[Schedule], address: str) -> None:
    answer = bob.post(address, {"action": "delete", "ids": str(three[0].id), "request_key": "k", "key": "k"})
    assert answer.status_code == 403
    assert [result for _, result in audited()] == ["refused"]
    assert len(schedules()) == 3


def test_asking_takes_as_many_statements_for_forty_as_for_three(
    alice: Browser, sync: Workflow, three: list[Schedule]
) -> None:
    def cost() -> int:
        with counted() as statements:
            assert alice.post("/schedules/bulk/ask", {"action": "pause", "all": "1"}, htmx=True).status_code == 200
        return len(statements)

    cost()
    for_three = cost()
    for number in range(37):
        a_quiet_schedule(sync, f"S{number}")
    assert cost() == for_three
