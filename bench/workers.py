"""What one worker process carries: runs per second by kind of workflow, and its memory after many of them.

`.venv/bin/python -m bench.workers` starts a scheduler and a worker as the Procfile does, puts ready runs into the
database in one transaction, and reads from the rows how long the worker took from its first start to its last end.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import closing
from typing import Any
from uuid import UUID

from flask import Flask
from sqlalchemy import text

from bench.carillon import Carillon, carillon_alone
from bench.processes import WORKER, await_true
from bench.results import Report
from bench.seeds import THREE_STEPS, seed_workflow
from bench.work import payload
from domain.extensions.installs import Install
from domain.kernel.db import db, transaction
from domain.kernel.log import configure_logs
from domain.runs.announcing import announce_work
from domain.runs.runs import Run
from domain.workflows.workflows import Workflow
from tests.calls import a_call_run
from tests.factories import a_tenant, an_extension, an_extension_version, an_install
from tests.runners import LocalRunner

MEGABYTE = 1_000_000
# Calls are bounded per install and tenant; here there is one of each, and the worker's threads are to be the bound.
CALL_LIMITS = {"CARILLON_CALLS_PER_INSTALL": "64", "CARILLON_CALLS_PER_TENANT": "64"}
TEN_STEPS = {
    "steps": [
        *(
            {
                "id": f"step{number}",
                "type": "transform.assign",
                "config": {"assign": {f"vars.n{number}": {"$expr": f"payload.n + {number}"}}},
            }
            for number in range(9)
        ),
        {"id": "end", "type": "control.return", "value": {"$expr": "vars.n8"}},
    ]
}
ONE_EFFECT = {
    "steps": [
        {
            "id": "count",
            "type": "action.call",
            "config": {
                "actionId": "store.increment",
                "version": 1,
                "inputMapping": {"namespace": "bench", "key": {"$expr": "payload.region"}},
            },
        }
    ]
}
# The run given, again and again. Calls wait for their admission, everything else is ready.
_MULTIPLY = text("""
    INSERT INTO runs (id, tenant_id, target_kind, workflow_id, workflow_version, install_id, extension_version_id,
        endpoint_id, started_by, input_json, lane, ready_at)
    SELECT uuidv7(), tenant_id, target_kind, workflow_id, workflow_version, install_id, extension_version_id,
        endpoint_id, started_by, input_json || jsonb_build_object('n', n, 'region', 'eu-' || n), lane,
        CASE WHEN lane <> 'call' THEN clock_timestamp() END
    FROM runs, generate_series(1, :count) n WHERE id = :id
""")
_TIMES = text("""
    SELECT count(*) FILTER (WHERE status = 'succeeded') AS done, extract(epoch FROM
        max(pg_xact_commit_timestamp(xmin)) - min(started_at)) AS seconds
    FROM runs WHERE (workflow_id, install_id) IS NOT DISTINCT FROM (CAST(:workflow_id AS uuid), CAST(:install_id AS uuid))
""")


def seed_workflow_run(app: Flask, definition: dict[str, Any], name: str, lane: str = "pure") -> Callable[[], Run]:
    """How to make the first run of a workflow with these steps."""
    workflow_id = seed_workflow(app, name, definition, is_pure=lane == "pure")
    return lambda: _queued_run(db.session.get_one(Workflow, workflow_id), lane)


def seed_call(app: Flask) -> Callable[[], Run]:
    """How to make the first call of an endpoint."""
    with app.app_context(), transaction():
        tenant = a_tenant("calls")
        install_id = an_install(tenant, an_extension_version(an_extension(tenant))).id
    return lambda: a_call_run(db.session.get_one(Install, install_id), "queued", input_json=payload(0))


def _queued_run(workflow: Workflow, lane: str) -> Run:
    run = Run(tenant_id=workflow.tenant_id, workflow_id=workflow.id, workflow_version=1, started_by="manual", lane=lane)
    run.input_json, run.status = payload(0), "queued"
    db.session.add(run)
    db.session.flush()
    return run


def seed_runs(app: Flask, first: Callable[[], Run], count: int) -> dict[str, UUID | None]:
    """`count` runs in one transaction, announced; what they belong to."""
    with app.app_context(), transaction():
        run = first()
        of = {"workflow_id": run.workflow_id, "install_id": run.install_id}
        db.session.execute(_MULTIPLY, {"id": run.id, "count": count})
        db.session.delete(run)
        announce_work()
    return of


def measure(report: Report, carillon: Carillon, name: str, first: Callable[[], Run], count: int) -> None:
    before = carillon.ended()
    of = seed_runs(carillon.app, first, count)
    await_true(lambda: carillon.ended() - before >= count, f"{count} runs ended", 30 + count / 20, pause=0.5)
    with carillon.app.app_context(), transaction():
        times = db.session.execute(_TIMES, of).one()
    assert times.done == count, f"{count - times.done} runs did not succeed"
    rate = count / float(times.seconds)
    report.add(
        {"runs": name, "count": count, "seconds": float(times.seconds), "runs/s": rate, "worker MB": _memory(carillon)}
    )


def measure_all(report: Report, carillon: Carillon, many: int) -> None:
    """Three pure steps twice, the second time many of them: what memory is then still growing by is a leak."""
    carillon.start(1)
    app, few = carillon.app, max(many // 10, 1)
    report.ratios["worker MB, idle"] = _memory(carillon)
    measure(report, carillon, "3 pure steps, first", seed_workflow_run(app, THREE_STEPS, "Three steps"), few)
    report.ratios["worker MB, warm"] = _memory(carillon)
    measure(report, carillon, "3 pure steps", seed_workflow_run(app, THREE_STEPS, "Three again"), many)
    report.ratios[f"worker MB, after {many:,} more"] = _memory(carillon)
    measure(report, carillon, "10 pure steps", seed_workflow_run(app, TEN_STEPS, "Ten steps"), few)
    measure(report, carillon, "1 effect in the store", seed_workflow_run(app, ONE_EFFECT, "Effect", "effect"), few)
    measure(report, carillon, "1 call of an extension", seed_call(app), few)


def _memory(carillon: Carillon) -> float:
    return carillon.processes.usage(WORKER).memory / MEGABYTE


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=50_000, help="of three pure steps; the others get a tenth of it")
    asked = parser.parse_args()
    configure_logs("WARNING", "console")
    report = Report("workers", vars(asked))
    with closing(LocalRunner().start()) as runner, carillon_alone(runner.env | CALL_LIMITS) as carillon:
        measure_all(report, carillon, asked.runs)
    report.close()


if __name__ == "__main__":
    main()
