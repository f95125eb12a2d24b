"""How long the schedule pages take at the server with many schedules in one tenant.

`.venv/bin/python -m bench.schedule_pages` starts a PostgreSQL of its own, fills it, asks for each page again and again
through the Flask test client, and prints a table. Needs what `script/test` installs, and nothing that runs.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass
from uuid import UUID

from bench.schedule_seed import seed_schedules
from domain.kernel import clock
from domain.kernel.log import configure_logs
from tests.servers import config_for, make_app, migrate, throwaway_postgres
from tests.statements import counted
from tests.web.cast import Browser

LIMIT_MILLISECONDS = 100
HEADER = f"{'page':<34}{'best ms':>9}{'p50 ms':>8}{'p95 ms':>8}{'stmts':>7}{'kB':>7}"


@dataclass(frozen=True)
class Measured:
    """Milliseconds: the quickest answer, the median, the 95th percentile. `size` in bytes."""

    best: float
    p50: float
    p95: float
    statements: int
    size: int


def addresses(workflow_id: UUID) -> dict[str, str]:
    """What is asked for, by what it is called in the table."""
    return {
        "first page": "/schedules",
        "page 2": "/schedules?page=2",
        "page 200, the last": "/schedules?page=200",
        "live refresh": "/schedules#live",
        "sorted by name": "/schedules?sort=name",
        "sorted by last fire": "/schedules?sort=last",
        "sorted by last fire, page 200": "/schedules?sort=last&page=200",
        "sorted by change": "/schedules?sort=updated",
        "one workflow": f"/schedules?workflow={workflow_id}",
        "one workflow, by last fire": f"/schedules?workflow={workflow_id}&sort=last",
        "repeating": "/schedules?trigger=recurring",
        "once": "/schedules?trigger=schedule",
        "active": "/schedules?status=active",
        "paused": "/schedules?status=paused",
        "invalid": "/schedules?status=invalid",
        "completed": "/schedules?status=completed",
        "failing": "/schedules?status=failing",
        "failing, by last fire": "/schedules?status=failing&sort=last",
        "paused, by name": "/schedules?status=paused&sort=name",
        "search: half of all": "/schedules?q=a1",
        "search: few": "/schedules?q=c4ca42",
        "search: one": "/schedules?q=99999",
        "search: none": "/schedules?q=nothing+like+it",
        "search: a workflow": "/schedules?q=workflow+007",
        "search: everything, by name": "/schedules?q=schedule&sort=name",
        "search: few, by last fire": "/schedules?q=c4ca42&sort=last",
        "search, failing": "/schedules?q=c4ca&status=failing",
        "search, paused, once": "/schedules?q=ab&status=paused&trigger=schedule",
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
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--schedules", type=int, default=100_000)
    arguments.add_argument("--times", type=int, default=21)
    asked = arguments.parse_args()
    configure_logs("ERROR", "console")
    with throwaway_postgres() as env:
        migrate(env)
        app = make_app(config_for(env["DATABASE_URL"], env["REDIS_URL"]))
        with app.app_context():
            browser, workflow_id = seed_schedules(app, asked.schedules, clock.database_now())
        print(HEADER)
        slow = []
        for name, address in addresses(workflow_id).items():
            one = measure(browser, address, asked.times)
            times = f"{one.best:>9.1f}{one.p50:>8.1f}{one.p95:>8.1f}"
            print(f"{name:<34}{times}{one.statements:>7}{one.size / 1000:>7.0f}", flush=True)
            if one.p50 > LIMIT_MILLISECONDS:
                slow.append(name)
        print(f"over {LIMIT_MILLISECONDS} ms at the median: {', '.join(slow) or 'none'}")


if __name__ == "__main__":
    main()
