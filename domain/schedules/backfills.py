"""A backfill: a past range of a schedule that somebody makes up for, with a limit of its own on how many run at a time."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from domain.accounts.tenants import Owned
from domain.kernel.db import Base, Identified


class Backfill(Identified, Owned, Base):
    """`count` instants of [from_at, until_at] got a run, of which at most `concurrency` go at a time."""

    __tablename__ = "backfills"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "schedule_id"], ["schedules.tenant_id", "schedules.id"]),
        # backfills of a schedule, the newest first
        Index("ix_backfills_schedule", "schedule_id", "id"),
        CheckConstraint("from_at <= until_at", name="range"),
        CheckConstraint("count >= 1 AND concurrency >= 1", name="bounds"),
    )

    schedule_id: Mapped[UUID]
    from_at: Mapped[datetime]
    until_at: Mapped[datetime]
    count: Mapped[int]
    concurrency: Mapped[int]
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
