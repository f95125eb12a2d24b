"""Creating a workflow and saving its draft: what is refused, what is kept, and who is told about a conflict."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from domain.accounts.audit import AuditEntry
from domain.kernel.errors import Conflict, NotFound, Refused
from domain.workflows.drafts import create_workflow, fields_of, key_from, save_draft
from domain.workflows.workflows import Workflow, workflow_of
from tests.factories import NOW, a_tenant, a_user, a_workflow, an_actor

ON_PAID = {"type": "event", "eventName": "invoice.paid"}
BAD_TRIGGER = {"type": "event", "eventName": " ", "payloadMapping": [], "sourcePayloadSchemaRef": "payload.Absent.v1"}

pytestmark = pytest.mark.usefixtures("db")


@pytest.fixture
def acme(db: Any) -> Any:
    return a_tenant("acme")


@pytest.fixture
def alice(acme: Any) -> Any:
    return an_actor(acme, a_user(acme, "alice@acme.test", "admin"))


def save(actor: Any, workflow: Workflow, revision: int | None = None, **changes: Any) -> Workflow:
    fields = replace(fields_of(workflow), **changes)
    return save_draft(actor, workflow.id, revision or workflow.revision, fields, NOW + timedelta(minutes=1))


def paths(refusal: Refused) -> list[str]:
    return [problem.path for problem in refusal.problems]


def test_a_new_workflow_takes_one_run_at_a_time_no_payload_and_has_a_step_to_begin_with(alice: Any) -> None:
    made = create_workflow(alice, "  Größe messen ", NOW)

    assert (made.name, made.key) == ("Größe messen", "groe-messen")
    assert (made.concurrency_limit, made.draft_schema_ref, made.draft_version) == (1, "payload.Empty.v1", 1)
    assert made.published_version is None
    assert [step["type"] for step in made.draft_definition["steps"]] == ["action.call"]


@pytest.mark.parametrize(
    ("name", "key"),
    [("Invoice sync", "invoice-sync"), ("  A -- b ", "a-b"), ("日本語", "workflow"), ("Crème brûlée", "creme-brulee")],
)
def test_a_key_resembles_the_name(name: str, key: str) -> None:
    assert key_from(name) == key


def test_a_key_made_from_the_name_gets_a_number_when_it_is_taken(alice: Any) -> None:
    assert [create_workflow(alice, "Sync", NOW).key for _ in range(3)] == ["sync", "sync-2", "sync-3"]


def test_a_typed_key_that_is_taken_is_refused_and_changes_nothing(alice: Any, db: Any) -> None:
    create_workflow(alice, "Sync", NOW, key="sync")

    with pytest.raises(Refused) as refused:
        create_workflow(alice, "Other", NOW, key="sync")

    assert paths(refused.value) == ["key"]
    assert db.scalars(select(Workflow.name)).all() == ["Sync"]


def test_the_key_of_a_deleted_workflow_is_free_again(alice: Any, acme: Any) -> None:
    a_workflow(acme, "Sync", deleted_at=NOW)

    assert create_workflow(alice, "Sync", NOW).key == "sync"


def test_two_tenants_may_use_the_same_key(alice: Any) -> None:
    other = a_tenant("umbrella")
    charlie = an_actor(other, a_user(other, "charlie@umbrella.test", "admin"))

    assert create_workflow(alice, "Sync", NOW).key == create_workflow(charlie, "Sync", NOW).key == "sync"


def test_every_wrong_field_is_named_at_once(alice: Any, acme: Any) -> None:
    workflow = a_workflow(acme)

    with pytest.raises(Refused) as refused:
        save(
            alice,
            workflow,
            name="",
            description="a\x00b",
            key="Not A Key",
            trigger=BAD_TRIGGER,
            schema_mode="odd",
            schema_ref="payload.Absent.v1",
            concurrency_limit=0,
            failure_rate_threshold=1.5,
            failure_rate_min_runs=0,
            retention_policy_override={"days": 0},
            definition_text="{",
        )

    assert paths(refused.value) == [
        "name", "description", "key", "event_name", "mapping", "source_schema_ref", "schema_mode", "schema_ref",
        "concurrency_limit", "failure_rate_threshold", "failure_rate_min_runs", "retention_days", "definition",
    ]  # fmt: skip
    assert workflow_of(acme.id, workflow.id).revision == 1


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "JSON_INVALID"),
        ("{", "JSON_INVALID"),
        ("[]", "INVALID_WORKFLOW_DEFINITION"),
        ('{"steps": [], "steps": []}', "JSON_DUPLICATE_KEY"),
        ('{"steps": [NaN]}', "JSON_NUMBER"),
        ('{"steps": ' + "[" * 70 + "]" * 70 + "}", "JSON_TOO_DEEP"),
        ('{"steps": ["' + "x" * 260_000 + '"]}', "JSON_TOO_LARGE"),
        ('{"steps": [], "trigger": {"type": "recurring", "cron": "0 9 * * *"}}', "TIME_TRIGGER_IN_DEFINITION"),
        (
            '{"steps": [], "trigger": {"type": "schedule", "runAt": "2030-01-01T00:00:00Z"}}',
            "TIME_TRIGGER_IN_DEFINITION",
        ),
        ('{"steps": [], "trigger": {"type": "event", "eventName": "x"}}', "TRIGGER_IN_SETTINGS"),
    ],
)
def test_a_definition_is_a_strict_json_object_without_a_trigger(alice: Any, acme: Any, text: str, code: str) -> None:
    with pytest.raises(Refused) as refused:
        save(alice, a_workflow(acme), definition_text=text)

    assert [(p.path.partition("/")[0], p.code) for p in refused.value.problems] == [("definition", code)]


@pytest.mark.parametrize(
    "trigger",
    [
        ON_PAID,
        ON_PAID | {"sourcePayloadSchemaRef": "payload.Empty.v1", "payloadMapping": {"a.b": {"$expr": ""}}},
        None,
    ],
)
def test_a_trigger_is_kept_as_it_is_set_even_if_its_mapping_is_not_done(alice: Any, acme: Any, trigger: Any) -> None:
    workflow = a_workflow(acme, draft_trigger=ON_PAID | {"eventName": "something.else"})

    saved = save(alice, workflow, trigger=trigger)

    assert (saved.draft_trigger, saved.revision) == (trigger, 2)
    assert saved.event_name is None
    assert saved.content_changed_at == NOW + timedelta(minutes=1)


def test_what_a_trigger_leaves_empty_is_not_kept(alice: Any, acme: Any) -> None:
    typed = {"type": "event", "eventName": " invoice.paid ", "sourcePayloadSchemaRef": "", "payloadMapping": {}}

    assert save(alice, a_workflow(acme), trigger=typed).draft_trigger == ON_PAID


@pytest.mark.parametrize(
    ("trigger", "path", "code"),
    [
        ({"type": "recurring", "cron": "0 9 * * *"}, "trigger_type", "TIME_TRIGGER_IN_DEFINITION"),
        ({"type": "schedule", "runAt": "2030-01-01T00:00:00Z"}, "trigger_type", "TIME_TRIGGER_IN_DEFINITION"),
        ({"type": "webhook"}, "trigger_type", "TRIGGER_INVALID"),
        ("event", "trigger_type", "TRIGGER_INVALID"),
        (ON_PAID | {"cron": "0 9 * * *"}, "trigger_type", "TRIGGER_INVALID"),
        ({"type": "event"}, "event_name", "EVENT_NAME_REQUIRED"),
        (ON_PAID | {"eventName": "x" * 129}, "event_name", "EVENT_NAME_INVALID"),
        (ON_PAID | {"eventName": "a\x00b"}, "event_name", "EVENT_NAME_INVALID"),
        (ON_PAID | {"sourcePayloadSchemaRef": 7}, "source_schema_ref", "UNKNOWN_PAYLOAD_SCHEMA_REF"),
        (ON_PAID | {"sourcePayloadSchemaRef": "payload.No.v1"}, "source_schema_ref", "UNKNOWN_PAYLOAD_SCHEMA_REF"),
        (ON_PAID | {"payloadMapping": "x"}, "mapping", "TRIGGER_MAPPING_INVALID"),
        (ON_PAID | {"payloadMapping": {"a": "\x00"}}, "mapping/a", "JSON_TEXT"),
        (ON_PAID | {"payloadMapping": {"a": "x" * 70_000}}, "mapping", "JSON_TOO_LARGE"),
    ],
)
def test_a_trigger_that_is_none_or_tells_time_is_refused_at_its_field(
    alice: Any, acme: Any, trigger: Any, path: str, code: str
) -> None:
    with pytest.raises(Refused) as refused:
        save(alice, a_workflow(acme), trigger=trigger)

    assert [(problem.path, problem.code) for problem in refused.value.problems] == [(path, code)]


def test_a_time_trigger_is_answered_with_schedules(alice: Any, acme: Any) -> None:
    workflow = a_workflow(acme)

    with pytest.raises(Refused, match="create a schedule"):
        save(alice, workflow, trigger={"type": "recurring"})
    with pytest.raises(Refused, match="create a schedule"):
        save(alice, workflow, definition_text='{"steps": [], "trigger": {"type": "recurring"}}')


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("failure_rate_threshold", 0.0),
        ("failure_rate_threshold", -0.5),
        ("failure_rate_threshold", float("nan")),
        ("failure_rate_threshold", True),
        ("failure_rate_min_runs", 1_001),
        ("failure_rate_min_runs", True),
        ("concurrency_limit", 1_001),
        ("retention_policy_override", {"days": "7"}),
        ("retention_policy_override", {"days": 7, "weeks": 1}),
        ("retention_policy_override", {}),
        ("retention_policy_override", 7),
        ("retention_policy_override", {"days": 3_651}),
    ],
)
def test_a_setting_out_of_bounds_is_refused_at_its_field(alice: Any, acme: Any, field: str, value: Any) -> None:
    with pytest.raises(Refused) as refused:
        save(alice, a_workflow(acme), **{field: value})

    assert paths(refused.value) == [field.replace("retention_policy_override", "retention_days")]


def test_settings_of_operation_are_kept_and_are_no_content(alice: Any, acme: Any) -> None:
    changes = {
        "auto_pause_on_failure": True,
        "failure_rate_threshold": 1,
        "failure_rate_min_runs": 20,
        "retention_policy_override": {"days": 30},
    }

    saved = save(alice, a_workflow(acme), **changes)

    assert {name: getattr(saved, name) for name in changes} == changes
    assert (saved.revision, saved.content_changed_at) == (2, NOW)


def test_a_draft_need_not_be_fit_to_publish(alice: Any, acme: Any) -> None:
    saved = save(alice, a_workflow(acme), definition_text='{"steps": [{"type": "what.ever"}]}')

    assert saved.draft_definition == {"steps": [{"type": "what.ever"}]}
    assert saved.revision == 2


def test_saving_twice_from_the_same_revision_is_a_conflict_and_keeps_the_first(alice: Any, acme: Any) -> None:
    workflow = a_workflow(acme)
    save(alice, workflow, revision=1, name="First")

    with pytest.raises(Conflict):
        save(alice, workflow, revision=1, name="Second")

    assert workflow_of(acme.id, workflow.id).name == "First"


def test_saving_what_is_stored_already_changes_nothing(alice: Any, acme: Any, db: Any) -> None:
    workflow = a_workflow(acme)

    saved = save(alice, workflow)

    assert (saved.revision, saved.content_changed_at) == (1, NOW)
    assert db.scalars(select(AuditEntry)).all() == []


def test_a_change_of_true_to_one_is_a_change(alice: Any, acme: Any) -> None:
    workflow = a_workflow(acme, draft_definition={"steps": [], "x": True})

    assert save(alice, workflow, definition_text='{"steps": [], "x": 1}').revision == 2


def test_the_limit_is_no_content_and_may_be_taken_off(alice: Any, acme: Any) -> None:
    saved = save(alice, a_workflow(acme, concurrency_limit=1), concurrency_limit=None)

    assert (saved.concurrency_limit, saved.revision, saved.content_changed_at) == (None, 2, NOW)


def test_saving_writes_who_changed_what(alice: Any, acme: Any, db: Any) -> None:
    save(alice, a_workflow(acme), name="Invoices")

    entry = db.scalars(select(AuditEntry)).one()
    assert (entry.action, entry.actor_id, entry.subject_label) == ("workflow.saved", alice.user_id, "Invoices")
    assert (entry.before, entry.after) == ({"name": "Invoice sync"}, {"name": "Invoices"})


def test_a_stranger_can_neither_see_nor_save_it(acme: Any) -> None:
    workflow = a_workflow(acme)
    other = a_tenant("umbrella")
    charlie = an_actor(other, a_user(other, "charlie@umbrella.test", "admin"))

    with pytest.raises(NotFound):
        workflow_of(other.id, workflow.id)
    with pytest.raises(NotFound):
        save(charlie, workflow, name="Mine")


def test_the_database_refuses_two_living_workflows_with_one_key(acme: Any) -> None:
    a_workflow(acme, "One", key="same")

    with pytest.raises(IntegrityError):
        a_workflow(acme, "Two", key="same")
