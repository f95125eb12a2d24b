"""The payload in the dialog of a schedule: its editor follows what is chosen to run."""

from __future__ import annotations

from typing import Any

from flask import render_template, request, url_for
from flask.typing import ResponseReturnValue

from domain.accounts.permissions import CHANGE
from domain.kernel.secret_values import shown
from domain.schedules.schedules import Schedule
from web.access import requires_by_kind
from web.forms.payloads import PayloadEditor
from web.forms.schedules import ScheduleForm
from web.payloads import offered_secrets
from web.schedules.frame import blueprint, tenant_id
from web.schedules.targets import Target, drawn_schema, posted_form, typed_target


@blueprint.post("/payload")
@requires_by_kind(CHANGE)
def payload() -> ResponseReturnValue:
    """The payload part for what was typed or chosen; what someone wrote into it stays."""
    form = posted_form()
    target = typed_target(form)
    take_payload(form, target)
    form.attach(target.problems)
    return render_template("schedules/_payload.html", form=form, target=target, is_swap=True)


@blueprint.post("/payload/editor")
@requires_by_kind(CHANGE)
def payload_editor() -> ResponseReturnValue:
    """The editor of the payload after one of its own buttons."""
    form = posted_form()
    target = typed_target(form)
    take_payload(form, target)
    address = url_for("schedules.payload_editor")
    return render_template(
        "payloads/_fragment.html", editor=form.editor, fragment_url=address, note=target.payload_note
    )


def begin_payload(form: ScheduleForm, target: Target, mode: str = "form") -> None:
    """A new payload: what the schema names as defaults. An endpoint gets one only where it declares a schema."""
    form.takes_body = target.takes_body
    form.editor = PayloadEditor(target.schema, mode=mode, **_options(target))
    form.payload_start.data = form.editor.text
    form.has_body.data = bool(target.schema)


def show_payload(form: ScheduleForm, target: Target, stored: Schedule) -> None:
    """The stored payload, secrets masked."""
    if stored.payload_json is None:
        begin_payload(form, target)
        form.has_body.data = False
        return
    form.takes_body, form.has_body.data = target.takes_body, True
    form.editor = PayloadEditor(target.schema, shown(stored.payload_json), **_options(target))


def take_payload(form: ScheduleForm, target: Target) -> None:
    """What was posted: read as it was drawn, shown for `target`. A payload nobody touched begins anew with its schema."""
    drawn_for = PayloadEditor.drawn_for_of(request.form)
    drawn = drawn_schema(drawn_for, target)
    schema = target.schema if drawn is None else drawn
    form.takes_body = target.takes_body
    form.editor = PayloadEditor.from_form(schema, request.form, **_options(target))
    if (drawn_for if drawn is not None else "") != target.drawn_for:
        is_switched = form.is_of_endpoint and bool(form.has_body.data) != bool(drawn)
        if form.is_payload_untouched and not is_switched:
            begin_payload(form, target, form.editor.mode if drawn is not None else "form")
        else:
            form.editor = form.editor.under(target.schema, target.drawn_for)


def _options(target: Target) -> dict[str, Any]:
    names = offered_secrets(tenant_id(), target.schema)
    return {"label": target.payload_label, "secret_names": names, "drawn_for": target.drawn_for}
