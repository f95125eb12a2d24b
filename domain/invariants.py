"""What always holds between rows, whatever died in between. Each query finds what breaks it, so each must find nothing.

Only what is not finished is looked at: it is little, and it is what an operator can still do something about.
"""

from __future__ import annotations

from sqlalchemy import text

from domain.kernel.db import db

FOUND_MAX = 100

_BROKEN = {
    "an active schedule that nobody looks at": """
        SELECT s.id FROM schedules s LEFT JOIN schedule_cursors c ON c.schedule_id = s.id
        WHERE s.status = 'active' AND s.deleted_at IS NULL AND c.wake_at IS NULL""",
    "a run that waits for nothing": """
        SELECT r.id FROM runs r WHERE r.status = 'waiting'
        AND NOT EXISTS (SELECT 1 FROM waits w WHERE w.run_id = r.id AND w.status = 'open')""",
    "a wait of a run that does not wait": """
        SELECT r.id FROM waits w JOIN runs r ON r.id = w.run_id WHERE w.status = 'open' AND r.status <> 'waiting'""",
    "a task that nobody waits for": """
        SELECT t.id FROM tasks t JOIN waits w ON w.id = t.wait_id WHERE t.status = 'open' AND w.status <> 'open'""",
    "a run whose process has been gone for ten minutes": """
        SELECT r.id FROM runs r WHERE r.status = 'running' AND NOT EXISTS (
            SELECT 1 FROM heartbeats h WHERE h.id = r.claimed_by AND h.lease_until > clock_timestamp() - interval '10 min')
        AND r.started_at < clock_timestamp() - interval '10 min'""",
}


def broken_invariants() -> dict[str, list[str]]:
    """What is broken, in words, with the ids of what breaks it, at most FOUND_MAX each; empty when all holds."""
    found = {
        words: [str(one) for one in db.session.scalars(text(f"{query} LIMIT {FOUND_MAX}"))]
        for words, query in _BROKEN.items()
    }
    return {words: ids for words, ids in found.items() if ids}
