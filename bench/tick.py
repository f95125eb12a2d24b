"""The tick and the execution of what it starts, against one hand-made batch of SQL into the same tables.

`.venv/bin/python -m bench.tick` starts a durable PostgreSQL of its own with 10,000 schedules that are due every minute,
each with a payload of 300 bytes, five zones in turn, one workflow of three pure steps without a limit. A round decides
one minute with the tick, the next one with the batch (the floor), and executes the runs of both with eight threads, as
one worker process does. It prints medians of seconds on the clock and of processor seconds, ours and PostgreSQL's: on a
machine that has other things to do only the latter say anything. `--profile` says where the tick's time goes.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from flask import Flask
from sqlalchemy import text

from bench.seeds import seed_schedules, seed_workflow
from domain.execution import Worker
from domain.firing.tick import fire_due
from domain.kernel import clock
from domain.kernel.db import db, transaction
from domain.kernel.ids import new_id
from domain.kernel.log import configure_logs
from domain.runs.heartbeats import WORKER, beat
from domain.runs.runs import PURE
from tests.servers import config_for, environment, make_app, make_directory, migrate, remove_directory
from workers.herds import Herd
from workers.local_servers import PostgresServer

THREADS = 8
# What the tick writes for the same schedules, when nobody has to decide anything.
_FLOOR = """
    WITH due AS (
        SELECT c.schedule_id, c.tenant_id, c.next_fire_at, uuidv7() AS id FROM schedule_cursors c
        WHERE c.wake_at <= :now ORDER BY c.wake_at FOR NO KEY UPDATE SKIP LOCKED
    ), written AS (
        INSERT INTO occurrences (id, schedule_id, tenant_id, scheduled_for, origin_key, outcome, count, decided_at)
        SELECT id, schedule_id, tenant_id, next_fire_at, 'timing', 'fired', 1, :now FROM due
        ON CONFLICT DO NOTHING RETURNING id, schedule_id, scheduled_for
    ), started AS (
        INSERT INTO runs (id, tenant_id, target_kind, workflow_id, workflow_version, schedule_id, started_by,
            trigger_metadata, input_json, lane, ready_at)
        SELECT o.id, s.tenant_id, s.target_kind, s.workflow_id, s.workflow_version, s.id, s.trigger_type,
            jsonb_build_object('triggerType', s.trigger_type, 'scheduleId', s.id,
                'scheduledFor', to_char(o.scheduled_for, 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
                'firedAt', to_char(CAST(:now AS timestamptz), 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
                'timezone', s.timezone, 'cron', s.cron, 'workflowId', s.workflow_id,
                'workflowVersion', s.workflow_version, 'scheduleName', s.name),
            s.payload_json, 'pure', :now
        FROM written o JOIN schedules s ON s.id = o.schedule_id
    )
    UPDATE schedule_cursors c
    SET next_fire_at = d.next_fire_at + interval '1 minute', wake_at = d.next_fire_at + interval '1 minute',
        last_fire_at = d.next_fire_at
    FROM due d WHERE d.schedule_id = c.schedule_id
"""
_LAST_START = "SELECT max(started_at) FROM run_steps WHERE started_at >= :since"
_END_RUNS = """
    UPDATE runs SET status = 'succeeded', started_at = :now, finished_at = :now WHERE finished_at IS NULL
"""
_COUNTS = "SELECT (SELECT count(*) FROM occurrences) AS occurrences, (SELECT count(*) FROM runs WHERE status = 'succeeded') AS runs"


def seed(app: Flask, count: int, due: datetime) -> None:
    """`count` schedules of one workflow that are due at `due` and every minute after it."""
    seed_schedules(app, seed_workflow(app), range(1, count + 1), due, ["* * * * *"])


def settle_tables() -> None:
    """What autovacuum does in the minutes between herds."""
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("VACUUM (ANALYZE)"))
        connection.execute(text("CHECKPOINT"))


def tick(app: Flask, now: datetime) -> None:
    """In lanes, as a scheduler decides a herd."""

    def fire(batch: int) -> int:
        with transaction():
            return fire_due(now, batch)

    Herd(app, fire, threading.Event()).decide()


def floor(_app: Flask, now: datetime) -> None:
    with transaction():
        db.session.execute(text(_FLOOR), {"now": now})


def execute(app: Flask) -> float:
    """Execute all that is ready, with eight threads; seconds to the start of the last run."""
    worker = Worker(new_id(), 600)
    with transaction():
        beat(worker.id, WORKER, "bench", 0, "bench", 60)
        since = clock.database_now()

    def work() -> None:
        with app.app_context():
            while worker.work(PURE):
                pass

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    last = db.session.scalar(text(_LAST_START), {"since": since})
    db.session.commit()
    return float((last - since).total_seconds())


def end_runs(now: datetime) -> None:
    """What leaves the next round with nothing to wait for, where execution is not measured."""
    with transaction():
        db.session.execute(text(_END_RUNS), {"now": now})


def server_cpu(pid: int) -> float:
    """Processor seconds that a PostgreSQL and its processes have taken so far."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    ticks = sum(_ticks(pid)[2:]) + sum(sum(_ticks(int(child))[:2]) for child in children)
    return ticks / os.sysconf("SC_CLK_TCK")


def _ticks(pid: int) -> list[int]:
    """User and system time of a process, and of its children that have ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return [0] * 4
    return [int(each) for each in stat.rpartition(")")[2].split()[11:15]]


@dataclass
class Watch:
    """Seconds of what was done under a name: on the clock, of this process, and of the PostgreSQL of `pid`."""

    pid: int
    seen: dict[str, list[tuple[float, float, float]]] = field(default_factory=dict)

    @contextmanager
    def on(self, name: str) -> Iterator[None]:
        before = self._times()
        yield
        took = tuple(after - begun for after, begun in zip(self._times(), before, strict=True))
        self.seen.setdefault(name, []).append(took)  # type: ignore[arg-type]

    def _times(self) -> tuple[float, float, float]:
        return time.perf_counter(), time.process_time(), server_cpu(self.pid)

    def median(self, name: str) -> list[float]:
        return [statistics.median(values) for values in zip(*self.seen[name], strict=True)]


def rounds(app: Flask, asked: argparse.Namespace, watch: Watch, profile: cProfile.Profile | None) -> list[float]:
    due = clock.database_now().replace(second=0, microsecond=0)
    seed(app, asked.schedules, due)
    starts = []
    for turn in range(2 * asked.times):
        settle_tables()
        now = due + timedelta(minutes=turn, milliseconds=5)
        name, act = ("floor", floor) if turn % 2 else ("tick", tick)
        if profile and name == "tick":
            profile.enable()
        with watch.on(name):
            act(app, now)
        if profile:
            profile.disable()
        if asked.tick_only:
            end_runs(now)
        else:
            with watch.on("execute"):
                starts.append(execute(app))
        counts = db.session.execute(text(_COUNTS)).one()
        assert counts.occurrences == counts.runs == (turn + 1) * asked.schedules, counts
        db.session.commit()
    return starts


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--schedules", type=int, default=10_000)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--tick-only", action="store_true", help="do not execute the runs")
    parser.add_argument("--profile", action="store_true")
    asked = parser.parse_args()
    configure_logs("WARNING", "text")
    directory = make_directory()
    server = PostgresServer(directory / "postgres")
    profile = cProfile.Profile(time.process_time) if asked.profile else None
    try:
        with server:
            env = environment(server.url, "redis://127.0.0.1:9/0")
            migrate(env)
            app = make_app(config_for(env["DATABASE_URL"], env["REDIS_URL"]))
            watch = Watch(server.pid)
            with app.app_context():
                starts = rounds(app, asked, watch, profile)
        report(watch, starts, asked.schedules)
    finally:
        remove_directory(directory, server)
    if profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(30)


def report(watch: Watch, starts: list[float], count: int) -> None:
    print(f"{'':<12}{'clock s':>9}{'cpu s':>9}{'ours':>9}{'server':>9}{'per cpu s':>11}")
    for name in watch.seen:
        clock_seconds, ours, servers = watch.median(name)
        cpu = ours + servers
        print(f"{name:<12}{clock_seconds:>9.3f}{cpu:>9.3f}{ours:>9.3f}{servers:>9.3f}{count / cpu:>11,.0f}")
    floors, ticks = watch.median("floor"), watch.median("tick")
    shares = floors[0] / ticks[0], sum(floors[1:]) / sum(ticks[1:])
    print(f"the tick reaches {shares[0]:.0%} of the hand-made batch by the clock, {shares[1]:.0%} by processor time")
    if starts:
        print(f"last start   {statistics.median(starts):.3f} s after the first claim")


if __name__ == "__main__":
    main()
