"""Running a run again: as it was with one click, or in a dialog with another payload or in the published version."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import render_template, request, url_for
from flask.typing import ResponseReturnValue

from domain.accounts.permissions import CHANGE
from domain.accounts.secrets import secret_names
from domain.accounts.tenants import load
from domain.kernel.db import transaction
from domain.kernel.errors import Held, NotFound, Refused
from domain.kernel.ids import new_id
from domain.kernel.secret_values import shown
from domain.runs.launch import rerun
from domain.runs.runs import Run
from domain.workflows.versions import WorkflowVersion, version_of
from domain.workflows.workflows import Workflow, living_workflow
from web.access import actor, request_now, requires_by_kind
from web.answers import done, show_dialog
from web.asked import request_key
from web.errors import keep_refusal
from web.forms.payloads import PayloadEditor
from web.forms.runs import PUBLISHED, SAME, RerunForm
from web.runs.frame import blueprint, tenant_id

ANY_OBJECT = {"type": "object"}


@blueprint.get("/<uuid:run_id>/run-again")
@requires_by_kind(CHANGE)
def ask_rerun(run_id: UUID) -> ResponseReturnValue:
    run, workflow = _loaded(run_id)
    form = RerunForm(data={"request_key": str(new_id()), "version": SAME})
    version = _chosen(form, run, workflow)
    return _dialog(run, workflow, form, PayloadEditor(_schema(version), shown(run.input_json), **_options(version)))


@blueprint.post("/<uuid:run_id>/run-again/payload")
@requires_by_kind(CHANGE)
def rerun_payload(run_id: UUID) -> ResponseReturnValue:
    """The payload part for the version that was chosen; what someone wrote into it stays."""
    run, workflow = _loaded(run_id)
    editor = _posted(_chosen(RerunForm(request.form), run, workflow))
    editor.attach(editor.problems if editor.is_form else ())
    return render_template("payloads/_fragment.html", editor=editor, fragment_url=_payload_url(run_id))


@blueprint.post("/<uuid:run_id>/run-again")
@requires_by_kind(CHANGE)
def run_again(run_id: UUID) -> ResponseReturnValue:
    if "version" in request.form:
        return _run_changed(run_id)
    with transaction():
        started_id = rerun(actor(), run_id, _key(run_id), request_now()).id
    return done(url_for("runs.show", run_id=started_id), "It runs again with the same input. This is the new run.")


def _run_changed(run_id: UUID) -> ResponseReturnValue:
    run, workflow = _loaded(run_id)
    form = RerunForm(request.form)
    editor = _posted(_chosen(form, run, workflow))
    if editor.is_rearranged:
        return _dialog(run, workflow, form, editor)
    try:
        editor.check()
        if editor.value is None:
            raise Refused.at("payload", "A payload is a JSON object, in curly braces.", "OBJECT_REQUIRED")
        use_published = form.use_published
        with transaction():
            started_id = rerun(actor(), run_id, _key(run_id), request_now(), editor.value, use_published).id
    except Refused as refusal:
        form.attach(editor.attach(refusal.problems))
        return _dialog(run, workflow, form, editor, 422)
    except Held as held:
        keep_refusal(held.message)
        form.form_errors.append(held.message)
        return _dialog(run, workflow, form, editor, 409)
    return done(url_for("runs.show", run_id=started_id), "It runs again with this payload. This is the new run.")


def _loaded(run_id: UUID) -> tuple[Run, Workflow]:
    run = load(tenant_id(), Run, run_id)
    if run.workflow_id is None:
        raise NotFound
    return run, living_workflow(tenant_id(), run.workflow_id)


def _chosen(form: RerunForm, run: Run, workflow: Workflow) -> WorkflowVersion:
    form.offer_versions(run.workflow_version or 0, workflow.published_version)
    published = workflow.published_version if form.version.data == PUBLISHED else None
    return version_of(tenant_id(), workflow.id, published or run.workflow_version)


def _posted(version: WorkflowVersion) -> PayloadEditor:
    """What was posted, read with the schema of the version that it was drawn for, and shown with that of `version`."""
    drawn_for = PayloadEditor.drawn_for_of(request.form)
    drawn = version
    if drawn_for.isascii() and drawn_for.isdigit() and len(drawn_for) <= 9 and int(drawn_for) != version.version:
        drawn = version_of(tenant_id(), version.workflow_id, int(drawn_for))
    editor = PayloadEditor.from_form(_schema(drawn), request.form, **_options(drawn))
    return editor if drawn is version else editor.under(_schema(version), str(version.version))


def _options(version: WorkflowVersion) -> dict[str, Any]:
    return {"secret_names": secret_names(tenant_id()), "drawn_for": str(version.version)}


def _schema(version: WorkflowVersion) -> Any:
    return version.payload_schema or ANY_OBJECT


def _key(run_id: UUID) -> str:
    return f"rerun:{run_id}:{request_key()}"


def _payload_url(run_id: UUID) -> str:
    return url_for("runs.rerun_payload", run_id=run_id)


def _dialog(
    run: Run, workflow: Workflow, form: RerunForm, editor: PayloadEditor, status: int = 200
) -> ResponseReturnValue:
    title = f"Run {workflow.name} again"
    payload_url = _payload_url(run.id)
    return show_dialog("runs/_rerun.html", title, status, run=run, form=form, editor=editor, payload_url=payload_url)
