"""Which processes are alive. A worker's row is the lease of every run it has claimed."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, delete, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from domain.kernel.db import Base, db

SCHEDULER, WORKER, WEB = "scheduler", "worker", "web"
# Of which one must be alive for anything to fire and run.
KINDS = (SCHEDULER, WORKER)
FORGET_AFTER = timedelta(hours=24)


class Heartbeat(Base):
    """`id` is new for every process start, so that a restarted process cannot inherit a lease."""

    __tablename__ = "heartbeats"
    __table_args__ = (
        CheckConstraint("kind IN ('web', 'scheduler', 'worker')", name="kind"),
        Index("ix_heartbeats_kind", "kind", "lease_until"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    host: Mapped[str]
    pid: Mapped[int]
    version: Mapped[str]
    started_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    lease_until: Mapped[datetime]


def beat(process_id: UUID, kind: str, host: str, pid: int, version: str, lease_seconds: int) -> None:
    """Say that the process is alive for another `lease_seconds`, by the database's clock."""
    until = func.clock_timestamp() + text(f"interval '{int(lease_seconds)} seconds'")
    row = insert(Heartbeat).values(id=process_id, kind=kind, host=host, pid=pid, version=version, lease_until=until)
    db.session.execute(row.on_conflict_do_update(index_elements=["id"], set_={"lease_until": row.excluded.lease_until}))


def end_heartbeat(process_id: UUID) -> None:
    """Say that the process has ended: what it still holds is free at once."""
    db.session.execute(delete(Heartbeat).where(Heartbeat.id == process_id))


def heartbeats_page(now: datetime) -> list[Heartbeat]:
    """All processes seen in the last hour, the living first."""
    recent = select(Heartbeat).where(Heartbeat.lease_until > now - timedelta(hours=1))
    return list(db.session.scalars(recent.order_by(Heartbeat.kind, Heartbeat.lease_until.desc(), Heartbeat.id)))


def dead_kinds(now: datetime) -> list[str]:
    """The kinds of process of which none is alive."""
    alive = set(db.session.scalars(select(Heartbeat.kind).where(Heartbeat.lease_until > now).distinct()))
    return [kind for kind in KINDS if kind not in alive]


def prune_heartbeats(now: datetime) -> int:
    """Forget processes that ended long ago and hold nothing."""
    gone = delete(Heartbeat).where(Heartbeat.lease_until < now - FORGET_AFTER).returning(Heartbeat.id)
    return len(db.session.scalars(gone).all())
