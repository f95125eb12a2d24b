"""Schedules are written so that the same state gives the same bytes, and nothing that is secret is among them."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from domain.accounts.secrets import create_secret
from domain.accounts.tenants import Tenant
from domain.bundles import schedule_exporting
from domain.bundles.schedule_exporting import derived_id, derived_key, export_schedules
from domain.firing.lifecycle import create_schedule
from domain.kernel.db import db as database
from domain.kernel.errors import Conflict, NotFound, Refused
from domain.kernel.ids import new_id
from domain.schedules.drafts import ScheduleDraft
from tests.calls import a_call_schedule
from tests.factories import NOW, a_published_workflow, a_schedule, a_tenant, an_actor, an_install
from tests.statements import counted

pytestmark = pytest.mark.usefixtures("db")

TOKEN = {
    "type": "object",
    "properties": {"token": {"type": "string", "x-secret": True}, "key": {"type": "string", "x-secret": True}},
}


@pytest.fixture
def acme(db: Any) -> Tenant:
    return a_tenant("acme")


def written(tenant: Tenant, ids: list[UUID] | None = None, **narrowed: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = json.loads(export_schedules(tenant.id, ids, **narrowed))["schedules"]
    return items


def keys(tenant: Tenant, ids: list[UUID] | None = None, **narrowed: Any) -> list[str]:
    return [item["externalKey"] for item in written(tenant, ids, **narrowed)]


def test_both_kinds_of_target_are_written_by_names(acme: Tenant) -> None:
    schedule = a_schedule(a_published_workflow(acme), external_key="b", payload_json={"region": "eu"})
    schedule.ends_at = NOW + timedelta(days=1)
    a_call_schedule(an_install(acme), "", external_key="a", run_at=NOW, cron=None, trigger_type="schedule")
    call, run = written(acme)
    assert run == {
        "externalKey": "b",
        "name": "Morning sync",
        "target": {"workflow": "invoice-sync"},
        "timing": {
            "triggerType": "recurring", "timezone": "UTC", "cron": "0 * * * *", "startsAt": None,
            "endsAt": "2026-03-03T10:00:00Z", "dstGap": "after", "dstRepeat": "first",
        },
        "payload": {"region": "eu"},
        "policies": {"overlap": "queue", "catchUp": "latest", "maxLatenessSeconds": None, "spreadSeconds": 0},
    }  # fmt: skip
    assert call["target"] == {
        "publisher": "Acme", "extension": "com.acme.rmm-sync", "method": "POST", "path": "/api/sync",
    }  # fmt: skip
    assert (call["name"], call["payload"], call["policies"]["maxAttempts"]) == (None, None, 3)
    assert call["timing"] == {"triggerType": "schedule", "timezone": "UTC", "runAt": "2026-03-02T10:00:00Z"}


def test_the_same_state_gives_the_same_bytes_in_canonical_form(acme: Tenant) -> None:
    workflow = a_published_workflow(acme)
    for key in ("b", "ä", "a", "Z"):
        a_schedule(workflow, key, external_key=key)
    raw = export_schedules(acme.id)
    assert raw == export_schedules(acme.id)
    assert keys(acme) == ["Z", "a", "b", "ä"]
    assert raw.endswith(b"}\n") and b"\r" not in raw
    assert raw == (json.dumps(json.loads(raw), indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def test_nothing_that_only_this_database_knows_is_in_the_file(acme: Tenant) -> None:
    schedule = a_schedule(
        a_published_workflow(acme), external_key="a", status="paused", pause_reason="Holidays", payload_json={}
    )
    raw = export_schedules(acme.id).decode()
    for known in (schedule.id, schedule.workflow_id, acme.id, "Holidays", "paused", "revision"):
        assert str(known) not in raw


def test_a_typed_secret_is_not_written_and_a_named_one_is_by_its_name(acme: Tenant) -> None:
    alice = an_actor(acme)
    create_secret(alice, "BILLING", "swordfish", "", NOW)
    workflow = a_published_workflow(acme, schema=TOKEN)
    payload = {"token": "hunter2hunter2", "key": {"$secret": "BILLING"}}
    create_schedule(alice, ScheduleDraft(workflow.id, "Sync", cron="0 9 * * *", payload=payload), NOW)
    raw = export_schedules(acme.id).decode()
    assert "hunter2" not in raw and "swordfish" not in raw and "$sealed" not in raw
    assert written(acme)[0]["payload"] == {"token": {"$kept": True}, "key": {"$secret": "BILLING"}}


def test_one_without_a_key_is_written_with_one_that_stays_and_nothing_is_stored(acme: Tenant) -> None:
    schedule = a_schedule(a_published_workflow(acme))
    before = keys(acme)
    schedule.name = "Evening sync"
    assert keys(acme) == before == [derived_key(schedule.id)]
    assert derived_id(before[0]) == schedule.id
    database.session.expire_all()
    assert (schedule.external_key, schedule.revision) == (None, 1)


@pytest.mark.parametrize("key", ["schedule-", "schedule-7", "morning", "0197b0c2-0000-7000-8000-000000000000"])
def test_another_key_is_not_taken_for_a_derived_one(key: str) -> None:
    assert derived_id(key) is None


def test_a_key_that_stands_for_two_schedules_is_refused(acme: Tenant) -> None:
    workflow = a_published_workflow(acme)
    first = a_schedule(workflow)
    a_schedule(workflow, "Another", external_key=derived_key(first.id))
    with pytest.raises(Conflict, match="Give it another key"):
        export_schedules(acme.id)


def test_all_are_the_living_ones_that_have_not_completed(acme: Tenant) -> None:
    workflow = a_published_workflow(acme)
    for status in ("active", "paused", "invalid", "completed"):
        a_schedule(workflow, status, status=status, external_key=status)
    a_schedule(workflow, "gone", external_key="gone").deleted_at = NOW
    charlie = a_tenant("globex")
    a_schedule(a_published_workflow(charlie), external_key="foreign")
    assert keys(acme) == ["active", "invalid", "paused"]


def test_chosen_ones_are_written_and_nobody_elses(acme: Tenant) -> None:
    workflow = a_published_workflow(acme)
    done = a_schedule(workflow, "done", status="completed", external_key="done")
    a_schedule(workflow, "other", external_key="other")
    foreign = a_schedule(a_published_workflow(a_tenant("globex")))
    assert keys(acme, [done.id, done.id]) == ["done"]
    assert keys(acme, []) == []
    for stranger in (foreign.id, new_id()):
        with pytest.raises(NotFound):
            export_schedules(acme.id, [done.id, stranger])


def test_only_the_kinds_that_somebody_may_read_are_written(acme: Tenant) -> None:
    schedule = a_schedule(a_published_workflow(acme), external_key="run")
    a_call_schedule(an_install(acme), external_key="call")
    assert keys(acme, kinds=["workflow"]) == ["run"]
    assert keys(acme, kinds=["endpoint"]) == ["call"]
    with pytest.raises(NotFound):
        export_schedules(acme.id, [schedule.id], kinds=["endpoint"])


def test_more_than_a_file_may_hold_is_refused(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    workflow = a_published_workflow(acme)
    ids = [a_schedule(workflow, name).id for name in ("a", "b", "c")]
    monkeypatch.setattr(schedule_exporting, "MAX_SCHEDULES", 2)
    for chosen in (None, ids):
        with pytest.raises(Refused, match="Choose fewer") as refused:
            export_schedules(acme.id, chosen)
        assert refused.value.problems[0].code == "TOO_MANY_SCHEDULES"
    monkeypatch.setattr(schedule_exporting, "MAX_BYTES", 100)
    with pytest.raises(Refused) as refused:
        export_schedules(acme.id, ids[:1])
    assert refused.value.problems[0].code == "BUNDLE_TOO_LARGE"


def test_however_many_there_are_it_is_one_statement(acme: Tenant) -> None:
    workflow, install = a_published_workflow(acme), an_install(acme)
    for number in range(5):
        a_schedule(workflow, f"run {number}")
        a_call_schedule(install, f"call {number}")
    database.session.expire_all()
    acme_id = acme.id
    with counted() as statements:
        export_schedules(acme_id)
    assert len(statements) == 1
