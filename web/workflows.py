"""The pages of workflows: the list, one workflow with its draft, and a page for each thing one can do to it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from domain.accounts.permissions import Access
from domain.kernel import strict_json
from domain.kernel.db import transaction
from domain.kernel.errors import Conflict, Held, Refused
from domain.kernel.ids import new_id
from domain.publishing import (
    STATUSES,
    delete_workflow,
    draft_problems,
    living_schedules,
    pause_workflow,
    publish_preview,
    publish_workflow,
    resume_workflow,
    schedule_count,
    workflow_count,
    workflows_page,
)
from domain.runs.launch import launch_workflow
from domain.workflows.definitions import outline
from domain.workflows.drafts import create_workflow, save_draft
from domain.workflows.payload_schemas import schema_refs
from domain.workflows.samples import sample_payload
from domain.workflows.versions import version_of, versions_page
from domain.workflows.workflows import Workflow, living_workflow, workflow_of
from web.access import actor, current_access, is_fragment, request_now, requires
from web.answers import done, show_dialog
from web.forms.workflows import DraftForm, NewWorkflowForm, PublishForm, ReasonForm, RunForm, draft_form

blueprint = Blueprint("workflows", __name__, url_prefix="/workflows")

PAGE_SIZE = 50
SCHEDULES_LISTED = 50


def _access() -> Access:
    access = current_access()
    assert access is not None  # noqa: S101  every view here requires a permission
    return access


def _tenant() -> UUID:
    return _access().tenant.id


@blueprint.get("")
@requires("workflow:read")
def index() -> ResponseReturnValue:
    q, status = request.args.get("q", "").strip(), request.args.get("status", "")
    status = status if status in STATUSES else ""
    rows = workflows_page(_tenant(), q, status, request.args.get("after", type=UUID), PAGE_SIZE + 1)
    shown = {
        "rows": rows[:PAGE_SIZE],
        "next_after": rows[PAGE_SIZE - 1].id if len(rows) > PAGE_SIZE else None,
        "total": workflow_count(_tenant(), q, status),
        "q": q,
        "status": status,
        "is_first": "after" not in request.args,
        "is_part": is_fragment(),
    }
    return render_template("workflows/_list.html" if is_fragment() else "workflows/index.html", **shown)


@blueprint.get("/new")
@requires("workflow:manage")
def new() -> ResponseReturnValue:
    return show_dialog("workflows/_new.html", "New workflow", form=NewWorkflowForm())


@blueprint.post("")
@requires("workflow:manage")
def create() -> ResponseReturnValue:
    form = NewWorkflowForm(request.form)
    try:
        with transaction():
            made = create_workflow(
                actor(), form.name.data or "", request_now(), form.key.data or "", form.description.data or ""
            )
            address, name = _address(made.id), made.name
    except Refused as refusal:
        form.attach(refusal.problems)
        return show_dialog("workflows/_new.html", "New workflow", 422, form=form)
    return done(address, f"{name} was created. Edit its draft, then publish it.")


@blueprint.get("/<uuid:workflow_id>")
@requires("workflow:read")
def show(workflow_id: UUID) -> ResponseReturnValue:
    workflow = workflow_of(_tenant(), workflow_id)
    return render_template("workflows/show.html", **_head(workflow), **_draft(workflow, draft_form(workflow)))


@blueprint.post("/<uuid:workflow_id>/save")
@requires("workflow:manage")
def save(workflow_id: UUID) -> ResponseReturnValue:
    form = DraftForm(request.form)
    try:
        limit = form.limit
    except Refused as refusal:
        form.attach(refusal.problems)
        return _draft_again(workflow_id, form, 422)
    try:
        with transaction():
            save_draft(
                actor(),
                workflow_id,
                form.seen_revision,
                form.name.data or "",
                form.description.data or "",
                form.key.data or "",
                form.definition.data or "",
                form.schema_ref.data,
                form.schema_mode.data or "pinned",
                limit,
                request_now(),
            )
    except Refused as refusal:
        form.attach(refusal.problems)
        return _draft_again(workflow_id, form, 422)
    except Conflict as conflict:
        form.form_errors.append(conflict.message)
        return _draft_again(workflow_id, form, 409)
    if not is_fragment():
        return done(_address(workflow_id), "The draft was saved.")
    workflow = workflow_of(_tenant(), workflow_id)
    parts = {**_head(workflow), **_draft(workflow, draft_form(workflow))}
    answer = render_template("workflows/_saved.html", **parts)
    return answer, {"HX-Trigger": strict_json.dumps({"toast": {"message": "The draft was saved."}})}


@blueprint.get("/<uuid:workflow_id>/publish")
@requires("workflow:publish")
def review(workflow_id: UUID) -> ResponseReturnValue:
    workflow = living_workflow(_tenant(), workflow_id)
    return _review(workflow, PublishForm(data={"revision": workflow.revision}))


@blueprint.post("/<uuid:workflow_id>/publish")
@requires("workflow:publish")
def publish(workflow_id: UUID) -> ResponseReturnValue:
    form = PublishForm(request.form)
    try:
        with transaction():
            published = publish_workflow(actor(), workflow_id, form.seen_revision, request_now())
    except (Refused, Conflict) as refusal:
        workflow = living_workflow(_tenant(), workflow_id)
        form.revision.data = workflow.revision
        if isinstance(refusal, Conflict):
            form.form_errors.append("The draft changed since you opened this. Below is what would be published now.")
        return _review(workflow, form, 409 if isinstance(refusal, Conflict) else 422)
    said = [f"Version {published.version} is published."]
    if count := published.invalidated:
        said.append("1 schedule no longer fits and is held." if count == 1 else f"{count} schedules no longer fit.")
    if count := published.recovered:
        said.append("1 schedule fits again and is paused." if count == 1 else f"{count} fit again and are paused.")
    return done(_address(workflow_id), " ".join(said))


@blueprint.get("/<uuid:workflow_id>/run")
@requires("workflow:manage")
def prepare_run(workflow_id: UUID) -> ResponseReturnValue:
    workflow = living_workflow(_tenant(), workflow_id)
    form = RunForm(data={"request_key": str(new_id())})
    if workflow.published_version is not None:
        version = version_of(_tenant(), workflow_id, workflow.published_version)
        form.payload.data = strict_json.pretty(sample_payload(version, _access().tenant.timezone, request_now()))
    return _run_dialog(workflow, form)


@blueprint.post("/<uuid:workflow_id>/run")
@requires("workflow:manage")
def run(workflow_id: UUID) -> ResponseReturnValue:
    form = RunForm(request.form)
    key = f"run:{workflow_id}:{(form.request_key.data or str(new_id()))[:64]}"
    try:
        with transaction():
            started = launch_workflow(actor(), workflow_id, form.payload.data or "", key, request_now())
            run_id = started.id
    except Refused as refusal:
        form.attach(refusal.problems)
        return _run_dialog(living_workflow(_tenant(), workflow_id), form, 422)
    except Held as held:
        form.form_errors.append(held.message)
        return _run_dialog(living_workflow(_tenant(), workflow_id), form, 409)
    name = workflow_of(_tenant(), workflow_id).name
    return done(_address(workflow_id), {"message": f"{name} runs now.", "href": f"/runs/{run_id}", "label": "Open run"})


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
    return done(_address(workflow_id), f"{name} is paused. Nothing starts it until it is resumed.")


@blueprint.post("/<uuid:workflow_id>/resume")
@requires("workflow:manage")
def resume(workflow_id: UUID) -> ResponseReturnValue:
    with transaction():
        name = resume_workflow(actor(), workflow_id, request_now()).name
    return done(_address(workflow_id), f"{name} goes on from its next instants. Nothing is caught up.")


@blueprint.get("/<uuid:workflow_id>/delete")
@requires("workflow:admin")
def ask_delete(workflow_id: UUID) -> ResponseReturnValue:
    workflow = living_workflow(_tenant(), workflow_id)
    schedules = living_schedules(_tenant(), workflow_id, SCHEDULES_LISTED)
    count = schedule_count(_tenant(), workflow_id)
    title = f"Delete {workflow.name}"
    return show_dialog("workflows/_delete.html", title, workflow=workflow, schedules=schedules, count=count)


@blueprint.post("/<uuid:workflow_id>/delete")
@requires("workflow:admin")
def delete(workflow_id: UUID) -> ResponseReturnValue:
    with transaction():
        name = living_workflow(_tenant(), workflow_id).name
        ended = delete_workflow(actor(), workflow_id, request_now())
    schedules = f" and {ended} schedules ended" if ended else ""
    return done(url_for("workflows.index"), f"{name} was deleted{schedules}. Its versions and runs stay readable.")


@blueprint.get("/<uuid:workflow_id>/versions/<int:version>")
@requires("workflow:read")
def show_version(workflow_id: UUID, version: int) -> ResponseReturnValue:
    workflow = workflow_of(_tenant(), workflow_id)
    stored = version_of(_tenant(), workflow_id, version)
    steps = outline(stored.definition)
    return render_template("workflows/version.html", workflow=workflow, version=stored, steps=steps)


def _address(workflow_id: UUID) -> str:
    return url_for("workflows.show", workflow_id=workflow_id)


def _head(workflow: Workflow) -> dict[str, Any]:
    problems = [] if workflow.deleted_at else draft_problems(workflow)
    return {
        "workflow": workflow,
        "problems": problems,
        "schedules": schedule_count(_tenant(), workflow.id),
        "versions": versions_page(_tenant(), workflow.id, request.args.get("before", type=int)),
    }


def _draft(workflow: Workflow, form: DraftForm) -> dict[str, Any]:
    form.offer_schemas(schema_refs(_tenant()))
    return {"form": form, "steps": outline(workflow.draft_definition)}


def _draft_again(workflow_id: UUID, form: DraftForm, status: int) -> ResponseReturnValue:
    """What was typed, with what is wrong. After a conflict the next save is made knowing what is stored now."""
    workflow = living_workflow(_tenant(), workflow_id)
    if status == 409:
        form.revision.data = str(workflow.revision)
    values = {**_head(workflow), **_draft(workflow, form), "stored": workflow if status == 409 else None}
    return render_template("workflows/_draft.html" if is_fragment() else "workflows/show.html", **values), status


def _review(workflow: Workflow, form: PublishForm, status: int = 200) -> ResponseReturnValue:
    preview = publish_preview(_tenant(), workflow.id)
    title = f"Publish {workflow.name}"
    return show_dialog("workflows/_publish.html", title, status, workflow=workflow, form=form, preview=preview)


def _run_dialog(workflow: Workflow, form: RunForm, status: int = 200) -> ResponseReturnValue:
    published = workflow.published_version
    version = version_of(_tenant(), workflow.id, published) if published is not None else None
    title = f"Run {workflow.name} now"
    return show_dialog("workflows/_run.html", title, status, workflow=workflow, form=form, version=version)


def _pause_dialog(workflow_id: UUID, form: ReasonForm, status: int = 200) -> ResponseReturnValue:
    workflow = living_workflow(_tenant(), workflow_id)
    return show_dialog("workflows/_pause.html", f"Pause {workflow.name}", status, workflow=workflow, form=form)
