"""Ten minutes in which everything breaks: three schedulers, two workers, and people who go on working.

`.venv/bin/python -m bench.chaos` prints its seed; `--seed` repeats the same breakages. At its end, when all is calm again,
every instant that was due must be accounted for once, every effect be there once, and every invariant hold.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from flask import Flask

from bench.breakages import Breakages
from bench.carillon import Carillon
from bench.clients import Clients
from bench.processes import SCHEDULER, WORKER, Processes, await_true, procfile_command
from bench.proxy import CommitProxy
from bench.results import Report, Row
from bench.seeds import seed_once, seed_schedules, seed_workflow
from bench.servers import Servers, bench_servers
from bench.workers import ONE_EFFECT
from domain.kernel import clock
from domain.kernel.db import transaction
from domain.kernel.log import configure_logs
from tests.faults.fleet import rows, scalar
from tests.faults.invariants import VIOLATIONS

SCHEDULERS, WORKERS = 3, 2
EVERY_MINUTE, EACH_SECOND = 300, 5
CALM_SECONDS = 180

# The oracle: every whole minute that a recurring schedule has left behind it lies in one row of the ledger.
_UNACCOUNTED = """
    SELECT s.id, at FROM schedules s JOIN schedule_cursors c ON c.schedule_id = s.id,
        generate_series(CAST(:since AS timestamptz), CAST(:until AS timestamptz), interval '1 minute') at
    WHERE s.trigger_type = 'recurring' AND (
        SELECT count(*) FROM occurrences o WHERE o.schedule_id = s.id AND o.origin_key = 'timing'
            AND at BETWEEN o.scheduled_for AND coalesce(o.through, o.scheduled_for)) <> 1
"""
_NOT_DUE = """
    SELECT o.id FROM occurrences o JOIN schedules s ON s.id = o.schedule_id
    WHERE s.trigger_type = 'recurring' AND extract(second FROM o.scheduled_for) <> 0 AND o.origin_key = 'timing'
"""
_EFFECTS = """
    SELECT (SELECT count(*) FROM runs WHERE workflow_id = :id AND status = 'succeeded') -
        (SELECT coalesce(sum(CAST(value #>> '{}' AS bigint)), 0) FROM store_items WHERE namespace = 'bench')
"""
_LATENESS = """
    SELECT percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY late) AS part, max(late) AS max FROM (
        SELECT extract(epoch FROM decided_at - scheduled_for) AS late FROM occurrences
        WHERE origin_key = 'timing' AND outcome = 'fired') fired
"""


@dataclass(frozen=True)
class Scene:
    """What is due: every minute from `since` on, and of `effects` a few each second."""

    app: Flask
    recurring: UUID
    effects: UUID
    since: datetime


@contextmanager
def proxied(servers: Servers) -> Iterator[tuple[CommitProxy, dict[str, str]]]:
    """A proxy before PostgreSQL, and the environment of processes that connect through it."""
    directory = servers.postgres.socket_directory
    proxy = CommitProxy(directory, servers.redis.socket_directory)
    proxy.start()
    try:
        address = servers.env["DATABASE_URL"].replace(quoted(directory), quoted(servers.redis.socket_directory))
        yield proxy, servers.env | {"DATABASE_URL": address}
    finally:
        proxy.close()


def seeded(app: Flask, seconds: float, recurring_count: int = EVERY_MINUTE) -> Scene:
    with app.app_context(), transaction():
        now = clock.database_now()
    since = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
    recurring, effects = seed_workflow(app), seed_workflow(app, "Effects", ONE_EFFECT, is_pure=False)
    seed_schedules(app, recurring, range(1, recurring_count + 1), since, ["* * * * *"])
    soon = now.replace(microsecond=0) + timedelta(seconds=30)
    seed_once(app, effects, int(EACH_SECOND * seconds), soon, int(seconds))
    return Scene(app, recurring, effects, since)


def rage(processes: Processes, breakages: Breakages, seconds: float) -> int:
    """Break something every few seconds; how many processes ended by themselves and were started again."""
    until, revived = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        time.sleep(breakages.chance.uniform(1, 6))
        revived += processes.revive()
        breakages.break_something()
    return revived


def calm_down(scene: Scene, processes: Processes) -> datetime:
    """Until nothing is due or unfinished; the last whole minute that all cursors have passed."""
    due = "SELECT count(*) FROM schedule_cursors WHERE wake_at < clock_timestamp() - interval '2 s'"
    to_come = "SELECT count(*) FROM schedules WHERE trigger_type = 'schedule' AND status = 'active'"
    unfinished = "SELECT count(*) FROM runs WHERE finished_at IS NULL"

    def is_calm() -> bool:
        processes.revive()
        return all(scalar(scene.app, left) == 0 for left in (due, to_come, unfinished))

    await_true(is_calm, "all that was due is decided and all runs have ended", CALM_SECONDS, pause=0.5)
    last: datetime = scalar(scene.app, "SELECT date_trunc('minute', clock_timestamp() - interval '5 s')")
    return last


def verdict(scene: Scene, until: datetime) -> Row:
    """What is wrong, by name with how often; empty when all holds."""
    app = scene.app
    found = {name: len(rows(app, query)) for name, query in VIOLATIONS.items()}
    found["an instant not accounted for once"] = len(rows(app, _UNACCOUNTED, since=scene.since, until=until))
    found["an instant that was not due"] = len(rows(app, _NOT_DUE))
    found["effects missing or doubled"] = abs(int(scalar(app, _EFFECTS, id=scene.effects)))
    return {name: times for name, times in found.items() if times}


def chaos(report: Report, seconds: float, seed: int) -> bool:
    """Whether everything held."""
    with (
        bench_servers() as servers,
        proxied(servers) as (proxy, env),
        Processes(env, servers.directory / "log") as processes,
        closing(Carillon(servers, processes)) as carillon,
    ):
        scene = seeded(carillon.app, seconds)
        for role, number in ((SCHEDULER, SCHEDULERS), (WORKER, WORKERS)):
            for _ in range(number):
                processes.start(role, procfile_command(role))
        clients = Clients(carillon.app, scene.recurring, seed)
        breakages = Breakages(processes, servers, proxy, seed)
        clients.start()
        revived = rage(processes, breakages, seconds)
        clients.stop()
        wrong = verdict(scene, calm_down(scene, processes))
        report.add(dict(breakages.done) | {"lost COMMIT answers": proxy.dropped, "ended by themselves": revived})
        report.add(dict(clients.done) | dict(clients.refused))
        tell_lateness(report, scene)
    report.ratios["violations"] = ", ".join(f"{name}: {times}" for name, times in wrong.items()) or "none"
    return not wrong


def tell_lateness(report: Report, scene: Scene) -> None:
    [late] = rows(scene.app, _LATENESS)
    for name, value in zip(("p50", "p99", "max"), (*late.part, late.max), strict=True):
        report.ratios[f"lateness of decisions, {name}, seconds"] = float(value)
    report.ratios["occurrences"] = int(scalar(scene.app, "SELECT count(*) FROM occurrences"))
    report.ratios["runs"] = int(scalar(scene.app, "SELECT count(*) FROM runs"))


def quoted(path: object) -> str:
    return str(path).replace("/", "%2F")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(2**31))
    asked = parser.parse_args()
    configure_logs("WARNING", "console")
    report = Report("chaos", vars(asked))
    print(f"seed {asked.seed}")
    has_held = chaos(report, asked.minutes * 60, asked.seed)
    report.close()
    if not has_held:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
