"""Editing a schedule in its dialog: what it opens with, two people at once, and what an edit leaves as it was."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.accounts.tenants import Tenant
from domain.kernel import strict_json
from domain.schedules.schedules import Schedule
from domain.workflows.workflows import Workflow
from tests.factories import a_published_workflow
from tests.web.cast import Browser
from tests.web.schedule_pages import FAR, a_quiet_schedule, errors_at, is_chosen, schedules, summary, typed, value_of


@pytest.fixture
def sync(acme: Tenant, db: Any) -> Workflow:
    workflow = a_published_workflow(acme, schema={"type": "object"})
    db.commit()
    return workflow


@pytest.fixture
def morning(sync: Workflow) -> Schedule:
    return a_quiet_schedule(sync, cron="0 9 * * 1-5", timezone="Europe/Paris")


def test_an_edit_opens_with_what_is_stored_and_saves_what_is_typed(alice: Browser, sync: Workflow) -> None:
    stored = a_quiet_schedule(
        sync, overlap="allow", payload_json={"a": [1]}, starts_at=datetime(2098, 7, 1, tzinfo=UTC)
    )
    address = f"/schedules/{stored.id}/edit"
    page = alice.get(address).text
    assert (value_of(page, "workflow"), value_of(page, "name")) == ("Invoice sync", "Morning sync")
    assert (value_of(page, "cron"), value_of(page, "revision")) == ("0 * * * *", "1")
    assert value_of(page, "starts_at") == "2098-07-01T00:00"
    assert is_chosen(page, "overlap", "allow")
    answer = alice.post(address, typed(revision="1", name="Evening sync", cron="0 18 * * *", payload='{"b": 2}'))
    assert answer.location == f"/schedules/{stored.id}"
    (edited,) = schedules()
    assert (edited.name, edited.cron, edited.payload_json, edited.revision) == (
        "Evening sync",
        "0 18 * * *",
        {"b": 2},
        2,
    )


def test_the_second_of_two_editors_sees_what_is_stored_now_and_keeps_what_they_typed(
    alice: Browser, morning: Schedule
) -> None:
    address = f"/schedules/{morning.id}/edit"
    first = typed(revision="1", cron="0 7 * * *")
    assert alice.post(address, first).status_code == 303
    second = alice.post(address, typed(revision="1", name="Mine", cron="0 5 * * *"))
    assert second.status_code == 409
    assert "Someone else changed this" in summary(second.text)
    stored_now = second.text.split('id="stored-now"')[1].split("</dl>")[0]
    assert "0 7 * * *" in stored_now and "Morning sync" in stored_now and "Europe/Paris" not in stored_now
    assert (value_of(second.text, "name"), value_of(second.text, "cron")) == ("Mine", "0 5 * * *")
    assert [schedule.cron for schedule in schedules()] == ["0 7 * * *"]
    again = typed(revision=value_of(second.text, "revision"), name="Mine", cron="0 5 * * *")
    assert alice.post(address, again).status_code == 303
    assert [schedule.cron for schedule in schedules()] == ["0 5 * * *"]


@pytest.mark.parametrize("revision", ["", "x", "-1", "9" * 30, "0"])
def test_a_revision_that_was_tampered_with_is_a_conflict(alice: Browser, morning: Schedule, revision: str) -> None:
    assert alice.post(f"/schedules/{morning.id}/edit", typed(revision=revision)).status_code == 409
    assert schedules()[0].revision == 1


def test_a_wall_time_that_exists_twice_stays_the_instant_it_was(alice: Browser, sync: Workflow) -> None:
    second_pass = datetime(2037, 10, 25, 1, 30, tzinfo=UTC)
    stored = a_quiet_schedule(
        sync, trigger_type="schedule", cron=None, run_at=second_pass, timezone="Europe/Paris", next_fire_at=second_pass
    )
    page = alice.get(f"/schedules/{stored.id}/edit").text
    assert value_of(page, "run_at") == "2037-10-25T02:30"
    fields = typed(revision="1", trigger_type="schedule", run_at="2037-10-25T02:30", name="Renamed")
    assert alice.post(f"/schedules/{stored.id}/edit", fields).status_code == 303
    assert [(schedule.name, schedule.run_at) for schedule in schedules()] == [("Renamed", second_pass)]


def test_a_one_time_schedule_that_is_over_wants_a_new_time(alice: Browser, sync: Workflow) -> None:
    past = datetime(2020, 1, 1, tzinfo=UTC)
    over = a_quiet_schedule(
        sync, trigger_type="schedule", cron=None, run_at=past, status="completed", next_fire_at=None
    )
    fields = typed(revision="1", trigger_type="schedule", run_at="2020-01-01T00:00", timezone="UTC")
    answer = alice.post(f"/schedules/{over.id}/edit", fields)
    assert "has passed" in errors_at(answer.text, "run_at")
    fields["run_at"] = "2099-01-01T00:00"
    assert alice.post(f"/schedules/{over.id}/edit", fields).status_code == 303
    assert schedules()[0].status == "active"


def test_the_shown_payload_is_the_stored_one(alice: Browser, sync: Workflow) -> None:
    payload = {"z": 1, "a": {"deep": [True, None, "é"]}}
    stored = a_quiet_schedule(sync, payload_json=payload, next_fire_at=FAR)
    page = alice.get(f"/schedules/{stored.id}/edit").text
    text = re.search(r"<textarea[^>]*>(.*?)</textarea>", page, re.DOTALL)
    assert text
    assert strict_json.loads(text[1].strip().replace("&#34;", '"')) == payload


def test_the_same_edit_sent_twice_is_one_unless_somebody_edited_since(alice: Browser, morning: Schedule) -> None:
    address = f"/schedules/{morning.id}/edit"
    mine = typed(revision="1", request_key="k1", cron="0 7 * * *")
    assert [alice.post(address, mine).status_code for _ in range(2)] == [303, 303]
    assert [schedule.revision for schedule in schedules()] == [2]
    assert alice.post(address, typed(revision="2", cron="0 8 * * *")).status_code == 303
    assert alice.post(address, mine).status_code == 409
    assert [schedule.cron for schedule in schedules()] == ["0 8 * * *"]
