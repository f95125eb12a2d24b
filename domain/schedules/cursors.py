"""The narrow, hot half of a schedule: where its ledger ends and when to look again.

`next_fire_at` is the first undecided instant: everything before it is in the ledger, nothing from it on is. `wake_at`
says when to look (later than `next_fire_at` with a spread or after a poisoned try); None when nothing is to be decided.
Firing writes only here, so editing a schedule and firing it do not fight over one row.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, Index, select, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.kernel.db import Base, db


class ScheduleCursor(Base):
    """`last_run_at`: last successful run finished. `last_finished_at` and `last_run_status`: latest run of any outcome."""

    __tablename__ = "schedule_cursors"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "schedule_id"], ["schedules.tenant_id", "schedules.id"]),
        # fire_due: the due cursors, earliest first
        Index("ix_schedule_cursors_wake", "wake_at", postgresql_where="wake_at IS NOT NULL"),
        # schedules_page: those that nothing is due for, and the failing ones. Firing again and again changes neither.
        Index("ix_schedule_cursors_undated", "tenant_id", postgresql_where="wake_at IS NULL"),
        Index("ix_schedule_cursors_failing", "tenant_id", postgresql_where="last_run_status = 'failed'"),
        # schedules_page: by last fire, never fired at the end. Each fire writes an entry (docs/decisions/0025-lists.md).
        Index("ix_schedule_cursors_last_fire", "tenant_id", text("last_fire_at DESC NULLS LAST"), "schedule_id"),
        {"postgresql_with": {"fillfactor": "70"}},
    )

    schedule_id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    next_fire_at: Mapped[datetime | None]
    wake_at: Mapped[datetime | None]
    last_fire_at: Mapped[datetime | None]
    last_run_at: Mapped[datetime | None]
    last_finished_at: Mapped[datetime | None]
    last_run_status: Mapped[str | None]
    last_error: Mapped[str | None]


def locked_cursor(schedule_id: UUID) -> ScheduleCursor:
    """The cursor, read afresh under its lock; waits for a tick that holds it."""
    return db.session.scalars(
        select(ScheduleCursor)
        .where(ScheduleCursor.schedule_id == schedule_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).one()


def locked_cursors(schedule_ids: Sequence[UUID]) -> dict[UUID, ScheduleCursor]:
    """What `locked_cursor` gives, of many, by schedule; locked in ascending order."""
    wanted = select(ScheduleCursor).where(ScheduleCursor.schedule_id.in_(schedule_ids))
    locked = wanted.order_by(ScheduleCursor.schedule_id).with_for_update(key_share=True)
    found = db.session.scalars(locked.execution_options(populate_existing=True))
    return {cursor.schedule_id: cursor for cursor in found}


def spread_offset(schedule_id: UUID, spread_seconds: int) -> timedelta:
    """How much later than its instant a schedule is looked at: stable, from the schedule's id."""
    if spread_seconds == 0:
        return timedelta(0)
    return timedelta(seconds=schedule_id.int % (spread_seconds + 1))
