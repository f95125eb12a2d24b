"""What is done to a schedule with one button: pause, run now, delete."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from flask import request, url_for
from flask.typing import ResponseReturnValue

from domain.accounts.permissions import CHANGE
from domain.accounts.tenants import load
from domain.firing.lifecycle import delete_schedule, pause_schedule
from domain.firing.run_now import run_schedule_now
from domain.firing.what_if import Standing
from domain.kernel.db import transaction
from domain.kernel.errors import Refused
from domain.schedules.schedules import Schedule
from domain.timing.words import absolute
from web.access import actor, request_now, requires_by_kind
from web.answers import show_dialog
from web.asked import request_key
from web.forms.steering import AT, OPEN, PauseForm, pause_ends
from web.schedules.frame import address_of, blueprint, changed, place, tenant_id


@blueprint.get("/<uuid:schedule_id>/pause")
@requires_by_kind(CHANGE)
def ask_pause(schedule_id: UUID) -> ResponseReturnValue:
    return _pause_dialog(schedule_id, PauseForm())


@blueprint.post("/<uuid:schedule_id>/pause")
@requires_by_kind(CHANGE)
def pause(schedule_id: UUID) -> ResponseReturnValue:
    form = PauseForm(request.form)
    try:
        with transaction():
            until = form.end(load(tenant_id(), Schedule, schedule_id).timezone, request_now())
            paused = pause_schedule(actor(), schedule_id, form.reason.data or "", request_now(), until=until)
            said = f"{paused.name} is paused{_end_words(paused)}."
    except Refused as refusal:
        form.attach(refusal.problems)
        return _pause_dialog(schedule_id, form, 422)
    undo = {"url": url_for("schedules.resume", schedule_id=schedule_id)}
    return changed(address_of(schedule_id), {"message": said, "undo": undo})


@blueprint.post("/<uuid:schedule_id>/run-now")
@requires_by_kind(CHANGE)
def run_now(schedule_id: UUID) -> ResponseReturnValue:
    key = f"{schedule_id}:{request_key()}"
    with transaction():
        run_id = run_schedule_now(actor(), schedule_id, key, request_now()).id
        name = load(tenant_id(), Schedule, schedule_id).name
    return changed(
        address_of(schedule_id), {"message": f"{name} runs now.", "href": f"/runs/{run_id}", "label": "Open run"}
    )


@blueprint.get("/<uuid:schedule_id>/delete")
@requires_by_kind(CHANGE)
def ask_delete(schedule_id: UUID) -> ResponseReturnValue:
    schedule = load(tenant_id(), Schedule, schedule_id)
    title = f"Delete {schedule.name}"
    return show_dialog("schedules/_delete.html", title, schedule=schedule, place=place())


@blueprint.post("/<uuid:schedule_id>/delete")
@requires_by_kind(CHANGE)
def delete(schedule_id: UUID) -> ResponseReturnValue:
    with transaction():
        name = delete_schedule(actor(), schedule_id, request_now()).name
    return changed(url_for("schedules.index"), f"{name} was deleted. Its history stays readable.")


def _pause_dialog(schedule_id: UUID, form: PauseForm, status: int = 200) -> ResponseReturnValue:
    schedule = load(tenant_id(), Schedule, schedule_id)
    ends = pause_ends(schedule.timezone, request_now())
    sentences = {value: _goes_on(schedule, at) for value, at in ends.items() if at} | {
        OPEN: "It stays paused until then.",
        AT: f"Choose it below, in {schedule.timezone}.",
    }
    form.until.label.text = f"Date and time in {schedule.timezone}"
    title = f"Pause {schedule.name}"
    values = {"schedule": schedule, "form": form, "sentences": sentences, "place": place()}
    return show_dialog("schedules/_pause.html", title, status, **values)


def _end_words(schedule: Schedule) -> str:
    """Until when a schedule is paused, and when it fires then."""
    if schedule.paused_until is None:
        return ""
    until = absolute(schedule.paused_until, schedule.timezone, request_now())
    return f" until {until}. {_goes_on(schedule, schedule.paused_until).removesuffix('.')}"


def _goes_on(schedule: Schedule, at: datetime) -> str:
    """What happens when a pause ends at `at`."""
    first = Standing(schedule.timing, None, schedule.skip_next_at).first(at)
    if first is None:
        return f"{absolute(at, schedule.timezone, request_now())}: nothing is due any more by then."
    return f"It fires again from {absolute(first, schedule.timezone, request_now())}."
