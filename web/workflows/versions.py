"""The published versions of a workflow: one to read, any two to compare, an old one to restore as the draft."""

from __future__ import annotations

from uuid import UUID

from flask import render_template, request
from flask.typing import ResponseReturnValue

from domain.kernel.db import transaction
from domain.kernel.errors import Conflict
from domain.workflows.comparisons import compare, draft_snapshot, version_changes, version_snapshot
from domain.workflows.definitions import readable
from domain.workflows.drafts import restore_version
from domain.workflows.versions import version_of, versions_page
from domain.workflows.workflows import Workflow, living_workflow, workflow_of
from web.access import actor, request_now, requires
from web.answers import done, show_dialog
from web.forms.workflows import RestoreForm
from web.workflows.differences import changes_of
from web.workflows.frame import MAX_VERSION, address_of, blueprint, tenant_id
from web.workflows.steps import drawn_steps
from web.workflows.words import stored_trigger_words


@blueprint.get("/<uuid:workflow_id>/versions/<int(max=2147483647):version>")
@requires("workflow:read")
def show_version(workflow_id: UUID, version: int) -> ResponseReturnValue:
    workflow = workflow_of(tenant_id(), workflow_id)
    stored = version_of(tenant_id(), workflow_id, version)
    older = versions_page(tenant_id(), workflow_id, before=version, limit=1)
    return render_template(
        "workflows/version.html",
        workflow=workflow,
        version=stored,
        older=older[0].version if older else None,
        definition=readable(stored.definition),
        steps=drawn_steps(stored.definition),
        trigger=stored_trigger_words(stored.trigger),
    )


@blueprint.get("/<uuid:workflow_id>/versions/compare")
@requires("workflow:read")
def compare_versions(workflow_id: UUID) -> ResponseReturnValue:
    workflow = workflow_of(tenant_id(), workflow_id)
    numbers = [row.version for row in versions_page(tenant_id(), workflow_id)]
    old, new = _asked_version("from"), _asked_version("to")
    comparison = version_changes(tenant_id(), workflow_id, old, new) if old and new else None
    return render_template(
        "workflows/compare.html",
        workflow=workflow,
        old=old,
        new=new,
        numbers=sorted({*numbers, *(number for number in (old, new) if number)}, reverse=True),
        changes=changes_of(comparison) if comparison else None,
    )


@blueprint.get("/<uuid:workflow_id>/versions/<int(max=2147483647):version>/restore")
@requires("workflow:manage")
def ask_restore(workflow_id: UUID, version: int) -> ResponseReturnValue:
    workflow = living_workflow(tenant_id(), workflow_id)
    return _restore_dialog(workflow, version, RestoreForm(data={"revision": workflow.revision}))


@blueprint.post("/<uuid:workflow_id>/versions/<int(max=2147483647):version>/restore")
@requires("workflow:manage")
def restore(workflow_id: UUID, version: int) -> ResponseReturnValue:
    form = RestoreForm(request.form)
    try:
        with transaction():
            restore_version(actor(), workflow_id, version, form.seen_revision, request_now())
    except Conflict:
        workflow = living_workflow(tenant_id(), workflow_id)
        form.revision.data = workflow.revision
        form.form_errors.append("The draft changed since you opened this. Below is what would be replaced now.")
        return _restore_dialog(workflow, version, form, 409)
    return done(address_of(workflow_id), f"The draft is version {version} again. Publish it to have it run.")


def _restore_dialog(workflow: Workflow, version: int, form: RestoreForm, status: int = 200) -> ResponseReturnValue:
    """Asks first, and shows what of the draft would be lost: the way from the draft to the version."""
    stored = version_of(tenant_id(), workflow.id, version)
    comparison = compare(draft_snapshot(workflow), version_snapshot(stored))
    return show_dialog(
        "workflows/_restore.html",
        f"Restore version {version}",
        status,
        workflow=workflow,
        version=version,
        form=form,
        changes=changes_of(comparison),
    )


def _asked_version(name: str) -> int | None:
    number = request.args.get(name, type=int)
    return number if number is not None and 1 <= number <= MAX_VERSION else None
