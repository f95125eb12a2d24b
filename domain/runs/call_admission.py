"""Admission of calls: which runs of endpoints may go now.

Of each install and of each tenant only so many calls go at a time, so that neither one slow endpoint nor one tenant takes
the workers from everybody else. Those of workflows, which nobody admits, hold slots too (`domain.engine.actions.calls`); a
call that waits for its next attempt holds none. Overlap and the concurrency of backfills are as for workflows
(`domain.runs.admission`). All of it is decided under the tenant's row lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from domain.extensions.settings import configured_runner, limits
from domain.kernel.db import db
from domain.kernel.ids import first_id_at

# Each install with waiting calls, found by hopping along ix_runs_calls_queued instead of reading every waiting run.
_HOP = """
    waiting(install_id) AS (
        (SELECT install_id FROM runs WHERE install_id IS NOT NULL AND status = 'queued' AND ready_at IS NULL
         ORDER BY install_id LIMIT 1)
        UNION ALL
        SELECT (SELECT r.install_id FROM runs r
                WHERE r.install_id IS NOT NULL AND r.status = 'queued' AND r.ready_at IS NULL
                  AND r.install_id > waiting.install_id
                ORDER BY r.install_id LIMIT 1)
        FROM waiting WHERE waiting.install_id IS NOT NULL
    )
"""

_WAITING = text(f"""
    WITH RECURSIVE {_HOP}
    SELECT DISTINCT i.tenant_id FROM waiting w JOIN installs i ON i.id = w.install_id
""")  # noqa: S608

# Endpoint runs by their claims; calls of workflows by their rows, which are few and not older than a call may last.
GOING = """
    SELECT tenant_id, install_id FROM runs
    WHERE tenant_id = ANY(:ids) AND install_id IS NOT NULL AND status IN ('queued', 'running') AND ready_at IS NOT NULL
    UNION ALL
    SELECT c.tenant_id, c.install_id FROM installs i
    JOIN invocations c ON c.install_id = i.id AND c.id >= :oldest AND c.status = 'started'
    JOIN runs r ON r.id = c.run_id AND r.install_id IS NULL
    WHERE i.tenant_id = ANY(:ids)
"""

_LOCK = text("SELECT id FROM tenants WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED")

# A later statement than the lock, so that it sees what the previous holder of the lock admitted. Of a tenant's free slots
# each install gets one before any gets a second; what nobody asked to fill in comes before backfills. Runs that somebody
# holds, such as who cancels many of them one after the other, are left for the next time.
_ADMIT = text(f"""
    WITH RECURSIVE {_HOP}, going AS (
        SELECT tenant_id, install_id, count(*) AS calls FROM ({GOING}) each GROUP BY tenant_id, install_id
    ), slots AS (
        SELECT i.id, i.tenant_id,
            greatest(:per_install - coalesce((SELECT calls FROM going WHERE install_id = i.id), 0), 0) AS free
        FROM waiting w JOIN installs i ON i.id = w.install_id WHERE i.tenant_id = ANY(:ids)
    ), candidates AS (
        SELECT next.id, next.turn, slots.tenant_id,
            row_number() OVER (PARTITION BY slots.id ORDER BY next.turn, next.id) AS place
        FROM slots CROSS JOIN LATERAL (
            SELECT id, turn FROM (
                (SELECT r.id, 1 AS turn FROM runs r LEFT JOIN schedules s ON s.id = r.schedule_id
                WHERE r.install_id = slots.id AND r.status = 'queued' AND r.ready_at IS NULL AND r.backfill_id IS NULL
                  AND NOT (coalesce(s.overlap, 'allow') <> 'allow' AND EXISTS (
                    SELECT 1 FROM runs o
                    WHERE o.schedule_id = r.schedule_id AND o.finished_at IS NULL AND o.id <> r.id
                      AND o.backfill_id IS NULL AND (o.ready_at IS NOT NULL OR o.id < r.id)))
                ORDER BY r.id LIMIT slots.free)
                UNION ALL
                (SELECT r.id, 2 AS turn FROM runs r JOIN backfills b ON b.id = r.backfill_id
                WHERE r.install_id = slots.id AND r.status = 'queued' AND r.ready_at IS NULL
                  AND r.backfill_id IS NOT NULL AND b.concurrency > (
                    SELECT count(*) FROM runs o
                    WHERE o.backfill_id = r.backfill_id AND o.finished_at IS NULL AND o.id <> r.id
                      AND (o.ready_at IS NOT NULL OR o.id < r.id))
                ORDER BY r.id LIMIT slots.free)
            ) either
            ORDER BY turn, id LIMIT slots.free
        ) next
    ), ranked AS (
        SELECT id, tenant_id, row_number() OVER (PARTITION BY tenant_id ORDER BY turn, place, id) AS place
        FROM candidates
    ), picked AS (
        SELECT r.id FROM runs r JOIN ranked ON ranked.id = r.id
        WHERE r.status = 'queued' AND r.ready_at IS NULL AND ranked.place <= :per_tenant - coalesce(
            (SELECT sum(calls) FROM going WHERE going.tenant_id = ranked.tenant_id), 0)
        FOR NO KEY UPDATE OF r SKIP LOCKED
    )
    UPDATE runs r SET ready_at = :now FROM picked WHERE r.id = picked.id
    RETURNING r.id
""")  # noqa: S608


def admit_calls(now: datetime, tenant_ids: Sequence[UUID] | None = None) -> int:
    """Let waiting calls go as far as limits and overlap allow, of all tenants or of those named; how many."""
    waiting = db.session.scalars(_WAITING).all() if tenant_ids is None else list(tenant_ids)
    if not waiting:
        return 0
    locked = db.session.scalars(_LOCK, {"ids": list(waiting)}).all()
    if not locked:
        return 0
    most = limits()
    values: dict[str, Any] = {"per_install": most.calls_per_install, "per_tenant": most.calls_per_tenant}
    values |= {"ids": list(locked), "now": now, "oldest": oldest_going(now)}
    return len(db.session.scalars(_ADMIT, values).all())


def oldest_going(now: datetime) -> UUID:
    """The least id of a call that may still be going; without a runner none is."""
    runner = configured_runner()
    return first_id_at(now - timedelta(seconds=runner.timeout_seconds * 2 if runner else 0))
