"""What becomes of runs whose worker died, that take too long, or that nobody will end as asked."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from domain.kernel.db import db
from domain.kernel.metrics import RUNS_LOST, count
from domain.runs.claims import Ending, end_runs
from domain.runs.invoking import lose_invocations
from domain.runs.runs import CANCELED, FAILED

LOSSES_LIMIT = 3
BATCH = 500

# Both read ix_runs_running: what is going on now, never the history.
_LOST_OR_OVERDUE = """
    r.status = 'running' AND (r.deadline_at < :now OR NOT EXISTS (
        SELECT 1 FROM heartbeats h WHERE h.id = r.claimed_by AND h.lease_until >= :now))
"""

# Before the runs themselves, as everybody does, but without a wait: who holds one may stand still.
_LOCK_FREE_CURSORS = text("""
    SELECT c.schedule_id FROM schedule_cursors c
    WHERE c.schedule_id IN (SELECT schedule_id FROM runs WHERE id = ANY(:ids) AND schedule_id IS NOT NULL)
    ORDER BY c.schedule_id FOR NO KEY UPDATE SKIP LOCKED
""")


def reap_lost(now: datetime) -> int:
    """Runs of a process whose heartbeat ran out are ready again under a higher epoch, or end; how many were touched.

    A run that was lost three times without recording a step in between fails as `worker_lost`; one past its deadline
    fails as `timed_out` even if its process lives; one that was asked to cancel is canceled. Calls of extensions that
    were under way are on record as lost. What somebody holds, the run or the cursor of its schedule, is left for the
    next time.
    """
    candidates = list(
        db.session.scalars(
            text(f"SELECT r.id FROM runs r WHERE {_LOST_OR_OVERDUE} ORDER BY r.id LIMIT {BATCH}"),  # noqa: S608
            {"now": now},
        )
    )
    if not candidates:
        return 0
    free = list(db.session.scalars(_LOCK_FREE_CURSORS, {"ids": candidates}))
    rows = db.session.execute(
        text(
            f"""
            SELECT r.id, r.losses, r.cancel_requested_at, r.deadline_at < :now AS is_overdue FROM runs r
            WHERE r.id = ANY(:ids) AND {_LOST_OR_OVERDUE} AND NOT EXISTS (
                SELECT FROM schedule_cursors c WHERE c.schedule_id = r.schedule_id AND c.schedule_id <> ALL(CAST(:free AS uuid[])))
            ORDER BY r.id FOR NO KEY UPDATE SKIP LOCKED
            """  # noqa: S608
        ),
        {"now": now, "ids": candidates, "free": free},
    ).all()
    lose_invocations([row.id for row in rows], now)
    endings = [ending for row in rows if (ending := _ending(row))]
    end_runs(endings, now)
    count(RUNS_LOST, len(rows) - len(endings))
    _make_ready([row.id for row in rows if _ending(row) is None])
    return len(rows)


def _ending(row: Any) -> Ending | None:
    """How the run ends, or None when it gets another try."""
    if row.cancel_requested_at is not None:
        return Ending(row.id, 0, CANCELED, error=_error("Canceled", "CANCELED", "Canceled as asked."))
    if row.is_overdue:
        return Ending(row.id, 0, FAILED, error=_error("TimeoutError", "timed_out", "It ran past its deadline."))
    if row.losses + 1 >= LOSSES_LIMIT:
        message = f"Its worker died {LOSSES_LIMIT} times without getting a step further."
        return Ending(row.id, 0, FAILED, error=_error("WorkerLost", "worker_lost", message))
    return None


def _error(category: str, code: str, message: str) -> dict[str, Any]:
    return {"category": category, "code": code, "message": message, "nodePath": None}


def _make_ready(run_ids: list[UUID]) -> None:
    db.session.execute(
        text("""
            UPDATE runs SET status = 'queued', claimed_by = NULL, claim_epoch = claim_epoch + 1, losses = losses + 1
            WHERE id = ANY(:ids)
        """),
        {"ids": run_ids},
    )
