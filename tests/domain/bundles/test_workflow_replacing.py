"""Importing with force: a new workflow takes the place of the old one, and its schedules go along."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from domain.accounts.audit import Actor
from domain.accounts.tenants import Tenant
from domain.bundles.documents import read_bundle
from domain.bundles.exporting import export_bundle
from domain.bundles.importing import ImportSummary, import_bundle
from domain.bundles.plans import ImportEntry, plan_import
from domain.bundles.reading import BundleRefused
from domain.firing.tick import fire_due
from domain.runs.runs import Run
from domain.schedules.occurrences import Occurrence
from domain.schedules.schedules import Schedule
from domain.workflows.payload_schemas import register_schema
from domain.workflows.versions import version_of
from domain.workflows.workflows import Workflow, workflow_of
from tests.domain.bundles.bundle_files import SAY_SO, a_file, an_entry
from tests.factories import (
    NOW,
    a_published_workflow,
    a_run,
    a_schedule,
    a_tenant,
    a_user,
    a_workflow,
    an_actor,
)
from tests.statements import counted

pytestmark = pytest.mark.usefixtures("db")

REGION = {"type": "object", "properties": {"region": {"type": "string"}}, "required": ["region"]}


@pytest.fixture
def tenant(db: Any) -> Tenant:
    return a_tenant("acme")


@pytest.fixture
def alice(tenant: Tenant) -> Actor:
    return an_actor(tenant, a_user(tenant))


@pytest.fixture
def workflow(tenant: Tenant) -> Workflow:
    return a_published_workflow(tenant, "Invoice sync")


def forced(actor: Actor, entry: dict[str, Any], **how: Any) -> ImportSummary:
    how = {"now": NOW} | how
    return import_bundle(actor, read_bundle(a_file(entry)), force=True, **how)


def planned(actor: Actor, entry: dict[str, Any], **how: Any) -> ImportEntry:
    (found,) = plan_import(actor, read_bundle(a_file(entry)), force=True, now=NOW, **how).entries
    return found


def asking_for_region(actor: Actor) -> dict[str, Any]:
    """A workflow whose version 3 wants a region."""
    register_schema(actor, "payload.Region.v1", REGION, NOW)
    version = {"version": 3, "definition": {"steps": [SAY_SO]}, "payloadSchemaJson": REGION}
    return an_entry("invoice-sync", versions=[version], payloadSchemaRef="payload.Region.v1")


def again(row: Any, db: Any) -> Any:
    db.refresh(row)
    return row


def test_the_old_workflow_stays_readable_and_a_new_one_has_its_key(alice: Actor, workflow: Workflow, db: Any) -> None:
    run = a_run(workflow)
    summary = forced(alice, an_entry("invoice-sync", versions=(4,)))
    (made,) = summary.replaced
    assert (summary.created, made.replaced_id) == ((), workflow.id)
    assert made.workflow_id != workflow.id
    old = workflow_of(alice.tenant_id, workflow.id)
    assert old.deleted_at == NOW
    assert version_of(alice.tenant_id, old.id, 1).definition == workflow.draft_definition
    assert again(run, db).workflow_id == old.id
    living = db.scalars(select(Workflow).filter_by(tenant_id=alice.tenant_id, deleted_at=None)).all()
    assert [(one.id, one.key, one.published_version) for one in living] == [(made.workflow_id, "invoice-sync", 4)]


def test_what_is_the_same_is_left_alone(alice: Actor, workflow: Workflow, db: Any) -> None:
    exported = read_bundle(export_bundle(alice.tenant_id))
    (line,) = plan_import(alice, exported, force=True, now=NOW).entries
    assert (line.action, line.existing_id) == ("unchanged", workflow.id)
    summary = import_bundle(alice, exported, force=True, now=NOW)
    assert (summary.imported, summary.unchanged) == ((), ("invoice-sync",))
    assert again(workflow, db).deleted_at is None


@pytest.mark.parametrize("days", [-1, 1])
def test_what_is_the_same_gets_the_date_of_the_file(alice: Actor, workflow: Workflow, days: int, db: Any) -> None:
    exported = export_bundle(alice.tenant_id)
    workflow.content_changed_at += timedelta(days=days)
    db.flush()
    updated_at = again(workflow, db).updated_at
    assert export_bundle(alice.tenant_id) != exported
    assert import_bundle(alice, read_bundle(exported), force=True, now=NOW).unchanged == ("invoice-sync",)
    assert export_bundle(alice.tenant_id) == exported
    assert again(workflow, db).updated_at == updated_at


def test_what_is_the_same_keeps_its_date_where_the_file_has_something_newer(
    alice: Actor, workflow: Workflow, tenant: Tenant, db: Any
) -> None:
    a_workflow(tenant, "Newer", content_changed_at=NOW + timedelta(days=3))
    exported = read_bundle(export_bundle(alice.tenant_id))
    assert len(import_bundle(alice, exported, force=True, now=NOW).unchanged) == 2
    assert again(workflow, db).content_changed_at == NOW


def test_what_is_the_same_may_have_unfinished_runs(alice: Actor, workflow: Workflow) -> None:
    a_run(workflow, "queued")
    exported = read_bundle(export_bundle(alice.tenant_id))
    assert import_bundle(alice, exported, force=True, now=NOW).unchanged == ("invoice-sync",)


def test_schedules_that_fit_go_on_with_the_new_version(alice: Actor, workflow: Workflow, db: Any) -> None:
    active = a_schedule(workflow, "Active")
    paused = a_schedule(workflow, "Paused", status="paused")
    entry = an_entry("invoice-sync", versions=(1, 7))
    assert [(one.name, one.becomes) for one in planned(alice, entry).schedules] == [
        ("Active", "active"),
        ("Paused", "paused"),
    ]
    (made,) = forced(alice, entry).replaced
    assert {one.id: one.becomes for one in made.schedules} == {active.id: "active", paused.id: "paused"}
    for schedule, status in ((active, "active"), (paused, "paused")):
        stored = again(schedule, db)
        assert (stored.workflow_id, stored.workflow_version, stored.status) == (made.workflow_id, 7, status)
        assert stored.deleted_at is None


def test_a_schedule_carried_over_starts_the_new_workflow(alice: Actor, workflow: Workflow, db: Any) -> None:
    schedule = a_schedule(workflow)
    (made,) = forced(alice, an_entry("invoice-sync", versions=(7,))).replaced
    fire_due(NOW + timedelta(hours=1, seconds=1))
    (run,) = db.scalars(select(Run).filter_by(schedule_id=schedule.id))
    assert (run.workflow_id, run.workflow_version) == (made.workflow_id, 7)


def test_a_schedule_that_no_longer_fits_is_kept_and_marked(alice: Actor, workflow: Workflow, db: Any) -> None:
    misfit = a_schedule(workflow, "No region")
    fit = a_schedule(workflow, "With region", payload_json={"region": "eu"})
    entry = asking_for_region(alice)
    assert [(one.name, one.becomes) for one in planned(alice, entry).schedules] == [
        ("No region", "invalid"),
        ("With region", "active"),
    ]
    (made,) = forced(alice, entry).replaced
    stored = again(misfit, db)
    assert (stored.status, stored.workflow_id, stored.payload_json) == ("invalid", made.workflow_id, {})
    assert "region" in stored.invalid_reason
    assert again(fit, db).status == "active"


def test_an_invalid_schedule_that_fits_waits_for_somebody_to_resume_it(
    alice: Actor, workflow: Workflow, db: Any
) -> None:
    schedule = a_schedule(workflow, status="invalid")
    forced(alice, an_entry("invoice-sync", versions=(2,)))
    assert again(schedule, db).status == "paused"


def test_a_workflow_without_versions_leaves_its_schedules_invalid(alice: Actor, workflow: Workflow, db: Any) -> None:
    schedules = [
        a_schedule(workflow, "Active"),
        a_schedule(workflow, "Paused", status="paused", next_fire_at=NOW - timedelta(hours=1)),
        a_schedule(workflow, "Invalid", status="invalid"),
    ]
    entry = an_entry("invoice-sync", versions=())
    assert {one.becomes for one in planned(alice, entry).schedules} == {"invalid"}
    (made,) = forced(alice, entry).replaced
    for schedule in schedules:
        stored = again(schedule, db)
        assert (stored.status, stored.workflow_id, stored.workflow_version) == ("invalid", made.workflow_id, None)
        assert "no published version" in stored.invalid_reason
    reasons = db.scalars(select(Occurrence.reason).filter_by(schedule_id=schedules[1].id)).all()
    assert reasons == ["paused"]


def test_what_came_due_before_still_starts_the_old_workflow(alice: Actor, workflow: Workflow, db: Any) -> None:
    schedule = a_schedule(workflow, next_fire_at=NOW - timedelta(seconds=30))
    forced(alice, an_entry("invoice-sync", versions=(2,)), cancel_runs=True)
    (run,) = db.scalars(select(Run).filter_by(schedule_id=schedule.id))
    assert (run.workflow_id, run.status) == (workflow.id, "canceled")


def test_unfinished_runs_keep_a_workflow_from_being_replaced(alice: Actor, workflow: Workflow, db: Any) -> None:
    for status in ("queued", "running"):
        a_run(workflow, status)
    a_run(workflow, "failed")
    entry = an_entry("invoice-sync", versions=(2,))
    line = planned(alice, entry)
    assert (line.action, line.conflict, line.unfinished) == ("conflict", "WORKFLOW_RUNS_UNFINISHED", 2)
    with pytest.raises(BundleRefused) as refused:
        forced(alice, entry)
    assert refused.value.code == "WORKFLOW_RUNS_UNFINISHED"
    assert refused.value.details["conflicts"][0]["unfinishedRuns"] == 2
    assert again(workflow, db).deleted_at is None


def test_unfinished_runs_are_canceled_when_that_is_wanted(alice: Actor, workflow: Workflow, db: Any) -> None:
    queued, running = a_run(workflow, "queued"), a_run(workflow, "running")
    entry = an_entry("invoice-sync", versions=(2,))
    line = planned(alice, entry, cancel_runs=True)
    assert (line.action, line.unfinished) == ("replace", 2)
    summary = forced(alice, entry, cancel_runs=True)
    assert summary.canceled_runs == 2
    assert again(queued, db).status == "canceled"
    held = again(running, db)
    assert (held.status, held.cancel_requested_at) == ("running", NOW)


def test_a_pause_is_taken_over_with_who_and_why(alice: Actor, workflow: Workflow, db: Any) -> None:
    workflow.paused_at, workflow.pause_reason = NOW - timedelta(days=1), "Month end"
    db.flush()
    (made,) = forced(alice, an_entry("invoice-sync", versions=(2,), isPaused=True)).replaced
    stored = db.get_one(Workflow, made.workflow_id)
    assert (stored.paused_at, stored.pause_reason) == (NOW - timedelta(days=1), "Month end")


def test_another_tenants_workflow_of_the_same_key_is_not_touched(alice: Actor, db: Any) -> None:
    theirs = a_workflow(a_tenant("globex"), "Invoice sync")
    schedule_count = len(db.scalars(select(Schedule)).all())
    assert len(forced(alice, an_entry("invoice-sync")).created) == 1
    assert again(theirs, db).deleted_at is None
    assert len(db.scalars(select(Schedule)).all()) == schedule_count


def test_replacing_many_costs_as_many_statements_as_replacing_one(alice: Actor, tenant: Tenant, db: Any) -> None:
    for number in range(25):
        a_published_workflow(tenant, f"Sync {number}")
    entries = [an_entry(f"sync-{number}", versions=(2,)) for number in range(25)]
    with counted() as of_one:
        forced(alice, entries[0])
    db.expire_all()
    with counted() as of_many:
        summary = import_bundle(alice, read_bundle(a_file(*entries[1:])), force=True, now=NOW)
    assert len(summary.replaced) == 24
    assert len(of_many) <= len(of_one) + 2
