"""The circuit breaker of an install: after several failures in a row nobody calls it until a probe succeeds.

Closed, all calls go. After FAILURES_LIMIT failures in a row it is open: nobody calls until `open_until`; then exactly one
call, the probe, takes the circuit by a compare-and-set. Its failure opens the circuit for longer, any answer closes it. A
probe that is never heard of again costs the others its lease, no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, bindparam, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from domain.kernel.db import Base, db

FAILURES_LIMIT = 5
OPEN_SECONDS, MAX_OPEN_SECONDS = 30, 300
ERROR_MAX_CHARACTERS = 500


class InstallCircuit(Base):
    """One row per install that has failed lately. `failures`: in a row. `open_until`: when the next probe may go;
    None while it is closed. `opened_at`: since when it is open."""

    __tablename__ = "install_circuits"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "install_id"], ["installs.tenant_id", "installs.id"]),
        CheckConstraint("(opened_at IS NULL) = (open_until IS NULL)", name="open"),
    )

    install_id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]
    failures: Mapped[int] = mapped_column(default=0, server_default="0")
    opened_at: Mapped[datetime | None]
    open_until: Mapped[datetime | None]
    last_error: Mapped[str | None]


@dataclass(frozen=True)
class Passage:
    """What the circuit says to a call. `closed_until`: it must not go before; None when it may. `probe`: it is the one
    that tries an open circuit, known by this mark."""

    closed_until: datetime | None = None
    probe: datetime | None = None


_OPEN_UNTIL = select(InstallCircuit.open_until).where(InstallCircuit.install_id == bindparam("id"))

_CLOSE = text("""
    UPDATE install_circuits SET failures = 0, opened_at = NULL, open_until = NULL, last_error = NULL
    WHERE install_id = :install_id AND failures > 0
""")

_FAILED = text("""
    UPDATE install_circuits SET failures = failures + 1, last_error = :error,
        opened_at = CASE WHEN failures + 1 >= :limit THEN CAST(:now AS timestamptz) END,
        open_until = CASE WHEN failures + 1 >= :limit THEN CAST(:until AS timestamptz) END
    WHERE install_id = :install_id AND open_until IS NULL
""")


def circuit_of(install_id: UUID) -> InstallCircuit | None:
    """How the calls of an install have gone lately; None when none has failed since the last that went well."""
    query = select(InstallCircuit).where(InstallCircuit.install_id == install_id)
    return db.session.scalar(query.execution_options(populate_existing=True))


def pass_circuit(install_id: UUID, now: datetime, lease_seconds: float) -> Passage:
    """Whether a call may go now. One probe at a time passes an open circuit, and has `lease_seconds` to come back."""
    until = db.session.scalar(_OPEN_UNTIL, {"id": install_id})
    if until is None:
        return Passage()
    if until > now:
        return Passage(closed_until=until)
    lease = now + timedelta(seconds=lease_seconds)
    taken = update(InstallCircuit).where(InstallCircuit.install_id == install_id, InstallCircuit.open_until == until)
    if db.session.execute(taken.values(open_until=lease)).rowcount:  # type: ignore[attr-defined]
        return Passage(probe=lease)
    # Somebody else is the probe, or its answer is here already.
    until = db.session.scalar(_OPEN_UNTIL, {"id": install_id})
    return Passage(closed_until=until) if until and until > now else Passage()


def close_circuit(install_id: UUID) -> None:
    """Somebody answered: all calls go, and earlier failures no longer count."""
    db.session.execute(_CLOSE, {"install_id": install_id})


def note_failure(tenant_id: UUID, install_id: UUID, passage: Passage, error: str, now: datetime) -> bool:
    """A call found nobody who could answer; whether that opened the circuit, or keeps it open for longer.

    A call that had begun before the circuit opened changes nothing when it fails afterwards.
    """
    cut = error[:ERROR_MAX_CHARACTERS]
    if passage.probe:
        return _stay_open(install_id, passage.probe, cut, now)
    row = insert(InstallCircuit).values(install_id=install_id, tenant_id=tenant_id)
    db.session.execute(row.on_conflict_do_nothing())
    values = {"install_id": install_id, "error": cut, "now": now, "limit": FAILURES_LIMIT}
    db.session.execute(_FAILED, values | {"until": now + timedelta(seconds=OPEN_SECONDS)})
    return db.session.scalar(select(InstallCircuit.opened_at).filter_by(install_id=install_id)) == now


def _stay_open(install_id: UUID, probe: datetime, error: str, now: datetime) -> bool:
    mine = select(InstallCircuit.failures).where(
        InstallCircuit.install_id == install_id, InstallCircuit.open_until == probe
    )
    failures = db.session.scalar(mine.with_for_update())
    if failures is None:
        return False
    # Each failure beyond the limit was a probe: the time it stays open doubles with each.
    seconds = min(OPEN_SECONDS * 2 ** min(failures + 1 - FAILURES_LIMIT, 10), MAX_OPEN_SECONDS)
    kept = update(InstallCircuit).where(InstallCircuit.install_id == install_id)
    db.session.execute(
        kept.values(failures=failures + 1, open_until=now + timedelta(seconds=seconds), last_error=error)
    )
    return True
