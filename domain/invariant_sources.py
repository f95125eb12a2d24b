"""Which rows the invariants are asked of, each kind along an index: what happened lately, pages of what is not finished, and
what was found before. `domain.invariants` says what is bound to the names."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import text

DECIDED, RUNS, SCHEDULES, WAITS, TASKS, CURSORS = "decided", "runs", "schedules", "waits", "tasks", "cursors"

# What was decided is never mended; what ran is not, once it has ended.
HISTORY = (DECIDED, RUNS)

_RUN_COLUMNS = """
    r.id, r.tenant_id, r.schedule_id, r.status, r.started_by, r.is_rehearsal, r.backfill_id, r.parent_run_id, r.claim_epoch,
    r.claimed_by, r.ready_at, r.started_at, r.finished_at, r.cancel_requested_at,
    CAST(r.trigger_metadata ->> 'scheduledFor' AS timestamptz) AS scheduled_for"""

# Along ix_occurrences_decided, ix_runs_finished, ix_runs_going, uq_waits_open, ix_tasks_open, ix_schedule_cursors_wake and
# primary keys. A run that waited for long is seen at its end as well: what is not finished is read in turns.
SEEN = {
    DECIDED: """
        SELECT o.* FROM occurrences o WHERE o.decided_at >= :since AND o.decided_at <= CAST(:until AS timestamptz)
        UNION SELECT o.* FROM occurrences o
        JOIN unnest(CAST(:known_schedules AS uuid[]), CAST(:known_instants AS timestamptz[]))
            AS known(schedule_id, scheduled_for) USING (schedule_id, scheduled_for)""",
    RUNS: f"""
        (SELECT {_RUN_COLUMNS} FROM runs r WHERE r.id >= :first_id ORDER BY r.id LIMIT :most)
        UNION (SELECT {_RUN_COLUMNS} FROM workflows w CROSS JOIN LATERAL (
            SELECT * FROM runs f WHERE f.workflow_id = w.id AND f.finished_at >= :since LIMIT :most) r LIMIT :most)
        UNION (SELECT {_RUN_COLUMNS} FROM runs r WHERE r.finished_at IS NULL AND (r.tenant_id, r.status, r.id) >
            (CAST(:after_0 AS uuid), :after_1, CAST(:after_2 AS uuid))
            ORDER BY r.tenant_id, r.status, r.id LIMIT :page)
        UNION SELECT {_RUN_COLUMNS} FROM runs r WHERE r.id = ANY(:known)
        UNION SELECT {_RUN_COLUMNS} FROM runs r WHERE r.id = ANY(:old) AND r.finished_at IS NULL""",  # noqa: S608
    SCHEDULES: """
        (SELECT s.id, s.tenant_id, s.status, s.deleted_at FROM schedules s WHERE s.id > CAST(:after_0 AS uuid)
            ORDER BY s.id LIMIT :page)
        UNION SELECT s.id, s.tenant_id, s.status, s.deleted_at FROM schedules s WHERE s.id = ANY(:known)""",
    WAITS: """
        (SELECT w.run_id AS id, w.tenant_id FROM waits w WHERE w.status = 'open' AND w.run_id > CAST(:after_0 AS uuid)
            ORDER BY w.run_id LIMIT :page)
        UNION SELECT w.run_id, w.tenant_id FROM waits w WHERE w.status = 'open' AND w.run_id = ANY(:known)""",
    TASKS: """
        (SELECT t.id, t.tenant_id, t.wait_id FROM tasks t WHERE t.status = 'open'
            AND (t.tenant_id, t.id) > (CAST(:after_0 AS uuid), CAST(:after_1 AS uuid))
            ORDER BY t.tenant_id, t.id LIMIT :page)
        UNION SELECT t.id, t.tenant_id, t.wait_id FROM tasks t WHERE t.status = 'open' AND t.id = ANY(:known)""",
    CURSORS: """
        SELECT c.schedule_id AS id, c.tenant_id FROM schedule_cursors c WHERE c.wake_at < :now - interval '2 minutes'
        ORDER BY c.wake_at LIMIT :most""",
}  # fmt: skip

_NONE = str(UUID(int=0))
# Of the sources that are read page by page: the key before the first, and how the last key of a page is found.
BEGINNING = {RUNS: (_NONE, "", _NONE), SCHEDULES: (_NONE,), WAITS: (_NONE,), TASKS: (_NONE, _NONE)}
PAGE_END = {
    RUNS: """SELECT tenant_id, status, id FROM runs WHERE finished_at IS NULL
        AND (tenant_id, status, id) > (CAST(:after_0 AS uuid), :after_1, CAST(:after_2 AS uuid))
        ORDER BY tenant_id, status, id""",
    SCHEDULES: "SELECT id FROM schedules WHERE id > CAST(:after_0 AS uuid) ORDER BY id",
    WAITS: "SELECT run_id FROM waits WHERE status = 'open' AND run_id > CAST(:after_0 AS uuid) ORDER BY run_id",
    TASKS: """SELECT tenant_id, id FROM tasks WHERE status = 'open'
        AND (tenant_id, id) > (CAST(:after_0 AS uuid), CAST(:after_1 AS uuid)) ORDER BY tenant_id, id""",
}

# Rows stand in the table about in the order of their decision. Those up to the latest of a page are looked at, also the few
# that stand behind it.
DECIDED_PAGE = text("""
    SELECT count(*) AS number, max(decided_at) AS until
    FROM (SELECT decided_at FROM occurrences WHERE decided_at >= :since LIMIT :most) page
""")
