"""The dialog that creates and edits a schedule, and the parts of it that follow what is being typed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from flask import render_template, request, url_for
from flask.typing import ResponseReturnValue

from domain.accounts.tenants import load
from domain.firing.lifecycle import create_schedule, edit_schedule
from domain.kernel import strict_json
from domain.kernel.db import transaction
from domain.kernel.errors import Conflict, NotFound, Problem, Refused
from domain.kernel.ids import parse_id
from domain.schedules.choices import WorkflowChoice, chosen_workflow, eligible_workflows, workflow_choice
from domain.schedules.drafts import ScheduleDraft
from domain.schedules.previews import problems_beside_target, timing_preview
from domain.schedules.schedules import Schedule
from domain.schedules.skeletons import skeleton_of
from domain.timing.zones import zone_names
from domain.workflows.versions import WorkflowVersion, version_of
from web.access import actor, request_now, requires
from web.answers import show_dialog
from web.forms.schedules import ScheduleForm, stored_form, typed_values
from web.schedules.frame import access, address_of, blueprint, changed, min_interval_seconds, place, tenant_id
from web.schedules.rows import fire_lines

PRESETS = (
    ("Hourly", "0 * * * *"),
    ("Daily at 09:00", "0 9 * * *"),
    ("Weekdays at 09:00", "0 9 * * 1-5"),
    ("Weekly on Monday", "0 9 * * 1"),
    ("Monthly on the 1st", "0 9 1 * *"),
)


@blueprint.get("/new")
@requires("workflow:manage")
def new() -> ResponseReturnValue:
    choice = workflow_choice(tenant_id(), parse_id(request.args.get("workflow", "")))
    zone = access().tenant.timezone
    form = ScheduleForm(data={"enabled": True, "timezone": zone, "spread_seconds": "0", "trigger_type": "recurring"})
    if choice is not None:
        form.workflow.data = choice.label
    _begin_payload(form, _bound_version(choice))
    return _dialog(form, choice, None)


@blueprint.post("")
@requires("workflow:manage")
def create() -> ResponseReturnValue:
    form = ScheduleForm(request.form)
    if _is_asking(form):
        return _dialog(form, _typed_workflow(form)[0], None)

    def command(draft: ScheduleDraft) -> Schedule:
        return create_schedule(actor(), draft, request_now(), min_interval_seconds())

    return _save(form, None, command, "was created")


@blueprint.get("/<uuid:schedule_id>/edit")
@requires("workflow:manage")
def edit(schedule_id: UUID) -> ResponseReturnValue:
    stored = load(tenant_id(), Schedule, schedule_id)
    choice = workflow_choice(tenant_id(), stored.workflow_id)
    return _dialog(stored_form(stored, choice.label if choice else ""), choice, stored)


@blueprint.post("/<uuid:schedule_id>/edit")
@requires("workflow:manage")
def save(schedule_id: UUID) -> ResponseReturnValue:
    form = ScheduleForm(request.form)
    stored = load(tenant_id(), Schedule, schedule_id)
    if _is_asking(form):
        return _dialog(form, _typed_workflow(form)[0], stored)

    def command(draft: ScheduleDraft) -> Schedule:
        return edit_schedule(actor(), schedule_id, form.seen_revision, draft, request_now(), min_interval_seconds())

    return _save(form, stored, command, "was saved")


@blueprint.post("/preview")
@requires("workflow:manage")
def preview() -> ResponseReturnValue:
    return render_template("schedules/_preview.html", **_looked_ahead(ScheduleForm(request.form)))


@blueprint.post("/when")
@requires("workflow:manage")
def when() -> ResponseReturnValue:
    """The timing part with the pattern of a preset in it."""
    form = ScheduleForm(request.form)
    _is_asking(form)
    return render_template("schedules/_when.html", form=form, presets=PRESETS, **_looked_ahead(form))


@blueprint.post("/payload")
@requires("workflow:manage")
def payload() -> ResponseReturnValue:
    """The payload part for the workflow that was typed; what someone wrote into it stays."""
    form = ScheduleForm(request.form)
    choice, problems = _typed_workflow(form)
    form.attach(problems)
    version = _bound_version(choice)
    if form.is_payload_untouched:
        _begin_payload(form, version)
    return render_template("schedules/_payload.html", form=form, choice=choice, version=version, is_swap=True)


def _save(
    form: ScheduleForm, stored: Schedule | None, command: Callable[[ScheduleDraft], Schedule], done: str
) -> ResponseReturnValue:
    choice, problems = _typed_workflow(form)
    try:
        with transaction():
            schedule = command(form.draft(choice.id if choice else None, stored))
            address, name = address_of(schedule.id), schedule.name
    except Refused as refusal:
        form.attach(_all_problems(form.draft(None, stored), problems, refusal.problems))
        return _dialog(form, choice, stored, 422)
    except Conflict as conflict:
        form.form_errors.append(conflict.message)
        return _dialog(form, choice, stored, 409)
    return changed(address, {"message": f"{name} {done}.", "href": address, "label": "Open schedule"})


def _all_problems(draft: ScheduleDraft, typed: Sequence[Problem], refused: Sequence[Problem]) -> list[Problem]:
    """Of everything that is wrong: a workflow that cannot be scheduled hides what is wrong beside it."""
    if all(problem.path == "workflowId" for problem in refused):
        beside = problems_beside_target(draft, request_now(), min_interval_seconds())
        return [*(typed or refused), *beside]
    return list(refused)


def _is_asking(form: ScheduleForm) -> bool:
    """Whether only a look ahead is wanted: without JavaScript buttons of the form ask for it, and presets fill it."""
    if request.form.get("preset"):
        form.cron.data, form.trigger_type.data = request.form["preset"], "recurring"
    return "preset" in request.form or "check" in request.form


def _typed_workflow(form: ScheduleForm) -> tuple[WorkflowChoice | None, list[Problem]]:
    try:
        return chosen_workflow(tenant_id(), form.workflow.data or ""), []
    except Refused as refused:
        return None, list(refused.problems)


def _bound_version(choice: WorkflowChoice | None) -> WorkflowVersion | None:
    """The version that the schedule would run; None while it cannot run any."""
    if choice is None or choice.obstacle:
        return None
    try:
        return version_of(tenant_id(), choice.id, choice.version)
    except NotFound:
        return None


def _begin_payload(form: ScheduleForm, version: WorkflowVersion | None) -> None:
    skeleton = skeleton_of(version.payload_schema) if version else {}
    form.payload.data = form.payload_start.data = strict_json.pretty(skeleton)


def _looked_ahead(form: ScheduleForm) -> dict[str, Any]:
    """What the timing would do, for the fragment `_preview.html`; no preview while nothing has been typed."""
    typed = form.cron.data if form.trigger_type.data == "recurring" else form.run_at.data
    if not typed:
        return {"preview": None}
    preview = timing_preview(form.draft(None), request_now(), min_interval_seconds())
    return {"preview": preview, "fires": fire_lines(preview.fires, preview.timezone, request_now())}


def _dialog(
    form: ScheduleForm, choice: WorkflowChoice | None, stored: Schedule | None, status: int = 200
) -> ResponseReturnValue:
    values: dict[str, Any] = {
        "form": form,
        "choice": choice,
        "choices": eligible_workflows(tenant_id()),
        "version": _bound_version(choice),
        "stored": stored,
        **_looked_ahead(form),
        "zones": zone_names(),
        "presets": PRESETS,
        "place": place(),
        "action": url_for("schedules.save", schedule_id=stored.id) if stored else url_for("schedules.create"),
        "cancel": address_of(stored.id) if stored else url_for("schedules.index"),
        "differences": _differences(form, stored) if status == 409 and stored else (),
    }
    if status != 200 and values["preview"] and values["preview"].problems:
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
    return [
        (form[name].label.text, "yes" if value is True else "no" if value is False else value or "empty")
        for name, value in now_stored.items()
        if _plain(value) != _plain(form[name].data)
    ]


def _plain(value: Any) -> Any:
    return "".join(value.split()) if isinstance(value, str) else value
