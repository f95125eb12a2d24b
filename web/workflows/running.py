"""Starting a workflow by hand: the dialog with its payload."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import render_template, request, url_for
from flask.typing import ResponseReturnValue

from domain.kernel.db import transaction
from domain.kernel.errors import Held, NotFound, Refused
from domain.kernel.ids import new_id
from domain.runs.launch import launch_workflow
from domain.workflows.built_in_schemas import is_clock_ref
from domain.workflows.samples import sample_payload
from domain.workflows.versions import WorkflowVersion, version_of
from domain.workflows.workflows import Workflow, living_workflow, workflow_of
from web.access import actor, request_now, requires
from web.answers import done, show_dialog
from web.asked import request_key
from web.errors import keep_refusal
from web.forms.payloads import PayloadEditor
from web.forms.workflows import RunForm
from web.payloads import offered_secrets
from web.workflows.frame import access_now, address_of, blueprint, tenant_id


@blueprint.get("/<uuid:workflow_id>/run")
@requires("workflow:manage")
def prepare_run(workflow_id: UUID) -> ResponseReturnValue:
    workflow = living_workflow(tenant_id(), workflow_id)
    form = RunForm(data={"request_key": str(new_id())})
    version = _published(workflow)
    form.editor = _begun(version) if version else None
    return _dialog(workflow, form)


@blueprint.post("/<uuid:workflow_id>/run")
@requires("workflow:manage")
def run(workflow_id: UUID) -> ResponseReturnValue:
    workflow = living_workflow(tenant_id(), workflow_id)
    form = _posted_form(workflow)
    if form.editor and form.editor.is_rearranged:
        return _dialog(workflow, form)
    try:
        with transaction():
            run_id = _launch(workflow_id, form)
    except Refused as refusal:
        form.attach(refusal.problems)
        return _dialog(living_workflow(tenant_id(), workflow_id), form, 422)
    except Held as held:
        keep_refusal(held.message)
        form.form_errors.append(held.message)
        return _dialog(living_workflow(tenant_id(), workflow_id), form, 409)
    name = workflow_of(tenant_id(), workflow_id).name
    return done(
        address_of(workflow_id), {"message": f"{name} runs now.", "href": f"/runs/{run_id}", "label": "Open run"}
    )


@blueprint.post("/<uuid:workflow_id>/run/payload")
@requires("workflow:manage")
def run_payload(workflow_id: UUID) -> ResponseReturnValue:
    """The editor of the payload after one of its own buttons."""
    workflow = living_workflow(tenant_id(), workflow_id)
    version = _published(workflow)
    if version is None:
        raise NotFound
    return render_template("payloads/_fragment.html", editor=_posted(version), **_around(version))


def _launch(workflow_id: UUID, form: RunForm) -> UUID:
    key = f"run:{workflow_id}:{request_key()}"
    if form.editor and form.editor.is_form:
        form.editor.check()
    started = launch_workflow(actor(), workflow_id, form.editor.text if form.editor else "", key, request_now())
    return started.id


def _published(workflow: Workflow) -> WorkflowVersion | None:
    number = workflow.published_version
    return version_of(tenant_id(), workflow.id, number) if number is not None else None


def _begun(version: WorkflowVersion) -> PayloadEditor:
    """A new payload: the defaults of its schema, or the clock as it would be."""
    if is_clock_ref(version.payload_schema_ref):
        clock = sample_payload(version, access_now().tenant.timezone, request_now())
        return PayloadEditor(version.payload_schema, clock, mode="json", **_options(version))
    return PayloadEditor(version.payload_schema, **_options(version))


def _posted_form(workflow: Workflow) -> RunForm:
    form = RunForm(request.form)
    version = _published(workflow)
    form.editor = _posted(version) if version else None
    return form


def _posted(version: WorkflowVersion) -> PayloadEditor:
    """What was typed, read with the schema that gave the form, which another version may have replaced since."""
    drawn = _drawn_version(version)
    editor = PayloadEditor.from_form(drawn.payload_schema, request.form, **_options(version))
    return editor if drawn is version else editor.under(version.payload_schema, str(version.version))


def _drawn_version(published: WorkflowVersion) -> WorkflowVersion:
    number = PayloadEditor.drawn_for_of(request.form)
    if not (number.isascii() and number.isdigit() and len(number) <= 9) or int(number) == published.version:
        return published
    try:
        return version_of(tenant_id(), published.workflow_id, int(number))
    except NotFound:
        return published


def _options(version: WorkflowVersion) -> dict[str, Any]:
    names = offered_secrets(tenant_id(), version.payload_schema)
    return {"secret_names": names, "drawn_for": str(version.version)}


def _around(version: WorkflowVersion) -> dict[str, Any]:
    """What the template needs to know beside the editor."""
    said = f"Checked with {version.payload_schema_ref}, as it was when version {version.version} was published."
    return {"fragment_url": url_for("workflows.run_payload", workflow_id=version.workflow_id), "note": said}


def _dialog(workflow: Workflow, form: RunForm, status: int = 200) -> ResponseReturnValue:
    version = _published(workflow)
    values = {"workflow": workflow, "form": form, "version": version, **(_around(version) if version else {})}
    return show_dialog("workflows/_run.html", f"Run {workflow.name} now", status, **values)
