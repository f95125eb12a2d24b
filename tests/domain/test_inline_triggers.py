"""Time triggers inside workflows become schedules: none is lost, none fires in the past, and none twice."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from domain.accounts.audit import Actor, AuditEntry
from domain.accounts.tenants import Tenant
from domain.firing.lifecycle import edit_schedule, resume_schedule
from domain.firing.tick import fire_due
from domain.kernel.errors import NotFound, Refused
from domain.publishing import publish_workflow
from domain.publishing.inline_triggers import (
    PAST,
    AdoptedTrigger,
    adopt_time_trigger,
    migrate_time_triggers,
    time_triggers,
    workflows_with_time_triggers,
)
from domain.schedules.cursors import ScheduleCursor
from domain.schedules.drafts import ScheduleDraft
from domain.schedules.occurrences import Occurrence
from domain.schedules.schedules import Schedule
from domain.workflows.built_in_schemas import CLOCK_REF
from domain.workflows.workflows import Workflow
from tests.factories import NOW, a_published_workflow, a_schedule, a_tenant, a_version, a_workflow, an_actor

pytestmark = pytest.mark.usefixtures("db")

MORNINGS = {"type": "recurring", "cron": "0 9 * * 1-5", "timezone": "Europe/Paris"}
TOMORROW = {"type": "schedule", "runAt": (NOW + timedelta(days=1)).isoformat()}
YESTERDAY = {"type": "schedule", "runAt": (NOW - timedelta(days=1)).isoformat()}
REGION = {"type": "object", "properties": {"region": {"type": "string"}}, "required": ["region"]}


@pytest.fixture
def acme(db: Any) -> Tenant:
    return a_tenant("acme", timezone="Europe/Berlin")


@pytest.fixture
def alice(acme: Tenant) -> Actor:
    return an_actor(acme)


def a_timed(workflow: Workflow, trigger: Any, *, inside: bool = False) -> Workflow:
    """The workflow with a time trigger in the settings of its draft, or `inside` its definition."""
    if inside:
        workflow.draft_definition = {**workflow.draft_definition, "trigger": trigger}
    else:
        workflow.draft_trigger = trigger
    return workflow


def adopted_one(alice: Actor, workflow: Workflow) -> AdoptedTrigger:
    (one,) = migrate_time_triggers(alice, workflow.id, NOW).adopted
    return one


def schedule_of(alice: Actor, workflow: Workflow) -> Schedule:
    schedule = adopted_one(alice, workflow).schedule
    assert schedule is not None
    return schedule


def all_schedules(db: Any) -> list[Schedule]:
    return list(db.scalars(select(Schedule).order_by(Schedule.name)))


@pytest.mark.parametrize("inside", [False, True])
def test_a_recurring_trigger_becomes_a_schedule_that_fires_by_it(acme: Tenant, alice: Actor, inside: bool) -> None:
    workflow = a_timed(a_published_workflow(acme, "Sync"), MORNINGS, inside=inside)
    schedule = schedule_of(alice, workflow)
    assert (schedule.name, schedule.trigger_type, schedule.cron, schedule.timezone) == (
        "Sync", "recurring", "0 9 * * 1-5", "Europe/Paris",
    )  # fmt: skip
    assert (schedule.payload_json, schedule.status, schedule.workflow_version) == ({}, "active", 1)
    assert workflow.draft_trigger is None and "trigger" not in workflow.draft_definition


def test_a_one_time_trigger_fires_once_at_its_instant(acme: Tenant, alice: Actor, db: Any) -> None:
    schedule = schedule_of(alice, a_timed(a_published_workflow(acme), TOMORROW))
    assert (schedule.run_at, schedule.timezone) == (NOW + timedelta(days=1), "Europe/Berlin")
    fire_due(NOW + timedelta(days=1))
    assert db.scalars(select(Occurrence.outcome)).all() == ["fired"]


def test_a_wall_time_is_one_in_the_zone_of_its_trigger(acme: Tenant, alice: Actor) -> None:
    trigger = {"type": "schedule", "runAt": "2099-01-01T09:00:00", "timezone": "America/New_York"}
    schedule = schedule_of(alice, a_timed(a_published_workflow(acme), trigger))
    assert schedule.run_at is not None
    assert schedule.run_at.isoformat() == "2099-01-01T14:00:00+00:00"


def test_a_time_that_has_passed_gives_a_completed_schedule_and_is_on_record_as_missed(
    acme: Tenant, alice: Actor, db: Any
) -> None:
    one = adopted_one(alice, a_timed(a_published_workflow(acme), YESTERDAY))
    assert one.schedule is not None
    assert (one.schedule.status, one.reason) == ("completed", PAST)
    assert [(row.outcome, row.reason, row.detail) for row in db.scalars(select(Occurrence))] == [
        ("missed", "too_late", PAST)
    ]
    assert fire_due(NOW + timedelta(days=1)) == 0


@pytest.mark.parametrize("trigger", [MORNINGS, TOMORROW, YESTERDAY])
def test_a_workflow_that_was_never_published_has_its_schedule_kept(
    acme: Tenant, alice: Actor, trigger: dict[str, Any]
) -> None:
    workflow = a_timed(a_workflow(acme, "Draft only"), trigger)
    one = adopted_one(alice, workflow)
    assert one.schedule is not None and one.reason
    assert one.schedule.workflow_version is None
    if trigger is not YESTERDAY:
        assert one.schedule.status == "invalid"
        assert one.schedule.invalid_reason == "Draft only has no published version. Publish it first."


def test_what_waited_for_a_published_version_is_paused_by_it_until_someone_resumes_it(
    acme: Tenant, alice: Actor, db: Any
) -> None:
    workflow = a_timed(a_workflow(acme), MORNINGS)
    schedule = schedule_of(alice, workflow)
    publish_workflow(alice, workflow.id, workflow.revision, NOW)
    db.expire_all()
    assert (schedule.status, schedule.workflow_version) == ("paused", 1)
    assert resume_schedule(alice, schedule.id, NOW).status == "active"


def test_a_payload_that_must_say_something_is_told_where(acme: Tenant, alice: Actor) -> None:
    schedule = schedule_of(alice, a_timed(a_published_workflow(acme, schema=REGION), MORNINGS))
    assert (schedule.status, schedule.workflow_version) == ("invalid", 1)
    assert "/region" in str(schedule.invalid_reason)


def test_a_workflow_that_asks_for_the_clock_needs_no_payload(acme: Tenant, alice: Actor) -> None:
    workflow = a_workflow(acme)
    a_version(workflow, schema=REGION, payload_schema_ref=CLOCK_REF)
    assert schedule_of(alice, a_timed(workflow, MORNINGS)).status == "active"


def test_a_workflow_that_infers_its_payload_cannot_be_scheduled(acme: Tenant, alice: Actor) -> None:
    workflow = a_workflow(acme)
    a_version(workflow, payload_schema_mode="inferred")
    schedule = schedule_of(alice, a_timed(workflow, MORNINGS))
    assert schedule.status == "invalid"
    assert "infers its payload schema" in str(schedule.invalid_reason)


@pytest.mark.parametrize("cron", ["every morning", "0 0 9 * * 1", "0 0 30 2 *"])
def test_a_pattern_that_cannot_be_read_is_kept_as_it_was_written_until_someone_mends_it(
    acme: Tenant, alice: Actor, db: Any, cron: str
) -> None:
    workflow = a_timed(a_published_workflow(acme), MORNINGS | {"cron": cron})
    schedule = schedule_of(alice, workflow)
    assert schedule.status == "invalid" and str(schedule.invalid_reason).startswith("cron: ")
    assert schedule.cron == cron
    assert fire_due(NOW + timedelta(days=30)) == 0
    publish_workflow(alice, workflow.id, workflow.revision, NOW)
    db.expire_all()
    assert schedule.status == "invalid" and str(schedule.invalid_reason).startswith("cron: ")
    with pytest.raises(Refused):
        resume_schedule(alice, schedule.id, NOW)
    mended = ScheduleDraft(workflow_id=workflow.id, name="Mended", cron="0 9 * * *", timezone="UTC")
    assert edit_schedule(alice, schedule.id, schedule.revision, mended, NOW).status == "active"


@pytest.mark.parametrize(
    "trigger",
    [
        {"type": "schedule"},
        {"type": "schedule", "runAt": "soon"},
        {"type": "schedule", "runAt": 5},
        {"type": "recurring", "timezone": "UTC"},
        {"type": "recurring", "cron": ["0 9 * * *"]},
        {"type": "recurring", "cron": "0 9 * * *" + " " * 200},
        MORNINGS | {"timezone": "Mars/Base"},
        TOMORROW | {"timezone": "Mars/Base"},
        MORNINGS | {"timezone": ["UTC"]},
        MORNINGS | {"timezone": "x" * 100},
    ],
)
def test_what_no_schedule_can_hold_stays_in_the_draft_with_the_reason(
    acme: Tenant, alice: Actor, db: Any, trigger: dict[str, Any]
) -> None:
    workflow = a_timed(a_published_workflow(acme), trigger)
    migrated = migrate_time_triggers(alice, workflow.id, NOW)
    assert [one.schedule for one in migrated.left] == [None]
    assert "Correct it in the definition" in str(migrated.left[0].reason)
    assert (workflow.draft_trigger, workflow.revision, all_schedules(db)) == (trigger, 1, [])


def test_a_name_that_is_taken_gets_a_number(acme: Tenant, alice: Actor, db: Any) -> None:
    workflow = a_timed(a_timed(a_published_workflow(acme, "Sync"), MORNINGS), TOMORROW, inside=True)
    a_schedule(workflow, "Sync")
    migrate_time_triggers(alice, workflow.id, NOW)
    assert [schedule.name for schedule in all_schedules(db)] == ["Sync", "Sync (2)", "Sync (3)"]


def test_one_trigger_in_both_places_is_one_schedule(acme: Tenant, alice: Actor, db: Any) -> None:
    workflow = a_timed(a_timed(a_published_workflow(acme), MORNINGS), dict(MORNINGS), inside=True)
    migrate_time_triggers(alice, workflow.id, NOW)
    assert len(all_schedules(db)) == 1
    assert time_triggers(workflow) == []


@pytest.mark.parametrize(
    ("outside", "inside"),
    [
        ({}, {"timezone": "Europe/Berlin"}),
        ({"timezone": ""}, {"timezone": "Europe/Berlin"}),
        ({"timezone": "Europe/Paris"}, {"timezone": "Europe/Paris", "cron": "0  9 * * 1-5", "runAt": None}),
    ],
)
def test_a_trigger_said_twice_in_other_words_becomes_one_schedule(
    acme: Tenant, alice: Actor, outside: Any, inside: Any
) -> None:
    mornings = {"type": "recurring", "cron": "0 9 * * 1-5"}
    workflow = a_timed(a_timed(a_published_workflow(acme), mornings | outside), mornings | inside, inside=True)
    assert len(migrate_time_triggers(alice, workflow.id, NOW).adopted) == 1
    assert (workflow.draft_trigger, time_triggers(workflow)) == (None, [])


def test_a_trigger_of_no_known_kind_beside_a_time_trigger_stays(acme: Tenant, alice: Actor) -> None:
    odd = {"type": ["schedule"]}
    workflow = a_timed(a_timed(a_published_workflow(acme), MORNINGS), odd, inside=True)
    assert len(migrate_time_triggers(alice, workflow.id, NOW).adopted) == 1
    assert (workflow.draft_trigger, workflow.draft_definition["trigger"]) == (None, odd)


def test_an_event_stays_the_trigger_of_its_workflow(acme: Tenant, alice: Actor, db: Any) -> None:
    event = {"type": "event", "eventName": "invoice.paid"}
    workflow = a_timed(a_published_workflow(acme), event)
    assert workflows_with_time_triggers([acme.id]) == []
    assert migrate_time_triggers(alice, workflow.id, NOW).adopted == ()
    assert (workflow.draft_trigger, workflow.revision, all_schedules(db)) == (event, 1, [])


def test_what_was_published_stays_as_it_was_and_starts_nothing(acme: Tenant, alice: Actor, db: Any) -> None:
    workflow = a_workflow(acme)
    version = a_version(workflow, trigger=MORNINGS, definition={"steps": [], "trigger": MORNINGS})
    a_timed(workflow, MORNINGS)
    migrate_time_triggers(alice, workflow.id, NOW)
    db.refresh(version)
    assert (version.trigger, version.definition["trigger"]) == (MORNINGS, MORNINGS)
    assert len(all_schedules(db)) == 1


def test_workflows_are_found_in_the_tenants_named_and_only_while_they_live(acme: Tenant, alice: Actor, db: Any) -> None:
    globex = a_tenant("globex")
    ours, theirs = (a_timed(a_workflow(tenant), MORNINGS, inside=True) for tenant in (acme, globex))
    deleted = a_timed(a_workflow(acme, "Gone", key="gone"), MORNINGS)
    deleted.deleted_at = NOW
    db.flush()
    assert workflows_with_time_triggers([acme.id]) == [(acme.id, ours.id)]
    assert set(workflows_with_time_triggers([acme.id, globex.id])) == {(acme.id, ours.id), (globex.id, theirs.id)}
    with pytest.raises(NotFound):
        migrate_time_triggers(alice, theirs.id, NOW)


def test_it_is_on_record_who_moved_the_trigger_and_where_to(acme: Tenant, alice: Actor, db: Any) -> None:
    migrate_time_triggers(alice, a_timed(a_published_workflow(acme, "Sync"), MORNINGS).id, NOW)
    rows = db.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
    assert [(row.action, row.reason) for row in rows] == [
        ("schedule.created", "It was a time trigger"),
        ("workflow.saved", "Its time trigger became a schedule: Sync"),
    ]
    assert rows[1].before == {"draft_trigger": MORNINGS}


def test_an_import_can_adopt_a_trigger_that_no_draft_holds(acme: Tenant, alice: Actor, db: Any) -> None:
    workflow = a_published_workflow(acme)
    one = adopt_time_trigger(alice, workflow, MORNINGS, NOW)
    assert one.schedule is not None
    assert db.get(ScheduleCursor, one.schedule.id).next_fire_at > NOW
    assert workflow.revision == 1


TRIGGERS = st.one_of(
    st.builds(
        lambda cron, zone: {"type": "recurring", "cron": cron, "timezone": zone},
        st.sampled_from(["0 9 * * *", "@daily", "61 * * * *", "", "* * * * * *"]),
        st.sampled_from(["UTC", "Europe/Paris", "Nowhere", "", None, 7]),
    ),
    st.builds(
        lambda run_at: {"type": "schedule", "runAt": run_at},
        st.sampled_from([TOMORROW["runAt"], YESTERDAY["runAt"], "2099-02-30T00:00:00Z", "never", None]),
    ),
    st.sampled_from([None, {"type": "event", "eventName": "invoice.paid"}, {"type": "recurring"}]),
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(settings_trigger=TRIGGERS, inside=TRIGGERS, is_published=st.booleans(), times=st.integers(2, 3))
def test_migrating_again_changes_nothing_and_no_trigger_is_lost(
    db: Any, settings_trigger: Any, inside: Any, is_published: bool, times: int
) -> None:
    undo = db.begin_nested()
    tenant = a_tenant("initech")
    workflow = a_published_workflow(tenant) if is_published else a_workflow(tenant)
    a_timed(a_timed(workflow, inside, inside=True), settings_trigger)
    db.flush()
    found = time_triggers(workflow)
    first = migrate_time_triggers(an_actor(tenant), workflow.id, NOW)
    after = (workflow.draft_trigger, workflow.draft_definition, workflow.revision)
    for _ in range(times - 1):
        again = migrate_time_triggers(an_actor(tenant), workflow.id, NOW)
        assert all(one.schedule is None for one in again.adopted)
    count = db.scalar(select(func.count()).select_from(Schedule).where(Schedule.tenant_id == tenant.id))
    assert count + len(time_triggers(workflow)) == len(found)
    assert len(first.adopted) == len(found)
    assert (workflow.draft_trigger, workflow.draft_definition, workflow.revision) == after
    undo.rollback()
    db.expire_all()
