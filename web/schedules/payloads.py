"""The payload in the dialog of a schedule: its editor follows the workflow that is chosen."""

from __future__ import annotations

from typing import Any

from flask import render_template, request, url_for
from flask.typing import ResponseReturnValue

from domain.accounts.permissions import CHANGE
from domain.kernel.errors import NotFound, Refused
from domain.kernel.ids import parse_id
from domain.kernel.secret_values import shown
from domain.schedules.choices import WorkflowChoice, chosen_workflow
from domain.schedules.schedules import Schedule
from domain.workflows.versions import WorkflowVersion, version_of
from web.access import requires_by_kind
from web.forms.payloads import PayloadEditor
from web.forms.schedules import ScheduleForm
from web.payloads import offered_secrets
from web.schedules.frame import blueprint, tenant_id


@blueprint.post("/payload")
@requires_by_kind(CHANGE)
def payload() -> ResponseReturnValue:
    """The payload part for the workflow that was typed; what someone wrote into it stays."""
    form = ScheduleForm(request.form)
    choice, problems = typed_workflow(form)
    version = bound_version(choice)
    take_payload(form, version)
    form.attach(problems)
    return render_template(
        "schedules/_payload.html",
        form=form,
        choice=choice,
        version=version,
        payload_note=schema_note(version),
        is_swap=True,
    )


@blueprint.post("/payload/editor")
@requires_by_kind(CHANGE)
def payload_editor() -> ResponseReturnValue:
    """The editor of the payload after one of its own buttons."""
    form = ScheduleForm(request.form)
    version = bound_version(typed_workflow(form)[0])
    take_payload(form, version)
    address = url_for("schedules.payload_editor")
    return render_template(
        "payloads/_fragment.html", editor=form.editor, fragment_url=address, note=schema_note(version)
    )


def typed_workflow(form: ScheduleForm) -> tuple[WorkflowChoice | None, list[Any]]:
    """The workflow whose name was typed, or why there is none."""
    try:
        return chosen_workflow(tenant_id(), form.workflow.data or ""), []
    except Refused as refused:
        return None, list(refused.problems)


def bound_version(choice: WorkflowChoice | None) -> WorkflowVersion | None:
    """The version that the schedule would run; None while it cannot run any."""
    if choice is None or choice.obstacle:
        return None
    try:
        return version_of(tenant_id(), choice.id, choice.version)
    except NotFound:
        return None


def begin_payload(form: ScheduleForm, version: WorkflowVersion | None, mode: str = "form") -> None:
    """A new payload: what the schema names as defaults."""
    form.editor = PayloadEditor(_schema(version), mode=mode, **_options(version))
    form.payload_start.data = form.editor.text


def show_payload(form: ScheduleForm, version: WorkflowVersion | None, stored: Schedule) -> None:
    """The stored payload, secrets masked."""
    form.editor = PayloadEditor(_schema(version), shown(stored.payload_json), **_options(version))


def take_payload(form: ScheduleForm, version: WorkflowVersion | None) -> None:
    """What was posted: read as it was drawn, shown for `version`. A payload nobody touched begins anew with its schema."""
    drawn = _drawn_version()
    form.editor = PayloadEditor.from_form(_schema(drawn or version), request.form, **_options(version))
    if (drawn and drawn.id) != (version and version.id):
        if form.is_payload_untouched:
            begin_payload(form, version, form.editor.mode if drawn else "form")
        else:
            form.editor = form.editor.under(_schema(version), _drawn_for(version))


def schema_note(version: WorkflowVersion | None) -> str:
    """What stands under the JSON text."""
    if version is None:
        return "A JSON object. Choose the workflow to see its schema."
    return f"Checked with {version.payload_schema_ref}, as version {version.version} has it"


def _drawn_version() -> WorkflowVersion | None:
    """The version whose schema gave the form that was posted."""
    workflow, _, number = PayloadEditor.drawn_for_of(request.form).partition(":")
    workflow_id = parse_id(workflow)
    if workflow_id is None or not (number.isascii() and number.isdigit() and len(number) <= 9):
        return None
    try:
        return version_of(tenant_id(), workflow_id, int(number))
    except NotFound:
        return None


def _drawn_for(version: WorkflowVersion | None) -> str:
    return f"{version.workflow_id}:{version.version}" if version else ""


def _schema(version: WorkflowVersion | None) -> Any:
    return version.payload_schema if version else {}


def _options(version: WorkflowVersion | None) -> dict[str, Any]:
    names = offered_secrets(tenant_id(), _schema(version))
    return {"secret_names": names, "drawn_for": _drawn_for(version)}
