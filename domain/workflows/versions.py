"""A published version: definition, trigger and payload schema as they were when someone published. Never changes."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from domain.accounts.tenants import Owned
from domain.kernel.db import Base, Identified


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
