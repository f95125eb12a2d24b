"""Limits and overlap policies under many workers and schedulers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from flask import Flask
from sqlalchemy import text

from domain.execution import Worker
from domain.firing.tick import fire_due
from domain.kernel import clock
from domain.kernel.db import db, transaction
from domain.kernel.ids import new_id
from domain.runs.admission import admit_waiting
from domain.runs.heartbeats import beat
from domain.runs.runs import PURE
from tests.faults.fleet import Fleet, execute, rows, scalar
from tests.faults.invariants import check_invariants, wait_for_all
from tests.faults.seeds import PURE_STEPS, counting_steps, seed_one_time_schedules, seed_runs, seed_workflow

# Two runs of one workflow whose times of work overlap, by their steps, which are timed while the run is held: a claim reads
# the clock before it knows what it gets.
OVERLAPPING = """
    WITH held AS (
        SELECT r.workflow_id, r.id, min(s.started_at) AS since, max(s.finished_at) AS until
        FROM runs r JOIN run_steps s ON s.run_id = r.id GROUP BY r.workflow_id, r.id
    )
    SELECT count(*) FROM held a JOIN held b ON a.workflow_id = b.workflow_id AND a.id < b.id
    WHERE a.since < b.until AND b.since < a.until
"""
MOST_AT_ONCE = """
    WITH held AS (SELECT min(started_at) AS since, max(finished_at) AS until FROM run_steps GROUP BY run_id)
    SELECT max((SELECT count(*) FROM held b WHERE b.since <= a.since AND b.until > a.since)) FROM held a
"""


def work_until_done(app: Flask, count: int) -> None:
    """Eight claiming workers, each a process of its own as far as the database can tell."""

    def work(_number: int) -> None:
        worker = Worker(new_id(), run_deadline_seconds=600)
        with app.app_context():
            while True:
                with transaction():
                    beat(worker.id, "worker", "test", 1, "test", 60)
                    admit_waiting(clock.database_now())
                worker.work(PURE)
                with transaction():
                    if worker_is_done(count):
                        return

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))


def worker_is_done(count: int) -> bool:
    return bool(db.session.scalar(text("SELECT count(*) FROM runs WHERE finished_at IS NOT NULL")) == count)


def test_the_default_limit_holds_under_eight_claiming_workers(fleet: Fleet) -> None:
    workflow_id = seed_workflow(fleet.app, PURE_STEPS, is_pure=True, limit=1)
    seed_runs(fleet.app, workflow_id, 60)
    work_until_done(fleet.app, 60)
    assert scalar(fleet.app, OVERLAPPING) == 0
    assert scalar(fleet.app, "SELECT count(*) FROM runs WHERE status = 'succeeded'") == 60


def test_a_limit_of_three_is_used_and_never_passed(fleet: Fleet) -> None:
    workflow_id = seed_workflow(fleet.app, PURE_STEPS, is_pure=True, limit=3)
    seed_runs(fleet.app, workflow_id, 90)
    work_until_done(fleet.app, 90)
    assert scalar(fleet.app, MOST_AT_ONCE) <= 3


def test_real_workers_run_a_limited_workflow_one_at_a_time(fleet: Fleet) -> None:
    workflow_id = seed_workflow(fleet.app, counting_steps(2), is_pure=False, limit=1)
    fleet.scheduler()
    fleet.worker()
    fleet.worker()
    seed_one_time_schedules(fleet.app, workflow_id, 40, in_seconds=1)
    wait_for_all(fleet.app, 40)
    assert scalar(fleet.app, OVERLAPPING) == 0
    check_invariants(fleet.app)


def test_skip_holds_during_catch_up_with_two_schedulers(fleet: Fleet) -> None:
    """Both tick the same late instants again and again while runs start and end between them."""
    workflow_id = seed_workflow(fleet.app, PURE_STEPS, is_pure=True)
    seed_one_time_schedules(fleet.app, workflow_id, 20, in_seconds=3600, overlap="skip")
    execute(
        fleet.app,
        "UPDATE schedules SET trigger_type = 'recurring', run_at = NULL, cron = '* * * * *', catch_up = 'all'",
    )
    start = scalar(fleet.app, "SELECT date_trunc('hour', now())")
    execute(fleet.app, "UPDATE schedule_cursors SET next_fire_at = :start, wake_at = :start", start=start)
    worker = Worker(new_id(), run_deadline_seconds=600)

    def tick(_number: int) -> None:
        with fleet.app.app_context():
            for step in range(40):
                with transaction():
                    fire_due(start + timedelta(seconds=30 * step), batch=7)

    def work(_number: int) -> None:
        with fleet.app.app_context():
            for _ in range(40):
                with transaction():
                    beat(worker.id, "worker", "test", 1, "test", 60)
                worker.work(PURE)

    with ThreadPoolExecutor(3) as pool:
        futures = [pool.submit(tick, 1), pool.submit(tick, 2), pool.submit(work, 3)]
        for future in futures:
            future.result()
    with fleet.app.app_context():
        while True:
            with transaction():
                if not fire_due(start + timedelta(minutes=19, seconds=30)):
                    break
    admitted_twice = """
        SELECT count(*) FROM runs a JOIN runs b ON a.schedule_id = b.schedule_id AND a.id < b.id
        WHERE a.finished_at IS NULL AND b.finished_at IS NULL
    """
    assert scalar(fleet.app, admitted_twice) == 0
    assert scalar(fleet.app, OVERLAPPING.replace("workflow_id", "schedule_id")) == 0
    # Every minute of every schedule is on record once, as a row of its own or inside a gap.
    assert rows(fleet.app, "SELECT sum(count) FROM occurrences GROUP BY schedule_id") == [(20,)] * 20
    assert scalar(fleet.app, "SELECT count(*) FROM occurrences WHERE outcome = 'skipped'") > 0
