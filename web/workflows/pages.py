"""The list of workflows, and one workflow with its draft, its outline and its versions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

from flask import render_template, request
from flask.typing import ResponseReturnValue

from domain.kernel import strict_json
from domain.kernel.db import transaction
from domain.kernel.errors import Conflict, Refused
from domain.publishing import STATUSES, workflow_count, workflows_page
from domain.workflows.definitions import outline, readable
from domain.workflows.drafts import create_workflow, fields_of, save_draft
from domain.workflows.payload_schemas import schema_refs
from domain.workflows.versions import version_of
from domain.workflows.workflows import Workflow, living_workflow, workflow_of
from web.access import actor, is_fragment, request_now, requires
from web.answers import done, show_dialog
from web.asked import asked_text
from web.forms.workflows import DraftForm, NewWorkflowForm, draft_form
from web.workflows.frame import address_of, blueprint, head_of, tenant_id

PAGE_SIZE = 50


@blueprint.get("")
@requires("workflow:read")
def index() -> ResponseReturnValue:
    q, status = asked_text("q"), request.args.get("status", "")
    status = status if status in STATUSES else ""
    rows = workflows_page(tenant_id(), q, status, request.args.get("after", type=UUID), PAGE_SIZE + 1)
    shown = {
        "rows": rows[:PAGE_SIZE],
        "next_after": rows[PAGE_SIZE - 1].id if len(rows) > PAGE_SIZE else None,
        "total": workflow_count(tenant_id(), q, status),
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
            address, name = address_of(made.id), made.name
    except Refused as refusal:
        form.attach(refusal.problems)
        return show_dialog("workflows/_new.html", "New workflow", 422, form=form)
    return done(address, f"{name} was created. Edit its draft, then publish it.")


@blueprint.get("/<uuid:workflow_id>")
@requires("workflow:read")
def show(workflow_id: UUID) -> ResponseReturnValue:
    workflow = workflow_of(tenant_id(), workflow_id)
    return render_template("workflows/show.html", **head_of(workflow), **_draft(workflow, draft_form(workflow)))


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
            stored = fields_of(living_workflow(tenant_id(), workflow_id))
            fields = replace(
                stored,
                name=form.name.data or "",
                description=form.description.data or "",
                key=form.key.data or "",
                definition_text=form.definition.data or "",
                schema_ref=form.schema_ref.data,
                schema_mode=form.schema_mode.data or "pinned",
                concurrency_limit=limit,
            )
            save_draft(actor(), workflow_id, form.seen_revision, fields, request_now())
    except Refused as refusal:
        form.attach(refusal.problems)
        return _draft_again(workflow_id, form, 422)
    except Conflict as conflict:
        form.form_errors.append(conflict.message)
        return _draft_again(workflow_id, form, 409)
    if not is_fragment():
        return done(address_of(workflow_id), "The draft was saved.")
    workflow = workflow_of(tenant_id(), workflow_id)
    parts = {**head_of(workflow), **_draft(workflow, draft_form(workflow))}
    answer = render_template("workflows/_saved.html", **parts)
    return answer, {"HX-Trigger": strict_json.dumps({"toast": {"message": "The draft was saved."}})}


@blueprint.get("/<uuid:workflow_id>/versions/<int(max=2147483647):version>")
@requires("workflow:read")
def show_version(workflow_id: UUID, version: int) -> ResponseReturnValue:
    workflow = workflow_of(tenant_id(), workflow_id)
    stored = version_of(tenant_id(), workflow_id, version)
    steps = outline(stored.definition)
    definition = readable(stored.definition)
    return render_template(
        "workflows/version.html", workflow=workflow, version=stored, definition=definition, steps=steps
    )


def _draft(workflow: Workflow, form: DraftForm) -> dict[str, Any]:
    form.offer_schemas(schema_refs(tenant_id()))
    definition = workflow.draft_definition
    return {"form": form, "definition": readable(definition), "steps": outline(definition)}


def _draft_again(workflow_id: UUID, form: DraftForm, status: int) -> ResponseReturnValue:
    """What was typed, with what is wrong. After a conflict the next save is made knowing what is stored now."""
    workflow = living_workflow(tenant_id(), workflow_id)
    if status == 409:
        form.revision.data = str(workflow.revision)
    values = {**head_of(workflow), **_draft(workflow, form), "stored": workflow if status == 409 else None}
    return render_template("workflows/_draft.html" if is_fragment() else "workflows/show.html", **values), status
