"""The dialog that creates and edits a schedule, and the parts of it that follow what is being typed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID

from flask import make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue

from domain.accounts.permissions import CHANGE
from domain.accounts.request_keys import answer_request, claim_request
from domain.accounts.tenants import load
from domain.firing.lifecycle import create_schedule, edit_schedule
from domain.kernel import strict_json
from domain.kernel.db import transaction
from domain.kernel.errors import Conflict, NotFound, Problem, Refused
from domain.kernel.ids import new_id, parse_id
from domain.kernel.secret_values import shown
from domain.schedules.drafts import ScheduleDraft
from domain.schedules.previews import TimingPreview, problems_beside_target
from domain.schedules.schedules import Schedule
from web.access import actor, is_fragment, request_now, requires_by_kind
from web.answers import show_dialog
from web.asked import content_key
from web.forms.schedules import ScheduleForm, stored_form, typed_values
from web.kinds import require_change
from web.schedules.duplicating import copied_form
from web.schedules.frame import access, address_of, blueprint, changed, min_interval_seconds, place, tenant_id
from web.schedules.payloads import begin_payload, show_payload, take_payload
from web.schedules.picker import results_for
from web.schedules.rehearsing import is_rehearsing, kept_rehearsal, started_rehearsal
from web.schedules.targets import (
    EndpointTarget,
    Target,
    asked_target,
    draw_target,
    posted_form,
    stored_target,
    typed_target,
)
from web.schedules.timing_part import looked_ahead
from web.schedules.what_if import consequences_of

CREATE = "schedules.create"
NAME_MAX_CHARACTERS = 128
# What a new one begins with, by the kind of its target.
NEW = {
    "workflow": {"spread_seconds": "0", "trigger_type": "recurring"},
    "endpoint": {"spread_seconds": "0", "trigger_type": "recurring", "overlap": "skip"},
}
# What stands in the form beside the schedule.
NOT_SAVED_FIELDS = ("place", "rehearsal_key", "rehearsed", "rehearse_for", "payload_start")


@blueprint.get("/new")
@requires_by_kind(CHANGE)
def new() -> ResponseReturnValue:
    if like_id := parse_id(request.args.get("like", "")):
        form, target = copied_form(like_id)
        return _blocked(target) or _dialog(form, target, None)
    target = asked_target()
    form = ScheduleForm(data=target.fields | {"enabled": True, "timezone": access().tenant.timezone} | NEW[target.kind])
    require_change(form.kind)
    begin_payload(form, target)
    return _blocked(target) or _dialog(form, target, None)


@blueprint.post("")
@requires_by_kind(CHANGE)
def create() -> ResponseReturnValue:
    form = posted_form()
    target = typed_target(form)
    take_payload(form, target)
    if _is_asking(form):
        return _dialog(form, target, None)
    if is_rehearsing():
        return _rehearse(form, target, None)

    def command(draft: ScheduleDraft) -> Schedule:
        like_id = parse_id(form.like.data or "")
        return create_schedule(actor(), draft, request_now(), min_interval_seconds(), like_id)

    return _save(form, target, None, partial(_once, CREATE, command), "was created")


@blueprint.get("/<uuid:schedule_id>/edit")
@requires_by_kind(CHANGE)
def edit(schedule_id: UUID) -> ResponseReturnValue:
    stored = load(tenant_id(), Schedule, schedule_id)
    target = stored_target(stored)
    form = stored_form(stored, target.fields)
    show_payload(form, target, stored)
    return _dialog(form, target, stored)


@blueprint.post("/<uuid:schedule_id>/edit")
@requires_by_kind(CHANGE)
def save(schedule_id: UUID) -> ResponseReturnValue:
    stored = load(tenant_id(), Schedule, schedule_id)
    form = posted_form(stored)
    target = typed_target(form)
    take_payload(form, target)
    if _is_asking(form):
        return _dialog(form, target, stored)
    if is_rehearsing():
        return _rehearse(form, target, stored)

    def command(draft: ScheduleDraft) -> Schedule:
        return edit_schedule(actor(), schedule_id, form.seen_revision, draft, request_now(), min_interval_seconds())

    return _save(form, target, stored, partial(_once, f"schedules.edit:{schedule_id}", command), "was saved")


def _once(action: str, command: Callable[[ScheduleDraft], Schedule], draft: ScheduleDraft) -> Schedule:
    """The same form sent again, by a double click or by the back button, gets the schedule that it led to. An edit that
    somebody has edited since is not that any more."""
    key = f"{action}:{content_key(beside=NOT_SAVED_FIELDS)}"
    earlier = claim_request(tenant_id(), key, action)
    if earlier is None:
        schedule = command(draft)
        answer_request(tenant_id(), key, {"scheduleId": str(schedule.id), "revision": schedule.revision})
        return schedule
    told: Any = earlier.answer
    try:
        made = load(tenant_id(), Schedule, UUID(told["scheduleId"]))
    except NotFound:
        return command(draft)
    return made if action == CREATE or made.revision == told["revision"] else command(draft)


def _rehearse(form: ScheduleForm, target: Target, stored: Schedule | None) -> ResponseReturnValue:
    """Beside the form its state; a refusal is shown like one of saving."""
    try:
        shown_run = started_rehearsal(form, stored, target)
    except Refused as refusal:
        problems = target.problems
        form.attach([*problems, *(one for one in refusal.problems if not problems or one.path != target.path)])
        answer = make_response(_dialog(form, target, stored, 422, heading="Nothing was started. Correct this first:"))
        answer.headers["HX-Retarget"], answer.headers["HX-Reswap"] = "#dialog-form", "outerHTML"
        return answer
    if is_fragment():
        return render_template("schedules/_rehearsal.html", **shown_run)
    return _dialog(form, target, stored, rehearsal=shown_run)


def _save(
    form: ScheduleForm, target: Target, stored: Schedule | None, command: Callable[[ScheduleDraft], Schedule], done: str
) -> ResponseReturnValue:
    try:
        with transaction():
            form.check_payload()
            schedule = command(form.draft(target.draft, stored))
            address, name = address_of(schedule.id), schedule.name
    except Refused as refusal:
        form.attach(_all_problems(form, target, stored, refusal.problems))
        return _dialog(form, target, stored, 422)
    except Conflict as conflict:
        form.form_errors.append(conflict.message)
        return _dialog(form, target, stored, 409)
    return changed(address, {"message": f"{name} {done}.", "href": address, "label": "Open schedule"})


def _all_problems(
    form: ScheduleForm, target: Target, stored: Schedule | None, refused: Sequence[Problem]
) -> list[Problem]:
    """Of everything that is wrong: a target that cannot be scheduled, or a payload that cannot be read, hides the rest."""
    unread = form.unread_payload
    if unread or all(problem.path == target.path for problem in refused):
        draft = form.draft(None, stored)
        readable = replace(draft, payload="{}") if unread else draft
        beside = problems_beside_target(readable, request_now(), min_interval_seconds())
        return [*(target.problems or (() if unread else refused)), *unread, *beside]
    return list(refused)


def _is_asking(form: ScheduleForm) -> bool:
    """Whether only a look ahead is wanted: without JavaScript buttons of the form ask for it."""
    return bool({"check", "pick"} & request.form.keys()) or bool(form.editor and form.editor.is_rearranged)


def _dialog(
    form: ScheduleForm, target: Target, stored: Schedule | None, status: int = 200, **more: Any
) -> ResponseReturnValue:
    form.request_key.data = form.request_key.data or str(new_id())
    draw_target(form, target)
    values: dict[str, Any] = {
        "form": form,
        "target": target,
        "stored": stored,
        **results_for(form, target),
        **looked_ahead(form, stored),
        "place": place(),
        "action": url_for("schedules.save", schedule_id=stored.id) if stored else url_for("schedules.create"),
        "cancel": address_of(stored.id) if stored else target.origin,
        "what_if": consequences_of(form, stored, target) if stored else None,
        "differences": _differences(form, stored) if status == 409 and stored else (),
        "heading": "Nothing was saved. Correct this first:",
        "rehearsal": None if "rehearsal" in more else kept_rehearsal(),
        **more,
    }
    values["suggested_name"] = _suggested_name(target, values["preview"])
    if status != 200 and not is_rehearsing() and values["preview"] and values["preview"].problems:
        # They stand at their fields already.
        values["preview"] = None
    if stored:
        form.enabled.label.text = "Enabled"
    if status == 409 and stored:
        form.revision.data = str(stored.revision)
    title = f"Edit {stored.name}" if stored else "New schedule"
    return show_dialog("schedules/_form.html", title, status, **values)


def _blocked(target: Target) -> ResponseReturnValue | None:
    """What stands there instead of the form while nothing of the extension can be scheduled."""
    obstacle = target.offer.obstacle if isinstance(target, EndpointTarget) else None
    if obstacle is None:
        return None
    return show_dialog("schedules/_blocked.html", "New schedule", target=target, obstacle=obstacle)


def _suggested_name(target: Target, preview: TimingPreview | None) -> str:
    """What is offered in an empty field; a schedule of an endpoint goes without a name, by what it calls."""
    if target.kind == "endpoint" or not target.label:
        return ""
    words = [target.label, preview.words if preview and not preview.problems else ""]
    return ": ".join(filter(None, words))[:NAME_MAX_CHARACTERS]


def _differences(form: ScheduleForm, stored: Schedule) -> list[tuple[str, str]]:
    """What is stored now and differs from what was typed: (label, stored value)."""
    target = stored_target(stored)
    now_stored = target.fields | typed_values(stored)
    has_payload, changed = stored.payload_json is not None, []
    payload = strict_json.pretty(shown(stored.payload_json)) if has_payload else "none"
    if form.editor and form.sends_payload and not (has_payload and form.editor.is_still(payload)):
        changed = [("Payload", payload)]
    return changed + [
        (form[name].label.text, _told(name, value, target))
        for name, value in now_stored.items()
        if _plain(value) != _plain(form[name].data)
    ]


def _told(name: str, value: Any, target: Target) -> str:
    if name == "endpoint":
        return target.label
    return "yes" if value is True else "no" if value is False else value or "empty"


def _plain(value: Any) -> Any:
    return "".join(value.split()) if isinstance(value, str) else value
