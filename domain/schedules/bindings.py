"""The workflow and the version that schedules are bound to."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import and_, bindparam, select
from sqlalchemy.orm import load_only

from domain.kernel.db import PLANNED_ONCE, db
from domain.kernel.errors import Held, NotFound
from domain.workflows.versions import WorkflowVersion, version_of
from domain.workflows.workflows import Workflow

# What those look at who bind to a version or start a run of it. Definitions, which are long, are read when they are asked for.
_OF_WORKFLOW = (
    Workflow.tenant_id,
    Workflow.key,
    Workflow.name,
    Workflow.published_version,
    Workflow.paused_at,
    Workflow.paused_by,
    Workflow.pause_reason,
    Workflow.concurrency_limit,
    Workflow.deleted_at,
)
_OF_VERSION = (
    WorkflowVersion.tenant_id,
    WorkflowVersion.workflow_id,
    WorkflowVersion.version,
    WorkflowVersion.payload_schema_mode,
    WorkflowVersion.payload_schema_ref,
    WorkflowVersion.payload_schema,
    WorkflowVersion.is_pure,
)

_HELD = (
    select(Workflow, WorkflowVersion)
    .outerjoin(
        WorkflowVersion,
        and_(
            WorkflowVersion.tenant_id == Workflow.tenant_id,
            WorkflowVersion.workflow_id == Workflow.id,
            WorkflowVersion.version == Workflow.published_version,
        ),
    )
    .where(Workflow.tenant_id == bindparam("tenant_id"), Workflow.id == bindparam("workflow_id"))
    .where(Workflow.deleted_at.is_(None))
    .options(load_only(*_OF_WORKFLOW), load_only(*_OF_VERSION))
    .with_for_update(read=True, of=Workflow)
    .execution_options(populate_existing=True, **PLANNED_ONCE)
)


def held_workflow(tenant_id: UUID, workflow_id: UUID | None) -> tuple[Workflow, WorkflowVersion]:
    """A living workflow, held with FOR SHARE, and its version that schedules can run.

    Raises NotFound for strangers' and absent ones alike, Held as `bindable_version` does.
    """
    found = db.session.execute(_HELD, {"tenant_id": tenant_id, "workflow_id": workflow_id}).one_or_none()
    if found is None:
        raise NotFound
    workflow, version = found
    # The version is as it was before the lock waited: when somebody published meanwhile the row comes without one.
    return workflow, bindable_version(workflow, version)


def bindable_version(workflow: Workflow, published: WorkflowVersion | None = None) -> WorkflowVersion:
    """The published version if schedules can run it (a paused workflow can be scheduled); raises Held with the reason.

    `published`: that version, from whoever has read it already.
    """
    if workflow.published_version is None:
        raise Held(f"{workflow.name} has no published version. Publish it first.", code="WORKFLOW_NOT_PUBLISHED")
    version = published or version_of(workflow.tenant_id, workflow.id, workflow.published_version)
    if version.payload_schema_mode != "pinned":
        message = f"{workflow.name} infers its payload schema. Pin a schema and publish it to schedule it."
        raise Held(message, code="WORKFLOW_PAYLOAD_SCHEMA_NOT_PINNED")
    if version.payload_schema is None:
        message = f"Version {version.version} of {workflow.name} has no payload schema. Choose one and publish again."
        raise Held(message, code="WORKFLOW_PAYLOAD_SCHEMA_UNAVAILABLE")
    return version
