"""An hour at ten fires per second: memory, open files, connections and tables, looked at all the while.

`.venv/bin/python -m bench.soak` starts one scheduler and one worker as the Procfile does, with schedules that fire every
minute, spread over it. What grows from the second quarter to the last is a leak; of the tables it is bytes per fire.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import text

from bench.carillon import Carillon, carillon_alone
from bench.processes import SCHEDULER, WORKER
from bench.results import Report, Row
from bench.seeds import seed_schedules, seed_workflow
from domain.kernel import clock
from domain.kernel.db import db, transaction
from domain.kernel.log import configure_logs
from workers.local_servers import DATABASE

MEGABYTE = 1_000_000
SPREAD_SECONDS = 59
WATCHED = ("scheduler MB", "worker MB", "scheduler files", "worker files", "connections", "unfinished")

_STATE = text("""
    SELECT (SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'carillon%') AS connections,
        (SELECT count(*) FROM runs WHERE finished_at IS NULL) AS unfinished,
        (SELECT count(*) FROM occurrences) AS fires,
        pg_total_relation_size('occurrences') + pg_total_relation_size('runs') + pg_total_relation_size('run_steps')
            AS history,
        pg_total_relation_size('schedules') + pg_total_relation_size('schedule_cursors') AS schedules
""")


def sample(carillon: Carillon, begun: float) -> Row:
    """What is there now."""
    with carillon.app.app_context(), transaction():
        state = db.session.execute(_STATE).one()
    row: Row = {"minute": (time.monotonic() - begun) / 60, "fires": state.fires}
    for role in (SCHEDULER, WORKER):
        usage = carillon.processes.usage(role)
        row |= {f"{role} MB": usage.memory / MEGABYTE, f"{role} files": usage.files}
    row |= {"connections": state.connections, "unfinished": state.unfinished}
    return row | {"history MB": state.history / MEGABYTE, "schedules MB": state.schedules / MEGABYTE}


def soak(report: Report, rate: int, minutes: float, every_seconds: float) -> None:
    with carillon_alone() as carillon:
        with carillon.app.app_context(), transaction():
            due = clock.database_now().replace(second=0, microsecond=0) + timedelta(minutes=1)
        workflow_id = seed_workflow(carillon.app)
        seed_schedules(
            carillon.app, workflow_id, range(1, 60 * rate + 1), due, ["* * * * *"], spread_seconds=SPREAD_SECONDS
        )
        carillon.servers.settle(DATABASE)
        carillon.start(1)
        begun = time.monotonic()
        while time.monotonic() - begun < 60 * minutes:
            time.sleep(every_seconds)
            carillon.processes.check()
            report.add(sample(carillon, begun))


def growth(rows: Sequence[Row]) -> dict[str, float]:
    """The median of the last quarter as a multiple of the second's, by what is watched; bytes per fire between them."""
    quarter = len(rows) // 4
    early, late = rows[quarter : 2 * quarter], rows[-quarter:]
    found = {}
    for name in WATCHED:
        before, after = (statistics.median(row[name] for row in part) for part in (early, late))
        found[f"{name}, last quarter / second quarter"] = after / before if before else float(after)
    fires = late[-1]["fires"] - early[0]["fires"]
    found["history bytes per fire"] = (late[-1]["history MB"] - early[0]["history MB"]) * MEGABYTE / fires
    found["schedules MB, last / second quarter"] = late[-1]["schedules MB"] / early[0]["schedules MB"]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rate", type=int, default=10, help="fires per second")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--every", type=float, default=30, help="seconds between two looks")
    asked = parser.parse_args()
    if asked.minutes * 60 / asked.every < 8:
        parser.error("Eight looks at least are needed to compare quarters. Make it longer, or --every shorter.")
    configure_logs("WARNING", "console")
    report = Report("soak", vars(asked))
    soak(report, asked.rate, asked.minutes, asked.every)
    report.ratios |= growth(report.rows)
    report.close()


if __name__ == "__main__":
    main()
