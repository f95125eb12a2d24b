"""Payload schemas over HTTP: the registry by ref, those that are built in first."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from flask import Response, url_for

from domain.kernel.db import transaction
from domain.kernel.errors import Refused
from domain.workflows.built_in_schemas import BUILT_IN
from domain.workflows.definitions import definition_hash
from domain.workflows.payload_schemas import (
    PayloadSchema,
    SchemaRow,
    built_in_rows,
    delete_schema,
    register_schema,
    registered_schema,
    replace_schema,
    schemas_page,
)
from web.access import actor, member_access, request_now, requires
from web.api import blueprint
from web.api.answering import Json, answered_once, document, instant, page
from web.api.openapi import definitions as shapes
from web.api.openapi.declaring import declared, declared_list
from web.api.openapi.words import text
from web.api.preconditions import check_match
from web.api.reading import check_query, collected, json_body, page_limit, query_text, text_in

READ_ONLY = ("isBuiltIn", "usedAt", "draftCount", "createdAt", "updatedAt")


@blueprint.get("/payload-schemas")
@declared_list("List payload schemas, those that are built in first", shapes.PAYLOAD_SCHEMA_ROW, q=text(128))
@requires("workflow:read")
def list_payload_schemas() -> Response:
    check_query(("q",))
    q, after, limit = collected(lambda: query_text("q"), lambda: query_text("cursor"), page_limit)
    return page(_rows(q, after, limit + 1), limit, _row_document, lambda row: row.ref)


def _rows(q: str, after: str, limit: int) -> list[SchemaRow]:
    built_in = built_in_rows(q)
    refs = [row.ref for row in built_in]
    if after in refs:
        built_in, after = built_in[refs.index(after) + 1 :], ""
    elif after:
        built_in = []
    return [*built_in, *schemas_page(_tenant(), q, after or None, limit)][:limit]


@blueprint.post("/payload-schemas")
@declared(
    "Register a payload schema", shapes.PAYLOAD_SCHEMA, status=201, body=shapes.NEW_PAYLOAD_SCHEMA, needs_body=True
)
@requires("workflow:publish")
def register_payload_schema() -> Response:
    body = json_body(("ref", "schema"), READ_ONLY)
    ref = text_in(body, "ref")

    def act(_key: str) -> tuple[int, Json, str]:
        made = register_schema(actor(), ref, _schema_in(body), request_now())
        return 201, _document(made), url_for("api.show_payload_schema", schema_ref=made.ref)

    return answered_once(act)


@blueprint.get("/payload-schemas/<schema_ref>")
@declared("Read a payload schema", shapes.PAYLOAD_SCHEMA)
@requires("workflow:read")
def show_payload_schema(schema_ref: str) -> Response:
    if schema_ref in BUILT_IN:
        return document(_said(schema_ref, BUILT_IN[schema_ref]))
    return _answer(registered_schema(_tenant(), schema_ref))


@blueprint.patch("/payload-schemas/<schema_ref>")
@declared(
    "Replace a payload schema that nothing was published with",
    shapes.PAYLOAD_SCHEMA,
    body=shapes.PAYLOAD_SCHEMA_CHANGE,
    needs_body=True,
    is_conditional=True,
)
@requires("workflow:publish")
def replace_payload_schema(schema_ref: str) -> Response:
    body = json_body(("schema",), ("ref", *READ_ONLY))
    with transaction():
        stored = _changeable(schema_ref)
        return _answer(replace_schema(actor(), stored.id, _schema_in(body), request_now()))


@blueprint.delete("/payload-schemas/<schema_ref>")
@declared("Delete a payload schema that nothing uses", status=204, is_conditional=True)
@requires("workflow:publish")
def remove_payload_schema(schema_ref: str) -> Response:
    with transaction():
        delete_schema(actor(), _changeable(schema_ref).id)
    return Response(status=204)


def _changeable(ref: str) -> PayloadSchema:
    """One of the tenant's own, held until the transaction ends, and as it was read when the request says that."""
    if ref in BUILT_IN:
        raise Refused.at("ref", f"{ref} is built in and stays as it is. Register one of your own.", "SCHEMA_BUILT_IN")
    stored = registered_schema(_tenant(), ref, lock="change")
    check_match(definition_hash(stored.schema))
    return stored


def _schema_in(body: Mapping[str, Any]) -> Any:
    if "schema" not in body:
        raise Refused.at("schema", "Send the JSON Schema.", "REQUIRED")
    return body["schema"]


def _answer(stored: PayloadSchema) -> Response:
    return document(_document(stored), tag=definition_hash(stored.schema))


def _document(stored: PayloadSchema) -> Json:
    return _said(stored.ref, stored.schema, stored.used_at, stored.created_at, stored.updated_at)


def _said(
    ref: str,
    schema: Any,
    used_at: datetime | None = None,
    created_at: datetime | None = None,
    updated_at: datetime | None = None,
) -> Json:
    return {
        "ref": ref,
        "schema": schema,
        "isBuiltIn": ref in BUILT_IN,
        "usedAt": instant(used_at),
        "createdAt": instant(created_at),
        "updatedAt": instant(updated_at),
    }


def _row_document(row: SchemaRow) -> Json:
    return {
        "ref": row.ref,
        "isBuiltIn": row.is_built_in,
        "usedAt": instant(row.used_at),
        "draftCount": row.drafts,
    }


def _tenant() -> UUID:
    return member_access().tenant.id
