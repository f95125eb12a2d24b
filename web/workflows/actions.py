"""What one can do to a workflow: pause, resume, delete. Each is asked about first, in a dialog."""

from __future__ import annotations

from uuid import UUID

from flask import request, url_for
from flask.typing import ResponseReturnValue

from domain.kernel.db import transaction
from domain.kernel.errors import Refused
from domain.publishing import (
    delete_workflow,
    living_schedules,
    pause_workflow,
    resume_workflow,
    schedule_count,
)
from domain.workflows.workflows import living_workflow
from web.access import actor, request_now, requires
from web.answers import done, show_dialog
from web.forms.workflows import ReasonForm
from web.workflows.frame import address_of, blueprint, tenant_id

SCHEDULES_LISTED = 50


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


def _pause_dialog(workflow_id: UUID, form: ReasonForm, status: int = 200) -> ResponseReturnValue:
    workflow = living_workflow(tenant_id(), workflow_id)
    return show_dialog("workflows/_pause.html", f"Pause {workflow.name}", status, workflow=workflow, form=form)
