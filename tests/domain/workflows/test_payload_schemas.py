"""The registry of payload schemas: built-ins, strict refs, and that a used one never changes."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from domain.accounts.audit import AuditEntry
from domain.kernel.errors import NotFound, Refused
from domain.workflows.built_in_schemas import BUILT_IN, CLOCK_SCHEMA
from domain.workflows.payload_schemas import (
    PayloadSchema,
    built_in_rows,
    delete_schema,
    parse_ref,
    register_schema,
    replace_schema,
    schema_of,
    schema_refs,
    schemas_page,
    stored_schema,
    use_schema,
)
from domain.workflows.schema_rules import check_schema, payload_problems
from tests.factories import NOW, a_tenant, a_user, a_workflow, an_actor

REF = "payload.InvoiceSync.v1"
SCHEMA = {"type": "object", "properties": {"region": {"type": "string"}}, "required": ["region"]}


@pytest.fixture
def acme(db: Any) -> Any:
    return a_tenant("acme")


@pytest.fixture
def alice(acme: Any) -> Any:
    return an_actor(acme, a_user(acme, "alice@acme.test", "admin"))


def a_clock(**values: Any) -> dict[str, Any]:
    zero = "00000000-0000-7000-8000-000000000000"
    payload = {"triggerType": "recurring", "scheduleId": zero, "scheduledFor": "2026-03-02T10:00:00Z",
        "firedAt": "2026-03-02T10:00:01Z", "timezone": "UTC", "workflowId": zero, "workflowVersion": 1,
        "cron": "0 * * * *"} | values  # fmt: skip
    return {key: value for key, value in payload.items() if value is not None}


@pytest.mark.parametrize("ref", BUILT_IN)
def test_built_in_schemas_pass_the_rules_for_schemas(ref: str) -> None:
    check_schema(BUILT_IN[ref])


def test_the_empty_schema_takes_an_empty_object_and_nothing_else() -> None:
    empty = BUILT_IN["payload.Empty.v1"]

    assert payload_problems(empty, {}) == []
    assert [payload_problems(empty, other) != [] for other in ({"a": 1}, [], None, "")] == [True] * 4


@pytest.mark.parametrize(
    ("payload", "fits"),
    [
        (a_clock(), True),
        (a_clock(cron=None), False),
        (a_clock(triggerType="schedule", cron=None), True),
        (a_clock(triggerType="schedule"), False),
        (a_clock(triggerType="manual", cron=None), True),
        (a_clock(triggerType="manual"), True),
        (a_clock(triggerType="event", cron=None), False),
        (a_clock(scheduleName="Morning sync"), False),
        (a_clock(workflowVersion=0), False),
        (a_clock(timezone=""), False),
        (a_clock(scheduledFor="yesterday"), False),
    ],
)
def test_the_clock_contract_is_strict(payload: dict[str, Any], fits: bool) -> None:
    assert (payload_problems(CLOCK_SCHEMA, payload) == []) is fits


@pytest.mark.parametrize(
    "ref",
    ["", "InvoiceSync", "payload.InvoiceSync", "payload..v1", "payload.Invoice-Sync.v1", "payload.X.v0", "payload.X.v01",
     "payload.X.V1", "Payload.X.v1", "payload.X.v1.v2", "payload.1X.v1", "payload.Ä.v1", "payload.X.v١", "payload.X.v1\nx",
     "trigger.clock.v1", "payload.Empty.v1", "payload.WorkflowClockTrigger.v1"],
)  # fmt: skip
def test_a_ref_is_payload_a_name_and_a_version(ref: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_ref(ref)

    assert [problem.path for problem in refused.value.problems] == ["ref"]


def test_a_registered_schema_is_found_by_its_ref_in_its_tenant_only(alice: Any, acme: Any) -> None:
    register_schema(alice, f" {REF} ", SCHEMA, NOW)
    other = a_tenant("umbrella")

    assert schema_of(acme.id, REF) == SCHEMA
    assert schema_refs(acme.id) == [*BUILT_IN, REF]
    assert schema_refs(other.id) == [*BUILT_IN]
    with pytest.raises(Refused) as refused:
        schema_of(other.id, REF)
    assert refused.value.problems[0].code == "UNKNOWN_PAYLOAD_SCHEMA_REF"


def test_a_ref_is_registered_once(alice: Any) -> None:
    register_schema(alice, REF, SCHEMA, NOW)

    with pytest.raises(Refused) as refused:
        register_schema(alice, REF, {"type": "object"}, NOW)

    assert refused.value.problems[0].code == "SCHEMA_REF_TAKEN"


def test_a_wrong_ref_and_a_wrong_schema_are_told_together(alice: Any) -> None:
    with pytest.raises(Refused) as refused:
        register_schema(alice, "nonsense", {"properties": {"a": {"type": "strange"}}}, NOW)

    assert [problem.path.split("/")[0] for problem in refused.value.problems][:2] == ["ref", "schema"]


def test_fields_may_be_secret_but_not_the_whole_payload(alice: Any) -> None:
    schema = {"type": "object", "properties": {"token": {"type": "string", "x-secret": True}}}
    assert register_schema(alice, REF, schema, NOW).schema == schema

    with pytest.raises(Refused) as refused:
        register_schema(alice, "payload.Whole.v1", {"type": "object", "x-secret": True}, NOW)

    assert [(p.path, p.code) for p in refused.value.problems] == [("schema", "SCHEMA_SECRET_ROOT")]


def test_a_schema_may_be_replaced_until_a_version_was_made_with_it(alice: Any, acme: Any) -> None:
    stored = register_schema(alice, REF, SCHEMA, NOW)
    replace_schema(alice, stored.id, {"type": "object"}, NOW)
    assert use_schema(acme.id, REF, NOW) == {"type": "object"}

    with pytest.raises(Refused) as refused:
        replace_schema(alice, stored.id, SCHEMA, NOW)

    assert refused.value.problems[0].code == "SCHEMA_IN_USE"
    assert schema_of(acme.id, REF) == {"type": "object"}


def test_the_database_itself_refuses_to_change_a_used_schema(alice: Any, acme: Any, db: Any) -> None:
    register_schema(alice, REF, SCHEMA, NOW)
    use_schema(acme.id, REF, NOW)

    with pytest.raises(IntegrityError, match="never changes"):
        db.execute(text("""UPDATE payload_schemas SET schema = '{"type": "object"}'"""))


def test_using_a_schema_again_keeps_when_it_was_first_used(alice: Any, acme: Any) -> None:
    stored = register_schema(alice, REF, SCHEMA, NOW)
    use_schema(acme.id, REF, NOW)
    use_schema(acme.id, REF, NOW.replace(year=2027))

    assert stored_schema(acme.id, stored.id).used_at == NOW


def test_a_used_schema_or_one_that_a_draft_names_is_not_deleted(alice: Any, acme: Any) -> None:
    stored = register_schema(alice, REF, SCHEMA, NOW)
    workflow = a_workflow(acme, draft_schema_ref=REF)
    with pytest.raises(Refused, match="Invoice sync"):
        delete_schema(alice, stored.id)
    workflow.draft_schema_ref = "payload.Empty.v1"
    use_schema(acme.id, REF, NOW)

    with pytest.raises(Refused, match="cannot be deleted"):
        delete_schema(alice, stored.id)


def test_a_schema_that_a_draft_s_trigger_names_is_not_deleted(alice: Any, acme: Any) -> None:
    stored = register_schema(alice, REF, SCHEMA, NOW)
    a_workflow(acme, draft_trigger={"type": "event", "eventName": "x", "sourcePayloadSchemaRef": REF})

    with pytest.raises(Refused, match="Invoice sync"):
        delete_schema(alice, stored.id)
    assert [row.drafts for row in schemas_page(acme.id)] == [1]


def test_an_unused_schema_can_be_deleted_and_what_it_said_stays_on_record(alice: Any, db: Any) -> None:
    stored = register_schema(alice, REF, SCHEMA, NOW)

    delete_schema(alice, stored.id)

    assert db.scalars(select(PayloadSchema)).all() == []
    entries = db.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
    assert [entry.action for entry in entries] == ["payload_schema.registered", "payload_schema.deleted"]
    assert entries[1].before == {"ref": REF, "schema": SCHEMA}


def test_strangers_find_no_schema_by_id(alice: Any) -> None:
    stored = register_schema(alice, REF, SCHEMA, NOW)
    other = a_tenant("umbrella")
    charlie = an_actor(other, a_user(other, "charlie@umbrella.test", "admin"))

    for command in (lambda: delete_schema(charlie, stored.id), lambda: replace_schema(charlie, stored.id, {}, NOW)):
        with pytest.raises(NotFound):
            command()


def test_the_list_goes_on_behind_the_last_ref_and_counts_drafts(alice: Any, acme: Any) -> None:
    for name in ("C", "A", "B"):
        register_schema(alice, f"payload.{name}.v1", SCHEMA, NOW)
    a_workflow(acme, draft_schema_ref="payload.B.v1")

    first = schemas_page(acme.id, limit=2)
    rest = schemas_page(acme.id, after=first[-1].ref)

    assert [(row.ref, row.drafts) for row in first + rest] == [
        ("payload.A.v1", 0), ("payload.B.v1", 1), ("payload.C.v1", 0),
    ]  # fmt: skip
    assert [row.ref for row in schemas_page(acme.id, q="D.c.")] == ["payload.C.v1"]
    assert schemas_page(acme.id, q="%") == []
    assert [row.ref for row in built_in_rows("clock")] == ["trigger.clock.v1", "payload.WorkflowClockTrigger.v1"]
