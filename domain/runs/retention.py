"""How long finished runs are kept: as their workflow says, else their tenant, else for ever; of endpoints as the tenant says.

What belongs to a run goes with it: its steps, waits and tasks, and the calls it made. The ledger stays: an occurrence says
that its run is no longer kept.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text

from domain.kernel.db import db

RUNS_AT_ONCE = 500
STEPS_AT_ONCE = 20_000
"""Of runs with many steps fewer go at once: a transaction of the scheduler may last some seconds, not minutes."""

# The lateral walks are along ix_runs_finished and ix_runs_install. Of the latter only ids are read that were made before
# the time in question, with a day to spare for clocks that differ: a run is made before it ends. A parent that goes on
# reads the output of its children.
_PRUNE = text("""
    WITH policy AS (
        SELECT w.id AS workflow_id, coalesce(
            CASE WHEN w.retention_policy_override ->> 'days' ~ '^[1-9][0-9]{0,4}$'
                 THEN CAST(w.retention_policy_override ->> 'days' AS integer) END,
            t.retention_days) AS days
        FROM workflows w JOIN tenants t ON t.id = w.tenant_id
    ), past AS (
        SELECT old.id FROM policy CROSS JOIN LATERAL (
            SELECT r.id FROM runs r
            WHERE r.workflow_id = policy.workflow_id
              AND r.finished_at < CAST(:now AS timestamptz) - make_interval(days => policy.days)
              AND NOT EXISTS (SELECT 1 FROM runs p WHERE p.id = r.parent_run_id AND p.finished_at IS NULL)
            ORDER BY r.finished_at LIMIT :runs
        ) old
        WHERE policy.days IS NOT NULL
        UNION ALL
        SELECT old.id FROM (
            SELECT i.id AS install_id, CAST(:now AS timestamptz) - make_interval(days => t.retention_days) AS until
            FROM installs i JOIN tenants t ON t.id = i.tenant_id WHERE t.retention_days IS NOT NULL
        ) kept CROSS JOIN LATERAL (
            SELECT r.id FROM runs r
            WHERE r.install_id = kept.install_id AND r.finished_at < kept.until AND r.id < CAST(lpad(to_hex(CAST(
                extract(epoch FROM kept.until + interval '1 day') * 1000 AS bigint)), 12, '0') || repeat('0', 20) AS uuid)
            ORDER BY r.id LIMIT :runs
        ) old
        LIMIT :runs
    ), weighed AS (
        SELECT past.id, sum((SELECT count(*) FROM run_steps s WHERE s.run_id = past.id)) OVER (ORDER BY past.id) AS steps,
            row_number() OVER (ORDER BY past.id) AS place
        FROM past
    ), picked AS (
        SELECT r.id FROM runs r JOIN weighed ON weighed.id = r.id
        WHERE weighed.steps <= :steps OR weighed.place = 1
        FOR UPDATE OF r SKIP LOCKED
    ), calls AS (
        DELETE FROM invocations WHERE run_id IN (SELECT id FROM picked)
    )
    DELETE FROM runs WHERE id IN (SELECT id FROM picked) RETURNING id
""")


def prune_runs(now: datetime) -> int:
    """Forget one batch of finished runs past their time, never one whose parent is unfinished; how many it were.

    Call it again in a transaction of its own until it answers 0.
    """
    batch = {"now": now, "runs": RUNS_AT_ONCE, "steps": STEPS_AT_ONCE}
    return len(db.session.scalars(_PRUNE, batch).all())
