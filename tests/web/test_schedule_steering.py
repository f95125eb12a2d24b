"""Pausing until a time, resuming after something was missed, skipping just the next: the dialogs and what they do."""

from __future__ import annotations

import html
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.accounts.tenants import Tenant
from domain.kernel import clock
from domain.schedules.cursors import ScheduleCursor
from domain.schedules.schedules import Schedule
from domain.workflows.workflows import Workflow
from tests.factories import a_published_workflow, a_user
from tests.web.cast import Browser
from tests.web.schedule_pages import a_quiet_schedule, audited, errors_at, is_chosen, run_count, schedules, value_of

STEPS = ["/pause", "/resume", "/skip-next"]


@pytest.fixture
def sync(acme: Tenant) -> Workflow:
    return a_published_workflow(acme)


@pytest.fixture
def morning(sync: Workflow) -> Schedule:
    return a_quiet_schedule(sync, cron="0 9 * * *", timezone="Europe/Paris")


@pytest.fixture
def now(db: Any) -> datetime:
    return clock.database_now()


def a_paused_schedule(workflow: Workflow, now: datetime, hours: int, **values: Any) -> Schedule:
    """Hourly, and paused long enough for `hours` instants to have been missed."""
    full = now.replace(minute=0, second=0, microsecond=0)
    first = full - timedelta(hours=hours - 1)
    values = {"status": "paused", "paused_at": first - timedelta(minutes=30), "next_fire_at": first} | values
    return a_quiet_schedule(workflow, **values)


def said(answer: Any) -> str:
    """What the toast of an action says."""
    told = json.loads(answer.headers["HX-Trigger"])["toast"]
    return str(told["message"] if isinstance(told, dict) else told)


def words(page: str) -> str:
    """What stands on a page, as one line."""
    spaced = re.sub(r"</(?:span|p|div|li)>", " ", page)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", "", spaced)))


def test_a_pause_names_when_each_of_its_ends_lets_it_fire_again(alice: Browser, morning: Schedule) -> None:
    page = alice.get(f"/schedules/{morning.id}/pause").text
    assert is_chosen(page, "ends", "open")
    assert len(re.findall(r"It fires again from [A-Z0-9].*? 09:00 UTC\+[12]\.", html.unescape(page))) == 2
    assert "Date and time in Europe/Paris" in page


def test_a_pause_until_a_time_is_one_in_the_zone_of_the_schedule(alice: Browser, morning: Schedule) -> None:
    fields = {"reason": "stock-taking", "ends": "at", "until": "2090-01-05T08:00", "place": "drawer"}
    answer = alice.post(f"/schedules/{morning.id}/pause", fields, htmx=True)
    assert said(answer) == (
        "Morning sync is paused until 5 Jan 2090 08:00 UTC+1. It fires again from 5 Jan 2090 09:00 UTC+1."
    )
    paused = schedules()[0]
    assert (paused.status, paused.paused_until) == ("paused", datetime(2090, 1, 5, 7, tzinfo=UTC))
    page = words(alice.get(f"/schedules/{morning.id}").text)
    assert "after the pause ends 5 Jan 2090 08:00 UTC+1" in page
    assert "Tue 3 Jan 2090" not in page and "Thu 5 Jan 2090" in page
    changes = words(alice.get(f"/schedules/{morning.id}?tab=changes").text)
    assert "Paused until was nothing → became 5 Jan 2090 08:00 UTC+1" in changes


def test_when_it_goes_on_leaves_out_the_instant_that_will_be_skipped(
    alice: Browser, sync: Workflow, now: datetime
) -> None:
    skipped = datetime(2090, 1, 5, 8, tzinfo=UTC)
    values = {"cron": "0 9 * * *", "timezone": "Europe/Paris", "next_fire_at": skipped, "skip_next_at": skipped}
    morning = a_quiet_schedule(sync, **values)
    answer = alice.post(f"/schedules/{morning.id}/pause", {"ends": "at", "until": "2090-01-05T08:00"}, htmx=True)
    assert said(answer).endswith("It fires again from 6 Jan 2090 09:00 UTC+1.")
    following = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    hourly = a_paused_schedule(sync, now, 3, name="Hourly", skip_next_at=following)
    goes_on = rf"goes on with \w+ {following + timedelta(hours=1):%H:%M} UTC\."
    assert re.search(goes_on, words(alice.get(f"/schedules/{hourly.id}/resume").text))
    assert re.search(goes_on, said(alice.post(f"/schedules/{hourly.id}/resume", {"catch_up": "skip"}, htmx=True)))


@pytest.mark.parametrize(("ends", "hours"), [("hour", 1), ("tomorrow", 48)])
def test_a_quick_choice_ends_the_pause_soon(
    alice: Browser, morning: Schedule, now: datetime, ends: str, hours: int
) -> None:
    assert alice.post(f"/schedules/{morning.id}/pause", {"ends": ends}).status_code == 303
    until = schedules()[0].paused_until
    assert until and now < until <= now + timedelta(hours=hours, minutes=1)


def test_a_pause_without_an_end_has_none(alice: Browser, morning: Schedule) -> None:
    alice.post(f"/schedules/{morning.id}/pause", {"reason": "x", "until": "2090-01-05T08:00"})
    assert (schedules()[0].status, schedules()[0].paused_until) == ("paused", None)


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"ends": "at", "until": ""}, "until", "Choose a date and a time."),
        ({"ends": "at", "until": "soon"}, "until", "Write the date and time as"),
        ({"ends": "at", "until": "2020-01-01T00:00"}, "until", "Choose one in the future."),
        ({"ends": "never"}, "ends", "Choose how the pause ends."),
    ],
)
def test_an_end_that_cannot_be_is_refused_at_its_field(
    alice: Browser, morning: Schedule, fields: dict[str, str], field: str, message: str
) -> None:
    answer = alice.post(f"/schedules/{morning.id}/pause", fields | {"reason": "typed before"}, htmx=True)
    assert answer.status_code == 422
    assert message in errors_at(answer.text, field)
    assert value_of(answer.text, "reason") == "typed before"
    assert schedules()[0].status == "active"


def test_resume_acts_at_once_when_nothing_was_missed_and_asks_when_something_was(
    alice: Browser, sync: Workflow, now: datetime
) -> None:
    quiet = a_quiet_schedule(sync, status="paused")
    behind = a_paused_schedule(sync, now, 3, name="Behind")
    for page in (alice.get("/schedules").text, alice.get(f"/schedules/{quiet.id}").text):
        assert f'hx-post="/schedules/{quiet.id}/resume"' in page
        assert not re.search(rf'href="/schedules/{quiet.id}/resume" data-dialog[^>]*data-key="p"', page)
    for page in (alice.get("/schedules").text, alice.get(f"/schedules/{behind.id}").text):
        assert re.search(rf'href="/schedules/{behind.id}/resume" data-dialog[^>]*data-key="p"', page)
        assert f'hx-post="/schedules/{behind.id}/resume"' not in page


def test_the_resume_dialog_says_what_was_missed_and_what_each_choice_does(
    alice: Browser, acme: Tenant, sync: Workflow, now: datetime
) -> None:
    dora = a_user(acme, "dora@acme.test")
    behind = a_paused_schedule(sync, now, 72, paused_by=dora.id, pause_reason="Stock-taking", overlap="allow")
    page = words(alice.get(f"/schedules/{behind.id}/resume").text)
    assert re.search(r"Paused (2 d 23 h|3 d) by Dora: 72 occurrences were missed\. The reason was: Stock-taking", page)
    assert re.search(r"Skip them It goes on with \w+ \d\d:00 UTC\. What was missed is put on record as skipped\.", page)
    assert re.search(r"Run the latest \w+ \d\d:00 UTC runs now\. The other 71 are put on record as skipped\.", page)
    assert "Run all 72 run now, the oldest first." in page


def test_no_more_than_a_hundred_are_offered(alice: Browser, sync: Workflow, now: datetime) -> None:
    behind = a_paused_schedule(sync, now, 130, overlap="allow")
    page = words(alice.get(f"/schedules/{behind.id}/resume").text)
    assert "Run the newest 100 100 run now, the oldest first. The other 30 are put on record as skipped." in page
    answer = alice.post(f"/schedules/{behind.id}/resume", {"catch_up": "all", "place": "drawer"}, htmx=True)
    assert "100 missed times run now. 30 are on record as skipped." in said(answer)
    assert run_count() == 100


@pytest.mark.parametrize(
    ("choice", "runs", "message"),
    [
        ("skip", 0, "3 are on record as skipped."),
        ("latest", 1, "1 missed time runs now. 2 are on record as skipped."),
        ("all", 3, "3 missed times run now."),
    ],
)
def test_each_choice_does_what_it_says(
    alice: Browser, sync: Workflow, now: datetime, choice: str, runs: int, message: str
) -> None:
    behind = a_paused_schedule(sync, now, 3, overlap="allow")
    answer = alice.post(f"/schedules/{behind.id}/resume", {"catch_up": choice, "place": "drawer"}, htmx=True)
    assert answer.status_code == 204
    assert said(answer).startswith("Morning sync goes on with ")
    assert said(answer).endswith(message)
    assert (schedules()[0].status, run_count()) == ("active", runs)
    again = alice.post(f"/schedules/{behind.id}/resume", {"catch_up": choice, "place": "drawer"}, htmx=True)
    assert again.status_code == 409
    assert run_count() == runs


def test_an_unknown_choice_is_refused_at_its_field(alice: Browser, sync: Workflow, now: datetime) -> None:
    behind = a_paused_schedule(sync, now, 3)
    answer = alice.post(f"/schedules/{behind.id}/resume", {"catch_up": "rubbish"})
    assert answer.status_code == 422
    assert "Choose one of skip, latest, all." in errors_at(answer.text, "catch_up")
    assert schedules()[0].status == "paused"


def test_when_the_workflow_takes_no_runs_only_skipping_is_offered(
    alice: Browser, db: Any, sync: Workflow, now: datetime
) -> None:
    behind = a_paused_schedule(sync, now, 3)
    sync.paused_at, sync.pause_reason = now, "Moving house"
    db.commit()
    page = alice.get(f"/schedules/{behind.id}/resume").text
    assert "None of them can run now:" in page
    assert re.findall(r'name="catch_up"[^>]*value="(\w+)"', page) == ["skip"]


def test_a_one_time_schedule_whose_time_has_passed_wants_a_new_time(
    alice: Browser, sync: Workflow, now: datetime
) -> None:
    past = now.replace(microsecond=0) - timedelta(hours=2)
    values = {"trigger_type": "schedule", "cron": None, "run_at": past, "next_fire_at": past}
    over = a_paused_schedule(sync, now, 1, **values)
    page = alice.get(f"/schedules/{over.id}/resume").text
    assert "passed during the pause." in page
    assert f'href="/schedules/{over.id}/edit" data-dialog>Choose a new time' in page
    assert "Resume schedule" not in page


def test_the_skip_dialog_names_the_instant_and_the_one_after_it(alice: Browser, morning: Schedule) -> None:
    page = words(alice.get(f"/schedules/{morning.id}/skip-next").text)
    assert "1 Jan 2100 01:00 UTC+1 in Europe/Paris, in " in page
    assert "After it, 1 Jan 2100 09:00 UTC+1 runs as usual." in page


def test_what_will_be_skipped_is_struck_out_until_it_is_undone(
    alice: Browser, db: Any, sync: Workflow, now: datetime
) -> None:
    following = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    hourly = a_quiet_schedule(sync, next_fire_at=following)
    address = f"/schedules/{hourly.id}"
    assert f'href="{address}/skip-next" data-dialog' in alice.get(address).text
    instant = value_of(alice.get(f"{address}/skip-next").text, "instant")
    answer = alice.post(f"{address}/skip-next", {"instant": instant, "place": "drawer"}, htmx=True)
    told = json.loads(answer.headers["HX-Trigger"])["toast"]
    assert told["message"].startswith("Morning sync will skip ")
    assert told["undo"] == {"url": f"{address}/skip-next/undo"}
    page = alice.get(address).text
    assert re.search(
        r"<li><del>[^<]+</del><del>[^<]+</del><span class=\"off\">will be skipped by <bdi>Alice</bdi>", page
    )
    assert "Undo the skip" in page and "Skip next…" not in page
    assert alice.post(told["undo"]["url"]).location == address
    page = alice.get(address).text
    assert "<del>" not in page and "Undo the skip" not in page
    assert [action for action, _ in audited()] == ["schedule.skip_next", "schedule.unskip_next"]


def test_an_instant_that_is_no_longer_the_next_is_asked_about_again(alice: Browser, db: Any, morning: Schedule) -> None:
    instant = value_of(alice.get(f"/schedules/{morning.id}/skip-next").text, "instant")
    db.get_one(ScheduleCursor, morning.id).next_fire_at = datetime(2100, 1, 2, 8, tzinfo=UTC)
    db.commit()
    answer = alice.post(f"/schedules/{morning.id}/skip-next", {"instant": instant, "place": "drawer"}, htmx=True)
    assert answer.status_code == 422
    assert "Another occurrence is the next one by now." in answer.text
    assert value_of(answer.text, "instant") == "2100-01-02T08:00:00Z"
    assert schedules()[0].skip_next_at is None
    assert alice.post(f"/schedules/{morning.id}/skip-next", {"instant": "rubbish"}).status_code == 422


def test_what_has_no_next_one_offers_no_skip(alice: Browser, sync: Workflow) -> None:
    paused = a_quiet_schedule(sync, "Paused", status="paused")
    once = a_quiet_schedule(sync, "Once", trigger_type="schedule", cron=None, run_at=datetime(2100, 1, 1, tzinfo=UTC))
    for schedule in (paused, once):
        assert "/skip-next" not in alice.get(f"/schedules/{schedule.id}").text
        assert "Skip this one" not in alice.get(f"/schedules/{schedule.id}/skip-next").text


def test_a_viewer_sees_what_will_be_skipped_and_no_way_to_change_it(
    alice: Browser, bob: Browser, morning: Schedule
) -> None:
    instant = value_of(alice.get(f"/schedules/{morning.id}/skip-next").text, "instant")
    alice.post(f"/schedules/{morning.id}/skip-next", {"instant": instant})
    page = bob.get(f"/schedules/{morning.id}").text
    assert "will be skipped by" in page
    assert f"/schedules/{morning.id}/" not in page


@pytest.mark.parametrize("step", [*STEPS, "/skip-next/undo"])
def test_what_a_viewer_forges_is_refused_and_on_record_and_a_stranger_finds_nothing(
    bob: Browser, charlie: Browser, morning: Schedule, step: str
) -> None:
    address = f"/schedules/{morning.id}{step}"
    assert bob.post(address).status_code == 403
    assert [result for _, result in audited()] == ["refused"]
    assert charlie.post(address).status_code == 404
    if step in STEPS:
        assert bob.get(address).status_code == 403
        assert charlie.get(address).status_code == 404
    stored = schedules()[0]
    assert (stored.status, stored.revision, stored.skip_next_at) == ("active", 1, None)
