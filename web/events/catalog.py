"""The catalogue of events: which there are, what each carries, and who is interested in it."""

from __future__ import annotations

from uuid import UUID

from flask import render_template, request, url_for
from flask.typing import ResponseReturnValue

from domain.events.event_types import (
    delete_event_type,
    edit_event_type,
    event_type_of,
    event_types_page,
    register_event_type,
)
from domain.events.events import EventType
from domain.events.uses import event_uses
from domain.kernel.db import transaction
from domain.kernel.errors import Refused
from domain.workflows.payload_schemas import is_clock_ref, schema_of, schema_refs
from web.access import actor, is_fragment, request_now, requires
from web.answers import done, show_dialog
from web.asked import asked_text
from web.events.frame import blueprint, tenant_id
from web.forms.events import EventTypeForm

PAGE_SIZE, USES_LISTED = 50, 50
TITLE = "Add an event"


@blueprint.get("/types")
@requires("workflow:read")
def list_types() -> ResponseReturnValue:
    q, after = asked_text("q"), asked_text("after") or None
    rows = event_types_page(tenant_id(), q, after, PAGE_SIZE + 1)
    shown = {
        "rows": rows[:PAGE_SIZE],
        "next_after": rows[PAGE_SIZE - 1].name if len(rows) > PAGE_SIZE else None,
        "q": q,
        "after": after,
    }
    return render_template("events/_types.html" if is_fragment() else "events/types.html", **shown)


@blueprint.get("/types/new")
@requires("workflow:publish")
def new_type() -> ResponseReturnValue:
    return _dialog(EventTypeForm(), None)


@blueprint.post("/types")
@requires("workflow:publish")
def add_type() -> ResponseReturnValue:
    form = EventTypeForm(request.form)
    try:
        with transaction():
            made = register_event_type(
                actor(), form.name.data or "", form.description.data or "", form.payload_schema_ref.data or "",
                request_now(),
            )  # fmt: skip
            event_type_id, name = made.id, made.name
    except Refused as refusal:
        form.attach(refusal.problems)
        return _dialog(form, None, 422)
    return done(_address(event_type_id), f"{name} is in the catalogue. Workflows can be started by it and wait for it.")


@blueprint.get("/types/<uuid:event_type_id>")
@requires("workflow:read")
def show_type(event_type_id: UUID) -> ResponseReturnValue:
    entry = event_type_of(tenant_id(), event_type_id)
    schema = schema_of(tenant_id(), entry.payload_schema_ref)
    uses = event_uses(tenant_id(), entry.name, USES_LISTED)
    return render_template("events/type.html", entry=entry, schema=schema, uses=uses)


@blueprint.get("/types/<uuid:event_type_id>/edit")
@requires("workflow:publish")
def edit_type(event_type_id: UUID) -> ResponseReturnValue:
    entry = event_type_of(tenant_id(), event_type_id)
    return _dialog(EventTypeForm(obj=entry), entry)


@blueprint.post("/types/<uuid:event_type_id>/edit")
@requires("workflow:publish")
def save_type(event_type_id: UUID) -> ResponseReturnValue:
    form = EventTypeForm(request.form)
    try:
        with transaction():
            name = edit_event_type(
                actor(), event_type_id, form.description.data or "", form.payload_schema_ref.data or "", request_now()
            ).name
    except Refused as refusal:
        form.attach(refusal.problems)
        return _dialog(form, event_type_of(tenant_id(), event_type_id), 422)
    return done(_address(event_type_id), f"{name} was saved.")


@blueprint.post("/types/<uuid:event_type_id>/delete")
@requires("workflow:publish")
def delete_type(event_type_id: UUID) -> ResponseReturnValue:
    with transaction():
        name = event_type_of(tenant_id(), event_type_id).name
        delete_event_type(actor(), event_type_id)
    return done(url_for("events.list_types"), f"{name} was deleted. The events that came stay readable.")


def _address(event_type_id: UUID) -> str:
    return url_for("events.show_type", event_type_id=event_type_id)


def _dialog(form: EventTypeForm, entry: EventType | None, status: int = 200) -> ResponseReturnValue:
    # A clock is not what an event carries.
    form.offer_schemas([ref for ref in schema_refs(tenant_id()) if not is_clock_ref(ref)])
    title = f"Edit {entry.name}" if entry else TITLE
    return show_dialog("events/_type_form.html", title, status, form=form, entry=entry)
