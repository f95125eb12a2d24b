"""A workflow: the draft its authors edit, and which published version runs."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from domain.accounts.tenants import Owned, load
from domain.kernel.db import Base, Identified, db
from domain.kernel.errors import NotFound


class Workflow(Identified, Owned, Base):
    """`concurrency_limit`: admitted, unfinished runs at most; None is unlimited. `revision`: the optimistic lock.

    `event_name`: of the published version's trigger. `failure_rate_threshold`: a fraction. `failures_counted_from`: runs that ended before do not count for auto-pause.
    """

    __tablename__ = "workflows"
    __table_args__ = (
        UniqueConstraint("tenant_id", "id"),
        Index("uq_workflows_key", "tenant_id", "key", unique=True, postgresql_where="deleted_at IS NULL"),
        # what an event starts
        Index("ix_workflows_event", "tenant_id", "event_name", postgresql_where="deleted_at IS NULL"),
        CheckConstraint("concurrency_limit IS NULL OR concurrency_limit >= 1", name="concurrency_limit"),
        CheckConstraint("draft_schema_mode IN ('pinned', 'inferred')", name="draft_schema_mode"),
        CheckConstraint("paused_at IS NOT NULL OR (paused_by IS NULL AND pause_reason IS NULL)", name="paused"),
    )

    key: Mapped[str]
    name: Mapped[str]
    description: Mapped[str] = mapped_column(default="", server_default="")
    is_system: Mapped[bool] = mapped_column(default=False, server_default="false")
    is_visible: Mapped[bool] = mapped_column(default=True, server_default="true")
    draft_definition: Mapped[Any] = mapped_column(JSONB)
    draft_version: Mapped[int] = mapped_column(default=1, server_default="1")
    draft_trigger: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    draft_schema_mode: Mapped[str] = mapped_column(default="pinned", server_default="pinned")
    draft_schema_ref: Mapped[str | None]
    revision: Mapped[int] = mapped_column(default=1, server_default="1")
    published_version: Mapped[int | None]
    event_name: Mapped[str | None]
    paused_at: Mapped[datetime | None]
    paused_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    pause_reason: Mapped[str | None]
    concurrency_limit: Mapped[int | None]
    auto_pause_on_failure: Mapped[bool] = mapped_column(default=False, server_default="false")
    failure_rate_threshold: Mapped[float | None]
    failure_rate_min_runs: Mapped[int | None]
    failures_counted_from: Mapped[datetime | None]
    retention_policy_override: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    content_changed_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]


def workflow_of(tenant_id: UUID, workflow_id: UUID) -> Workflow:
    """A workflow of the tenant by id, deleted ones included: they stay readable. Raises NotFound."""
    query = select(Workflow).where(Workflow.tenant_id == tenant_id, Workflow.id == workflow_id)
    workflow = db.session.scalars(query).one_or_none()
    if workflow is None:
        raise NotFound
    return workflow


def living_workflow(tenant_id: UUID, workflow_id: UUID) -> Workflow:
    """A workflow of the tenant that is not deleted; raises NotFound."""
    return load(tenant_id, Workflow, workflow_id)
