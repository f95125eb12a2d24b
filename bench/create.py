"""What it costs to create schedules: one by one over the API, and in bundles; beside the peers' own ways.

`.venv/bin/python -m bench.create` asks the whole application, without the network: times are those of the server. A
bundle holds at most 1,000 schedules, so more of them are several bundles. Of a peer it is its `register`, start included.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import time
from contextlib import closing
from contextvars import Context
from datetime import UTC, datetime
from typing import Any

from flask import Flask
from sqlalchemy import func, select
from werkzeug.test import EnvironBuilder, run_wsgi_app

from bench.contenders import PEERS, Peer, is_there, name_of, processes_of
from bench.results import Report, Row, ratio
from bench.seeds import seed_workflow
from bench.servers import bench_servers
from bench.work import Task, next_minute, tasks
from domain.accounts.tenants import Tenant
from domain.kernel.db import db, transaction
from domain.kernel.log import configure_logs
from domain.schedules.schedules import Schedule
from domain.workflows.workflows import Workflow
from tests.factories import a_token
from tests.servers import config_for, make_app
from tests.statements import counted

BUNDLE_MAX = 10_000
BEST_OF = 100
# What PostgreSQL and the application learn once.
WARM_UP = 50


def document(task: Task, workflow: Workflow) -> dict[str, Any]:
    """The body of POST /api/schedules."""
    given = {"workflowId": str(workflow.id), "name": f"Schedule {task.number}", "triggerType": "recurring"}
    return given | {"cron": task.cron, "timezone": task.zone, "payload": task.payload}


def bundled(task: Task, workflow: Workflow) -> dict[str, Any]:
    """One of the schedules of a bundle."""
    timing = {"triggerType": "recurring", "timezone": task.zone, "cron": task.cron}
    named = {"externalKey": f"bench-{task.number}", "name": f"Bundled {task.number}"}
    return named | {"target": {"workflow": workflow.key}, "timing": timing, "payload": task.payload}


class Api:
    """The application, asked with a token of the workflow's tenant."""

    def __init__(self, app: Flask, workflow: Workflow) -> None:
        self.app = app
        with transaction():
            _, secret = a_token(db.session.get_one(Tenant, workflow.tenant_id))
        self.headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}

    def post(self, path: str, body: Any) -> float:
        """Seconds from the request, as a server hands it over, until the whole answer is there."""
        sent = EnvironBuilder(f"/api{path}", method="POST", data=json.dumps(body).encode(), headers=self.headers)
        environ = sent.get_environ()
        begun = time.perf_counter()
        # In a context of its own, as a server does it: a request finds neither who asked before nor what was read for them.
        answer, status, _ = Context().run(run_wsgi_app, self.app, environ, buffered=True)
        took = time.perf_counter() - begun
        assert status.startswith("20"), b"".join(answer)[:500]
        return took


def carillon_rows(count: int) -> list[Row]:
    """One by one, then in bundles."""
    instant = next_minute(datetime.now(UTC), 86_400)
    with bench_servers() as servers:
        app = make_app(config_for(servers.env["DATABASE_URL"], servers.env["REDIS_URL"]))
        workflow_id = seed_workflow(app)
        with app.app_context():
            workflow = db.session.get_one(Workflow, workflow_id)
            api = Api(app, workflow)
            for task in tasks(WARM_UP, instant):
                with counted() as statements:
                    api.post("/schedules", document(task, workflow) | {"name": f"Warm-up {task.number}"})
            alone = [document(task, workflow) for task in tasks(count, instant)]
            together = [bundled(task, workflow) for task in tasks(count, instant)]
            # The session of this process is not to stand inside a transaction while it asks for minutes.
            db.session.rollback()
            gc.collect()
            gc.freeze()  # as gunicorn.conf.py does it
            took = [api.post("/schedules", one) for one in alone]
            rows = [_row("Carillon, API one by one", count, sum(took), took) | {"statements each": len(statements)}]
            parts = [together[at : at + BUNDLE_MAX] for at in range(0, count, BUNDLE_MAX)]
            took = [api.post("/schedule-bundles", _bundle(part)) for part in parts]
            rows.append(_row(f"Carillon, {len(parts)} bundle(s)", count, sum(took)))
            stored = db.session.scalar(select(func.count()).select_from(Schedule))
            assert stored == WARM_UP + 2 * count, stored
            db.session.rollback()
            db.engine.dispose()
    return rows


def _bundle(schedules: list[dict[str, Any]]) -> dict[str, Any]:
    return {"format": "carillon.schedule-bundle", "formatVersion": 1, "schedules": schedules}


def _row(who: str, count: int, seconds: float, each: list[float] | None = None) -> Row:
    row = {"who": who, "N": count, "seconds": seconds, "ms each": 1000 * seconds / count}
    if each and len(each) > 1:
        row["p95 ms"] = 1000 * statistics.quantiles(each, n=20)[18]
        # What it takes while a shared machine does nothing else.
        parts = (each[at : at + BEST_OF] for at in range(0, len(each) - BEST_OF + 1, BEST_OF))
        row["best hundred ms"] = 1000 * min((statistics.fmean(part) for part in parts), default=0)
    return row


def peer_row(key: str, count: int) -> Row:
    instant = next_minute(datetime.now(UTC), 86_400)
    with (
        bench_servers(is_migrated=False) as servers,
        processes_of(key, servers) as processes,
        closing(Peer(PEERS[key], servers, processes)) as peer,
    ):
        peer.register(0, instant)  # makes its tables
        begun = time.perf_counter()
        peer.register(count, instant)
        return _row(name_of(key), count, time.perf_counter() - begun)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--schedules", type=int, default=10_000)
    parser.add_argument("--peers", nargs="*", choices=list(PEERS), default=list(PEERS))
    asked = parser.parse_args()
    configure_logs("ERROR", "console")
    report = Report("create", vars(asked))
    alone, together = (report.add(row) for row in carillon_rows(asked.schedules))
    for key in asked.peers:
        if not is_there(key):
            print(f"!! LEFT OUT: {name_of(key)}, because what it needs is not installed (see bench/peers/make).")
            continue
        row = report.add(peer_row(key, asked.schedules))
        for words, ours in (("one by one", alone), ("in bundles", together)):
            report.ratios[f"{row['who']} / Carillon {words}"] = ratio(row["seconds"], ours["seconds"])
    report.close()


if __name__ == "__main__":
    main()
