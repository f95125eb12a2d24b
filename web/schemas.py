"""The page of payload schemas: what is built in, what the tenant registered, and what may still change."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from domain.kernel import strict_json
from domain.kernel.db import transaction
from domain.kernel.errors import Refused
from domain.workflows.payload_schemas import (
    built_in_rows,
    built_in_schema,
    delete_schema,
    register_schema,
    replace_schema,
    schemas_page,
    stored_schema,
)
from domain.workflows.samples import STARTER_SCHEMA
from web.access import actor, is_fragment, request_now, requires
from web.answers import done, show_dialog
from web.asked import asked_text
from web.forms.workflows import SchemaForm, typed_json

blueprint = Blueprint("schemas", __name__, url_prefix="/settings/schemas")

PAGE_SIZE = 50


@blueprint.get("")
@requires("workflow:read")
def index() -> ResponseReturnValue:
    q, after = asked_text("q"), asked_text("after") or None
    rows = schemas_page(actor().tenant_id, q, after, PAGE_SIZE + 1)
    shown = {
        "built_in": [] if after else built_in_rows(q),
        "rows": rows[:PAGE_SIZE],
        "next_after": rows[PAGE_SIZE - 1].ref if len(rows) > PAGE_SIZE else None,
        "q": q,
        "after": after,
    }
    return render_template("schemas/_list.html" if is_fragment() else "schemas/index.html", **shown)


@blueprint.get("/new")
@requires("workflow:publish")
def new() -> ResponseReturnValue:
    form = SchemaForm(data={"ref": "payload.", "schema": strict_json.pretty(STARTER_SCHEMA)})
    return show_dialog("schemas/_form.html", "Register a schema", form=form, stored=None)


@blueprint.post("")
@requires("workflow:publish")
def register() -> ResponseReturnValue:
    form = SchemaForm(request.form)
    try:
        with transaction():
            schema = typed_json(form.schema.data, "schema")
            ref = register_schema(actor(), form.ref.data or "", schema, request_now()).ref
    except Refused as refusal:
        form.attach(refusal.problems)
        return show_dialog("schemas/_form.html", "Register a schema", 422, form=form, stored=None)
    return done(url_for("schemas.index"), f"{ref} is registered. Workflows can name it now.")


@blueprint.get("/<uuid:schema_id>")
@requires("workflow:read")
def show(schema_id: UUID) -> ResponseReturnValue:
    stored = stored_schema(actor().tenant_id, schema_id)
    return render_template("schemas/show.html", ref=stored.ref, schema=stored.schema, stored=stored)


@blueprint.get("/built-in")
@requires("workflow:read")
def show_built_in() -> ResponseReturnValue:
    ref = request.args.get("ref", "")
    return render_template("schemas/show.html", ref=ref, schema=built_in_schema(ref), stored=None)


@blueprint.get("/<uuid:schema_id>/replace")
@requires("workflow:publish")
def edit(schema_id: UUID) -> ResponseReturnValue:
    stored = stored_schema(actor().tenant_id, schema_id)
    form = SchemaForm(data={"ref": stored.ref, "schema": strict_json.pretty(stored.schema)})
    return show_dialog("schemas/_form.html", f"Replace {stored.ref}", form=form, stored=stored)


@blueprint.post("/<uuid:schema_id>/replace")
@requires("workflow:publish")
def replace(schema_id: UUID) -> ResponseReturnValue:
    form = SchemaForm(request.form)
    try:
        with transaction():
            schema = typed_json(form.schema.data, "schema")
            ref = replace_schema(actor(), schema_id, schema, request_now()).ref
    except Refused as refusal:
        form.attach(refusal.problems)
        stored = stored_schema(actor().tenant_id, schema_id)
        form.ref.data = stored.ref
        return show_dialog("schemas/_form.html", f"Replace {stored.ref}", 422, form=form, stored=stored)
    return done(url_for("schemas.show", schema_id=schema_id), f"{ref} was replaced.")


@blueprint.post("/<uuid:schema_id>/delete")
@requires("workflow:publish")
def delete(schema_id: UUID) -> ResponseReturnValue:
    with transaction():
        ref = stored_schema(actor().tenant_id, schema_id).ref
        delete_schema(actor(), schema_id)
    return done(url_for("schemas.index"), f"{ref} was deleted.")
