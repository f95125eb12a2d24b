"""A backfill: a past range of a schedule that somebody makes up for, with a limit of its own on how many run at a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.accounts.tenants import Owned
from domain.kernel.db import Base, Identified, db
from domain.kernel.errors import Refused

# Instants of one backfill, and how far its range may reach.
BACKFILL_LIMIT = 500
RANGE_MAX = timedelta(days=366)
CONCURRENCY_MAX = 20
SHOWN = 20


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


@dataclass(frozen=True)
class BackfillProgress:
    """A backfill with how many of its runs stand where: `queued` have not started, `going` have and are not over.

    The five may be fewer than `count`: runs are kept only so long.
    """

    id: UUID
    from_at: datetime
    until_at: datetime
    count: int
    concurrency: int
    created_at: datetime
    created_by_name: str | None
    queued: int
    going: int
    succeeded: int
    failed: int
    canceled: int

    @property
    def is_over(self) -> bool:
        return self.queued == 0 and self.going == 0


_PROGRESS = text("""
    SELECT b.id, b.from_at, b.until_at, b.count, b.concurrency, b.created_at, u.name AS created_by_name,
        p.queued, p.going, p.succeeded, p.failed, p.canceled
    FROM (
        SELECT * FROM backfills WHERE tenant_id = :tenant_id AND schedule_id = :schedule_id
        ORDER BY id DESC LIMIT :limit
    ) b
    LEFT JOIN users u ON u.id = b.created_by
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE r.status = 'queued' AND r.started_at IS NULL) AS queued,
            count(*) FILTER (WHERE r.finished_at IS NULL AND (r.status <> 'queued' OR r.started_at IS NOT NULL)) AS going,
            count(*) FILTER (WHERE r.status = 'succeeded') AS succeeded,
            count(*) FILTER (WHERE r.status = 'failed') AS failed,
            count(*) FILTER (WHERE r.status = 'canceled') AS canceled
        FROM runs r WHERE r.backfill_id = b.id
    ) p
    ORDER BY b.id DESC
""")


def backfills_of(tenant_id: UUID, schedule_id: UUID, limit: int = SHOWN) -> list[BackfillProgress]:
    """The last `limit` backfills of a schedule, the newest first."""
    rows = db.session.execute(_PROGRESS, {"tenant_id": tenant_id, "schedule_id": schedule_id, "limit": limit})
    return [BackfillProgress(**row._mapping) for row in rows]


def parse_concurrency(value: object) -> int:
    """A whole number from 1 to CONCURRENCY_MAX, as a number or as its text. Raises Refused at `concurrency`."""
    written = "" if isinstance(value, bool) else str(value).strip()
    is_number = written.isascii() and written.isdigit() and len(written) <= 4
    if not is_number or not 1 <= int(written) <= CONCURRENCY_MAX:
        message = f"Enter how many may run at a time, from 1 to {CONCURRENCY_MAX}."
        raise Refused.at("concurrency", message, "NUMBER_INVALID")
    return int(written)
