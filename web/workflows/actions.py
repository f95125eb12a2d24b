"""What one can do to a workflow: run now, pause, resume, delete. Each is asked about first, in a dialog."""

from __future__ import annotations

from uuid import UUID

from flask import request, url_for
from flask.typing import ResponseReturnValue

from domain.kernel import strict_json
from domain.kernel.db import transaction
from domain.kernel.errors import Held, Refused
from domain.kernel.ids import new_id
from domain.publishing import (
    delete_workflow,
    living_schedules,
    pause_workflow,
    resume_workflow,
    schedule_count,
)
from domain.runs.launch import launch_workflow
from domain.workflows.samples import sample_payload
from domain.workflows.versions import version_of
from domain.workflows.workflows import Workflow, living_workflow, workflow_of
from web.access import actor, request_now, requires
from web.answers import done, show_dialog
from web.asked import request_key
from web.errors import keep_refusal
from web.forms.workflows import ReasonForm, RunForm
from web.workflows.frame import access_now, address_of, blueprint, tenant_id

SCHEDULES_LISTED = 50


@blueprint.get("/<uuid:workflow_id>/run")
@requires("workflow:manage")
def prepare_run(workflow_id: UUID) -> ResponseReturnValue:
    workflow = living_workflow(tenant_id(), workflow_id)
    form = RunForm(data={"request_key": str(new_id())})
    if workflow.published_version is not None:
        version = version_of(tenant_id(), workflow_id, workflow.published_version)
        form.payload.data = strict_json.pretty(sample_payload(version, access_now().tenant.timezone, request_now()))
    return _run_dialog(workflow, form)


@blueprint.post("/<uuid:workflow_id>/run")
@requires("workflow:manage")
def run(workflow_id: UUID) -> ResponseReturnValue:
    form = RunForm(request.form)
    key = f"run:{workflow_id}:{request_key()}"
    try:
        with transaction():
            started = launch_workflow(actor(), workflow_id, form.payload.data or "", key, request_now())
            run_id = started.id
    except Refused as refusal:
        form.attach(refusal.problems)
        return _run_dialog(living_workflow(tenant_id(), workflow_id), form, 422)
    except Held as held:
        keep_refusal(held.message)
        form.form_errors.append(held.message)
        return _run_dialog(living_workflow(tenant_id(), workflow_id), form, 409)
    name = workflow_of(tenant_id(), workflow_id).name
    return done(
        address_of(workflow_id), {"message": f"{name} runs now.", "href": f"/runs/{run_id}", "label": "Open run"}
    )


@blueprint.get("/<uuid:workflow_id>/pause")
@requires("workflow:manage")
def ask_pause(workflow_id: UUID) -> ResponseReturnValue:
    return _pause_dialog(workflow_id, ReasonForm())


@blueprint.post("/<uuid:workflow_id>/pause")
@requires("workflow:manage")
def pause(workflow_id: UUID) -> ResponseReturnValue:
    form = ReasonForm(request.form)
    try:
        with transaction():
            name = pause_workflow(actor(), workflow_id, form.reason.data or "", request_now()).name
    except Refused as refusal:
        form.attach(refusal.problems)
        return _pause_dialog(workflow_id, form, 422)
    return done(address_of(workflow_id), f"{name} is paused. Nothing starts it until it is resumed.")


@blueprint.post("/<uuid:workflow_id>/resume")
@requires("workflow:manage")
def resume(workflow_id: UUID) -> ResponseReturnValue:
    with transaction():
        name = resume_workflow(actor(), workflow_id, request_now()).name
    return done(address_of(workflow_id), f"{name} goes on from its next instants. Nothing is caught up.")


@blueprint.get("/<uuid:workflow_id>/delete")
@requires("workflow:admin")
def ask_delete(workflow_id: UUID) -> ResponseReturnValue:
    workflow = living_workflow(tenant_id(), workflow_id)
    schedules = living_schedules(tenant_id(), workflow_id, SCHEDULES_LISTED)
    count = schedule_count(tenant_id(), workflow_id)
    title = f"Delete {workflow.name}"
    return show_dialog("workflows/_delete.html", title, workflow=workflow, schedules=schedules, count=count)


@blueprint.post("/<uuid:workflow_id>/delete")
@requires("workflow:admin")
def delete(workflow_id: UUID) -> ResponseReturnValue:
    with transaction():
        name = living_workflow(tenant_id(), workflow_id).name
        ended = delete_workflow(actor(), workflow_id, request_now())
    schedules = f" and {ended} schedules ended" if ended else ""
    return done(url_for("workflows.index"), f"{name} was deleted{schedules}. Its versions and runs stay readable.")


def _run_dialog(workflow: Workflow, form: RunForm, status: int = 200) -> ResponseReturnValue:
    published = workflow.published_version
    version = version_of(tenant_id(), workflow.id, published) if published is not None else None
    title = f"Run {workflow.name} now"
    return show_dialog("workflows/_run.html", title, status, workflow=workflow, form=form, version=version)


def _pause_dialog(workflow_id: UUID, form: ReasonForm, status: int = 200) -> ResponseReturnValue:
    workflow = living_workflow(tenant_id(), workflow_id)
    return show_dialog("workflows/_pause.html", f"Pause {workflow.name}", status, workflow=workflow, form=form)
