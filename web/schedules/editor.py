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
from domain.schedules.choices import WorkflowChoice, workflow_choice
from domain.schedules.drafts import ScheduleDraft
from domain.schedules.previews import problems_beside_target
from domain.schedules.schedules import Schedule
from web.access import actor, is_fragment, request_now, requires_by_kind
from web.answers import show_dialog
from web.asked import content_key
from web.forms.schedules import ScheduleForm, stored_form, typed_values
from web.schedules.duplicating import copied_form
from web.schedules.frame import access, address_of, blueprint, changed, min_interval_seconds, place, tenant_id
from web.schedules.payloads import begin_payload, bound_version, schema_note, show_payload, take_payload, typed_workflow
from web.schedules.picker import picked_form, results_for
from web.schedules.rehearsing import is_rehearsing, kept_rehearsal, started_rehearsal
from web.schedules.timing_part import looked_ahead
from web.schedules.what_if import consequences_of

CREATE = "schedules.create"
NAME_MAX_CHARACTERS = 128
# What stands in the form beside the schedule.
NOT_SAVED_FIELDS = ("place", "rehearsal_key", "rehearsed", "rehearse_for", "payload_start")


@blueprint.get("/new")
@requires_by_kind(CHANGE)
def new() -> ResponseReturnValue:
    if like_id := parse_id(request.args.get("like", "")):
        return _dialog(*copied_form(like_id), None)
    choice = workflow_choice(tenant_id(), parse_id(request.args.get("workflow", "")))
    zone = access().tenant.timezone
    form = ScheduleForm(data={"enabled": True, "timezone": zone, "spread_seconds": "0", "trigger_type": "recurring"})
    if choice is not None:
        form.workflow.data = choice.label
    begin_payload(form, bound_version(choice))
    return _dialog(form, choice, None)


@blueprint.post("")
@requires_by_kind(CHANGE)
def create() -> ResponseReturnValue:
    form = picked_form()
    take_payload(form, bound_version(typed_workflow(form)[0]))
    if _is_asking(form):
        return _dialog(form, typed_workflow(form)[0], None)
    if is_rehearsing():
        return _rehearse(form, None)

    def command(draft: ScheduleDraft) -> Schedule:
        like_id = parse_id(form.like.data or "")
        return create_schedule(actor(), draft, request_now(), min_interval_seconds(), like_id)

    return _save(form, None, partial(_once, CREATE, command), "was created")


@blueprint.get("/<uuid:schedule_id>/edit")
@requires_by_kind(CHANGE)
def edit(schedule_id: UUID) -> ResponseReturnValue:
    stored = load(tenant_id(), Schedule, schedule_id)
    choice = workflow_choice(tenant_id(), stored.workflow_id)
    form = stored_form(stored, choice.label if choice else "")
    show_payload(form, bound_version(choice), stored)
    return _dialog(form, choice, stored)


@blueprint.post("/<uuid:schedule_id>/edit")
@requires_by_kind(CHANGE)
def save(schedule_id: UUID) -> ResponseReturnValue:
    form = picked_form()
    stored = load(tenant_id(), Schedule, schedule_id)
    take_payload(form, bound_version(typed_workflow(form)[0]))
    if _is_asking(form):
        return _dialog(form, typed_workflow(form)[0], stored)
    if is_rehearsing():
        return _rehearse(form, stored)

    def command(draft: ScheduleDraft) -> Schedule:
        return edit_schedule(actor(), schedule_id, form.seen_revision, draft, request_now(), min_interval_seconds())

    return _save(form, stored, partial(_once, f"schedules.edit:{schedule_id}", command), "was saved")


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


def _rehearse(form: ScheduleForm, stored: Schedule | None) -> ResponseReturnValue:
    """Beside the form its state; a refusal is shown like one of saving."""
    choice, problems = typed_workflow(form)
    try:
        shown_run = started_rehearsal(form, stored, choice)
    except Refused as refusal:
        form.attach([*problems, *(one for one in refusal.problems if not problems or one.path != "workflowId")])
        answer = make_response(_dialog(form, choice, stored, 422, heading="Nothing was started. Correct this first:"))
        answer.headers["HX-Retarget"], answer.headers["HX-Reswap"] = "#dialog-form", "outerHTML"
        return answer
    if is_fragment():
        return render_template("schedules/_rehearsal.html", **shown_run)
    return _dialog(form, choice, stored, rehearsal=shown_run)


def _save(
    form: ScheduleForm, stored: Schedule | None, command: Callable[[ScheduleDraft], Schedule], done: str
) -> ResponseReturnValue:
    choice, problems = typed_workflow(form)
    try:
        with transaction():
            form.check_payload()
            schedule = command(form.draft(choice.id if choice else None, stored))
            address, name = address_of(schedule.id), schedule.name
    except Refused as refusal:
        form.attach(_all_problems(form, stored, problems, refusal.problems))
        return _dialog(form, choice, stored, 422)
    except Conflict as conflict:
        form.form_errors.append(conflict.message)
        return _dialog(form, choice, stored, 409)
    return changed(address, {"message": f"{name} {done}.", "href": address, "label": "Open schedule"})


def _all_problems(
    form: ScheduleForm, stored: Schedule | None, typed: Sequence[Problem], refused: Sequence[Problem]
) -> list[Problem]:
    """Of everything that is wrong: a workflow that cannot be scheduled, or a payload that cannot be read, hides the rest."""
    unread = form.unread_payload
    if unread or all(problem.path == "workflowId" for problem in refused):
        draft = replace(form.draft(None, stored), payload="{}") if unread else form.draft(None, stored)
        beside = problems_beside_target(draft, request_now(), min_interval_seconds())
        return [*(typed or (() if unread else refused)), *unread, *beside]
    return list(refused)


def _is_asking(form: ScheduleForm) -> bool:
    """Whether only a look ahead is wanted: without JavaScript buttons of the form ask for it."""
    return bool({"check", "pick"} & request.form.keys()) or bool(form.editor and form.editor.is_rearranged)


def _dialog(
    form: ScheduleForm, choice: WorkflowChoice | None, stored: Schedule | None, status: int = 200, **more: Any
) -> ResponseReturnValue:
    form.request_key.data = form.request_key.data or str(new_id())
    version = bound_version(choice)
    values: dict[str, Any] = {
        "form": form,
        "choice": choice,
        **results_for(form.workflow.data or "", choice),
        "version": version,
        "payload_note": schema_note(version),
        "stored": stored,
        **looked_ahead(form, stored),
        "place": place(),
        "action": url_for("schedules.save", schedule_id=stored.id) if stored else url_for("schedules.create"),
        "cancel": address_of(stored.id) if stored else url_for("schedules.index"),
        "what_if": consequences_of(form, stored, choice) if stored else None,
        "differences": _differences(form, stored) if status == 409 and stored else (),
        "heading": "Nothing was saved. Correct this first:",
        "rehearsal": None if "rehearsal" in more else kept_rehearsal(),
        **more,
    }
    preview = values["preview"]
    words = [choice.label if choice else "", preview.words if preview and not preview.problems else ""]
    values["suggested_name"] = ": ".join(filter(None, words))[:NAME_MAX_CHARACTERS] if choice else ""
    if status != 200 and not is_rehearsing() and values["preview"] and values["preview"].problems:
        # They stand at their fields already.
        values["preview"] = None
    if stored:
        form.enabled.label.text = "Enabled"
    if status == 409 and stored:
        form.revision.data = str(stored.revision)
    title = f"Edit {stored.name}" if stored else "New schedule"
    return show_dialog("schedules/_form.html", title, status, **values)


def _differences(form: ScheduleForm, stored: Schedule) -> list[tuple[str, str]]:
    """What is stored now and differs from what was typed: (label, stored value)."""
    choice = workflow_choice(tenant_id(), stored.workflow_id)
    now_stored = typed_values(stored, choice.label if choice else "")
    payload = strict_json.pretty(shown(stored.payload_json))
    changed = [("Payload", payload)] if form.editor and not form.editor.is_still(payload) else []
    return changed + [
        (form[name].label.text, "yes" if value is True else "no" if value is False else value or "empty")
        for name, value in now_stored.items()
        if _plain(value) != _plain(form[name].data)
    ]


def _plain(value: Any) -> Any:
    return "".join(value.split()) if isinstance(value, str) else value
