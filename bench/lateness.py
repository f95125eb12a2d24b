"""How late ordinary fires are: ten schedules due each second, among many that are not.

`.venv/bin/python -m bench.lateness` starts one scheduler and one worker as the Procfile does. Late is, after the nominal
instant: when the decision and its run were committed, when the first step began, and when the run's end was committed.
"""

from __future__ import annotations

import argparse
import time
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text

from bench.carillon import Carillon, carillon_alone
from bench.processes import await_true
from bench.results import Report, Row
from bench.seeds import seed_once, seed_schedules, seed_workflow
from domain.kernel import clock
from domain.kernel.db import db, transaction
from domain.kernel.log import configure_logs
from workers.local_servers import DATABASE

# Seeding, settling the tables and starting the processes take less.
LEAD_SECONDS = 40
FAR_AWAY = timedelta(days=2)

_LATE = text("""
    WITH late AS (
        SELECT extract(epoch FROM pg_xact_commit_timestamp(o.xmin) - o.scheduled_for) * 1000 AS committed,
            extract(epoch FROM s.started_at - o.scheduled_for) * 1000 AS started,
            extract(epoch FROM pg_xact_commit_timestamp(r.xmin) - o.scheduled_for) * 1000 AS finished
        FROM occurrences o JOIN runs r ON r.id = o.id JOIN run_steps s ON s.run_id = r.id AND s.position = 0
        WHERE o.scheduled_for >= :since AND r.status = 'succeeded'
    ), each AS (
        SELECT 'committed' AS moment, committed AS ms FROM late
        UNION ALL SELECT 'started', started FROM late UNION ALL SELECT 'finished', finished FROM late
    )
    SELECT moment, count(*), percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY ms) AS part, max(ms) AS max
    FROM each GROUP BY moment ORDER BY min(ms)
""")


def measure(stored: int, each_second: int, seconds: int) -> list[Row]:
    """The lateness of each moment, in milliseconds."""
    count = each_second * seconds
    with carillon_alone() as carillon:
        workflow_id = seed_workflow(carillon.app)
        begun_at = _whole_second_from_now(carillon, LEAD_SECONDS + stored / 5_000)
        seed_schedules(carillon.app, workflow_id, range(1, stored + 1), begun_at + FAR_AWAY, ["17 3 * * *"], 86_400)
        seed_once(carillon.app, workflow_id, count, begun_at, seconds)
        carillon.servers.settle(DATABASE)
        carillon.start(1)
        left = (begun_at - _whole_second_from_now(carillon, 0)).total_seconds()
        assert left > 2, f"seeding took {-left:.0f} s too long"
        time.sleep(left + seconds)
        await_true(lambda: carillon.ended() >= count, f"{count} runs ended", 120, pause=0.5)
        with carillon.app.app_context(), transaction():
            found = db.session.execute(_LATE, {"since": begun_at}).all()
    return [_row(stored, count, row) for row in found]


def _whole_second_from_now(carillon: Carillon, seconds: float) -> datetime:
    with carillon.app.app_context(), transaction():
        return (clock.database_now() + timedelta(seconds=seconds)).replace(microsecond=0)


def _row(stored: int, due: int, row: Any) -> Row:
    p50, p95, p99 = (float(part) for part in row.part)
    late = {"p50 ms": p50, "p95 ms": p95, "p99 ms": p99, "max ms": float(row.max)}
    return {"stored": stored, "moment": row.moment, **late, "lost": due - row.count}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--stored", type=int, nargs="+", default=[100_000])
    parser.add_argument("--each-second", type=int, default=10)
    parser.add_argument("--seconds", type=int, default=120)
    asked = parser.parse_args()
    configure_logs("WARNING", "console")
    report = Report("lateness", vars(asked))
    for stored in asked.stored:
        for row in measure(stored, asked.each_second, asked.seconds):
            report.add(row)
            if row["moment"] == "started":
                report.ratios[f"goal p50 100 ms / p50, {stored:,} stored"] = 100 / row["p50 ms"]
                report.ratios[f"goal p99 500 ms / p99, {stored:,} stored"] = 500 / row["p99 ms"]
    report.close()


if __name__ == "__main__":
    main()
