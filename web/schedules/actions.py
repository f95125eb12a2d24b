"""What is done to a schedule with one button: pause, resume, run now, delete."""

from __future__ import annotations

from uuid import UUID

from flask import request, url_for
from flask.typing import ResponseReturnValue

from domain.accounts.tenants import load
from domain.firing.lifecycle import delete_schedule, pause_schedule, resume_schedule
from domain.firing.run_now import run_schedule_now
from domain.kernel.db import transaction
from domain.kernel.errors import Refused
from domain.schedules.schedules import Schedule
from web.access import actor, request_now, requires
from web.answers import show_dialog
from web.asked import request_key
from web.forms.schedules import ReasonForm
from web.schedules.frame import address_of, blueprint, changed, place, tenant_id


@blueprint.get("/<uuid:schedule_id>/pause")
@requires("workflow:manage")
def ask_pause(schedule_id: UUID) -> ResponseReturnValue:
    return _pause_dialog(schedule_id, ReasonForm())


@blueprint.post("/<uuid:schedule_id>/pause")
@requires("workflow:manage")
def pause(schedule_id: UUID) -> ResponseReturnValue:
    form = ReasonForm(request.form)
    try:
        with transaction():
            name = pause_schedule(actor(), schedule_id, form.reason.data or "", request_now()).name
    except Refused as refusal:
        form.attach(refusal.problems)
        return _pause_dialog(schedule_id, form, 422)
    undo = {"url": url_for("schedules.resume", schedule_id=schedule_id)}
    return changed(address_of(schedule_id), {"message": f"{name} is paused.", "undo": undo})


@blueprint.post("/<uuid:schedule_id>/resume")
@requires("workflow:manage")
def resume(schedule_id: UUID) -> ResponseReturnValue:
    with transaction():
        name = resume_schedule(actor(), schedule_id, request_now()).name
    return changed(address_of(schedule_id), f"{name} goes on from its next instant. Nothing is caught up.")


@blueprint.post("/<uuid:schedule_id>/run-now")
@requires("workflow:manage")
def run_now(schedule_id: UUID) -> ResponseReturnValue:
    key = f"{schedule_id}:{request_key()}"
    with transaction():
        run_id = run_schedule_now(actor(), schedule_id, key, request_now()).id
        name = load(tenant_id(), Schedule, schedule_id).name
    return changed(
        address_of(schedule_id), {"message": f"{name} runs now.", "href": f"/runs/{run_id}", "label": "Open run"}
    )


@blueprint.get("/<uuid:schedule_id>/delete")
@requires("workflow:manage")
def ask_delete(schedule_id: UUID) -> ResponseReturnValue:
    schedule = load(tenant_id(), Schedule, schedule_id)
    title = f"Delete {schedule.name}"
    return show_dialog("schedules/_delete.html", title, schedule=schedule, place=place())


@blueprint.post("/<uuid:schedule_id>/delete")
@requires("workflow:manage")
def delete(schedule_id: UUID) -> ResponseReturnValue:
    with transaction():
        name = delete_schedule(actor(), schedule_id, request_now()).name
    return changed(url_for("schedules.index"), f"{name} was deleted. Its history stays readable.")


def _pause_dialog(schedule_id: UUID, form: ReasonForm, status: int = 200) -> ResponseReturnValue:
    schedule = load(tenant_id(), Schedule, schedule_id)
    title = f"Pause {schedule.name}"
    return show_dialog("schedules/_pause.html", title, status, schedule=schedule, form=form, place=place())
