"""A task: a question that a run puts to a person, and the answer that lets it go on."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from domain.accounts.tenants import Owned
from domain.kernel.db import Base, Identified

OPEN, ANSWERED, EXPIRED, CANCELED = "open", "answered", "expired", "canceled"
STATUSES = (OPEN, ANSWERED, EXPIRED, CANCELED)
TRANSITIONS: dict[str, frozenset[str]] = {
    OPEN: frozenset({ANSWERED, EXPIRED, CANCELED}),
    ANSWERED: frozenset(),
    EXPIRED: frozenset(),
    CANCELED: frozenset(),
}


class HumanTask(Identified, Owned, Base):
    """`form_schema`: what the answer must look like, as it was when the task was created. `context`: shown beside it."""

    __tablename__ = "tasks"
    __table_args__ = (
        # tasks_page, newest first; the count of open ones
        Index("ix_tasks_page", "tenant_id", "id"),
        Index("ix_tasks_open", "tenant_id", "id", postgresql_where="status = 'open'"),
        Index("ix_tasks_run", "run_id"),
        CheckConstraint("status IN ('open', 'answered', 'expired', 'canceled')", name="status"),
        CheckConstraint("(status = 'open') = (closed_at IS NULL)", name="closed"),
        CheckConstraint("(status = 'answered') = (answer IS NOT NULL)", name="answered"),
    )

    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    wait_id: Mapped[UUID] = mapped_column(ForeignKey("waits.id", ondelete="CASCADE"), unique=True)
    task_type: Mapped[str]
    title: Mapped[str]
    description: Mapped[str] = mapped_column(default="", server_default="")
    context: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    form_schema: Mapped[Any] = mapped_column(JSONB)
    status: Mapped[str] = mapped_column(default=OPEN, server_default=OPEN)
    due_at: Mapped[datetime | None]
    answer: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    answered_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    closed_at: Mapped[datetime | None]
