"""The editor of a workflow: its settings and definition as a form, and the parts that follow what is being typed."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import render_template, request
from flask.typing import ResponseReturnValue

from domain.events.event_types import event_type_choices
from domain.kernel import strict_json
from domain.kernel.db import transaction
from domain.kernel.errors import Conflict, Refused
from domain.workflows.comparisons import difference
from domain.workflows.definitions import readable
from domain.workflows.drafts import create_workflow, save_draft
from domain.workflows.payload_schemas import schema_refs
from domain.workflows.workflows import Workflow, living_workflow, workflow_of
from web.access import actor, is_fragment, request_now, requires
from web.answers import done, show_dialog
from web.forms.drafts import DraftForm, draft_form
from web.forms.workflows import NewWorkflowForm
from web.workflows.checking import Checked, checked_draft, checked_form
from web.workflows.differences import draft_differences
from web.workflows.frame import address_of, blueprint, head_of, tenant_id
from web.workflows.mapping import mapping_part
from web.workflows.words import summary_of


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
    return render_template("workflows/show.html", **_page(workflow, draft_form(workflow), checked_draft(workflow)))


@blueprint.post("/<uuid:workflow_id>/save")
@requires("workflow:manage")
def save(workflow_id: UUID) -> ResponseReturnValue:
    form = DraftForm(request.form)
    try:
        with transaction():
            save_draft(actor(), workflow_id, form.seen_revision, form.fields(), request_now())
    except Refused as refusal:
        form.attach(refusal.problems)
        return _again(workflow_id, form, 422)
    except Conflict as conflict:
        form.form_errors.append(conflict.message)
        return _again(workflow_id, form, 409)
    if not is_fragment():
        return done(address_of(workflow_id), "The draft was saved.")
    workflow = workflow_of(tenant_id(), workflow_id)
    parts = _page(workflow, draft_form(workflow), checked_draft(workflow))
    answer = render_template("workflows/_saved.html", **parts)
    return answer, {"HX-Trigger": strict_json.dumps({"toast": {"message": "The draft was saved."}})}


@blueprint.post("/<uuid:workflow_id>/check")
@requires("workflow:manage")
def check(workflow_id: UUID) -> ResponseReturnValue:
    """What is wrong with what is typed. Saves nothing."""
    workflow = living_workflow(tenant_id(), workflow_id)
    form = DraftForm(request.form)
    checked = checked_form(workflow, form)
    if is_fragment():
        return render_template("workflows/_check.html", workflow=workflow, checked=checked, can_edit=True)
    return render_template("workflows/show.html", **_page(workflow, form, checked))


def _page(workflow: Workflow, form: DraftForm, checked: Checked) -> dict[str, Any]:
    refs = schema_refs(tenant_id())
    form.offer_schemas(refs)
    return {
        **head_of(workflow),
        **mapping_part(form, refs),
        "form": form,
        "checked": checked,
        "summary": summary_of(form),
        "definition": strict_json.pretty(readable(workflow.draft_definition)),
        "event_types": event_type_choices(tenant_id()),
    }


def _again(workflow_id: UUID, form: DraftForm, status: int) -> ResponseReturnValue:
    """What was typed, with what is wrong. After a conflict the next save is made knowing what is stored now."""
    workflow = living_workflow(tenant_id(), workflow_id)
    values = _page(workflow, form, checked_form(workflow, form))
    if status == 409:
        form.revision.data = str(workflow.revision)
        values |= {
            "stored": workflow,
            "differences": draft_differences(workflow, form),
            "hunks": difference(values["definition"], form.definition.data or ""),
        }
    return render_template("workflows/_draft.html" if is_fragment() else "workflows/show.html", **values), status
