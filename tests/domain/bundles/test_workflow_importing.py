"""Importing workflows into a tenant that has nothing of them: what is made, what is refused, what is only remarked."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import select

from domain.accounts.audit import Actor, AuditEntry
from domain.accounts.tenants import Tenant
from domain.bundles.documents import read_bundle
from domain.bundles.exporting import export_bundle, workflows_by_key
from domain.bundles.importing import ImportSummary, import_bundle
from domain.bundles.plans import ImportPlan, plan_import
from domain.bundles.reading import BundleRefused
from domain.kernel.errors import Conflict, NotFound, Refused
from domain.publishing import publish_workflow
from domain.schedules.schedules import Schedule
from domain.workflows.schema_rules import DIALECT
from domain.workflows.versions import WorkflowVersion
from domain.workflows.workflows import Workflow
from tests.domain.bundles.bundle_files import FIXED, SAY_SO, a_file, an_entry
from tests.factories import (
    NOW,
    a_published_workflow,
    a_tenant,
    a_triggered_workflow,
    a_user,
    a_version,
    a_workflow,
    an_actor,
    an_event_type,
)
from tests.statements import counted

pytestmark = pytest.mark.usefixtures("db")

NIL = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def tenant(db: Any) -> Tenant:
    return a_tenant("acme")


@pytest.fixture
def alice(tenant: Tenant) -> Actor:
    return an_actor(tenant, a_user(tenant))


def imported(actor: Actor, *entries: dict[str, Any], **how: Any) -> ImportSummary:
    return import_bundle(actor, read_bundle(a_file(*entries)), now=NOW, **how)


def planned(actor: Actor, *entries: dict[str, Any], **how: Any) -> ImportPlan:
    return plan_import(actor, read_bundle(a_file(*entries)), now=NOW, **how)


def refusal(actor: Actor, *entries: dict[str, Any]) -> BundleRefused:
    """Why a bundle is refused; a plan of it is refused alike."""
    with pytest.raises(BundleRefused) as of_plan:
        planned(actor, *entries)
    with pytest.raises(BundleRefused) as refused:
        imported(actor, *entries)
    assert (of_plan.value.code, of_plan.value.details) == (refused.value.code, refused.value.details)
    return refused.value


def warnings(plan: ImportPlan) -> set[tuple[str, str]]:
    return {(one.path, one.code) for entry in plan.entries for one in entry.warnings}


def version(number: int = 1, steps: Any = None, schema: Any = None, **definition: Any) -> dict[str, Any]:
    steps = [SAY_SO] if steps is None else steps
    return {"version": number, "definition": {"steps": steps, **definition}, "payloadSchemaJson": schema}


def stored(workflow_id: Any, db: Any) -> Workflow:
    return db.get_one(Workflow, workflow_id, populate_existing=True)


def test_a_workflow_is_made_with_its_settings_its_draft_and_its_versions(alice: Actor, db: Any) -> None:
    settings = {
        "name": "Invoice sync",
        "description": "Every morning",
        "isSystem": True,
        "isVisible": False,
        "isPaused": True,
        "concurrencyLimit": 7,
        "autoPauseOnFailure": True,
        "failureRateThreshold": 0.25,
        "failureRateMinRuns": 4,
        "retentionPolicyOverride": {"days": 30},
    }
    summary = imported(alice, an_entry("invoice-sync", versions=(2, 5), **settings))
    (made,) = summary.created
    assert (made.key, made.versions, summary.unchanged, summary.replaced) == ("invoice-sync", (2, 5), (), ())
    workflow = stored(made.workflow_id, db)
    assert (workflow.name, workflow.description, workflow.key) == ("Invoice sync", "Every morning", "invoice-sync")
    assert (workflow.is_system, workflow.is_visible, workflow.concurrency_limit) == (True, False, 7)
    assert (workflow.paused_at, workflow.paused_by) == (NOW, alice.user_id)
    assert (workflow.auto_pause_on_failure, workflow.failure_rate_threshold) == (True, 0.25)
    assert (workflow.failure_rate_min_runs, workflow.retention_policy_override) == (4, {"days": 30})
    assert (workflow.published_version, workflow.draft_version) == (5, 6)
    assert workflow.content_changed_at.isoformat() == FIXED.replace("Z", "000+00:00").replace(".000000", "")
    published = publish_workflow(alice, workflow.id, workflow.revision, NOW)
    assert published.version == 6
    actions = db.scalars(select(AuditEntry.action).where(AuditEntry.subject_id == workflow.id))
    assert set(actions) == {"workflow.imported", "workflow.published"}


def test_a_workflow_without_versions_is_a_draft(alice: Actor, db: Any) -> None:
    (made,) = imported(alice, an_entry(versions=())).created
    assert stored(made.workflow_id, db).published_version is None


def test_what_is_exported_imports_and_exports_identically_in_another_tenant(alice: Actor, db: Any) -> None:
    tenant = db.get_one(Tenant, alice.tenant_id)
    other = a_tenant("globex")
    for place in (tenant, other):
        an_event_type(place, "invoice.paid")
    plain = a_published_workflow(tenant, "Ünïcode ✓ sync", key="unicode")
    a_version(plain, 4, definition={"steps": [SAY_SO], "payloadSchemaRef": "payload.Empty.v1"})
    plain.draft_definition = {"steps": [SAY_SO | {"name": "Later"}], "name": "A draft", "big": 1e300}
    paused = a_triggered_workflow(tenant, "On payment", "invoice.paid", payloadMapping={"n": {"$expr": "event.name"}})
    paused.paused_at, paused.concurrency_limit = NOW, None
    trigger = {"type": "event", "eventName": "invoice.paid"}
    a_version(paused, 2, trigger=trigger, payload_schema_mode="inferred")
    a_workflow(tenant, "Only a draft", draft_schema_ref=None, draft_definition={"steps": "none yet"})
    db.flush()
    db.expire_all()
    once = export_bundle(tenant.id)
    summary = import_bundle(an_actor(other), read_bundle(once), now=NOW)
    assert len(summary.created) == 3
    db.expire_all()
    assert export_bundle(other.id) == once


@pytest.mark.parametrize(
    "draft",
    [
        {"steps": [], "trigger": None, "payloadSchemaMode": None},
        {"steps": [{"id": "c", "type": "control.callWorkflow", "workflowId": "unknown"}]},
        {"steps": [SAY_SO | {"config": {"x": {"type": "control.callWorkflow", "workflowId": "literal"}}}]},
        {"steps": [], "n": [1, 1.0, 1e3, 1e16, 1e19, 1e300, -0.0, 5e-324, 2**63 - 1, -(2**63)]},
        {"steps": [], "\uffff": 1, "\U0001f600": 2, "e\u0301": 3, "Z": 4, "z": 5, "": "\u2028\x7f\x01"},
    ],
)
def test_any_draft_that_can_be_stored_travels_unchanged(alice: Actor, draft: Any, db: Any) -> None:
    a_workflow(db.get_one(Tenant, alice.tenant_id), "A draft", draft_definition=draft)
    db.expire_all()
    once = export_bundle(alice.tenant_id)
    other = an_actor(a_tenant("globex"))
    import_bundle(other, read_bundle(once), now=NOW)
    db.expire_all()
    assert export_bundle(other.tenant_id) == once
    assert import_bundle(other, read_bundle(once), force=True, now=NOW).unchanged == ("a-draft",)


def test_a_draft_that_calls_by_an_id_is_exported_with_the_key(alice: Actor, db: Any) -> None:
    tenant = db.get_one(Tenant, alice.tenant_id)
    child = a_workflow(tenant, "Child")
    call = {"id": "c", "type": "control.callWorkflow", "workflowId": str(child.id)}
    a_workflow(tenant, "Parent", draft_definition={"steps": [call]})
    written = export_bundle(tenant.id).decode()
    assert str(child.id) not in written
    assert '"workflowKey": "child"' in written


def test_a_schema_with_its_dialect_in_any_spelling_travels_unchanged(alice: Actor, db: Any) -> None:
    schema = {"$schema": f"{DIALECT}#", "type": "object"}
    a_published_workflow(db.get_one(Tenant, alice.tenant_id), schema=schema)
    once = export_bundle(alice.tenant_id)
    other = an_actor(a_tenant("globex"))
    import_bundle(other, read_bundle(once), now=NOW)
    assert export_bundle(other.tenant_id) == once


def test_the_same_state_gives_the_same_bytes(alice: Actor, db: Any) -> None:
    tenant = db.get_one(Tenant, alice.tenant_id)
    first, second = (a_published_workflow(tenant, name) for name in ("Zeta", "Alpha"))
    everything = export_bundle(tenant.id)
    assert (
        everything == export_bundle(tenant.id, [first.id, second.id]) == export_bundle(tenant.id, [second.id, first.id])
    )
    assert everything.endswith(b"}\n") and not everything.endswith(b"\n\n")
    document = json.loads(everything)
    assert [one["key"] for one in document["workflows"]] == ["alpha", "zeta"]
    assert document["exportedAt"] == "2026-03-02T10:00:00.000Z"
    assert str(first.id) not in everything.decode() and "dependencies" not in document["workflows"][0]
    assert json.loads(export_bundle(tenant.id, [first.id]))["workflows"] == document["workflows"][1:]


def test_only_what_is_there_is_exported(alice: Actor, db: Any) -> None:
    tenant, other = db.get_one(Tenant, alice.tenant_id), a_tenant("globex")
    foreign = a_workflow(other, "Theirs")
    gone = a_workflow(tenant, "Gone", deleted_at=NOW)
    for missing in (foreign, gone):
        with pytest.raises(NotFound):
            export_bundle(tenant.id, [missing.id])
        with pytest.raises(NotFound):
            workflows_by_key(tenant.id, [missing.key])
    with pytest.raises(Refused):
        export_bundle(tenant.id)
    mine = a_workflow(tenant, "Mine")
    assert workflows_by_key(tenant.id, ["mine"]) == [mine.id]


def test_what_is_missing_here_is_listed_by_workflow(alice: Actor) -> None:
    steps = [
        {"id": "call", "type": "action.call", "config": {"actionId": "tickets.create", "version": 3}},
        {"id": "if", "type": "control.if", "condition": True, "then": [{"id": "mail", "type": "email.parseBody"}]},
    ]
    claims = {"actions": [], "nodeTypes": [], "schemaRefs": []}
    other = an_entry("other", payloadSchemaRef="payload.Ticket.v1") | {"dependencies": claims}
    refused = refusal(alice, an_entry("one", steps=steps, versions=()), other, an_entry("well"))
    assert refused.code == "MISSING_DEPENDENCIES"
    actions, types, refs = [{"actionId": "tickets.create", "version": 3}], ["email.parseBody"], ["payload.Ticket.v1"]
    assert refused.details["missingByWorkflow"] == [
        {"workflowKey": "one", "missingActions": actions, "missingNodeTypes": types, "missingSchemaRefs": []},
        {"workflowKey": "other", "missingActions": [], "missingNodeTypes": [], "missingSchemaRefs": refs},
    ]
    assert refused.details["missingActions"] == actions
    assert "tickets.create in version 3" in refused.message
    assert [one.path for one in refused.problems] == ["/workflows/0", "/workflows/1"]


def test_a_claim_of_dependencies_is_compared_and_not_believed(alice: Actor) -> None:
    claims = {"actions": [{"actionId": "not.there", "version": 1}], "nodeTypes": ["control.gone"], "schemaRefs": []}
    plan = planned(alice, an_entry() | {"dependencies": claims})
    assert warnings(plan) == {("dependencies", "DEPENDENCIES_DIFFER")}


def test_a_published_version_that_could_not_run_is_refused_at_its_step(alice: Actor, db: Any) -> None:
    broken = [{"id": "all", "type": "control.forEach", "items": {"$expr": "payload.x"}, "itemVar": "x", "body": [
        {"id": "set", "type": "transform.assign", "config": {"assign": {"vars.n": {"$expr": "1 +"}}}}]}]  # fmt: skip
    refused = refusal(alice, an_entry("one"), an_entry("two", versions=[version(1), version(2, broken)]))
    assert refused.code == "DEFINITION_INVALID"
    (error,) = refused.details["errors"]
    assert error["path"] == "/workflows/1/publishedVersions/1/definition/steps/0/body/0"
    assert db.scalars(select(Workflow)).all() == []


def test_a_draft_may_be_unfit_to_publish(alice: Actor) -> None:
    entry = an_entry(versions=())
    entry["draft"]["definition"] = {"steps": [{"id": "x", "type": "control.if", "condition": True}], "odd": 1}
    plan = planned(alice, entry)
    assert {code for _, code in warnings(plan)} == {"INVALID_CONFIG", "UNKNOWN_KEY"}
    assert len(imported(alice, entry).created) == 1


def test_a_draft_that_could_never_be_saved_is_refused(alice: Actor) -> None:
    entry = an_entry(versions=())
    deep: Any = 1
    for _ in range(66):
        deep = [deep]
    entry["draft"]["definition"] = {"steps": deep}
    assert refusal(alice, entry).code == "DEFINITION_INVALID"


def test_what_does_not_stop_a_version_from_running_is_a_warning(alice: Actor, db: Any) -> None:
    twice = [SAY_SO, {"id": "if", "type": "control.if", "condition": {"$expr": "true"}, "then": [SAY_SO]}]
    lost = [{"id": "child", "type": "control.callWorkflow", "workflowId": NIL, "workflowVersion": 1}]
    trigger = {"type": "event", "eventName": "nobody.knows"}
    plan = planned(alice, an_entry("twice", twice), an_entry("lost", lost), an_entry("told", trigger=trigger))
    assert warnings(plan) == {
        ("version 1 root.steps[1].then.steps[0]", "DUPLICATE_STEP_ID"),
        ("version 1 root.steps[0]", "UNKNOWN_WORKFLOW"),
        ("version 1 event_name", "UNKNOWN_TRIGGER_EVENT"),
    }
    summary = imported(alice, an_entry("lost", lost))
    workflow = stored(summary.created[0].workflow_id, db)
    with pytest.raises(Refused):
        publish_workflow(alice, workflow.id, workflow.revision, NOW)


def test_workflows_of_one_file_may_call_each_other_but_not_in_a_circle(alice: Actor) -> None:
    def calls(key: str) -> list[Any]:
        return [{"id": "child", "type": "control.callWorkflow", "workflowKey": key}]

    parent, child = an_entry("parent", calls("child")), an_entry("child")
    assert warnings(planned(alice, parent, child)) == set()
    circle = refusal(alice, parent, an_entry("child", calls("parent")))
    assert circle.code == "DEFINITION_INVALID"
    assert {error["code"] for error in circle.details["errors"]} == {"WORKFLOW_CALL_CYCLE"}


def test_a_version_without_a_schema_gets_the_one_that_is_registered(alice: Actor, db: Any) -> None:
    (made,) = imported(alice, an_entry(versions=[version()])).created
    (row,) = db.scalars(select(WorkflowVersion).filter_by(workflow_id=made.workflow_id))
    assert row.payload_schema["additionalProperties"] is False
    exported = json.loads(export_bundle(alice.tenant_id))["workflows"][0]["publishedVersions"]
    assert exported[0]["payloadSchemaJson"] == row.payload_schema


def test_a_version_keeps_the_schema_it_brings_along(alice: Actor, db: Any) -> None:
    old = {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"}
    entry = an_entry(versions=[version(schema=old)])
    told = {("version 1", "SCHEMA_DIALECT"), ("version 1", "SCHEMA_DIFFERS")}
    assert warnings(planned(alice, entry)) == told
    (made,) = imported(alice, entry).created
    assert db.scalar(select(WorkflowVersion.payload_schema).filter_by(workflow_id=made.workflow_id)) == {
        "type": "object"
    }


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"$ref": "https://example.com/a.json"}}},
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
        {"type": "object", "properties": {"a": {"type": "no type"}}},
    ],
)
def test_a_schema_that_nobody_could_register_is_refused_at_its_place(alice: Actor, schema: Any) -> None:
    refused = refusal(alice, an_entry(versions=[version(schema=schema)]))
    assert refused.code == "SCHEMA_VALIDATION_FAILED"
    assert refused.problems[0].path.startswith("/workflows/0/publishedVersions/0/payloadSchemaJson")


@pytest.mark.parametrize(
    ("settings", "place"),
    [
        ({"name": "\u202e"}, "name"),
        ({"trigger": {"type": "webhook"}}, "trigger"),
        ({"trigger": {"type": "event", "eventName": ""}}, "trigger"),
        ({"retentionPolicyOverride": {"days": -1}}, "retentionPolicyOverride"),
    ],
)
def test_settings_that_nobody_could_save_are_refused_at_their_place(alice: Actor, settings: Any, place: str) -> None:
    refused = refusal(alice, an_entry(**settings))
    assert (refused.code, refused.problems[0].path) == ("SCHEMA_VALIDATION_FAILED", f"/workflows/0/metadata/{place}")


def test_an_unlimited_workflow_is_remarked_and_so_is_what_is_left_out(alice: Actor) -> None:
    plan = planned(alice, an_entry(concurrencyLimit=None, retentionPolicyOverride={"runs": {"keep": 5}}))
    assert {code for _, code in warnings(plan)} == {"UNLIMITED", "RETENTION_LEFT_OUT"}


def test_a_time_trigger_becomes_a_schedule_once(alice: Actor, db: Any) -> None:
    trigger = {"type": "recurring", "cron": "0 9 * * *", "timezone": "Europe/Berlin"}
    entry = an_entry("daily", versions=[version(trigger=trigger)], trigger=trigger)
    entry["draft"]["definition"]["trigger"] = trigger
    (line,) = planned(alice, entry).entries
    assert line.inline_triggers == (trigger,)
    (made,) = imported(alice, entry).created
    (adopted,) = made.adopted
    (schedule,) = db.scalars(select(Schedule))
    assert adopted.schedule is schedule
    assert (schedule.workflow_id, schedule.workflow_version, schedule.status) == (made.workflow_id, 1, "active")
    assert (schedule.cron, schedule.timezone) == ("0 9 * * *", "Europe/Berlin")
    once = export_bundle(alice.tenant_id)
    assert b"recurring" not in once
    again = imported(alice, entry, force=True)
    assert (again.unchanged, len(db.scalars(select(Schedule)).all())) == (("daily",), 1)
    renamed = entry | {"metadata": entry["metadata"] | {"name": "Each day"}}
    assert len(imported(alice, renamed, force=True).replaced) == 1
    assert len(db.scalars(select(Schedule)).all()) == 1


def test_a_time_trigger_that_no_schedule_can_hold_stays_in_the_draft(alice: Actor, db: Any) -> None:
    trigger = {"type": "recurring", "cron": "0 9 * * *", "timezone": "Mars/Olympus"}
    (made,) = imported(alice, an_entry(trigger=trigger)).created
    (adopted,) = made.adopted
    assert adopted.schedule is None and "Mars/Olympus" in str(adopted.reason)
    assert stored(made.workflow_id, db).draft_trigger == trigger
    once = export_bundle(alice.tenant_id)
    other = an_actor(a_tenant("globex"))
    import_bundle(other, read_bundle(once), now=NOW)
    assert export_bundle(other.tenant_id) == once


def test_an_event_starts_the_version_that_was_published_with_it(alice: Actor, db: Any) -> None:
    an_event_type(db.get_one(Tenant, alice.tenant_id), "invoice.paid")
    trigger = {"type": "event", "eventName": "invoice.paid"}
    (made,) = imported(alice, an_entry(trigger=trigger)).created
    workflow = stored(made.workflow_id, db)
    assert (workflow.event_name, workflow.draft_trigger) == ("invoice.paid", trigger)


def test_a_key_that_is_taken_is_a_conflict_and_nothing_is_imported(alice: Actor, db: Any) -> None:
    taken = a_workflow(db.get_one(Tenant, alice.tenant_id), "Two", key="two")
    plan = planned(alice, an_entry("one"), an_entry("two"))
    assert [entry.action for entry in plan.entries] == ["create", "conflict"]
    with pytest.raises(BundleRefused) as refused:
        imported(alice, an_entry("one"), an_entry("two"))
    assert refused.value.code == "WORKFLOW_KEY_CONFLICT"
    assert refused.value.details["workflowKey"] == "two"
    assert refused.value.problems[0].path == "/workflows/1/key"
    assert refused.value.details["existingWorkflowId"] == str(taken.id)
    assert db.scalars(select(Workflow)).all() == [taken]


def test_keys_of_other_tenants_and_of_deleted_workflows_are_free(alice: Actor, db: Any) -> None:
    a_workflow(a_tenant("globex"), "One", key="one")
    a_workflow(db.get_one(Tenant, alice.tenant_id), "One", key="one", deleted_at=NOW)
    assert len(imported(alice, an_entry("one")).created) == 1


def test_an_import_does_what_was_planned_or_nothing(alice: Actor, db: Any) -> None:
    plan = planned(alice, an_entry("one"))
    assert plan.fingerprint == planned(alice, an_entry("one")).fingerprint
    assert plan.fingerprint != planned(alice, an_entry("one", isPaused=True)).fingerprint
    assert plan.fingerprint != planned(alice, an_entry("one"), force=True).fingerprint
    a_workflow(db.get_one(Tenant, alice.tenant_id), "One", key="one")
    with pytest.raises(Conflict) as refused:
        imported(alice, an_entry("one"), fingerprint=plan.fingerprint)
    assert refused.value.code == "PLAN_CHANGED"
    fresh = planned(alice, an_entry("one"), force=True)
    assert len(imported(alice, an_entry("one"), force=True, fingerprint=fresh.fingerprint).replaced) == 1


def test_a_plan_changes_nothing(alice: Actor, db: Any) -> None:
    planned(alice, an_entry("one"))
    assert not db.new and not db.dirty
    assert db.scalars(select(Workflow)).all() == []


def test_whoever_waits_is_told_how_far_it_is(alice: Actor) -> None:
    told: list[tuple[int, int]] = []
    imported(alice, an_entry("a"), an_entry("b"), an_entry("c"), on_progress=lambda done, of: told.append((done, of)))
    planned(alice, an_entry("d"), an_entry("e"), on_progress=lambda done, of: told.append((done, of)))
    assert told == [(1, 3), (2, 3), (3, 3), (1, 2), (2, 2)]


def test_many_workflows_take_as_few_statements_as_some(alice: Actor) -> None:
    counts = []
    for many in (5, 100):
        bundle = read_bundle(a_file(*(an_entry(f"{many}-{number}") for number in range(many))))
        with counted() as statements:
            import_bundle(alice, bundle, now=NOW)
        counts.append(len(statements))
    assert counts[1] <= counts[0] + 5


def test_what_is_missing_is_told_in_short_however_long_and_many_the_names(alice: Actor) -> None:
    config = {"version": 1, "inputMapping": {}}
    many = [{"id": "c", "type": "action.call", "config": {"actionId": f"no.{n}", **config}} for n in range(3_000)]
    long = [{"id": "c", "type": "action.call", "config": {"actionId": "n" * 100_000, **config}}]
    for steps in (many, long):
        refused = refusal(alice, an_entry(versions=(), steps=steps))
        assert refused.code == "MISSING_DEPENDENCIES"
        assert len(refused.message) < 1_000
        assert 1 <= len(refused.details["missingActions"]) <= 1_000
        assert len(json.dumps(refused.details)) < 200_000


def test_a_time_trigger_of_any_size_is_refused_at_its_place(alice: Actor) -> None:
    trigger = {"type": "recurring", "cron": "* " * 10_000}
    refused = refusal(alice, an_entry(trigger=trigger))
    assert (refused.code, refused.problems[0].path) == ("SCHEMA_VALIDATION_FAILED", "/workflows/0/metadata/trigger")


def test_a_draft_that_is_too_large_is_called_a_draft(alice: Actor) -> None:
    refused = refusal(alice, an_entry(versions=(), steps=[SAY_SO | {"name": "x" * 300_000}]))
    assert refused.message.startswith("A draft cannot be stored: /workflows/0/draft/definition: ")


def test_the_connection_is_kept_awake_while_a_long_file_is_checked(
    alice: Actor, monkeypatch: pytest.MonkeyPatch, db: Any
) -> None:
    clock = iter(range(0, 1_000, 3))
    monkeypatch.setattr("domain.bundles.awake.monotonic", lambda: float(next(clock)))
    numbers = range(1, 6)
    entry = an_entry(versions=[version(n, schema={"type": "object", "title": str(n)}) for n in numbers])
    with counted() as few:
        planned(alice, entry)
    assert sum(one == "SELECT 1" for one in few) >= len(numbers)
