"""The tenant's key-value store that workflow steps read and write: the visible effect of many small automations."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import CursorResult, ForeignKey, Index, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from domain.kernel.db import Base, db

PRUNED_AT_ONCE = 10_000

_PRUNE = text("""
    DELETE FROM store_items WHERE (tenant_id, namespace, key) IN (
        SELECT tenant_id, namespace, key FROM store_items
        WHERE expires_at <= :now ORDER BY expires_at LIMIT :most FOR UPDATE SKIP LOCKED)
""")


class StoreItem(Base):
    """`revision` grows with every write of the key."""

    __tablename__ = "store_items"
    __table_args__ = (
        # For prune_store.
        Index("ix_store_items_expires_at", "expires_at", postgresql_where=text("expires_at IS NOT NULL")),
    )

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id"), primary_key=True)
    namespace: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[Any] = mapped_column(JSONB)
    revision: Mapped[int] = mapped_column(default=1, server_default="1")
    expires_at: Mapped[datetime | None]
    updated_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp(), onupdate=func.clock_timestamp())


def prune_store(now: datetime) -> int:
    """Remove values that have expired, `PRUNED_AT_ONCE` at most; how many. They were as good as absent already."""
    return cast(CursorResult[Any], db.session.execute(_PRUNE, {"now": now, "most": PRUNED_AT_ONCE})).rowcount
