"""A schedule made from another one: what the dialog begins with, and what becomes of its secrets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from domain.accounts.tenants import Tenant
from domain.schedules.schedules import Schedule
from domain.workflows.payload_secrets import opened
from domain.workflows.workflows import Workflow
from tests.factories import a_published_workflow
from tests.web.cast import Browser
from tests.web.schedule_pages import a_quiet_schedule, is_chosen, schedules, summary, typed, value_of

SECRET_SCHEMA = {
    "type": "object",
    "properties": {"region": {"type": "string"}, "token": {"type": "string", "x-secret": True}},
}
TOKEN = "canary of the first"


@pytest.fixture
def sync(acme: Tenant, db: Any) -> Workflow:
    workflow = a_published_workflow(acme, schema=SECRET_SCHEMA)
    db.commit()
    return workflow


@pytest.fixture
def guarded(alice: Browser, sync: Workflow) -> Schedule:
    """Its payload holds a secret that was typed."""
    payload = json.dumps({"region": "eu", "token": TOKEN})
    assert alice.post("/schedules", typed(payload=payload, overlap="skip")).status_code == 303
    return schedules()[0]


def test_a_copy_begins_with_everything_but_the_name_and_starts_paused(alice: Browser, guarded: Schedule) -> None:
    page = alice.get(f"/schedules/new?like={guarded.id}").text
    assert (value_of(page, "workflow"), value_of(page, "name")) == ("Invoice sync", "Morning sync (copy)")
    assert (value_of(page, "cron"), value_of(page, "timezone")) == ("0 9 * * 1-5", "Europe/Paris")
    assert is_chosen(page, "overlap", "skip")
    assert not is_chosen(page, "enabled", "y")
    assert TOKEN not in page and "$sealed" not in page


def test_the_secret_of_a_copy_is_kept_without_anyone_seeing_it(alice: Browser, acme: Tenant, guarded: Schedule) -> None:
    payload = '{"region": "us", "token": {"$kept": true}}'
    fields = typed(name="Evening sync", payload=payload, like=str(guarded.id), enabled=None)
    assert alice.post("/schedules", fields).status_code == 303
    copy = schedules()[1]
    assert (copy.name, copy.status) == ("Evening sync", "paused")
    assert opened(acme.id, copy.payload_json) == {"region": "us", "token": TOKEN}


def test_without_its_original_a_copy_asks_for_the_secret_again(alice: Browser, guarded: Schedule) -> None:
    fields = typed(name="Evening sync", payload='{"token": {"$kept": true}}', like=str(guarded.id))
    alice.post(f"/schedules/{guarded.id}/delete")
    answer = alice.post("/schedules", fields)
    assert answer.status_code == 422
    assert "Type the value again" in summary(answer.text)
    assert value_of(answer.text, "like") == str(guarded.id)


def test_nobody_copies_the_secrets_of_another_tenant(charlie: Browser, guarded: Schedule) -> None:
    a_published_workflow(charlie.tenant, "Invoice sync", schema=SECRET_SCHEMA)
    assert charlie.get(f"/schedules/new?like={guarded.id}").status_code == 404
    fields = typed(payload='{"token": {"$kept": true}}', like=str(guarded.id))
    answer = charlie.post("/schedules", fields)
    assert answer.status_code == 422
    assert "Type the value again" in summary(answer.text)
    assert len(schedules()) == 1


def test_the_copy_of_a_copy_gets_a_number_and_a_long_name_is_cut(alice: Browser, sync: Workflow) -> None:
    source = a_quiet_schedule(sync, "N" * 128)
    a_quiet_schedule(sync, "Morning sync (copy)")
    short = a_quiet_schedule(sync, "Morning sync")
    assert value_of(alice.get(f"/schedules/new?like={short.id}").text, "name") == "Morning sync (copy 2)"
    long = value_of(alice.get(f"/schedules/new?like={source.id}").text, "name")
    assert len(long) <= 128 and long.endswith("N (copy)")


def test_an_external_key_is_not_copied(alice: Browser, sync: Workflow) -> None:
    source = a_quiet_schedule(sync, external_key="k-1")
    page = alice.get(f"/schedules/new?like={source.id}").text
    fields = typed(name=value_of(page, "name"), like=str(source.id))
    assert alice.post("/schedules", fields).status_code == 303
    assert [schedule.external_key for schedule in schedules()] == ["k-1", None]


def test_what_is_no_id_makes_an_ordinary_new_schedule(alice: Browser, sync: Workflow) -> None:
    page = alice.get("/schedules/new?like=rubbish").text
    assert value_of(page, "name") == ""
    assert is_chosen(page, "enabled", "y")


def test_a_viewer_neither_sees_nor_opens_the_copy(bob: Browser, sync: Workflow) -> None:
    source = a_quiet_schedule(sync)
    for page in ("/schedules", f"/schedules/{source.id}"):
        assert "like=" not in bob.get(page).text
    assert bob.get(f"/schedules/new?like={source.id}").status_code == 403
