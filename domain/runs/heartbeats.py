"""Which processes are alive. A worker's row is the lease of every run it has claimed."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, delete, func, select, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.kernel.db import PLANNED_ONCE, Base, db

SCHEDULER, WORKER, WEB = "scheduler", "worker", "web"
# Of which one must be alive for anything to fire and run.
KINDS = (SCHEDULER, WORKER)
FORGET_AFTER = timedelta(hours=24)

_BEAT = text("""
    INSERT INTO heartbeats (id, kind, host, pid, version, lease_until)
    VALUES (:id, :kind, :host, :pid, :version, clock_timestamp() + make_interval(secs => :seconds))
    ON CONFLICT (id) DO UPDATE SET lease_until = excluded.lease_until
""")

# Sessions of ours for which PostgreSQL waits inside a transaction: for the rest of what they ask, for their next statement,
# or until they have read an answer. Where a pooler keeps their names to itself, or adds to them, none is found.
_STANDING = text("""
    SELECT a.pid, a.application_name FROM pg_stat_activity a
    WHERE a.datname = current_database() AND a.usename = session_user
        AND a.application_name ~ '^carillon-(web|scheduler|worker) [0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
        AND a.xact_start IS NOT NULL AND a.wait_event_type = 'Client' AND a.state_change < :standing_since
        AND NOT EXISTS (SELECT FROM heartbeats h WHERE h.lease_until >= :now
            AND a.application_name = 'carillon-' || h.kind || ' ' || h.id)
""").execution_options(**PLANNED_ONCE)

_END_SESSIONS = text("SELECT pg_terminate_backend(pid) FROM unnest(CAST(:pids AS integer[])) AS pid")


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
    row = {"id": process_id, "kind": kind, "host": host, "pid": pid, "version": version, "seconds": lease_seconds}
    db.session.execute(_BEAT, row)


def end_heartbeat(process_id: UUID) -> None:
    """Say that the process has ended: what it still holds is free at once."""
    db.session.execute(delete(Heartbeat).where(Heartbeat.id == process_id))


def session_name(kind: str, process_id: UUID) -> str:
    """What PostgreSQL shows the database sessions of a process as (`application_name`)."""
    return f"carillon-{kind} {process_id}"


def end_standing_sessions(now: datetime, lease_seconds: int) -> list[str]:
    """End the database sessions of processes that stand still, so that others get what these hold; the names of those
    whose sessions they were. They are gone a moment later.

    In the middle of a statement a session is neither idle nor at work, and most timeouts of the database, if not all, let it
    be. It is ended when its process has no heart that beats, and it has been waited for inside a transaction for a lease.
    Who lives all the same, with a heart that was late, has lost its runs by the same rule; it finds a connection that was
    cut and a transaction that was rolled back, and writes nothing that others go on with.
    Raises ProgrammingError (InsufficientPrivilege), having done nothing, where not even one's own sessions may be ended.
    """
    asked = {"now": now, "standing_since": now - timedelta(seconds=lease_seconds)}
    standing = db.session.execute(_STANDING, asked).all()
    if standing:
        with db.session.begin_nested():
            db.session.execute(_END_SESSIONS, {"pids": [row.pid for row in standing]})
    return sorted({row.application_name for row in standing})


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
