"""An event sent by hand: the dialog with its payload, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import render_template, request, url_for
from flask.typing import ResponseReturnValue

from domain.accounts.secrets import secret_names
from domain.events.event_types import event_type_choices, known_event_type
from domain.events.events import BY_HAND, REFUSED, RESUMED, STARTED
from domain.events.ingest import delivery_counts, ingest_event
from domain.kernel.db import transaction
from domain.kernel.errors import Conflict, Refused
from domain.kernel.ids import new_id
from domain.workflows.payload_schemas import schema_of
from web.access import actor, request_now, requires
from web.answers import done, show_dialog
from web.asked import asked_text, request_key
from web.events.frame import address_of, blueprint, tenant_id
from web.forms.events import SendForm
from web.forms.payloads import PayloadEditor

ANY_OBJECT = {"type": "object"}


@blueprint.get("/new")
@requires("workflow:manage")
def new() -> ResponseReturnValue:
    form = SendForm(data={"request_key": str(new_id()), "name": asked_text("name")})
    _offer(form)
    return _dialog(form, _fresh(form.name.data))


@blueprint.post("/payload")
@requires("workflow:manage")
def payload() -> ResponseReturnValue:
    """The payload part for the event that was chosen; what someone wrote into it stays."""
    name = request.form.get("name", "")
    editor = _moved(_posted(name), name)
    editor.attach(editor.problems if editor.is_form else ())
    return render_template("payloads/_fragment.html", editor=editor, fragment_url=url_for("events.payload"))


@blueprint.post("")
@requires("workflow:manage")
def send() -> ResponseReturnValue:
    form = SendForm(request.form)
    _offer(form)
    editor = _posted(form.name.data)
    if editor.is_rearranged:
        return _dialog(form, editor)
    try:
        editor.check()
        with transaction():
            event = ingest_event(
                actor(),
                form.name.data or "",
                editor.value,
                (form.correlation_key.data or "").strip(),
                f"event:{request_key()}",
                request_now(),
                BY_HAND,
            )
            address, said = address_of(event.id), _said(event.name, delivery_counts(event.id))
    except Refused as refusal:
        editor = _moved(editor, form.name.data)
        form.attach(editor.attach(refusal.problems))
        return _dialog(form, editor, 422)
    except Conflict as conflict:
        form.form_errors.append(conflict.message)
        form.request_key.data = str(new_id())
        return _dialog(form, editor, 409)
    return done(address, said)


def _offer(form: SendForm) -> None:
    """Offer the catalogue; without a choice the first of it is chosen."""
    names = [choice.name for choice in event_type_choices(tenant_id())]
    form.name.data = form.name.data or (names[0] if names else "")
    form.offer_events(names)


def _fresh(name: str) -> PayloadEditor:
    return PayloadEditor(_schema(name), secret_names=secret_names(tenant_id()), drawn_for=name)


def _posted(name: str) -> PayloadEditor:
    """What was posted, read with the schema of the event that the editor was drawn for: of `name` if it does not say."""
    return _read(PayloadEditor.drawn_for_of(request.form) or name)


def _read(name: str) -> PayloadEditor:
    names = secret_names(tenant_id())
    return PayloadEditor.from_form(_schema(name), request.form, secret_names=names, drawn_for=name)


def _moved(editor: PayloadEditor, name: str) -> PayloadEditor:
    """The editor for the event `name`: with its defaults if nothing was written, else with what was.

    What cannot be read stays as it is: a text with the schema of that event, a form with its own.
    """
    if editor.drawn_for == name:
        return editor
    if editor.problems:
        return editor if editor.is_form else _read(name)
    if editor.value in ({}, _fresh(editor.drawn_for).value):
        return _fresh(name)
    names = secret_names(tenant_id())
    return PayloadEditor(_schema(name), editor.value, mode=editor.mode, secret_names=names, drawn_for=name)


def _schema(name: str) -> Any:
    try:
        return schema_of(tenant_id(), known_event_type(tenant_id(), name).payload_schema_ref)
    except Refused:
        return ANY_OBJECT


def _dialog(form: SendForm, editor: PayloadEditor, status: int = 200) -> ResponseReturnValue:
    return show_dialog("events/_send.html", "Send an event", status, form=form, editor=editor)


def _said(name: str, counts: Mapping[str, int]) -> str:
    told = [
        f"{counts[outcome]} {'run' if counts[outcome] == 1 else 'runs'} {outcome}"
        for outcome in (STARTED, RESUMED)
        if counts[outcome]
    ]
    if counts[REFUSED]:
        told.append(f"{counts[REFUSED]} refused")
    return f"{name} was taken: {', '.join(told) or 'nobody was interested in it'}."
