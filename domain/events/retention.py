"""How long events are kept: as long as their tenant says, and as long as something they started goes on."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, text

from domain.kernel.db import db

PRUNED_AT_ONCE = 1_000

# An id begins with its milliseconds (UUIDv7), so the oldest come first along ix_events_page, up to the cutoff.
_PRUNE = text("""
    WITH picked AS (
        SELECT e.id FROM events e JOIN (
        SELECT past.id FROM tenants t CROSS JOIN LATERAL (
            SELECT e.id FROM events e
            WHERE e.tenant_id = t.id AND e.id < CAST(
                lpad(to_hex(CAST(floor(extract(epoch FROM CAST(:now AS timestamptz) - make_interval(days => t.retention_days))
                    * 1000) AS bigint)), 12, '0') || repeat('0', 20) AS uuid)
              AND NOT EXISTS (SELECT 1 FROM event_deliveries d JOIN runs r ON r.id = d.run_id
                              WHERE d.event_id = e.id AND r.finished_at IS NULL)
            ORDER BY e.id LIMIT :limit
        ) past
        WHERE t.retention_days IS NOT NULL LIMIT :limit
        ) old ON old.id = e.id
        FOR UPDATE OF e SKIP LOCKED
    )
    DELETE FROM events WHERE id IN (SELECT id FROM picked)
""")


def prune_events(now: datetime, limit: int = PRUNED_AT_ONCE) -> int:
    """Forget at most `limit` events past their tenant's retention that started nothing unfinished; how many it were.

    A tenant without a retention keeps all. Call it again while it answers `limit`.
    """
    return cast(CursorResult[Any], db.session.execute(_PRUNE, {"now": now, "limit": limit})).rowcount
