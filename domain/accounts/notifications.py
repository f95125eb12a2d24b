"""A notification: a line for one member of a tenant, inside Carillon."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from domain.accounts.tenants import Owned
from domain.kernel.db import Base, Identified

INFO, WARNING, ERROR = "info", "warning", "error"
SEVERITIES = (INFO, WARNING, ERROR)


class Notification(Identified, Owned, Base):
    """`link`: a path on this site, or None. `dedupe_key`: a second one with the same key for the same person is none."""

    __tablename__ = "notifications"
    __table_args__ = (
        # notifications_page, newest first; the count of unread ones
        Index("ix_notifications_page", "tenant_id", "user_id", "id"),
        Index("ix_notifications_unread", "tenant_id", "user_id", postgresql_where="read_at IS NULL"),
        Index("uq_notifications_dedupe", "tenant_id", "user_id", "dedupe_key", unique=True,
              postgresql_where="dedupe_key IS NOT NULL"),
        CheckConstraint("severity IN ('info', 'warning', 'error')", name="severity"),
    )  # fmt: skip

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    severity: Mapped[str]
    title: Mapped[str]
    body: Mapped[str] = mapped_column(default="", server_default="")
    link: Mapped[str | None]
    dedupe_key: Mapped[str | None]
    read_at: Mapped[datetime | None]
