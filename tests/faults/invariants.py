"""What must hold after any fault: each query finds violations, so each must find nothing."""

from __future__ import annotations

from typing import Any

from flask import Flask

from domain.invariants import broken_invariants
from domain.kernel.db import transaction
from tests.faults.fleet import DEADLINE_SECONDS, rows, scalar, wait_until

VIOLATIONS = {
    "an instant decided twice": """
        SELECT schedule_id, scheduled_for FROM occurrences WHERE origin_key = 'timing'
        GROUP BY 1, 2 HAVING count(*) > 1""",
    "a fired occurrence without exactly one run": """
        SELECT o.id FROM occurrences o LEFT JOIN runs r ON r.id = o.id WHERE o.outcome = 'fired'
        GROUP BY o.id HAVING count(r.id) <> 1""",
    "a scheduled run without its occurrence": """
        SELECT r.id FROM runs r WHERE r.schedule_id IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM occurrences o WHERE o.id = r.id AND o.outcome = 'fired')""",
    "a run for what did not fire": """
        SELECT o.id FROM occurrences o JOIN runs r ON r.id = o.id WHERE o.outcome <> 'fired'""",
    "an instant decided too early": "SELECT id FROM occurrences WHERE decided_at < scheduled_for",
    "an instant that nobody decided": """
        SELECT s.id FROM schedules s WHERE s.trigger_type = 'schedule' AND s.run_at < clock_timestamp()
        AND s.status IN ('active', 'completed') AND NOT EXISTS (
            SELECT 1 FROM occurrences o WHERE o.schedule_id = s.id
            AND s.run_at BETWEEN o.scheduled_for AND coalesce(o.through, o.scheduled_for))""",
    "a cursor that is not past what was decided": """
        SELECT c.schedule_id FROM schedule_cursors c JOIN occurrences o USING (schedule_id)
        WHERE o.origin_key = 'timing' AND c.next_fire_at <= coalesce(o.through, o.scheduled_for)""",
    "tenants mixed": """
        SELECT r.id FROM runs r JOIN occurrences o ON o.id = r.id WHERE r.tenant_id <> o.tenant_id
        UNION ALL SELECT o.id FROM occurrences o JOIN schedules s ON s.id = o.schedule_id WHERE o.tenant_id <> s.tenant_id""",
    "a step by someone who did not hold the claim": """
        SELECT s.run_id FROM run_steps s JOIN runs r ON r.id = s.run_id WHERE s.claim_epoch > r.claim_epoch""",
    "a step recorded as done twice": """
        SELECT run_id FROM run_steps WHERE status = 'succeeded' GROUP BY run_id, step_path, iteration HAVING count(*) > 1""",
    "a hole in the steps": """
        SELECT run_id FROM run_steps GROUP BY run_id HAVING count(*) <> max(position) + 1""",
    "a run that waits for nothing": """
        SELECT r.id FROM runs r WHERE r.status = 'waiting'
        AND NOT EXISTS (SELECT 1 FROM waits w WHERE w.run_id = r.id AND w.status = 'open')""",
    "a wait of a run that does not wait": """
        SELECT w.id FROM waits w JOIN runs r ON r.id = w.run_id WHERE w.status = 'open' AND r.status <> 'waiting'""",
    "a step that waits for nothing": """
        SELECT s.run_id FROM run_steps s WHERE s.status = 'waiting' AND NOT EXISTS (
            SELECT 1 FROM waits w WHERE w.run_id = s.run_id AND w.step_path = s.step_path AND w.status = 'open')""",
    "a task that nobody waits for": """
        SELECT t.id FROM tasks t JOIN waits w ON w.id = t.wait_id WHERE (t.status = 'open') <> (w.status = 'open')""",
    "a child run that goes on without its parent": """
        SELECT c.id FROM runs c JOIN runs p ON p.id = c.parent_run_id
        WHERE c.finished_at IS NULL AND c.cancel_requested_at IS NULL AND p.finished_at < clock_timestamp() - interval '30 s'""",
    "one event that two waits of a run took": """
        SELECT run_id FROM waits WHERE event_id IS NOT NULL GROUP BY run_id, event_id HAVING count(*) > 1""",
    "a run that holds a slot after its end": """
        SELECT id FROM runs WHERE finished_at IS NOT NULL AND claimed_by IS NOT NULL""",
}


def violations(app: Flask) -> dict[str, list[Any]]:
    """The name and the first rows of every violation, of those that are watched in production as well."""
    with app.app_context(), transaction():
        watched = {name: ids[:3] for name, ids in broken_invariants().items()}
    return watched | {name: found[:3] for name, query in VIOLATIONS.items() if (found := rows(app, query))}


def check_invariants(app: Flask) -> None:
    """Fail with every violation."""
    found = violations(app)
    assert not found, found


def wait_for_all(app: Flask, count: int, status: str = "succeeded", seconds: float = DEADLINE_SECONDS) -> None:
    """Until `count` runs have ended, all as `status`."""
    wait_until(
        lambda: scalar(app, "SELECT count(*) FROM runs WHERE finished_at IS NOT NULL") >= count,
        f"{count} finished runs",
        seconds,
    )
    assert rows(app, "SELECT status, count(*) FROM runs GROUP BY status") == [(status, count)]


def counts(app: Flask) -> list[int]:
    """The numbers that `counting_steps` counted, in the order of the steps."""
    return [
        int(row.value) for row in rows(app, "SELECT value FROM store_items WHERE namespace = 'counts' ORDER BY key")
    ]
