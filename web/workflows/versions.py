"""The published versions of a workflow: one to read, any two to compare, an old one to restore as the draft."""

from __future__ import annotations

from uuid import UUID

from flask import render_template
from flask.typing import ResponseReturnValue

from domain.workflows.definitions import readable
from domain.workflows.versions import version_of
from domain.workflows.workflows import workflow_of
from web.access import requires
from web.workflows.frame import blueprint, tenant_id
from web.workflows.steps import drawn_steps


@blueprint.get("/<uuid:workflow_id>/versions/<int(max=2147483647):version>")
@requires("workflow:read")
def show_version(workflow_id: UUID, version: int) -> ResponseReturnValue:
    workflow = workflow_of(tenant_id(), workflow_id)
    stored = version_of(tenant_id(), workflow_id, version)
    return render_template(
        "workflows/version.html",
        workflow=workflow,
        version=stored,
        definition=readable(stored.definition),
        steps=drawn_steps(stored.definition),
    )
