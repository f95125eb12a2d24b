"""The workflow and the version that schedules are bound to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import and_, bindparam, select

from domain.kernel.db import PLANNED_ONCE, db
from domain.kernel.errors import Held, NotFound
from domain.workflows.versions import WorkflowVersion, version_of
from domain.workflows.workflows import Workflow


@dataclass(frozen=True, slots=True)
class BoundVersion:
    """A version of a workflow as those need it who bind to it or start a run of it: plain values, without its definition."""

    tenant_id: UUID
    workflow_id: UUID
    workflow_name: str
    version: int
    is_pure: bool
    payload_schema_mode: str
    payload_schema_ref: str | None
    payload_schema: Any

    @classmethod
    def of(cls, workflow: Workflow, version: WorkflowVersion) -> BoundVersion:
        """What rows of both say."""
        return cls(
            workflow.tenant_id,
            workflow.id,
            workflow.name,
            version.version,
            version.is_pure,
            version.payload_schema_mode,
            version.payload_schema_ref,
            version.payload_schema,
        )


# Of the tables and not of the classes: each request that makes a schedule asks it, and needs no rows in its session.
_WORKFLOWS: Any = Workflow.__table__
_VERSIONS: Any = WorkflowVersion.__table__
_HELD = (
    select(
        _WORKFLOWS.c.tenant_id,
        _WORKFLOWS.c.id,
        _WORKFLOWS.c.name,
        _VERSIONS.c.version,
        _VERSIONS.c.is_pure,
        _VERSIONS.c.payload_schema_mode,
        _VERSIONS.c.payload_schema_ref,
        _VERSIONS.c.payload_schema,
        _WORKFLOWS.c.published_version,
    )
    .select_from(_WORKFLOWS)
    .outerjoin(
        _VERSIONS,
        and_(
            _VERSIONS.c.tenant_id == _WORKFLOWS.c.tenant_id,
            _VERSIONS.c.workflow_id == _WORKFLOWS.c.id,
            _VERSIONS.c.version == _WORKFLOWS.c.published_version,
        ),
    )
    .where(_WORKFLOWS.c.tenant_id == bindparam("tenant_id"), _WORKFLOWS.c.id == bindparam("workflow_id"))
    .where(_WORKFLOWS.c.deleted_at.is_(None))
    .with_for_update(read=True, of=_WORKFLOWS)
    .execution_options(**PLANNED_ONCE)
)


def held_version(tenant_id: UUID, workflow_id: UUID | None) -> BoundVersion:
    """The version of a living workflow that schedules can run; the workflow is held with FOR SHARE.

    Raises NotFound for strangers' and absent ones alike, Held as `bindable_version` does.
    """
    found = db.session.execute(_HELD, {"tenant_id": tenant_id, "workflow_id": workflow_id}).one_or_none()
    if found is None:
        raise NotFound
    if found.published_version is None:
        raise _unpublished(found.name)
    if found.version is None:
        # The version is as it was before the lock waited: when somebody published meanwhile the row comes without one.
        return bindable_version(db.session.get_one(Workflow, workflow_id, populate_existing=True))
    return _checked(BoundVersion(*found[:-1]))


def bindable_version(workflow: Workflow) -> BoundVersion:
    """The published version if schedules can run it (a paused workflow can be scheduled); raises Held with the reason."""
    if workflow.published_version is None:
        raise _unpublished(workflow.name)
    version = version_of(workflow.tenant_id, workflow.id, workflow.published_version)
    return _checked(BoundVersion.of(workflow, version))


def _unpublished(name: str) -> Held:
    return Held(f"{name} has no published version. Publish it first.", code="WORKFLOW_NOT_PUBLISHED")


def _checked(bound: BoundVersion) -> BoundVersion:
    name = bound.workflow_name
    if bound.payload_schema_mode != "pinned":
        message = f"{name} infers its payload schema. Pin a schema and publish it to schedule it."
        raise Held(message, code="WORKFLOW_PAYLOAD_SCHEMA_NOT_PINNED")
    if bound.payload_schema is None:
        message = f"Version {bound.version} of {name} has no payload schema. Choose one and publish again."
        raise Held(message, code="WORKFLOW_PAYLOAD_SCHEMA_UNAVAILABLE")
    return bound
