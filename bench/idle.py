"""What it costs to hold many schedules of which none is due: processor time, memory and statements of the scheduler.

`.venv/bin/python -m bench.idle` stores them, starts one scheduler and one worker as the Procfile does, lets them settle,
and watches them for `--seconds`; statements are counted afterwards, by PostgreSQL's log, because writing it costs too.
"""

from __future__ import annotations

import argparse
import time

import psycopg

from bench.carillon import carillon_alone
from bench.lateness import FAR_AWAY
from bench.processes import SCHEDULER, WORKER, Processes
from bench.results import Report, Row
from bench.seeds import seed_schedules, seed_workflow
from bench.servers import Servers
from domain.kernel import clock
from domain.kernel.db import transaction
from domain.kernel.log import configure_logs
from workers.local_servers import DATABASE

MEGABYTE = 1_000_000
SETTLING_SECONDS = 15
COUNTING_SECONDS = 20


def measure(stored: int, seconds: int) -> Row:
    with carillon_alone() as carillon:
        with carillon.app.app_context(), transaction():
            due = clock.database_now().replace(microsecond=0) + FAR_AWAY
        workflow_id = seed_workflow(carillon.app)
        seed_schedules(carillon.app, workflow_id, range(1, stored + 1), due, ["17 3 * * *"], 86_400)
        carillon.servers.settle(DATABASE)
        carillon.start(1)
        time.sleep(SETTLING_SECONDS)
        return {"stored": stored} | _watched(carillon.processes, seconds) | _statements(carillon.servers)


def _watched(processes: Processes, seconds: int) -> Row:
    """Per cent of one core, and megabytes, of both processes."""
    before = {role: processes.usage(role) for role in (SCHEDULER, WORKER)}
    begun = time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - begun
    row: Row = {}
    for role, was in before.items():
        usage = processes.usage(role)
        row[f"{role} CPU %"] = 100 * (usage.cpu_seconds - was.cpu_seconds) / took
        row[f"{role} MB"] = usage.memory / MEGABYTE
        row[f"{role} grew MB"] = (usage.memory - was.memory) / MEGABYTE
    return row


def _statements(servers: Servers) -> Row:
    """Statements per second that PostgreSQL got from the scheduler and from the worker."""
    with psycopg.connect(servers.postgres.url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET log_line_prefix = '%a|'")
        connection.execute("ALTER SYSTEM SET log_statement = 'all'")
        connection.execute("SELECT pg_reload_conf()")
        time.sleep(COUNTING_SECONDS)
        connection.execute("ALTER SYSTEM RESET log_statement")
        connection.execute("SELECT pg_reload_conf()")
    lines = servers.postgres.log.read_text(errors="replace").splitlines()
    said = [line.partition("|")[0] for line in lines if "|LOG:  execute" in line or "|LOG:  statement" in line]
    by_role = {role: sum(name.startswith(f"carillon-{role}") for name in said) for role in (SCHEDULER, WORKER)}
    return {f"{role} statements/s": count / COUNTING_SECONDS for role, count in by_role.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--stored", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--seconds", type=int, default=60)
    asked = parser.parse_args()
    configure_logs("WARNING", "console")
    report = Report("idle", vars(asked))
    rows = [report.add(measure(stored, asked.seconds)) for stored in asked.stored]
    name = f"{SCHEDULER} CPU %"
    report.ratios[f"scheduler CPU, {asked.stored[-1]:,} stored / {asked.stored[0]:,} stored"] = (
        rows[-1][name] / rows[0][name]
    )
    report.close()


if __name__ == "__main__":
    main()
