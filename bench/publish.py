"""Publishing a workflow that many schedules run: every payload is judged with the new schema, in one transaction.

`.venv/bin/python -m bench.publish` publishes a schema that all payloads fit, then one that every tenth does not. The
second time a scheduler and a worker fire meanwhile: `--due` schedules of another and of this workflow come due just then.
"""

from __future__ import annotations

import argparse
import time
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from flask import Flask
from sqlalchemy import text

from bench.carillon import Carillon, carillon_alone
from bench.processes import await_true
from bench.results import Report, Row
from bench.seeds import seed_once, seed_schedules, seed_workflow
from domain.accounts.audit import Actor
from domain.kernel import clock
from domain.kernel.db import db, transaction
from domain.kernel.log import configure_logs
from domain.publishing.publishing import publish_workflow
from domain.workflows.payload_schemas import register_schema
from domain.workflows.workflows import Workflow
from tests.statements import counted
from workers.local_servers import DATABASE

FIELDS = {"n": {"type": "integer"}, "region": {"type": "string"}, "note": {"type": "string", "maxLength": 300}}
FITS_ALL = {"type": "object", "properties": FIELDS, "required": ["n", "region"], "additionalProperties": False}
FITS_MOST = FITS_ALL | {"properties": FIELDS | {"n": {"type": "integer", "not": {"multipleOf": 10}}}}
FAR_AWAY = timedelta(days=2)
LEAD_SECONDS = 5
# Publishing begins so long before what comes due meanwhile, and holds its schedules by then.
EARLY_SECONDS = 0.2

_LATENESS = text("""
    SELECT count(*) AS fired, extract(epoch FROM max(pg_xact_commit_timestamp(xmin) - scheduled_for)) AS latest
    FROM occurrences WHERE scheduled_for = :instant AND outcome = 'fired'
""")


def publish(app: Flask, workflow_id: UUID, ref: str, schema: dict[str, Any]) -> Row:
    """Register the schema, make it the draft's, and publish; only the last is timed, to the end of its commit."""
    with app.app_context():
        with transaction():
            workflow = db.session.get_one(Workflow, workflow_id)
            actor = Actor(workflow.tenant_id)
            register_schema(actor, ref, schema, clock.database_now())
            workflow.draft_schema_ref = ref
            revision = workflow.revision
        begun = time.perf_counter()
        with counted() as statements, transaction():
            published = publish_workflow(actor, workflow_id, revision, clock.database_now())
        took = time.perf_counter() - begun
    moved = {"moved": published.rebound, "invalid": published.invalidated}
    return {"publish": ref, "seconds": took, "statements": len(statements)} | moved


def measure(report: Report, carillon: Carillon, count: int, due: int) -> None:
    app, now = carillon.app, _now(carillon)
    workflow_id = seed_workflow(app)
    seed_schedules(app, workflow_id, range(1, count + 1), now + FAR_AWAY, ["17 3 * * *"], 86_400)
    carillon.servers.settle(DATABASE)
    quiet = report.add(publish(app, workflow_id, "payload.FitsAll.v1", FITS_ALL))
    carillon.start(1)
    instant = _now(carillon).replace(microsecond=0) + timedelta(seconds=LEAD_SECONDS)
    seed_once(app, workflow_id, due, instant, 1)
    seed_once(app, seed_workflow(app, "Another"), due, instant, 1)
    time.sleep(max((instant - _now(carillon)).total_seconds() - EARLY_SECONDS, 0))
    busy = publish(app, workflow_id, "payload.FitsMost.v1", FITS_MOST)
    await_true(lambda: carillon.ended() >= 2 * due - due // 10, "what came due meanwhile ended", 120, pause=0.5)
    report.add(busy | _fires(carillon, instant, due))
    report.ratios[f"goal 2 s / publishing with {count:,} schedules"] = 2 / quiet["seconds"]


def _fires(carillon: Carillon, instant: datetime, due: int) -> Row:
    """What became of the schedules that came due while the workflow was published. Those decided before it fit; of the
    others every tenth is refused, which is on record too."""
    with carillon.app.app_context(), transaction():
        row = db.session.execute(_LATENESS, {"instant": instant}).one()
        decided = db.session.scalar(text("SELECT count(*) FROM occurrences"))
    return {"due meanwhile": 2 * due, "lost": 2 * due - decided, "latest fire s": float(row.latest)}


def _now(carillon: Carillon) -> datetime:
    with carillon.app.app_context(), transaction():
        return clock.database_now()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--schedules", type=int, default=10_000)
    parser.add_argument("--due", type=int, default=100)
    asked = parser.parse_args()
    configure_logs("WARNING", "console")
    report = Report("publish", vars(asked))
    with carillon_alone() as carillon:
        measure(report, carillon, asked.schedules, asked.due)
    report.close()


if __name__ == "__main__":
    main()
