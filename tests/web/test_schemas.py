"""The page of payload schemas under Settings."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import select

from domain.accounts.tenants import Tenant
from domain.workflows.payload_schemas import PayloadSchema, register_schema, use_schema
from tests.factories import NOW, a_workflow, an_actor
from tests.web.cast import Browser

REF = "payload.InvoiceSync.v1"
SCHEMA = {"type": "object", "properties": {"region": {"type": "string"}}}


@pytest.fixture
def registered(acme: Tenant, db: Any) -> PayloadSchema:
    schema = register_schema(an_actor(acme), REF, SCHEMA, NOW)
    db.commit()
    return schema


def test_the_built_in_schemas_are_listed_and_can_be_read(bob: Browser) -> None:
    page = bob.get("/settings/schemas").text

    for ref in ("payload.Empty.v1", "trigger.clock.v1", "payload.WorkflowClockTrigger.v1"):
        assert f"/settings/schemas/built-in?ref={ref}" in page
        assert bob.get(f"/settings/schemas/built-in?ref={ref}").status_code == 200
    assert "scheduledFor" in bob.get("/settings/schemas/built-in?ref=trigger.clock.v1").text
    assert bob.get("/settings/schemas/built-in?ref=payload.None.v1").status_code == 404


def test_a_schema_is_registered_and_found(alice: Browser, db: Any) -> None:
    answer = alice.post("/settings/schemas", {"ref": REF, "schema": json.dumps(SCHEMA)})

    assert (answer.status_code, answer.location) == (303, "/settings/schemas")
    assert db.scalars(select(PayloadSchema.schema)).one() == SCHEMA
    assert REF in alice.get("/settings/schemas?q=invoice", htmx=True).text
    assert REF not in alice.get("/settings/schemas?q=other", htmx=True).text


@pytest.mark.parametrize(
    ("ref", "schema", "said"),
    [
        ("Invoice Sync", "{}", "payload.InvoiceSync.v1: letters"),
        (REF, '{"type": "object"', "not valid JSON"),
        (REF, '{"type": "strange"}', "/type"),
        (REF, '{"$ref": "https://example.com/x.json"}', "$ref"),
        (REF, '{"type": "object", "x-secret": true}', "A payload cannot be secret as a whole"),
    ],
)
def test_a_refused_schema_keeps_what_was_typed(alice: Browser, db: Any, ref: str, schema: str, said: str) -> None:
    for htmx in (False, True):
        answer = alice.post("/settings/schemas", {"ref": ref, "schema": schema}, htmx=htmx)
        assert answer.status_code == 422
        assert said in answer.text.replace("&#39;", "'")
        assert ref in answer.text and schema.replace('"', "&#34;") in answer.text
    assert db.scalars(select(PayloadSchema)).all() == []


def test_an_unused_schema_can_be_replaced_and_deleted(alice: Browser, registered: PayloadSchema, db: Any) -> None:
    address = f"/settings/schemas/{registered.id}"
    assert alice.post(f"{address}/replace", {"schema": '{"type": "object"}'}).status_code == 303
    assert db.scalars(select(PayloadSchema.schema)).one() == {"type": "object"}

    assert alice.post(f"{address}/delete").status_code == 303
    assert db.scalars(select(PayloadSchema)).all() == []


def test_a_used_schema_says_that_it_never_changes(
    alice: Browser, registered: PayloadSchema, acme: Tenant, db: Any
) -> None:
    use_schema(acme.id, REF, NOW)
    db.commit()
    address = f"/settings/schemas/{registered.id}"

    page = alice.get(address).text
    assert "it never changes" in page and f"{address}/delete" not in page
    replaced = alice.post(f"{address}/replace", {"schema": '{"type": "object"}'}, htmx=True)
    assert replaced.status_code == 422 and "cannot be changed" in replaced.text
    assert alice.post(f"{address}/delete").status_code == 422
    assert db.scalars(select(PayloadSchema.schema)).one() == SCHEMA


def test_a_schema_that_a_draft_names_is_not_deleted_and_the_draft_is_named(
    alice: Browser, registered: PayloadSchema, acme: Tenant, db: Any
) -> None:
    a_workflow(acme, draft_schema_ref=REF)
    db.commit()

    answer = alice.post(f"/settings/schemas/{registered.id}/delete", htmx=True)

    assert answer.status_code == 422
    assert "The draft of Invoice sync names it" in answer.text


def test_a_viewer_may_read_and_change_nothing(bob: Browser, registered: PayloadSchema) -> None:
    page = bob.get(f"/settings/schemas/{registered.id}").text

    assert "region" in page
    assert "/replace" not in page and "/delete" not in page
    assert "/settings/schemas/new" not in bob.get("/settings/schemas").text


def test_another_tenant_finds_nothing(charlie: Browser, registered: PayloadSchema) -> None:
    assert REF not in charlie.get("/settings/schemas").text
    assert charlie.get(f"/settings/schemas/{registered.id}").status_code == 404
