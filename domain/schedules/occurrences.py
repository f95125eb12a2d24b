"""The ledger: one row for every instant of a schedule that was decided, with its outcome and the reason.

A fired occurrence and its run share one id. A gap row stands for `count` instants from `scheduled_for` to `through`.
What was recorded is never rewritten.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from domain.kernel.db import Base

TIMING = "timing"
RUN_NOW = "run_now:"


def run_now_origin(request_key: str) -> str:
    """The origin of an occurrence that a person asked for."""
    return f"{RUN_NOW}{request_key}"


def backfill_origin(backfill_id: UUID) -> str:
    """The origin of an occurrence that a backfill made up for."""
    return f"backfill:{backfill_id}"


class Occurrence(Base):
    """`origin_key`: `timing`, `backfill:<id>` or `run_now:<request>`. `actor_id`: who asked for or held it, if a person."""

    __tablename__ = "occurrences"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "schedule_id"], ["schedules.tenant_id", "schedules.id"]),
        # what was decided lately: fire_minutes and invariants. Rows are only ever added, so ranges of pages are ranges of time
        Index(
            "ix_occurrences_decided",
            "decided_at",
            postgresql_using="brin",
            postgresql_with={"autosummarize": "on", "pages_per_range": 32},
        ),
        CheckConstraint("scheduled_for = date_trunc('second', scheduled_for)", name="whole_seconds"),
        CheckConstraint("outcome IN ('fired', 'skipped', 'missed', 'refused')", name="outcome"),
        CheckConstraint("(outcome = 'fired') = (reason IS NULL)", name="reason"),
        CheckConstraint("(count = 1) = (through IS NULL) AND count >= 1", name="gap"),
        CheckConstraint("outcome <> 'fired' OR count = 1", name="fired_is_one"),
    )

    schedule_id: Mapped[UUID] = mapped_column(primary_key=True)
    scheduled_for: Mapped[datetime] = mapped_column(primary_key=True)
    origin_key: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[UUID]
    tenant_id: Mapped[UUID]
    outcome: Mapped[str]
    reason: Mapped[str | None]
    detail: Mapped[str | None]
    through: Mapped[datetime | None]
    count: Mapped[int] = mapped_column(default=1, server_default="1")
    decided_at: Mapped[datetime]
    actor_id: Mapped[UUID | None]
