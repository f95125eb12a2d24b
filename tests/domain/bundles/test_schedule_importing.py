"""A file of schedules is taken in as a whole or not at all, and taken in again it changes nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from domain.accounts.audit import Actor, AuditEntry
from domain.accounts.secrets import create_secret
from domain.accounts.tenants import COMMUNITY, Tenant
from domain.bundles import schedule_making
from domain.bundles.reading import BundleRefused
from domain.bundles.schedule_documents import ScheduleBundle, draft_of, read_schedule_bundle
from domain.bundles.schedule_exporting import derived_key, export_schedules
from domain.bundles.schedule_importing import OVER, ScheduleImport, import_schedules, plan_schedule_import
from domain.bundles.schedule_making import WorkflowSchedules
from domain.firing.lifecycle import create_schedule, pause_schedule
from domain.firing.tick import fire_due
from domain.kernel.db import db as database
from domain.kernel.errors import Conflict, Forbidden
from domain.kernel.metrics import counted
from domain.schedules.cursors import ScheduleCursor
from domain.schedules.drafts import ScheduleDraft
from domain.schedules.occurrences import Occurrence
from domain.schedules.schedules import Schedule
from domain.workflows.payload_secrets import opened
from domain.workflows.workflows import Workflow
from tests import statements
from tests.calls import a_call_schedule
from tests.domain.bundles.schedule_files import CALL, HOURLY, a_bundle, a_call_item, an_item
from tests.factories import (
    NOW,
    a_published_workflow,
    a_schedule,
    a_tenant,
    a_version,
    a_workflow,
    an_actor,
    an_extension,
    an_extension_version,
    an_install,
)

pytestmark = pytest.mark.usefixtures("db")

REGION = {
    "type": "object",
    "properties": {"region": {"type": "string"}, "token": {"type": "string", "x-secret": True}},
    "required": ["region"],
}
DAILY = {**HOURLY, "cron": "0 9 * * *"}
LATE = {"maxLatenessSeconds": 60}
ONCE = {"triggerType": "schedule", "timezone": "UTC", "runAt": "2026-03-02T11:00:00Z"}


@pytest.fixture
def acme(db: Any) -> Tenant:
    return a_tenant("acme", timezone="Europe/Berlin")


@pytest.fixture
def alice(acme: Tenant) -> Actor:
    return an_actor(acme)


@pytest.fixture
def workflow(acme: Tenant) -> Workflow:
    return a_published_workflow(acme)


def actions(done: ScheduleImport) -> dict[str, str]:
    return {entry.key: entry.action for entry in done.entries}


def taken(actor: Actor, *items: dict[str, Any], **values: Any) -> dict[str, str]:
    return actions(import_schedules(actor, a_bundle(*items), NOW, **values))


def stored(key: str, tenant: Tenant) -> Schedule:
    query = select(Schedule).where(Schedule.external_key == key, Schedule.tenant_id == tenant.id)
    return database.session.scalars(query.execution_options(populate_existing=True)).one()


def cursor_of(schedule: Schedule) -> ScheduleCursor:
    return database.session.get_one(ScheduleCursor, schedule.id, populate_existing=True)


def count(model: Any) -> int:
    return database.session.scalar(select(func.count()).select_from(model)) or 0


def refusal(actor: Actor, *items: dict[str, Any]) -> BundleRefused:
    with pytest.raises(BundleRefused) as refused, database.session.begin_nested():
        import_schedules(actor, a_bundle(*items), NOW)
    return refused.value


def told_of(schedule: Schedule) -> tuple[Any, ...]:
    """What is stored of a schedule, its cursor and the record of it, but for who it is and when that was."""
    own = {"id", "name", "external_key", "created_at", "updated_at"}
    columns = {column.key: getattr(schedule, column.key) for column in Schedule.__table__.columns}
    cursor = cursor_of(schedule)
    entry = database.session.scalars(select(AuditEntry).where(AuditEntry.subject_id == schedule.id)).one()
    told = {name: value for name, value in entry.after.items() if name not in ("name", "externalKey")}
    record = (entry.action, entry.actor_id, entry.actor_label, entry.subject_kind, entry.result, entry.before, told)
    assert entry.subject_label == schedule.name == entry.after["name"]
    assert entry.after["externalKey"] == schedule.external_key
    settings = {name: value for name, value in columns.items() if name not in own}
    return settings, cursor.next_fire_at, cursor.wake_at, cursor.tenant_id, record


@pytest.mark.parametrize("timing", [HOURLY, ONCE, {**HOURLY, "startsAt": "2026-04-01T00:00:00Z", "dstGap": "skip"}])
def test_a_new_one_is_what_somebody_makes_and_pauses(
    alice: Actor, acme: Tenant, workflow: Workflow, timing: dict[str, Any]
) -> None:
    payload = {"big": 2**53 + 1, "float": 1e300, "text": "é\u2028\\", "nothing": None}
    item = an_item("one", payload=payload, timing=timing, policies={"spreadSeconds": 5, "overlap": "skip"})
    with database.session.begin_nested():
        a_version(workflow, 2, schema={"type": "object"})
    taken(alice, item)
    twin = draft_of(a_bundle(item | {"externalKey": "two", "name": "Two"}).schedules[0], {}, enabled=False)
    made = create_schedule(alice, replace(twin, workflow_id=workflow.id), NOW)
    database.session.flush()
    database.session.expire_all()
    assert told_of(stored("one", acme)) == told_of(made)


def test_new_ones_cost_as_many_statements_as_one(alice: Actor, workflow: Workflow) -> None:
    with statements.counted() as of_one:
        taken(alice, an_item("one"))
    database.session.expire_all()
    with statements.counted() as of_many:
        done = taken(alice, *[an_item(f"k{number}") for number in range(300)])
    assert set(done.values()) == {"create"} and len(done) == 300
    # On a busy machine the connection is kept awake meanwhile; many are checked by plans that are made for them.
    assert len([one for one in of_many if one not in ("SELECT 1", "DISCARD PLANS")]) <= len(of_one) + 1


def test_changed_ones_cost_as_many_statements_as_one(alice: Actor, workflow: Workflow) -> None:
    keys = [f"k{number}" for number in range(120)]
    taken(alice, *[an_item(key) for key in keys])
    with statements.counted() as of_one:
        taken(alice, an_item("k0", timing=DAILY))
    with statements.counted() as of_many:
        done = taken(alice, *[an_item(key, timing={**HOURLY, "cron": "0 8 * * *"}) for key in keys])
    assert set(done.values()) == {"update"} and len(done) == 120
    assert len([one for one in of_many if one != "SELECT 1"]) <= len(of_one) + 1


def test_those_changed_together_keep_their_switches_their_ledgers_and_a_record_each(
    alice: Actor, acme: Tenant, workflow: Workflow
) -> None:
    keys = ("active", "paused", "invalid", "retimed")
    for key in keys:
        status = "invalid" if key == "invalid" else "active"
        a_schedule(workflow, f"The {key} sync", external_key=key, status=status)
    database.session.flush()
    pause_schedule(alice, stored("paused", acme).id, "Holidays", NOW)
    later = NOW + timedelta(hours=3)
    items = [an_item(key, policies=LATE, timing=DAILY if key == "retimed" else HOURLY) for key in keys]
    done = import_schedules(alice, a_bundle(*items), later)
    assert set(actions(done).values()) == {"update"}
    assert {key: (stored(key, acme).status, stored(key, acme).max_lateness_seconds) for key in keys} == {
        "active": ("active", 60),
        "paused": ("paused", 60),
        "invalid": ("paused", 60),
        "retimed": ("active", 60),
    }
    gap = database.session.scalars(select(Occurrence).where(Occurrence.schedule_id == stored("paused", acme).id)).one()
    assert (gap.reason, gap.count) == ("paused", 3)
    nexts = {key: cursor_of(stored(key, acme)).next_fire_at for key in keys}
    assert nexts["active"] == nexts["paused"] == later + timedelta(hours=1)
    assert nexts["retimed"] == (later + timedelta(days=1)).replace(hour=9, minute=0)
    for key in keys:
        of_it = select(AuditEntry).where(AuditEntry.subject_id == stored(key, acme).id)
        entry = database.session.scalars(of_it.where(AuditEntry.action == "schedule.edited")).one()
        wanted = {
            "maxLatenessSeconds",
            *(["cron"] if key == "retimed" else []),
            *(["status"] if key == "invalid" else []),
        }
        assert set(entry.before) == set(entry.after) == wanted


@pytest.mark.parametrize("names", [("first", "second"), ("second", "first")])
def test_a_name_that_one_gives_up_is_free_for_one_that_is_there_and_comes_after(
    alice: Actor, acme: Tenant, workflow: Workflow, names: tuple[str, str]
) -> None:
    taken(alice, *[an_item(key) for key in ("first", "second")])
    giver, taker = names
    done = taken(alice, an_item(giver, name="Another"), an_item(taker, name=f"The {giver} sync"))
    assert set(done.values()) == {"update"}
    assert (stored(giver, acme).name, stored(taker, acme).name) == ("Another", f"The {giver} sync")


def test_a_name_that_is_taken_is_told_at_the_one_that_wants_it(alice: Actor, acme: Tenant, workflow: Workflow) -> None:
    taken(alice, *[an_item(key) for key in ("a", "b", "c")])
    items = [an_item("a", policies=LATE), an_item("b", name="The c sync"), an_item("c", policies=LATE)]
    refused = refusal(alice, *items)
    assert [(one.path, one.code) for one in refused.problems] == [("/schedules/1/name", "NAME_TAKEN")]
    assert stored("a", acme).max_lateness_seconds is None and stored("a", acme).revision == 1


def test_one_that_is_gone_when_its_turn_comes_is_told(
    alice: Actor, workflow: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken(alice, an_item("a"))
    monkeypatch.setattr(schedule_making, "settled_schedules", lambda *_: {})
    refused = refusal(alice, an_item("a", timing=DAILY))
    assert [(one.path, one.code) for one in refused.problems] == [("/schedules/0", "NOT_FOUND")]


def test_a_timing_that_many_have_is_refused_for_each_of_them(alice: Actor, workflow: Workflow) -> None:
    often, ended = {**HOURLY, "cron": "* * * * *"}, {**HOURLY, "endsAt": "2026-03-02T10:30:00Z"}
    items = [an_item(f"{number}", timing=one) for number, one in enumerate((often, HOURLY, often, ended, HOURLY))]
    with pytest.raises(BundleRefused) as refused, database.session.begin_nested():
        import_schedules(alice, a_bundle(*items), NOW, min_interval_seconds=3_600)
    assert [(one.path, one.code) for one in refused.value.problems] == [
        ("/schedules/0/timing/cron", "CRON_TOO_FREQUENT"),
        ("/schedules/2/timing/cron", "CRON_TOO_FREQUENT"),
        ("/schedules/3/timing/endsAt", "WINDOW_EMPTY"),
    ]


def test_the_connection_is_kept_awake_while_many_are_checked(
    alice: Actor, workflow: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 1_000, 3))
    monkeypatch.setattr("domain.bundles.awake.monotonic", lambda: float(next(clock)))
    with statements.counted() as sent:
        taken(alice, *[an_item(f"k{number}") for number in range(10)])
    assert sent.count("SELECT 1") == 10


def test_a_name_that_the_file_gives_to_two_is_refused_for_the_second(alice: Actor, workflow: Workflow) -> None:
    a_schedule(workflow, "Taken")
    items = [an_item("a", name="One"), an_item("b", name="One"), an_item("c", name="Taken"), an_item("d", name="Two")]
    refused = refusal(alice, *items)
    assert {(one.path, one.code) for one in refused.problems} == {
        ("/schedules/1/name", "NAME_TAKEN"),
        ("/schedules/2/name", "NAME_TAKEN"),
    }


def test_a_name_that_another_one_of_the_file_gives_up_is_free(alice: Actor, acme: Tenant, workflow: Workflow) -> None:
    taken(alice, an_item("old", name="Sync"))
    assert taken(alice, an_item("new", name="Sync"), an_item("old", name="Before")) == {
        "new": "create",
        "old": "update",
    }
    assert (stored("new", acme).name, stored("old", acme).name) == ("Sync", "Before")


def test_a_name_that_somebody_takes_at_this_moment_is_told_at_its_place(
    alice: Actor, workflow: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_schedule(workflow, "Taken")
    monkeypatch.setattr(WorkflowSchedules, "_taken_names", lambda *_: set())
    refused = refusal(alice, an_item("a", name="Free"), an_item("b", name="Taken"))
    assert [(one.path, one.code) for one in refused.problems] == [("/schedules/1/name", "NAME_TAKEN")]


def test_new_ones_arrive_paused_and_do_not_fire(alice: Actor, acme: Tenant, workflow: Workflow) -> None:
    an_install(acme)
    done = import_schedules(alice, a_bundle(an_item(), a_call_item()), NOW)
    assert actions(done) == {"morning": "create", "sync": "create"}
    run, call = stored("morning", acme), stored("sync", acme)
    assert (run.status, run.name, run.workflow_id, run.workflow_version) == (
        "paused", "The morning sync", workflow.id, 1,
    )  # fmt: skip
    assert (call.status, call.name, call.is_named, call.overlap) == ("paused", "POST /api/sync", False, "skip")
    assert {entry.schedule_id for entry in done.entries} == {run.id, call.id}
    fire_due(NOW + timedelta(hours=3))
    assert count(Occurrence) == 0
    assert [entry.action for entry in database.session.scalars(select(AuditEntry))] == ["schedule.created"] * 2


def test_a_file_taken_again_changes_nothing(alice: Actor, acme: Tenant, workflow: Workflow) -> None:
    an_install(acme)
    items = [an_item(timing={**HOURLY, "cron": "@hourly"}), a_call_item(), an_item("later", timing=ONCE)]
    taken(alice, *items)
    audited, revisions = count(AuditEntry), [stored(key, acme).revision for key in ("morning", "sync", "later")]
    assert set(taken(alice, *items).values()) == {"unchanged"}
    assert count(AuditEntry) == audited
    assert [stored(key, acme).revision for key in ("morning", "sync", "later")] == revisions


@pytest.mark.parametrize("status", ["active", "paused"])
def test_one_that_is_there_is_edited_and_keeps_its_switch(
    alice: Actor, acme: Tenant, workflow: Workflow, status: str
) -> None:
    there = a_schedule(workflow, "The morning sync", external_key="morning", status=status)
    assert taken(alice, an_item(timing=DAILY, policies={"spreadSeconds": 60})) == {"morning": "update"}
    after = stored("morning", acme)
    assert (after.id, after.status, after.cron, after.spread_seconds) == (there.id, status, "0 9 * * *", 60)
    assert cursor_of(after).next_fire_at == NOW.replace(day=3, hour=9)


def test_what_was_due_before_the_import_is_decided_by_the_old_settings(alice: Actor, workflow: Workflow) -> None:
    there = a_schedule(workflow, "The morning sync", external_key="morning")
    at = NOW + timedelta(hours=1, seconds=30)
    import_schedules(alice, a_bundle(an_item(timing=DAILY)), at)
    (row,) = database.session.scalars(select(Occurrence).where(Occurrence.schedule_id == there.id))
    assert (row.scheduled_for, row.outcome) == (NOW + timedelta(hours=1), "fired")


def test_one_that_somebody_paused_after_the_plan_stays_paused(alice: Actor, acme: Tenant, workflow: Workflow) -> None:
    there = a_schedule(workflow, "The morning sync", external_key="morning")
    bundle = a_bundle(an_item(timing=DAILY))
    plan = plan_schedule_import(alice, bundle, NOW)
    pause_schedule(alice, there.id, "Holidays", NOW)
    with pytest.raises(Conflict) as conflict, database.session.begin_nested():
        import_schedules(alice, bundle, NOW, plan.fingerprint)
    assert conflict.value.code == "PLAN_CHANGED"
    assert stored("morning", acme).cron == "0 * * * *"
    import_schedules(alice, bundle, NOW)
    assert (stored("morning", acme).status, stored("morning", acme).pause_reason) == ("paused", "Holidays")


def test_an_invalid_one_that_fits_is_paused_until_somebody_resumes_it(alice: Actor, acme: Tenant) -> None:
    workflow = a_published_workflow(acme, schema=REGION)
    a_schedule(workflow, "The morning sync", external_key="morning", status="invalid")
    done = import_schedules(alice, a_bundle(an_item(payload={"region": "eu"})), NOW)
    assert [(entry.action, len(entry.warnings)) for entry in done.entries] == [("update", 1)]
    assert (stored("morning", acme).status, stored("morning", acme).invalid_reason) == ("paused", None)


def test_one_without_a_key_is_found_by_the_key_that_an_export_gave_it(
    alice: Actor, acme: Tenant, workflow: Workflow
) -> None:
    there = a_schedule(workflow)
    exported = read_schedule_bundle(export_schedules(acme.id))
    there.name = "Evening sync"
    database.session.flush()
    assert actions(import_schedules(alice, exported, NOW)) == {derived_key(there.id): "update"}
    database.session.expire_all()
    assert (there.name, there.external_key, count(Schedule)) == ("Morning sync", derived_key(there.id), 1)
    assert set(actions(import_schedules(alice, exported, NOW)).values()) == {"unchanged"}


def test_what_goes_to_another_tenant_is_exported_there_with_the_same_bytes(alice: Actor, acme: Tenant) -> None:
    globex = a_tenant("globex")
    extension = an_extension()
    version = an_extension_version(extension)
    for tenant in (acme, globex):
        a_published_workflow(tenant, schema={"type": "object"})
        an_install(tenant, version)
    taken(alice, an_item(payload={"a": [1, 1.5, None]}), a_call_item(), an_item("later", timing=ONCE))
    a_schedule(a_published_workflow(acme, "Keyless"))
    a_published_workflow(globex, "Keyless")
    raw = export_schedules(acme.id)
    charlie = an_actor(globex)
    assert set(actions(import_schedules(charlie, read_schedule_bundle(raw), NOW)).values()) == {"create"}
    assert export_schedules(globex.id) == raw
    assert {
        schedule.status for schedule in database.session.scalars(select(Schedule).filter_by(tenant_id=globex.id))
    } == {"paused"}


def test_schedules_of_others_are_neither_found_nor_touched(alice: Actor, workflow: Workflow) -> None:
    globex = a_tenant("globex")
    foreign = a_schedule(a_published_workflow(globex), "Theirs", external_key="morning")
    keyless = a_schedule(a_published_workflow(globex, "Other"), "Theirs")
    assert set(taken(alice, an_item(), an_item(derived_key(keyless.id))).values()) == {"create"}
    database.session.expire_all()
    assert (foreign.name, foreign.revision, keyless.name, keyless.revision) == ("Theirs", 1, "Theirs", 1)


def test_a_typed_secret_is_kept_where_it_is_and_missed_where_it_is_not(alice: Actor, acme: Tenant) -> None:
    workflow = a_published_workflow(acme, schema=REGION)
    payload = {"region": "eu", "token": "hunter2hunter2"}
    draft = ScheduleDraft(workflow.id, "The morning sync", cron="0 * * * *", payload=payload, external_key="morning")
    there = create_schedule(alice, draft, NOW)
    bundle = read_schedule_bundle(export_schedules(acme.id))
    assert set(actions(import_schedules(alice, bundle, NOW)).values()) == {"unchanged"}
    assert taken(alice, an_item(payload={"region": "us", "token": {"$kept": True}})) == {"morning": "update"}
    assert opened(acme.id, stored("morning", acme).payload_json) == {"region": "us", "token": "hunter2hunter2"}
    new = refusal(alice, an_item("new", payload={"region": "us", "token": {"$kept": True}}))
    assert [(problem.path, problem.code) for problem in new.problems] == [
        ("/schedules/0/payload/token", "SECRET_NOT_KEPT")
    ]
    assert '{"$secret": "NAME"}' in new.problems[0].message
    create_secret(alice, "BILLING", "swordfish", "", NOW)
    named = an_item("new", payload={"region": "us", "token": {"$secret": "BILLING"}})
    assert taken(alice, named) == {"new": "create"}
    assert there.id == stored("morning", acme).id


def test_a_sealed_value_cannot_be_brought_in(alice: Actor, acme: Tenant) -> None:
    workflow = a_published_workflow(acme, schema=REGION)
    draft = ScheduleDraft(workflow.id, "Mine", cron="0 * * * *", payload={"region": "eu", "token": "hunter2hunter2"})
    sealed = create_schedule(alice, draft, NOW).payload_json["token"]
    refused = refusal(alice, an_item(payload={"region": "eu", "token": sealed}))
    assert [problem.code for problem in refused.problems] == ["SEALED_NOT_ALLOWED"]


def test_one_that_cannot_be_taken_keeps_all_others_out_and_every_reason_is_told(alice: Actor, acme: Tenant) -> None:
    a_published_workflow(acme, schema=REGION)
    refused = refusal(
        alice,
        an_item("good", payload={"region": "eu"}),
        an_item("bad", timing={**HOURLY, "cron": "99 * * * *", "timezone": "Mars/Base"}, payload={"region": 1}),
        an_item("often", timing={**HOURLY, "cron": "0 0 30 2 *"}, payload={}),
    )
    assert refused.code == "SCHEDULE_INVALID"
    assert {problem.path for problem in refused.problems} == {
        "/schedules/1/timing/cron",
        "/schedules/1/timing/timezone",
        "/schedules/1/payload/region",
        "/schedules/2/timing/cron",
        "/schedules/2/payload/region",
    }
    assert "2 schedules" in refused.message
    assert (count(Schedule), count(AuditEntry)) == (0, 0)


def test_what_the_tenant_lacks_is_listed(alice: Actor, acme: Tenant) -> None:
    an_install(acme)
    refused = refusal(
        alice,
        an_item(),
        an_item("again"),
        a_call_item("other", target={**CALL, "extension": "com.acme.other"}),
        a_call_item("report", target={**CALL, "path": "/api/report"}),
    )
    assert refused.code == "MISSING_DEPENDENCIES"
    assert refused.details == {
        "missingWorkflows": ["invoice-sync"],
        "missingExtensions": ["Acme: com.acme.other"],
        "missingEndpoints": ["com.acme.rmm-sync: POST /api/report"],
    }
    assert [problem.path for problem in refused.problems] == [
        "/schedules/0/target/workflow",
        "/schedules/1/target/workflow",
        "/schedules/2/target/extension",
        "/schedules/3/target/path",
    ]


def test_a_workflow_that_is_not_published_and_one_of_another_tenant_cannot_be_scheduled(
    alice: Actor, acme: Tenant
) -> None:
    a_workflow(acme)
    a_published_workflow(a_tenant("globex"), "Theirs")
    draft, foreign = refusal(alice, an_item("draft"), an_item("foreign", target={"workflow": "theirs"})).problems
    assert (draft.path, draft.code) == ("/schedules/0/target/workflow", "WORKFLOW_NOT_PUBLISHED")
    assert foreign.code == "WORKFLOW_UNKNOWN"


def test_an_endpoint_that_cannot_be_scheduled_is_told_at_its_target(alice: Actor, acme: Tenant) -> None:
    an_install(acme)
    called = {**CALL, "method": "GET", "path": "/api/devices/:id"}
    (problem,) = refusal(alice, a_call_item(target=called)).problems
    assert (problem.path, problem.code) == ("/schedules/0/target/path", "ENDPOINT_NOT_SCHEDULABLE")


def test_one_whose_endpoint_the_installed_version_has_not_can_still_be_edited(alice: Actor, acme: Tenant) -> None:
    extension = an_extension(acme)
    first = an_extension_version(extension)
    install = an_install(acme, first)
    a_call_schedule(install, "", external_key="sync", status="paused")
    install.version_id = an_extension_version(extension, "2.0.0", ["POST /api/report"]).id
    database.session.flush()
    assert taken(alice, a_call_item(timing=DAILY)) == {"sync": "update"}
    assert (stored("sync", acme).cron, stored("sync", acme).status) == ("0 9 * * *", "paused")


def test_an_extension_of_the_tenants_own_goes_before_that_of_the_installation(alice: Actor, acme: Tenant) -> None:
    own = an_install(acme, an_extension_version(an_extension(acme)))
    an_install(acme, an_extension_version(an_extension()))
    taken(alice, a_call_item())
    assert stored("sync", acme).install_id == own.id


def test_a_target_of_the_other_kind_is_refused(alice: Actor, acme: Tenant, workflow: Workflow) -> None:
    an_install(acme)
    a_schedule(workflow, external_key="morning")
    (problem,) = refusal(alice, a_call_item("morning")).problems
    assert (problem.path, problem.code) == ("/schedules/0/target/workflow", "TARGET_KIND_FIXED")


def test_a_name_that_another_schedule_of_the_workflow_has_is_refused(alice: Actor, workflow: Workflow) -> None:
    a_schedule(workflow, "The morning sync")
    (problem,) = refusal(alice, an_item()).problems
    assert (problem.path, problem.code) == ("/schedules/0/name", "NAME_TAKEN")


def test_what_is_over_is_left_out(alice: Actor, acme: Tenant, workflow: Workflow) -> None:
    past = {**ONCE, "runAt": "2026-03-02T10:00:00Z"}
    ended = {**HOURLY, "endsAt": "2026-03-01T00:00:00Z"}
    done = import_schedules(alice, a_bundle(an_item("past", timing=past), an_item("ended", timing=ended)), NOW)
    assert [(entry.action, entry.warnings) for entry in done.entries] == [("skip", (OVER,))] * 2
    assert count(Schedule) == 0
    a_schedule(workflow, external_key="morning")
    (problem,) = refusal(alice, an_item(timing=ended)).problems
    assert (problem.path, problem.code) == ("/schedules/0/timing/endsAt", "WINDOW_EMPTY")


def test_one_that_has_completed_is_due_again_at_its_new_time(alice: Actor, acme: Tenant, workflow: Workflow) -> None:
    past = {"trigger_type": "schedule", "cron": None, "run_at": NOW - timedelta(days=1), "next_fire_at": None}
    a_schedule(workflow, "The morning sync", external_key="morning", status="completed", **past)
    assert taken(alice, an_item(timing={**ONCE, "runAt": "2026-03-01T09:00:00Z"})) == {"morning": "skip"}
    assert taken(alice, an_item(timing=ONCE)) == {"morning": "update"}
    assert (stored("morning", acme).status, cursor_of(stored("morning", acme)).next_fire_at) == (
        "active", NOW + timedelta(hours=1),
    )  # fmt: skip


def test_a_plan_says_what_would_be_done_and_does_nothing(alice: Actor, acme: Tenant, workflow: Workflow) -> None:
    there = a_schedule(workflow, "The morning sync", external_key="morning")
    a_schedule(workflow, "The noon sync", external_key="noon")
    items = [an_item(timing=DAILY), an_item("noon"), an_item("night"), an_item("bad", target={"workflow": "none"})]
    late, before = NOW + timedelta(hours=2), counted()
    plan = plan_schedule_import(alice, a_bundle(*items), late)
    assert counted() == before
    assert actions(plan) == {"morning": "update", "noon": "unchanged", "night": "create", "bad": "conflict"}
    assert [problem.path for problem in plan.problems] == ["/schedules/3/target/workflow"]
    assert [entry.schedule_id is not None for entry in plan.entries] == [True, True, False, False]
    assert (count(Schedule), count(Occurrence), count(AuditEntry)) == (2, 0, 0)
    database.session.expire_all()
    assert (there.cron, there.revision) == ("0 * * * *", 1)
    assert cursor_of(there).next_fire_at == NOW + timedelta(hours=1)


def test_what_was_confirmed_is_what_is_done(alice: Actor, acme: Tenant, workflow: Workflow) -> None:
    bundle = a_bundle(an_item())
    plan = plan_schedule_import(alice, bundle, NOW)
    assert plan_schedule_import(alice, bundle, NOW + timedelta(minutes=5)).fingerprint == plan.fingerprint
    other = a_bundle(an_item(timing=DAILY))
    assert plan_schedule_import(alice, other, NOW).fingerprint != plan.fingerprint
    with pytest.raises(Conflict), database.session.begin_nested():
        import_schedules(alice, other, NOW, plan.fingerprint)
    assert count(Schedule) == 0
    done = import_schedules(alice, bundle, NOW, plan.fingerprint)
    assert done.fingerprint == plan.fingerprint
    with pytest.raises(Conflict):
        import_schedules(alice, bundle, NOW, plan.fingerprint)


def test_the_least_interval_of_the_installation_holds_for_files(alice: Actor, workflow: Workflow) -> None:
    bundle = a_bundle(an_item(timing={**HOURLY, "cron": "*/5 * * * *"}))
    assert plan_schedule_import(alice, bundle, NOW, 600).problems[0].path == "/schedules/0/timing/cron"
    assert plan_schedule_import(alice, bundle, NOW, 300).problems == ()


@pytest.mark.parametrize("command", [plan_schedule_import, import_schedules])
def test_progress_is_told(alice: Actor, workflow: Workflow, command: Any) -> None:
    told: list[tuple[int, int]] = []
    bundle = a_bundle(an_item("a"), an_item("b"))
    command(alice, bundle, NOW, on_progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]


def test_an_edition_without_schedules_takes_none(alice: Actor, acme: Tenant, workflow: Workflow) -> None:
    acme.edition = COMMUNITY
    database.session.commit()
    for command in (plan_schedule_import, import_schedules):
        with pytest.raises(Forbidden) as forbidden:
            command(alice, a_bundle(an_item()), NOW)
        assert forbidden.value.code == "EDITION_REQUIRED"


def test_an_empty_file_is_taken_and_nothing_is_deleted_for_it(alice: Actor, workflow: Workflow) -> None:
    a_schedule(workflow)
    assert import_schedules(alice, a_bundle(), NOW).entries == ()
    assert count(Schedule) == 1


def test_the_order_of_members_does_not_matter(alice: Actor, acme: Tenant) -> None:
    a_published_workflow(acme, schema={"type": "object"})
    bundle = a_bundle(an_item(payload={"b": 1, "a": 2}))
    taken(alice, an_item(payload={"a": 2, "b": 1}))
    assert set(actions(import_schedules(alice, bundle, NOW)).values()) == {"unchanged"}
    mixed = ScheduleBundle(tuple(json.loads(json.dumps(one, sort_keys=True)) for one in bundle.schedules))
    assert mixed.digest == bundle.digest
