"""Rows that a measurement begins with, written by SQL in seconds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from flask import Flask
from sqlalchemy import text

from bench.work import ZONES
from domain.accounts.audit import Actor
from domain.kernel import clock
from domain.kernel.db import db, transaction
from domain.workflows.payload_schemas import register_schema
from tests.factories import a_tenant, a_version, a_workflow

OPEN = "payload.Open.v1"
THREE_STEPS = {
    "steps": [
        {"id": "label", "type": "state.set", "config": {"state": "working"}},
        {
            "id": "sum",
            "type": "transform.assign",
            "config": {
                "assign": {"vars.region": {"$expr": "payload.region"}, "vars.twice": {"$expr": "payload.n * 2"}}
            },
        },
        {"id": "end", "type": "control.return", "value": {"$expr": "vars.twice"}},
    ]
}
_SCHEDULES = text("""
    INSERT INTO schedules (id, tenant_id, name, workflow_id, workflow_version, trigger_type, cron, timezone,
        payload_json, status, spread_seconds)
    SELECT uuidv7(), w.tenant_id, 'Schedule ' || n, w.id, w.published_version, 'recurring',
        (CAST(:crons AS text[]))[n % cardinality(CAST(:crons AS text[])) + 1],
        (CAST(:zones AS text[]))[n % cardinality(CAST(:zones AS text[])) + 1],
        jsonb_build_object('n', n, 'region', 'eu-' || n, 'note', repeat(md5(n::text), 8)), 'active', :spread
    FROM workflows w, generate_series(CAST(:first AS integer), :last) n WHERE w.id = :workflow_id
    ORDER BY n
""")
_CURSORS = text("""
    INSERT INTO schedule_cursors (schedule_id, tenant_id, next_fire_at, wake_at)
    SELECT id, tenant_id, at, at FROM schedules s, LATERAL (SELECT
        CAST(:due AS timestamptz) + make_interval(secs => (payload_json ->> 'n')::bigint % CAST(:over AS integer)) AS at) due
    WHERE NOT EXISTS (SELECT 1 FROM schedule_cursors c WHERE c.schedule_id = s.id)
""")

# One-time schedules: of recurring ones nothing is due between two minutes.
_ONCE = text("""
    INSERT INTO schedules (id, tenant_id, name, workflow_id, workflow_version, trigger_type, run_at, timezone,
        payload_json, status)
    SELECT uuidv7(), w.tenant_id, 'Once ' || n, w.id, w.published_version, 'schedule',
        CAST(:due AS timestamptz) + make_interval(secs => n % CAST(:over AS integer)), 'UTC',
        jsonb_build_object('n', n, 'region', 'eu-' || n, 'note', repeat(md5(n::text), 8)), 'active'
    FROM workflows w, generate_series(1, CAST(:count AS integer)) n WHERE w.id = :workflow_id
""")
_ONCE_CURSORS = text("""
    INSERT INTO schedule_cursors (schedule_id, tenant_id, next_fire_at, wake_at)
    SELECT id, tenant_id, run_at, run_at FROM schedules WHERE trigger_type = 'schedule' AND workflow_id = :workflow_id
""")


def seed_workflow(
    app: Flask, name: str = "Three steps", definition: object = THREE_STEPS, *, is_pure: bool = True
) -> UUID:
    """A tenant of its own with one published workflow without a limit; answers the workflow's id."""
    with app.app_context(), transaction():
        tenant = a_tenant(name.lower().replace(" ", "-"))
        register_schema(Actor(tenant.id), OPEN, {"type": "object"}, clock.database_now())
        workflow = a_workflow(tenant, name, concurrency_limit=None, draft_schema_ref=OPEN, draft_definition=definition)
        a_version(workflow, is_pure=is_pure)
        return workflow.id


def seed_schedules(
    app: Flask,
    workflow_id: UUID,
    numbers: range,
    due: datetime,
    crons: Sequence[str],
    over_seconds: int = 1,
    spread_seconds: int = 0,
) -> None:
    """A schedule for each of `numbers`, with zones and crons in turn, next due at `due` or within `over_seconds` of it."""
    values = {"workflow_id": workflow_id, "first": numbers[0], "last": numbers[-1], "zones": list(ZONES)}
    with app.app_context(), transaction():
        db.session.execute(text("SET LOCAL statement_timeout = 0"))
        db.session.execute(_SCHEDULES, values | {"crons": list(crons), "spread": spread_seconds})
        db.session.execute(_CURSORS, {"due": due, "over": over_seconds})


def seed_once(app: Flask, workflow_id: UUID, count: int, due: datetime, over_seconds: int) -> None:
    """`count` one-time schedules, as many in each of the `over_seconds` seconds from `due` on."""
    values = {"workflow_id": workflow_id, "count": count, "due": due, "over": over_seconds}
    with app.app_context(), transaction():
        db.session.execute(_ONCE, values)
        db.session.execute(_ONCE_CURSORS, {"workflow_id": workflow_id})
