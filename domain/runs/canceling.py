"""Ending a run before its time. A slot is never freed under live work: who works on the run ends it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from domain.kernel.db import db
from domain.runs.claims import Ending, end_runs, lock_cursors_of
from domain.runs.runs import CANCELED, QUEUED, RUNNING, WAITING
from domain.runs.waking import cancel_wait_of

_ASK = text("""
    UPDATE runs SET cancel_requested_at = coalesce(cancel_requested_at, :now),
        cancel_reason = coalesce(cancel_reason, :reason)
    WHERE id = :id
""")


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
