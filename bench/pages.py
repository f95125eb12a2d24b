"""How long the pages take at the server, with 100,000 schedules and 1,000,000 runs of history in one tenant.

`.venv/bin/python -m bench.pages` starts a PostgreSQL of its own, fills it, and asks for each page again and again
through the whole application, without the network.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text

from bench.page_seed import seed_schedules
from bench.results import Report
from bench.servers import bench_servers
from domain.kernel import clock
from domain.kernel.db import db, transaction
from domain.kernel.log import configure_logs
from tests.servers import config_for, make_app
from tests.statements import counted
from tests.web.cast import Browser

GOAL_P50, GOAL_P95 = 50, 150
_SOME_RUNS = text("""
    SELECT (SELECT id FROM runs ORDER BY id DESC LIMIT 1) AS run_id,
        (SELECT id FROM runs ORDER BY id DESC OFFSET 5000 LIMIT 1) AS earlier_id,
        (SELECT schedule_id FROM runs ORDER BY id DESC LIMIT 1) AS schedule_id,
        (SELECT id FROM runs WHERE status = 'failed' ORDER BY id DESC LIMIT 1) AS failed_id
""")


@dataclass(frozen=True)
class Measured:
    """Milliseconds: the quickest answer, the median, the 95th percentile. `size` in bytes."""

    best: float
    p50: float
    p95: float
    statements: int
    size: int


def schedule_lists(workflow_id: UUID) -> dict[str, str]:
    """The list of schedules in every order, filter and search, by what it is called in the table."""
    return {
        "schedules, first page": "/schedules",
        "schedules, page 2": "/schedules?page=2",
        "schedules, page 200, the last": "/schedules?page=200",
        "schedules, live refresh": "/schedules#live",
        "schedules, sorted by name": "/schedules?sort=name",
        "schedules, sorted by last fire": "/schedules?sort=last",
        "schedules, sorted by last fire, page 200": "/schedules?sort=last&page=200",
        "schedules, sorted by change": "/schedules?sort=updated",
        "schedules, one workflow": f"/schedules?workflow={workflow_id}",
        "schedules, one workflow, by last fire": f"/schedules?workflow={workflow_id}&sort=last",
        "schedules, repeating": "/schedules?trigger=recurring",
        "schedules, once": "/schedules?trigger=schedule",
        "schedules, active": "/schedules?status=active",
        "schedules, active, by last fire": "/schedules?status=active&sort=last",
        "schedules, repeating, by last fire, page 200": "/schedules?trigger=recurring&sort=last&page=200",
        "schedules, paused": "/schedules?status=paused",
        "schedules, invalid": "/schedules?status=invalid",
        "schedules, completed": "/schedules?status=completed",
        "schedules, failing": "/schedules?status=failing",
        "schedules, failing, by last fire": "/schedules?status=failing&sort=last",
        "schedules, paused, by name": "/schedules?status=paused&sort=name",
        "schedules, search: half of all": "/schedules?q=a1",
        "schedules, search: few": "/schedules?q=c4ca42",
        "schedules, search: one": "/schedules?q=99999",
        "schedules, search: none": "/schedules?q=nothing+like+it",
        "schedules, search: a workflow": "/schedules?q=workflow+007",
        "schedules, search: everything, by name": "/schedules?q=schedule&sort=name",
        "schedules, search: few, by last fire": "/schedules?q=c4ca42&sort=last",
        "schedules, search, failing": "/schedules?q=c4ca&status=failing",
        "schedules, search, paused, once": "/schedules?q=ab&status=paused&trigger=schedule",
    }


def other_pages(workflow_id: UUID) -> dict[str, str]:
    """One schedule, runs and one run."""
    with transaction():
        some = db.session.execute(_SOME_RUNS).one()
    return {
        "one schedule": f"/schedules/{some.schedule_id}",
        "one schedule, to edit": f"/schedules/{some.schedule_id}/edit",
        "runs, first page": "/runs",
        "runs, live refresh": "/runs#live",
        "runs, 5,000 further": f"/runs?before={some.earlier_id}",
        "runs, failed": "/runs?status=failed",
        "runs, of one workflow": f"/runs?workflow={workflow_id}",
        "runs, of one schedule": f"/runs?schedule={some.schedule_id}",
        "runs, failed ones of one workflow": f"/runs?workflow={workflow_id}&status=failed",
        "one run": f"/runs/{some.run_id}",
        "one run, failed": f"/runs/{some.failed_id}",
    }


def measure(browser: Browser, address: str, times: int) -> Measured:
    """The page, asked for `times` times after three that warm it up."""
    path, _, is_live = address.partition("#")
    for _ in range(3):
        answer = browser.get(path, htmx=bool(is_live))
        assert answer.status_code == 200, answer.text[:500]
    took = []
    for _ in range(times):
        begun = time.perf_counter()
        answer = browser.get(path, htmx=bool(is_live))
        took.append((time.perf_counter() - begun) * 1000)
    with counted() as statements:
        browser.get(path, htmx=bool(is_live))
    p95 = statistics.quantiles(took, n=20)[18]
    return Measured(min(took), statistics.median(took), p95, len(statements), len(answer.get_data()))


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--schedules", type=int, default=100_000)
    arguments.add_argument("--times", type=int, default=21)
    asked = arguments.parse_args()
    configure_logs("ERROR", "console")
    report = Report("pages", vars(asked))
    with bench_servers() as servers:
        app = make_app(config_for(servers.env["DATABASE_URL"], servers.env["REDIS_URL"]))
        with app.app_context():
            browser, workflow_id = seed_schedules(app, asked.schedules, clock.database_now())
            addresses = schedule_lists(workflow_id) | other_pages(workflow_id)
        gc.collect()
        gc.freeze()  # as gunicorn.conf.py does it
        # Outside of a context, so that each request has one of its own, as under a server: nobody remembers who asked before.
        for name, address in addresses.items():
            one = measure(browser, address, asked.times)
            times = {"best ms": one.best, "p50 ms": one.p50, "p95 ms": one.p95}
            report.add({"page": name} | times | {"statements": one.statements, "kB": one.size / 1000})
        with app.app_context():
            db.engine.dispose()
    slow = [row["page"] for row in report.rows if row["p50 ms"] > GOAL_P50 or row["p95 ms"] > GOAL_P95]
    report.ratios["slowest p50 / goal"] = max(row["p50 ms"] for row in report.rows) / GOAL_P50
    report.ratios["slowest p95 / goal"] = max(row["p95 ms"] for row in report.rows) / GOAL_P95
    report.ratios[f"over {GOAL_P50} ms at the median or {GOAL_P95} ms at p95"] = ", ".join(slow) or "none"
    report.close()


if __name__ == "__main__":
    main()
