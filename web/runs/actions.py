"""What one can do to a run: end it, with a reason; run it again, as it was or with another payload."""

from __future__ import annotations

from uuid import UUID

from flask import request, url_for
from flask.typing import ResponseReturnValue

from domain.accounts.tenants import load
from domain.kernel import strict_json
from domain.kernel.db import transaction
from domain.kernel.errors import Held, NotFound, Refused
from domain.kernel.ids import new_id
from domain.kernel.secret_values import shown
from domain.runs.details import run_detail
from domain.runs.launch import cancel_run, rerun
from domain.runs.runs import FINISHED, Run
from domain.workflows.versions import version_of
from web.access import actor, request_now, requires
from web.answers import done, show_dialog
from web.asked import request_key
from web.errors import keep_refusal
from web.forms.runs import CancelForm, RerunForm
from web.runs.frame import blueprint, tenant_id


@blueprint.get("/<uuid:run_id>/cancel")
@requires("workflow:manage")
def ask_cancel(run_id: UUID) -> ResponseReturnValue:
    return _cancel_dialog(run_id, CancelForm())


@blueprint.post("/<uuid:run_id>/cancel")
@requires("workflow:manage")
def cancel(run_id: UUID) -> ResponseReturnValue:
    form = CancelForm(request.form)
    try:
        with transaction():
            result = cancel_run(actor(), run_id, request_now(), form.reason.data or "")
    except Refused as refusal:
        form.attach(refusal.problems)
        return _cancel_dialog(run_id, form, 422)
    said = "The run is canceled." if result == "canceled" else "The run ends at its next step."
    return done(url_for("runs.show", run_id=run_id), said)


@blueprint.get("/<uuid:run_id>/run-again")
@requires("workflow:manage")
def ask_rerun(run_id: UUID) -> ResponseReturnValue:
    run = load(tenant_id(), Run, run_id)
    payload = strict_json.pretty(shown(run.input_json))
    return _rerun_dialog(run_id, RerunForm(data={"request_key": str(new_id()), "payload": payload, "version": "same"}))


@blueprint.post("/<uuid:run_id>/run-again")
@requires("workflow:manage")
def run_again(run_id: UUID) -> ResponseReturnValue:
    key = f"rerun:{run_id}:{request_key()}"
    if "payload" in request.form:
        return _run_changed(run_id, key)
    with transaction():
        started_id = rerun(actor(), run_id, key, request_now()).id
    return done(url_for("runs.show", run_id=started_id), "It runs again with the same input. This is the new run.")


def _run_changed(run_id: UUID, key: str) -> ResponseReturnValue:
    form = RerunForm(request.form)
    use_published = form.version.data == "published"
    try:
        payload = strict_json.loads(form.payload.data or "", path="payload")
        with transaction():
            started_id = rerun(actor(), run_id, key, request_now(), payload, use_published).id
    except Refused as refusal:
        form.attach(refusal.problems)
        return _rerun_dialog(run_id, form, 422)
    except Held as held:
        keep_refusal(held.message)
        form.form_errors.append(held.message)
        return _rerun_dialog(run_id, form, 409)
    return done(url_for("runs.show", run_id=started_id), "It runs again with this payload. This is the new run.")


def _cancel_dialog(run_id: UUID, form: CancelForm, status: int = 200) -> ResponseReturnValue:
    run = load(tenant_id(), Run, run_id)
    return show_dialog(
        "runs/_cancel.html", "Cancel this run", status, run=run, form=form, is_over=run.status in FINISHED
    )


def _rerun_dialog(run_id: UUID, form: RerunForm, status: int = 200) -> ResponseReturnValue:
    detail = run_detail(tenant_id(), run_id)
    workflow = detail.workflow
    if workflow.deleted_at is not None:
        raise NotFound
    form.offer_versions(detail.run.workflow_version, workflow.published_version)
    number = workflow.published_version if form.version.data == "published" else None
    version = version_of(tenant_id(), workflow.id, number or detail.run.workflow_version)
    title = f"Run {workflow.name} again"
    return show_dialog("runs/_rerun.html", title, status, run=detail.run, form=form, version=version)
