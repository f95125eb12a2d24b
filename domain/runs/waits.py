"""A wait: what a run has stopped for, and what lets it go on. Nothing sleeps in a worker.

A wait is opened in the transaction that records its step as waiting and gives the run out of the worker's hands; it is
closed by one compare-and-set, in the transaction that records what the step gave and makes the run ready again. So a
resumed run finds an ordinary record. A run keeps its slot while it waits, and has at most one open wait.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from domain.kernel.db import Base
from domain.kernel.ids import new_id

# What is waited for: a moment, the time of the next attempt, an event, somebody's answer, the end of a child run.
TIME, RETRY, EVENT, TASK, CHILD = "time", "retry", "event", "task", "child"
KINDS = (TIME, RETRY, EVENT, TASK, CHILD)

OPEN, RESOLVED, TIMED_OUT, CANCELED = "open", "resolved", "timed_out", "canceled"
TRANSITIONS: dict[str, frozenset[str]] = {
    OPEN: frozenset({RESOLVED, TIMED_OUT, CANCELED}),
    RESOLVED: frozenset(),
    TIMED_OUT: frozenset(),
    CANCELED: frozenset(),
}


class Wait(Base):
    """`due_at`: when it ends by itself: a time or retry wait with success, any other as timed out; None is never.
    That of a child is only ever set when it could not be closed, and says when to try again.

    `attempt`: the attempt at the step that waits (of a retry: the one that failed). `event_id`: the event that ended it.
    """

    __tablename__ = "waits"
    __table_args__ = (
        # wake_due
        Index("ix_waits_due", "due_at", "id", postgresql_where="status = 'open' AND due_at IS NOT NULL"),
        # an event looks for who waits for it
        Index(
            "ix_waits_event",
            "tenant_id",
            "event_name",
            "correlation_key",
            postgresql_where="status = 'open' AND kind = 'event'",
        ),
        # the end of a child looks for its parent
        Index("ix_waits_child", "child_run_id", postgresql_where="status = 'open' AND kind = 'child'"),
        Index("ix_waits_run", "run_id"),
        Index("uq_waits_open", "run_id", unique=True, postgresql_where="status = 'open'"),
        CheckConstraint("kind IN ('time', 'retry', 'event', 'task', 'child')", name="kind"),
        CheckConstraint("status IN ('open', 'resolved', 'timed_out', 'canceled')", name="status"),
        CheckConstraint("(status = 'open') = (closed_at IS NULL)", name="closed"),
        CheckConstraint("kind <> 'event' OR (event_name IS NOT NULL AND correlation_key IS NOT NULL)", name="event"),
        CheckConstraint("kind NOT IN ('time', 'retry') OR due_at IS NOT NULL", name="due"),
        CheckConstraint("(kind = 'child') = (child_run_id IS NOT NULL)", name="child"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id"))
    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    step_path: Mapped[str]
    iteration: Mapped[str]
    attempt: Mapped[int]
    kind: Mapped[str]
    status: Mapped[str] = mapped_column(default=OPEN, server_default=OPEN)
    due_at: Mapped[datetime | None]
    event_name: Mapped[str | None]
    correlation_key: Mapped[str | None]
    filters: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    event_id: Mapped[UUID | None]
    child_run_id: Mapped[UUID | None]
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
