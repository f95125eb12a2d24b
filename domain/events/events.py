"""An event: something that happened, told to Carillon once, and what each workflow and each waiting run made of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from domain.accounts.tenants import Owned
from domain.kernel.db import Base, Identified
from domain.kernel.ids import new_id

# Who told of it.
BY_API, BY_HAND, BY_RUN = "api", "manual", "run"
# What a workflow or a waiting run made of it.
STARTED, RESUMED, REFUSED = "started", "resumed", "refused"


class Event(Owned, Base):
    """`correlation_key`: what ties it to the runs that wait for it, empty when nothing does. `run_id`: the run that
    published it. `depth`: how many events led to this one."""

    __tablename__ = "events"
    __table_args__ = (
        # events_page, newest first; by name; by correlation, and what a wait that opens looks back on
        Index("ix_events_page", "tenant_id", "id"),
        Index("ix_events_name", "tenant_id", "name", "id"),
        Index("ix_events_correlation", "tenant_id", "correlation_key", "name", "id"),
        CheckConstraint("source IN ('api', 'manual', 'run')", name="source"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str]
    correlation_key: Mapped[str] = mapped_column(default="", server_default="")
    payload: Mapped[Any] = mapped_column(JSONB)
    source: Mapped[str]
    actor_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    actor_label: Mapped[str]
    run_id: Mapped[UUID | None]
    depth: Mapped[int] = mapped_column(default=0, server_default="0")
    received_at: Mapped[datetime]


class EventDelivery(Base):
    """What one event did in one place: the run that a workflow started or a wait resumed, or why it did not."""

    __tablename__ = "event_deliveries"
    __table_args__ = (
        # what one event did; events_page by what is rare
        Index("ix_event_deliveries_event", "event_id", "id"),
        Index("ix_event_deliveries_refused", "event_id", postgresql_where="outcome = 'refused'"),
        CheckConstraint("outcome IN ('started', 'resumed', 'refused')", name="outcome"),
        CheckConstraint("(outcome = 'refused') = (reason IS NOT NULL)", name="reason"),
        CheckConstraint("outcome = 'refused' OR run_id IS NOT NULL", name="run"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    event_id: Mapped[UUID] = mapped_column(ForeignKey("events.id", ondelete="CASCADE"))
    workflow_id: Mapped[UUID]
    run_id: Mapped[UUID | None]
    outcome: Mapped[str]
    reason: Mapped[str | None]


class EventType(Identified, Owned, Base):
    """An entry of the tenant's catalogue of events: `name` such as `invoice.paid`, and the payload schema it must fit."""

    __tablename__ = "event_types"
    __table_args__ = (Index("uq_event_types_name", "tenant_id", "name", unique=True),)

    name: Mapped[str]
    description: Mapped[str] = mapped_column(default="", server_default="")
    payload_schema_ref: Mapped[str]
