"""Admission: who of the waiting runs may start.

A workflow's concurrency limit counts admitted, unfinished runs; a schedule whose overlap is not `allow` has one of
its runs going at a time, also those that were queued before somebody changed the policy to `skip`; a backfill, whose
runs stand outside the overlap, has as many going as its own concurrency says, and of a workflow's free slots only those
that nobody else waits for. All of this is decided here, under the workflow's row lock, oldest first. Workers check no
limits: a limit checked at claim is broken by two claims that read at the same time. Calls of extensions have limits of
their own (`domain.runs.call_admission`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from domain.kernel.db import db

UNLIMITED_BATCH = 1000

# Each workflow with waiting runs, found by hopping along ix_runs_queued instead of reading every waiting run.
_WAITING = text("""
    WITH RECURSIVE waiting(workflow_id) AS (
        (SELECT workflow_id FROM runs WHERE status = 'queued' AND ready_at IS NULL ORDER BY workflow_id LIMIT 1)
        UNION ALL
        SELECT (SELECT r.workflow_id FROM runs r
                WHERE r.status = 'queued' AND r.ready_at IS NULL AND r.workflow_id > waiting.workflow_id
                ORDER BY r.workflow_id LIMIT 1)
        FROM waiting WHERE waiting.workflow_id IS NOT NULL
    )
    SELECT workflow_id FROM waiting WHERE workflow_id IS NOT NULL
""")

_LOCK = text("""
    SELECT id FROM workflows WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
""")

# A later statement than the lock, so that it sees what the previous holder of the lock admitted.
_ADMIT = text("""
    WITH slots AS (
        SELECT w.id, CASE WHEN w.concurrency_limit IS NULL THEN :unlimited ELSE w.concurrency_limit - (
            SELECT count(*) FROM runs a
            WHERE a.workflow_id = w.id AND a.finished_at IS NULL AND a.ready_at IS NOT NULL
        ) END AS free
        FROM workflows w WHERE w.id = ANY(:ids)
    ), picked AS (
        SELECT next.id FROM slots CROSS JOIN LATERAL (
            SELECT id FROM (
                (SELECT r.id, 1 AS turn FROM runs r LEFT JOIN schedules s ON s.id = r.schedule_id
                WHERE r.workflow_id = slots.id AND r.status = 'queued' AND r.ready_at IS NULL AND r.backfill_id IS NULL
                  AND NOT (coalesce(s.overlap, 'allow') <> 'allow' AND EXISTS (
                    SELECT 1 FROM runs o
                    WHERE o.schedule_id = r.schedule_id AND o.finished_at IS NULL AND o.id <> r.id
                      AND o.backfill_id IS NULL AND (o.ready_at IS NOT NULL OR o.id < r.id)))
                ORDER BY r.id LIMIT greatest(slots.free, 0))
                UNION ALL
                (SELECT r.id, 2 AS turn FROM runs r JOIN backfills b ON b.id = r.backfill_id
                WHERE r.workflow_id = slots.id AND r.status = 'queued' AND r.ready_at IS NULL
                  AND r.backfill_id IS NOT NULL AND b.concurrency > (
                    SELECT count(*) FROM runs o
                    WHERE o.backfill_id = r.backfill_id AND o.finished_at IS NULL AND o.id <> r.id
                      AND (o.ready_at IS NOT NULL OR o.id < r.id))
                ORDER BY r.id LIMIT greatest(slots.free, 0))
            ) candidates
            ORDER BY turn, id LIMIT greatest(slots.free, 0)
        ) next
    )
    UPDATE runs r SET ready_at = :now FROM picked
    WHERE r.id = picked.id AND r.status = 'queued' AND r.ready_at IS NULL
    RETURNING r.id
""")

# In the order of its index, whatever statistics say of how many there are.
_LOOK = text("""
    SELECT clock_timestamp() AS now, EXISTS (
        SELECT 1 FROM (
            SELECT 1 FROM runs WHERE status = 'queued' AND ready_at IS NULL ORDER BY workflow_id, id LIMIT 1
        ) first
    ) AS is_anybody_waiting
""")

_UNFINISHED = text("""
    SELECT count(*) FROM runs
    WHERE schedule_id = :schedule_id AND finished_at IS NULL AND backfill_id IS NULL AND NOT is_rehearsal
""")

_HAS_WAITING = text("""
    SELECT w.id FROM unnest(CAST(:ids AS uuid[])) AS w(id)
    WHERE EXISTS (SELECT 1 FROM runs r WHERE r.workflow_id = w.id AND r.status = 'queued' AND r.ready_at IS NULL)
""")

_READY_IN = text("""
    SELECT count(*) FROM (
        SELECT 1 FROM runs WHERE lane = :lane AND status = 'queued'
          AND ready_at <= statement_timestamp() - CAST(:seconds AS double precision) * interval '1 second' LIMIT :most
    ) ready
""")

_READY_BY_LANE = text("""
    SELECT lane.name, (SELECT count(*) FROM (
        SELECT 1 FROM runs WHERE lane = lane.name AND status = 'queued' AND ready_at IS NOT NULL LIMIT 10000
    ) ready) AS ready
    FROM (VALUES ('pure'), ('effect'), ('call')) AS lane(name)
""")


def look_for_waiting() -> tuple[datetime, bool]:
    """The database's clock, and whether any run, of a workflow or a call, waits for admission."""
    row = db.session.execute(_LOOK).one()
    return row.now, row.is_anybody_waiting


def admit_waiting(now: datetime, workflow_ids: Sequence[UUID] | None = None) -> int:
    """Make waiting runs ready as far as limits and overlap allow, of all workflows or of those named; how many."""
    waiting = db.session.scalars(_WAITING).all() if workflow_ids is None else list(workflow_ids)
    if not waiting:
        return 0
    locked = db.session.scalars(_LOCK, {"ids": list(waiting)}).all()
    if not locked:
        return 0
    return len(db.session.scalars(_ADMIT, {"ids": list(locked), "now": now, "unlimited": UNLIMITED_BATCH}).all())


def unfinished_runs(schedule_id: UUID) -> int:
    """How many runs of a schedule count for its overlap policy; true until the commit for who holds its cursor."""
    return db.session.scalar(_UNFINISHED, {"schedule_id": schedule_id}) or 0


def workflows_with_waiting(workflow_ids: Sequence[UUID]) -> list[UUID]:
    """Those of the workflows that have runs waiting for admission."""
    return list(db.session.scalars(_HAS_WAITING, {"ids": list(workflow_ids)}))


def ready_in(lane: str, most: int, seconds: float = 0) -> int:
    """How many runs of a lane have been ready to be claimed for `seconds` or longer, counted up to `most`."""
    return db.session.scalar(_READY_IN, {"lane": lane, "most": most, "seconds": seconds}) or 0


def ready_by_lane() -> dict[str, int]:
    """How many runs are ready to be claimed, per lane (counted up to 10,000)."""
    rows = db.session.execute(_READY_BY_LANE)
    return {row.name: row.ready for row in rows if row.ready}
