"""Ending a run before its time. A slot is never freed under live work: who works on the run ends it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from domain.kernel.db import db
from domain.runs.claims import Ending, end_runs, lock_cursors_of
from domain.runs.runs import CANCELED, QUEUED, RUNNING, WAITING
from domain.runs.waking import cancel_wait_of
from domain.schedules.cursors import locked_cursor

_ASK = text("""
    UPDATE runs SET cancel_requested_at = coalesce(cancel_requested_at, :now),
        cancel_reason = coalesce(cancel_reason, :reason)
    WHERE id = :id
""")

_ASK_BACKFILL = text("""
    UPDATE runs SET cancel_requested_at = :now, cancel_reason = :reason
    WHERE id IN (
        SELECT id FROM runs WHERE backfill_id = :backfill_id AND status = 'queued' AND started_at IS NULL
        ORDER BY id FOR NO KEY UPDATE
    )
    RETURNING id
""")


def cancel_unstarted(schedule_id: UUID, backfill_id: UUID, now: datetime, reason: str) -> int:
    """Cancel the runs of a schedule's backfill on which nobody has begun to work; how many."""
    locked_cursor(schedule_id)
    run_ids = db.session.scalars(_ASK_BACKFILL, {"backfill_id": backfill_id, "now": now, "reason": reason}).all()
    error = {"category": "Canceled", "code": "CANCELED", "message": "Canceled before it started."}
    return len(end_runs([Ending(run_id, 0, CANCELED, error=error) for run_id in sorted(run_ids)], now))


def request_cancel(run_id: UUID, now: datetime, reason: str = "") -> str:
    """Ask for the end of a run the caller has loaded for its tenant: `canceled` at once when nobody works on it, else
    `requested`: its holder ends it at its next step. `finished` when it had ended already."""
    lock_cursors_of([run_id])
    # Locked in whatever state it is in: a run that is given back while this waits is queued again, not gone.
    status = db.session.scalar(text("SELECT status FROM runs WHERE id = :id FOR NO KEY UPDATE"), {"id": run_id})
    if status not in (QUEUED, WAITING, RUNNING):
        return "finished"
    db.session.execute(_ASK, {"id": run_id, "now": now, "reason": reason or None})
    if status == RUNNING:
        return "requested"
    message = "Canceled before it started."
    if status == WAITING:
        message = "Canceled while it waited."
        cancel_wait_of(run_id, now)
    error = {"category": "Canceled", "code": "CANCELED", "message": message}
    end_runs([Ending(run_id, 0, CANCELED, error=error)], now)
    return "canceled"
