"""A published version: definition, trigger and payload schema as they were when someone published. Never changes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, UniqueConstraint, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from domain.accounts.tenants import Owned, owned
from domain.accounts.users import User
from domain.kernel.db import Base, Identified, db
from domain.kernel.errors import NotFound


class WorkflowVersion(Identified, Owned, Base):
    """`payload_schema`: the snapshot that payloads are checked with. `is_pure`: no step touches anything outside.

    A trigger of the database refuses updates.
    """

    __tablename__ = "workflow_versions"
    __table_args__ = (
        UniqueConstraint("tenant_id", "workflow_id", "version"),
        ForeignKeyConstraint(["tenant_id", "workflow_id"], ["workflows.tenant_id", "workflows.id"]),
        CheckConstraint("version >= 1", name="version"),
        CheckConstraint("payload_schema_mode IN ('pinned', 'inferred')", name="payload_schema_mode"),
    )

    workflow_id: Mapped[UUID]
    version: Mapped[int]
    definition: Mapped[Any] = mapped_column(JSONB)
    definition_hash: Mapped[str]
    trigger: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    payload_schema_mode: Mapped[str]
    payload_schema_ref: Mapped[str | None]
    payload_schema: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    is_pure: Mapped[bool]
    published_at: Mapped[datetime]
    published_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))


def version_of(tenant_id: UUID, workflow_id: UUID, version: int | None) -> WorkflowVersion:
    """A published version by number; raises NotFound."""
    found = db.session.scalars(
        owned(tenant_id, WorkflowVersion).where(
            WorkflowVersion.workflow_id == workflow_id, WorkflowVersion.version == version
        )
    ).one_or_none()
    if found is None:
        raise NotFound
    return found


@dataclass(frozen=True)
class VersionRow:
    """One line of the list of versions."""

    version: int
    published_at: datetime
    published_by: str | None
    payload_schema_ref: str | None
    definition_hash: str


def versions_page(tenant_id: UUID, workflow_id: UUID, before: int | None = None, limit: int = 50) -> list[VersionRow]:
    """The versions of a workflow, newest first, at most `limit`, from below the number `before`."""
    query = (
        select(
            WorkflowVersion.version,
            WorkflowVersion.published_at,
            User.name,
            WorkflowVersion.payload_schema_ref,
            WorkflowVersion.definition_hash,
        )
        .outerjoin(User, User.id == WorkflowVersion.published_by)
        .where(WorkflowVersion.tenant_id == tenant_id, WorkflowVersion.workflow_id == workflow_id)
    )
    if before is not None:
        query = query.where(WorkflowVersion.version < before)
    rows = db.session.execute(query.order_by(WorkflowVersion.version.desc()).limit(limit))
    return [VersionRow(*row) for row in rows]
