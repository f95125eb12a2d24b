"""Rows that fault tests begin with, many at a time."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Flask
from sqlalchemy import text

from domain.kernel.db import db, transaction
from tests.domain.firing.ledger import a_target
from tests.factories import a_tenant

PURE_STEPS: list[dict[str, Any]] = [
    {
        "id": f"step{number}",
        "type": "transform.assign",
        "config": {"assign": {f"vars.n{number}": {"$expr": "payload.n"}}},
    }
    for number in range(3)
]


def counting_steps(count: int = 3) -> list[dict[str, Any]]:
    """Steps that each add one to a number in the store: a step done twice shows."""
    return [
        {
            "id": f"count{number}",
            "type": "action.call",
            "config": {
                "actionId": "store.increment",
                "version": 1,
                "inputMapping": {"namespace": "counts", "key": {"$expr": f"'step{number}'"}},
                "saveAs": f"c{number}",
            },
        }
        for number in range(count)
    ]


def seed_workflow(app: Flask, steps: list[dict[str, Any]], *, is_pure: bool, limit: int | None = None) -> UUID:
    """A tenant with one published workflow; answers the workflow's id."""
    with app.app_context(), transaction():
        workflow = a_target(a_tenant(), limit=limit, definition={"steps": steps}, is_pure=is_pure)
        return workflow.id


def seed_one_time_schedules(
    app: Flask,
    workflow_id: UUID,
    count: int,
    *,
    in_seconds: float,
    over_seconds: float = 0,
    overlap: str = "allow",
    name: str = "Schedule",
) -> None:
    """`count` one-time schedules, due `in_seconds` from now, all at once or spread over `over_seconds`."""
    with app.app_context(), transaction():
        db.session.execute(
            text("""
                INSERT INTO schedules (id, tenant_id, name, workflow_id, workflow_version, trigger_type, run_at, timezone,
                    payload_json, status, overlap)
                SELECT gen_random_uuid(), w.tenant_id, CAST(:name AS text) || ' ' || n, w.id, w.published_version, 'schedule',
                    date_trunc('second', clock_timestamp() + make_interval(secs => :delay + :over * n / :count)),
                    'UTC', jsonb_build_object('n', n), 'active', :overlap
                FROM workflows w, generate_series(1, :count) AS n WHERE w.id = :workflow_id
            """),
            {
                "delay": in_seconds,
                "over": over_seconds,
                "count": count,
                "workflow_id": workflow_id,
                "overlap": overlap,
                "name": name,
            },
        )
        db.session.execute(
            text("""
                INSERT INTO schedule_cursors (schedule_id, tenant_id, next_fire_at, wake_at)
                SELECT id, tenant_id, run_at, run_at FROM schedules
                WHERE id NOT IN (SELECT schedule_id FROM schedule_cursors)
            """)
        )


def seed_runs(app: Flask, workflow_id: UUID, count: int) -> None:
    """`count` runs by hand, queued and not yet admitted."""
    with app.app_context(), transaction():
        db.session.execute(
            text("""
                INSERT INTO runs (id, tenant_id, workflow_id, workflow_version, started_by, input_json, lane)
                SELECT gen_random_uuid(), w.tenant_id, w.id, v.version, 'manual', jsonb_build_object('n', n),
                    CASE WHEN v.is_pure THEN 'pure' ELSE 'effect' END
                FROM workflows w
                JOIN workflow_versions v ON v.workflow_id = w.id AND v.version = w.published_version,
                generate_series(1, :count) AS n WHERE w.id = :workflow_id
            """),
            {"count": count, "workflow_id": workflow_id},
        )
