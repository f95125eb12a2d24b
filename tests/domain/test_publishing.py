"""Publishing makes an immutable version and judges every schedule of the workflow again, in one transaction."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from domain.accounts.audit import AuditEntry
from domain.events.events import EventType
from domain.firing.tick import fire_due
from domain.kernel.errors import Conflict, NotFound, Refused
from domain.publishing import draft_problems, publish_preview, publish_workflow
from domain.runs.runs import Run
from domain.schedules.cursors import ScheduleCursor
from domain.schedules.occurrences import Occurrence
from domain.schedules.schedules import Schedule
from domain.workflows.payload_schemas import register_schema, schemas_page
from domain.workflows.versions import WorkflowVersion, version_of, versions_page
from domain.workflows.workflows import workflow_of
from tests.factories import NOW, a_schedule, a_tenant, a_user, a_version, a_workflow, an_actor
from tests.statements import counted

ON_PAID = {"type": "event", "eventName": "invoice.paid"}
WIDE, NARROW, LATER = "payload.Sync.v1", "payload.Sync.v2", "payload.Sync.v3"
NEEDS_REGION = {"type": "object", "properties": {"region": {"enum": ["eu", "us"]}}, "required": ["region"]}
FITS, DOES_NOT = {"region": "eu"}, {"note": "kept as it is"}
ELEVEN = NOW.replace(hour=11)


@pytest.fixture
def acme(db: Any) -> Any:
    return a_tenant("acme")


@pytest.fixture
def alice(acme: Any) -> Any:
    return an_actor(acme, a_user(acme, "alice@acme.test", "admin"))


@pytest.fixture
def sync(alice: Any, acme: Any) -> Any:
    """Version 1 takes any object; the draft demands a region."""
    register_schema(alice, WIDE, {"type": "object"}, NOW)
    register_schema(alice, NARROW, NEEDS_REGION, NOW)
    an_event(acme, "invoice.paid", WIDE)
    workflow = a_workflow(acme, draft_schema_ref=WIDE)
    a_version(workflow)
    workflow.draft_schema_ref = NARROW
    return workflow


def an_event(tenant: Any, name: str, ref: str) -> None:
    from domain.kernel.db import db

    db.session.add(EventType(tenant_id=tenant.id, name=name, payload_schema_ref=ref))
    db.session.flush()


def publish(actor: Any, workflow: Any, now: Any = NOW) -> Any:
    return publish_workflow(actor, workflow.id, workflow.revision, now)


def of(schedule: Any) -> Any:
    from domain.kernel.db import db

    return db.session.scalars(select(Schedule).where(Schedule.id == schedule.id)).one()


def cursor_of(schedule: Any) -> Any:
    from domain.kernel.db import db

    return db.session.scalars(select(ScheduleCursor).where(ScheduleCursor.schedule_id == schedule.id)).one()


def actions(db: Any) -> list[str]:
    return list(db.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))


def test_publishing_makes_a_version_of_the_draft_with_the_schema_as_it_is(alice: Any, acme: Any, sync: Any) -> None:
    published = publish(alice, sync)

    assert published.version == 2
    version = version_of(acme.id, sync.id, 2)
    assert (version.definition, version.payload_schema_ref) == (sync.draft_definition, NARROW)
    assert (version.payload_schema, version.payload_schema_mode) == (NEEDS_REGION, "pinned")
    assert (version.published_at, version.published_by, version.is_pure) == (NOW, alice.user_id, False)
    assert len(version.definition_hash) == 64


def test_publishing_moves_the_workflow_on_and_freezes_the_schema(alice: Any, acme: Any, sync: Any) -> None:
    before = sync.revision

    publish(alice, sync, NOW + timedelta(hours=1))

    workflow = workflow_of(acme.id, sync.id)
    assert (workflow.published_version, workflow.draft_version, workflow.revision) == (2, 3, before + 1)
    assert workflow.content_changed_at == NOW + timedelta(hours=1)
    assert [row.used_at for row in schemas_page(acme.id) if row.ref == NARROW] == [NOW + timedelta(hours=1)]


def test_the_versions_are_listed_newest_first_with_their_publisher(alice: Any, acme: Any, sync: Any) -> None:
    publish(alice, sync)

    assert [(row.version, row.published_by) for row in versions_page(acme.id, sync.id)] == [(2, "Alice"), (1, None)]
    assert [row.version for row in versions_page(acme.id, sync.id, before=2)] == [1]


def test_the_database_itself_refuses_to_change_a_version(alice: Any, sync: Any, db: Any) -> None:
    publish(alice, sync)

    with pytest.raises(IntegrityError, match="never changed"):
        db.execute(text("UPDATE workflow_versions SET definition = '{}'"))


@pytest.mark.parametrize(
    ("change", "path", "code"),
    [
        ({"draft_definition": {"steps": [{"id": "a", "type": "what.ever"}]}}, "root.steps[0]", "UNKNOWN_NODE_TYPE"),
        ({"draft_definition": {}}, "", "INVALID_WORKFLOW_DEFINITION"),
        ({"draft_schema_ref": None}, "schema_ref", "UNKNOWN_PAYLOAD_SCHEMA_REF"),
        ({"draft_schema_ref": "payload.Gone.v1"}, "schema_ref", "UNKNOWN_PAYLOAD_SCHEMA_REF"),
        ({"draft_schema_mode": "inferred"}, "schema_mode", "PAYLOAD_SCHEMA_INFERENCE_UNSUPPORTED_TRIGGER"),
        ({"draft_definition": {"steps": [], "payloadSchemaRef": WIDE}}, "schema_ref", "PAYLOAD_SCHEMA_REF_MISMATCH"),
        ({"draft_definition": {"steps": [], "trigger": {"type": "recurring"}}}, "", "TIME_TRIGGER_IN_DEFINITION"),
        ({"draft_definition": {"steps": [], "trigger": ON_PAID}}, "", "TRIGGER_IN_SETTINGS"),
        ({"draft_trigger": {"type": "recurring"}}, "trigger_type", "TIME_TRIGGER_IN_DEFINITION"),
        ({"draft_trigger": ON_PAID | {"eventName": "invoice.payd"}}, "event_name", "UNKNOWN_TRIGGER_EVENT"),
        (
            {"draft_trigger": ON_PAID | {"sourcePayloadSchemaRef": "payload.Gone.v1"}},
            "source_schema_ref",
            "UNKNOWN_TRIGGER_SOURCE_SCHEMA_REF",
        ),
        ({"draft_trigger": ON_PAID}, "mapping", "TRIGGER_MAPPING_REQUIRED"),
        (
            {"draft_trigger": ON_PAID | {"payloadMapping": {"note": {"$expr": "event.name"}}}},
            "mapping",
            "TRIGGER_MAPPING_MISSING_REQUIRED_FIELDS",
        ),
        (
            {"draft_trigger": ON_PAID | {"payloadMapping": {"region": {"$expr": "payload.region"}}}},
            "mapping/region",
            "TRIGGER_MAPPING_INVALID_ROOT",
        ),
        (
            {"draft_definition": {"steps": [{"id": "a", "type": "control.callWorkflow", "workflowKey": "gone"}]}},
            "root.steps[0]",
            "UNKNOWN_WORKFLOW",
        ),
        (
            {
                "draft_definition": {
                    "steps": [{"id": "a", "type": "control.callWorkflow", "workflowKey": "invoice-sync"}]
                }
            },
            "root.steps[0]",
            "WORKFLOW_CALL_CYCLE",
        ),
    ],
)
def test_a_draft_that_is_unfit_is_refused_at_its_place_and_nothing_changes(
    alice: Any, sync: Any, db: Any, change: dict[str, Any], path: str, code: str
) -> None:
    for name, value in change.items():
        setattr(sync, name, value)
    db.flush()

    with pytest.raises(Refused) as refused:
        publish(alice, sync)

    assert (path, code) in [(problem.path, problem.code) for problem in refused.value.problems]
    assert [(problem.path, problem.code) for problem in draft_problems(sync)] == [
        (problem.path, problem.code) for problem in refused.value.problems
    ]
    assert db.scalars(select(WorkflowVersion.version)).all() == [1]


def test_publishing_another_revision_than_the_one_reviewed_is_a_conflict(alice: Any, sync: Any, db: Any) -> None:
    with pytest.raises(Conflict):
        publish_workflow(alice, sync.id, sync.revision + 1, NOW)

    assert db.scalars(select(WorkflowVersion.version)).all() == [1]


def test_a_stranger_cannot_publish_it_and_learns_nothing(sync: Any) -> None:
    other = a_tenant("umbrella")
    charlie = an_actor(other, a_user(other, "charlie@umbrella.test", "admin"))

    for attempt in (lambda: publish(charlie, sync), lambda: publish_preview(other.id, sync.id)):
        with pytest.raises(NotFound):
            attempt()


@pytest.mark.parametrize(
    ("status", "payload", "becomes", "version"),
    [
        ("active", FITS, "active", 2),
        ("paused", FITS, "paused", 2),
        ("completed", FITS, "completed", 2),
        ("invalid", FITS, "paused", 2),
        ("active", DOES_NOT, "invalid", 1),
        ("paused", DOES_NOT, "invalid", 1),
        ("completed", DOES_NOT, "invalid", 1),
        ("invalid", DOES_NOT, "invalid", 1),
    ],
)
def test_a_schedule_that_fits_moves_on_and_one_that_does_not_is_held_on_its_version(
    alice: Any, sync: Any, status: str, payload: dict[str, Any], becomes: str, version: int
) -> None:
    next_fire_at = None if status == "completed" else ELEVEN
    schedule = a_schedule(sync, status=status, payload_json=payload, next_fire_at=next_fire_at)
    ticks_before = cursor_of(schedule).wake_at

    publish(alice, sync)

    after = of(schedule)
    assert (after.status, after.workflow_version, after.payload_json) == (becomes, version, payload)
    assert (after.invalid_reason is not None) is (becomes == "invalid")
    if (status, becomes) == ("paused", "invalid"):
        assert cursor_of(schedule).wake_at == ELEVEN
    elif becomes == "paused":
        assert cursor_of(schedule).wake_at is None
    else:
        assert cursor_of(schedule).wake_at == ticks_before


def test_one_result_tells_what_became_of_all_of_them(alice: Any, sync: Any, db: Any) -> None:
    a_schedule(sync, "goes on", payload_json=FITS)
    a_schedule(sync, "also goes on", payload_json=FITS, status="paused")
    a_schedule(sync, "falls out", payload_json=DOES_NOT)
    a_schedule(sync, "stays out", payload_json=DOES_NOT, status="invalid")
    a_schedule(sync, "comes back", payload_json=FITS, status="invalid")
    a_schedule(sync, "is gone", payload_json=DOES_NOT, deleted_at=NOW)

    preview = publish_preview(alice.tenant_id, sync.id)
    published = publish(alice, sync)

    assert (published.rebound, published.invalidated, published.recovered) == (2, 1, 1)
    assert (preview.rebound, preview.recovering, preview.problems) == (2, ("comes back",), ())
    assert [one.name for one in preview.newly_invalid] == ["falls out"]
    assert [one.name for one in preview.still_invalid] == ["stays out"]
    assert actions(db)[-3:] == ["workflow.published", "schedule.invalidated", "schedule.recovered"]


def test_a_preview_changes_nothing(alice: Any, acme: Any, sync: Any) -> None:
    schedule = a_schedule(sync, payload_json=DOES_NOT)

    publish_preview(acme.id, sync.id)

    assert of(schedule).status == "active"
    assert workflow_of(acme.id, sync.id).published_version == 1


def test_the_reason_names_the_field_and_shows_no_value(alice: Any, sync: Any) -> None:
    schedule = a_schedule(sync, payload_json={"region": "a secret place"})

    publish(alice, sync)

    assert of(schedule).invalid_reason.startswith("/region: ")
    assert "secret place" not in of(schedule).invalid_reason


def test_one_that_fits_again_waits_for_someone_to_resume_it(alice: Any, sync: Any) -> None:
    schedule = a_schedule(sync, payload_json=FITS, status="invalid")

    publish(alice, sync)

    note = "Fits again since version 2: resume it when you are ready"
    assert (of(schedule).pause_reason, of(schedule).paused_at, of(schedule).paused_by) == (note, NOW, None)


def test_what_came_due_before_publishing_fires_on_the_old_version(alice: Any, sync: Any, db: Any) -> None:
    schedule = a_schedule(sync, payload_json=DOES_NOT)

    publish(alice, sync, ELEVEN + timedelta(seconds=2))

    assert db.execute(select(Run.workflow_version, Run.input_json)).all() == [(1, DOES_NOT)]
    assert of(schedule).status == "invalid"


def test_an_instant_after_becoming_invalid_is_on_record_as_refused(alice: Any, sync: Any, db: Any) -> None:
    a_schedule(sync, payload_json=DOES_NOT)
    publish(alice, sync)

    fire_due(ELEVEN)

    assert db.execute(select(Occurrence.scheduled_for, Occurrence.outcome, Occurrence.reason)).all() == [
        (ELEVEN, "refused", "payload_invalid")
    ]
    assert db.scalars(select(Run)).all() == []


def test_the_instants_of_a_pause_stay_the_pause_s_when_it_becomes_invalid(alice: Any, sync: Any, db: Any) -> None:
    schedule = a_schedule(sync, payload_json=DOES_NOT, status="paused", pause_reason="supplier outage")

    publish(alice, sync, ELEVEN + timedelta(hours=2, minutes=30))
    fire_due(ELEVEN + timedelta(hours=3))

    rows = db.execute(select(Occurrence).order_by(Occurrence.scheduled_for)).scalars().all()
    assert [(row.scheduled_for, row.through, row.count, row.outcome, row.reason) for row in rows] == [
        (ELEVEN, ELEVEN + timedelta(hours=2), 3, "skipped", "paused"),
        (ELEVEN + timedelta(hours=3), None, 1, "refused", "payload_invalid"),
    ]
    assert cursor_of(schedule).next_fire_at == ELEVEN + timedelta(hours=4)


@pytest.mark.parametrize(("skipped", "is_kept"), [(ELEVEN, False), (ELEVEN + timedelta(hours=3), True)])
def test_a_skip_that_the_ended_pause_covered_is_used_up(alice: Any, sync: Any, skipped: Any, is_kept: bool) -> None:
    schedule = a_schedule(sync, payload_json=DOES_NOT, status="paused", skip_next_at=skipped)
    publish(alice, sync, ELEVEN + timedelta(hours=2, minutes=30))
    assert of(schedule).skip_next_at == (skipped if is_kept else None)


def test_under_the_clock_contract_no_payload_is_judged(alice: Any, sync: Any) -> None:
    sync.draft_schema_ref = "trigger.clock.v1"
    schedule = a_schedule(sync, payload_json=DOES_NOT)

    assert publish(alice, sync).invalidated == 0
    assert (of(schedule).status, of(schedule).workflow_version) == ("active", 2)


def test_schedules_of_other_workflows_are_left_alone(alice: Any, acme: Any, sync: Any) -> None:
    other = a_workflow(acme, "Other", draft_schema_ref=WIDE)
    a_version(other)
    schedule = a_schedule(other, payload_json=DOES_NOT)

    publish(alice, sync)

    assert (of(schedule).status, of(schedule).workflow_version) == ("active", 1)


def test_what_the_new_version_marks_as_secret_is_sealed_in_every_schedule(alice: Any, sync: Any) -> None:
    marked = {"type": "object", "properties": {"region": {"type": "string", "x-secret": True}}}
    register_schema(alice, LATER, marked, NOW)
    sync.draft_schema_ref = LATER
    schedules = [a_schedule(sync, f"{number}", payload_json={"region": f"region {number}"}) for number in range(12)]

    with counted() as statements:
        publish(alice, sync)

    assert all(set(of(one).payload_json["region"]) == {"$sealed"} for one in schedules)
    assert {of(one).status for one in schedules} == {"active"}
    assert len([one for one in statements if "payload_json =" in one]) == 1


@pytest.mark.parametrize("status", ["active", "paused", "invalid"])
def test_many_schedules_cost_as_many_queries_as_few(alice: Any, sync: Any, status: str) -> None:
    def publish_with(count: int, ref: str) -> int:
        for number in range(count):
            payload = FITS if number % 3 else DOES_NOT
            a_schedule(sync, f"{ref} {number}", payload_json=payload | {"n": number}, status=status)
        sync.draft_schema_ref = ref
        with counted() as statements:
            publish(alice, sync, ELEVEN + timedelta(hours=1))
        return len(statements)

    register_schema(alice, LATER, NEEDS_REGION, NOW)

    assert publish_with(40, LATER) <= publish_with(4, NARROW)


def test_publishing_an_event_trigger_says_which_event_starts_it(alice: Any, acme: Any, sync: Any) -> None:
    sync.draft_trigger = ON_PAID | {"payloadMapping": {"region": {"$expr": "event.payload.region"}}}

    publish(alice, sync)

    assert version_of(acme.id, sync.id, 2).trigger == sync.draft_trigger
    assert workflow_of(acme.id, sync.id).event_name == "invoice.paid"

    sync.draft_trigger = None
    publish(alice, sync)

    assert version_of(acme.id, sync.id, 3).trigger is None
    assert workflow_of(acme.id, sync.id).event_name is None


def test_a_draft_s_trigger_starts_nothing_until_it_is_published(alice: Any, acme: Any, sync: Any) -> None:
    sync.draft_trigger = ON_PAID

    assert (workflow_of(acme.id, sync.id).event_name, draft_problems(sync) != []) == (None, True)


@pytest.mark.parametrize(("source", "ref"), [({}, WIDE), ({"sourcePayloadSchemaRef": NARROW}, NARROW)])
def test_an_inferred_schema_is_that_of_the_event(
    alice: Any, acme: Any, sync: Any, source: dict[str, Any], ref: str
) -> None:
    sync.draft_schema_mode, sync.draft_schema_ref = "inferred", None
    sync.draft_trigger = ON_PAID | source

    publish(alice, sync)

    version = version_of(acme.id, sync.id, 2)
    assert (version.payload_schema_mode, version.payload_schema_ref) == ("inferred", ref)
    assert version.payload_schema == (NEEDS_REGION if ref == NARROW else {"type": "object"})
    assert [row.used_at for row in schemas_page(acme.id) if row.ref == ref] == [NOW]


def test_under_an_inferred_schema_no_schedule_fits_and_a_pinned_one_takes_them_back(
    alice: Any, sync: Any, db: Any
) -> None:
    schedules = [a_schedule(sync, status, payload_json=FITS, status=status) for status in ("active", "paused")]
    invalid = a_schedule(sync, "invalid", payload_json=FITS, status="invalid")
    sync.draft_schema_mode, sync.draft_trigger = "inferred", ON_PAID

    preview = publish_preview(alice.tenant_id, sync.id)
    published = publish(alice, sync)

    assert (published.rebound, published.invalidated, published.recovered) == (0, 2, 0)
    assert [one.name for one in preview.newly_invalid] == ["active", "paused"]
    assert [one.name for one in preview.still_invalid] == ["invalid"]
    assert {of(one).status for one in (*schedules, invalid)} == {"invalid"}
    assert "pinned payload schema" in of(schedules[0]).invalid_reason
    fire_due(ELEVEN)
    assert set(db.scalars(select(Occurrence.outcome).where(Occurrence.scheduled_for == ELEVEN))) == {"refused"}

    sync.draft_schema_mode, sync.draft_trigger = "pinned", None
    assert publish(alice, sync, ELEVEN + timedelta(minutes=1)).recovered == 3
    assert {of(one).status for one in (*schedules, invalid)} == {"paused"}


def test_the_schema_of_the_event_is_frozen_with_the_version_that_maps_it(alice: Any, acme: Any, sync: Any) -> None:
    sync.draft_trigger = ON_PAID | {"payloadMapping": {"region": "eu"}}

    publish(alice, sync)

    assert {row.ref: row.used_at for row in schemas_page(acme.id)} == {WIDE: NOW, NARROW: NOW}


def test_a_cycle_of_calls_through_published_versions_is_refused(alice: Any, acme: Any, sync: Any) -> None:
    def calling(key: str) -> dict[str, Any]:
        return {"steps": [{"id": "call", "type": "control.callWorkflow", "workflowKey": key}]}

    a_version(a_workflow(acme, "Second", draft_definition=calling("third")))
    a_version(a_workflow(acme, "Third", draft_definition=calling("invoice-sync")))
    sync.draft_definition = calling("second")

    (problem,) = draft_problems(sync)

    assert (problem.path, problem.code) == ("root.steps[0]", "WORKFLOW_CALL_CYCLE")
    assert "invoice-sync → second → third → invoice-sync" in problem.message


def test_a_preview_holds_every_problem_with_its_place_and_suggestion(alice: Any, acme: Any, sync: Any) -> None:
    sync.draft_trigger = ON_PAID | {"eventName": "invoice.payd", "payloadMapping": {"region": "eu"}}
    sync.draft_definition = {"steps": [
        {"id": "a", "type": "control.retrun"},
        {"id": "b", "type": "control.return", "value": {"$expr": "totl"}},
    ]}  # fmt: skip

    preview = publish_preview(acme.id, sync.id)

    assert [(one.severity, one.step_path, one.step_id, one.code, one.suggestion) for one in preview.found] == [
        ("error", "event_name", None, "UNKNOWN_TRIGGER_EVENT", "Did you mean invoice.paid?"),
        ("error", "root.steps[0]", "a", "UNKNOWN_NODE_TYPE", "Did you mean control.return?"),
        ("warning", "root.steps[1]", "b", "UNKNOWN_REFERENCE", None),
    ]
    assert [problem.code for problem in preview.problems] == ["UNKNOWN_TRIGGER_EVENT", "UNKNOWN_NODE_TYPE"]
    assert [problem.code for problem in preview.warnings] == ["UNKNOWN_REFERENCE"]


def test_a_preview_shows_what_changes_against_what_runs(alice: Any, acme: Any, sync: Any) -> None:
    sync.draft_definition = {"steps": []}

    preview = publish_preview(acme.id, sync.id)

    assert preview.changes is not None
    assert [change.name for change in preview.changes.settings] == ["payloadSchemaRef"]
    assert any(line.kind == "removed" for hunk in preview.changes.hunks for line in hunk)
    assert publish_preview(acme.id, a_workflow(acme, "First").id).changes is None


def test_a_warning_does_not_stop_publishing(alice: Any, acme: Any, sync: Any) -> None:
    sync.draft_definition = {"steps": [{"id": "a", "type": "control.return", "value": {"$expr": "totl"}}]}

    assert [problem.code for problem in publish_preview(acme.id, sync.id).warnings] == ["UNKNOWN_REFERENCE"]
    assert publish(alice, sync).version == 2
