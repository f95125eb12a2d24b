"""Publishing as a reviewed step: what is wrong, what changes, and which schedules it touches."""

from __future__ import annotations

from uuid import UUID

from flask import request
from flask.typing import ResponseReturnValue

from domain.engine.problems import ERROR
from domain.kernel import strict_json
from domain.kernel.db import transaction
from domain.kernel.errors import Conflict, Refused
from domain.publishing import Published, publish_preview, publish_workflow
from domain.workflows.definitions import readable
from domain.workflows.workflows import Workflow, living_workflow
from web.access import actor, request_now, requires
from web.answers import done, show_dialog
from web.forms.workflows import PublishForm
from web.workflows.checking import placed
from web.workflows.differences import changes_of
from web.workflows.frame import address_of, blueprint, tenant_id


@blueprint.get("/<uuid:workflow_id>/publish")
@requires("workflow:publish")
def review(workflow_id: UUID) -> ResponseReturnValue:
    workflow = living_workflow(tenant_id(), workflow_id)
    return _review(workflow, PublishForm(data={"revision": workflow.revision}))


@blueprint.post("/<uuid:workflow_id>/publish")
@requires("workflow:publish")
def publish(workflow_id: UUID) -> ResponseReturnValue:
    form = PublishForm(request.form)
    try:
        with transaction():
            published = publish_workflow(actor(), workflow_id, form.seen_revision, request_now())
    except (Refused, Conflict) as refusal:
        workflow = living_workflow(tenant_id(), workflow_id)
        form.revision.data = workflow.revision
        if isinstance(refusal, Conflict):
            form.form_errors.append("The draft changed since you opened this. Below is what would be published now.")
        return _review(workflow, form, 409 if isinstance(refusal, Conflict) else 422)
    return done(address_of(workflow_id), _said(published))


def _said(published: Published) -> str:
    said = [f"Version {published.version} is published."]
    if count := published.invalidated:
        said.append("1 schedule no longer fits and is held." if count == 1 else f"{count} schedules no longer fit.")
    if count := published.recovered:
        said.append("1 schedule fits again and is paused." if count == 1 else f"{count} fit again and are paused.")
    return " ".join(said)


def _review(workflow: Workflow, form: PublishForm, status: int = 200) -> ResponseReturnValue:
    preview = publish_preview(tenant_id(), workflow.id)
    found = placed(strict_json.pretty(readable(workflow.draft_definition)), preview.found)
    return show_dialog(
        "workflows/_publish.html",
        f"Publish {workflow.name}",
        status,
        workflow=workflow,
        form=form,
        preview=preview,
        errors=[problem for problem in found if problem.severity == ERROR],
        warnings=[problem for problem in found if problem.severity != ERROR],
        changes=changes_of(preview.changes) if preview.changes else None,
    )
