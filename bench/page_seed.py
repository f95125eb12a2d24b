"""Rows for measuring the pages: one tenant with many schedules, every other with a past. Written by SQL, in minutes."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from domain.kernel.db import db
from tests.factories import a_published_workflow, a_tenant, a_user
from tests.web.cast import Browser, client_of

WORKFLOWS = 200
# Of each schedule with a past: 20 of them fired, so that 100,000 schedules have 1,000,000 runs of history.
OCCURRENCES = 27
RUNS_WITH_STEPS = 1_000
# The n-th schedule belongs to the (n mod 200)-th workflow; of a hundred, 6 are paused, 2 invalid, 2 completed, 3 failing.
_SCHEDULES = """
    INSERT INTO schedules (id, tenant_id, name, workflow_id, workflow_version, trigger_type, run_at, cron, timezone,
        payload_json, status, invalid_reason, paused_at, pause_reason, updated_at)
    SELECT gen_random_uuid(), :tenant, 'Schedule ' || md5(n::text) || ' ' || n, (CAST(:workflows AS uuid[]))[n % 200 + 1],
        1, CASE n % 20 WHEN 7 THEN 'schedule' ELSE 'recurring' END,
        CASE n % 20 WHEN 7 THEN date_trunc('second', CAST(:now AS timestamptz)) + n * interval '1 minute' END,
        CASE n % 20 WHEN 7 THEN NULL ELSE (n % 60) || ' ' || (n % 24) || ' * * ' || (n % 7) END,
        (ARRAY['UTC', 'Europe/Paris', 'America/New_York', 'Asia/Kolkata'])[n % 4 + 1],
        jsonb_build_object('region', 'eu', 'note', repeat('x', 200)), s.status,
        CASE s.status WHEN 'invalid' THEN '/region: is required' END,
        CASE s.status WHEN 'paused' THEN CAST(:now AS timestamptz) END,
        CASE s.status WHEN 'paused' THEN 'stock-taking' END, CAST(:now AS timestamptz) - n * interval '1 second'
    FROM generate_series(1, :count) n,
        LATERAL (SELECT CASE WHEN n % 100 < 6 THEN 'paused' WHEN n % 100 < 8 THEN 'invalid'
            WHEN n % 100 < 10 THEN 'completed' ELSE 'active' END AS status) s
"""
_CURSORS = """
    INSERT INTO schedule_cursors (schedule_id, tenant_id, next_fire_at, wake_at, last_fire_at, last_finished_at,
        last_run_status, last_error)
    SELECT id, tenant_id, at, CASE WHEN status IN ('active', 'invalid') THEN at END, at - interval '7 days',
        at - interval '7 days', CASE WHEN n % 100 IN (20, 40, 60) THEN 'failed' ELSE 'succeeded' END,
        CASE WHEN n % 100 IN (20, 40, 60) THEN 'The remote side did not answer within 30 s' END
    FROM (SELECT *, date_trunc('second', CAST(:now AS timestamptz)) + (n * 7919 % 604800 + 60) * interval '1 second' AS at
        FROM (SELECT *, substring(name FROM '[0-9]+$')::bigint AS n FROM schedules WHERE tenant_id = :tenant) numbered) s
"""
# Of those with a past 20 of 27 fired, one in twenty failed; the others were skipped, missed or refused. Ids carry the time.
_PAST = """
    INSERT INTO occurrences (schedule_id, scheduled_for, origin_key, id, tenant_id, outcome, reason, detail, decided_at)
    SELECT s.id, d.at, 'timing', uuidv7(d.at - clock_timestamp()), s.tenant_id, d.outcome,
        CASE d.outcome WHEN 'fired' THEN NULL ELSE 'overlap' END,
        CASE d.outcome WHEN 'fired' THEN NULL ELSE 'An earlier run was still going.' END, d.at
    FROM schedules s, LATERAL (
        SELECT date_trunc('second', CAST(:now AS timestamptz)) - k * interval '7 days' AS at,
            CASE k % 20 WHEN 3 THEN 'skipped' WHEN 7 THEN 'missed' WHEN 11 THEN 'refused' WHEN 15 THEN 'skipped'
                WHEN 17 THEN 'missed' ELSE 'fired' END AS outcome
        FROM generate_series(1, :each) k
    ) d
    WHERE s.tenant_id = :tenant AND substring(s.name FROM '[0-9]+$')::bigint % 2 = 0
"""
_RUNS = """
    INSERT INTO runs (id, tenant_id, workflow_id, workflow_version, schedule_id, started_by, input_json, status, lane,
        ready_at, started_at, finished_at)
    SELECT o.id, o.tenant_id, s.workflow_id, 1, s.id, 'recurring', '{}',
        CASE WHEN get_byte(uuid_send(o.id), 15) < 13 THEN 'failed' ELSE 'succeeded' END, 'pure', o.scheduled_for,
        o.scheduled_for, o.scheduled_for + (get_byte(uuid_send(o.id), 14) + 40) * interval '10 milliseconds'
    FROM occurrences o JOIN schedules s ON s.id = o.schedule_id
    WHERE o.tenant_id = :tenant AND o.outcome = 'fired'
"""
_STEPS = """
    INSERT INTO run_steps (run_id, step_path, iteration, attempt, position, step_id, node_type, status, input, output,
        claim_epoch, started_at, finished_at)
    SELECT r.id, 'root.steps[' || n || ']', '', 1, n, 'step' || n, 'transform.assign', 'succeeded',
        jsonb_build_object('n', n), jsonb_build_object('twice', 2 * n), 1, r.started_at, r.finished_at
    FROM (SELECT * FROM runs WHERE tenant_id = :tenant ORDER BY id DESC LIMIT :with_steps) r, generate_series(0, 2) n
"""


def seed_schedules(app: Any, count: int, now: datetime) -> tuple[Browser, UUID]:
    """A tenant with `count` schedules, half of them with a past; a browser of its admin, and one of its workflows."""
    tenant = a_tenant("bench", "Europe/Paris")
    browser = client_of(app, a_user(tenant, "alice@bench.test"), tenant)
    workflows = [a_published_workflow(tenant, f"Workflow {number:03}").id for number in range(WORKFLOWS)]
    db.session.commit()
    db.session.execute(text("SET session_replication_role = replica"))  # foreign keys are true by construction
    db.session.execute(text("SET statement_timeout = 0"))
    values = {"tenant": tenant.id, "workflows": workflows, "count": count, "now": now, "each": OCCURRENCES}
    values["with_steps"] = RUNS_WITH_STEPS
    for statement in (_SCHEDULES, _CURSORS, _PAST, _RUNS, _STEPS):
        wanted = {name: values[name] for name in values if f":{name}" in statement}
        db.session.execute(text(statement), wanted)
        db.session.commit()
    db.session.execute(text("SET session_replication_role = DEFAULT"))
    db.session.commit()
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(
            text("VACUUM (ANALYZE) schedules, schedule_cursors, occurrences, runs, run_steps, workflows")
        )
    return browser, workflows[7]
