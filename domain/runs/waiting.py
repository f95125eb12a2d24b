"""Why a queued run has not started, and what a waiting one waits for: the rules of admission, told instead of applied."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from domain.extensions.settings import limits
from domain.kernel.db import db
from domain.runs.heartbeats import SCHEDULER, WORKER, dead_kinds
from domain.runs.runs import QUEUED, WAITING, Run
from domain.runs.step_waits import attempts_allowed, open_wait, wait_in_words
from domain.runs.waits import RETRY

# What stands in the way, the nearest first.
NO_WORKER, NO_SCHEDULER, READY = "no_worker", "no_scheduler", "ready"
EARLIER_RUN, LIMIT, BACKFILL, NEXT = "earlier_run", "limit", "backfill", "next"


@dataclass(frozen=True)
class Obstacle:
    """`reason`: one of the constants above. `run_id`: whose end is waited for. `task_id`: the task to be answered."""

    reason: str
    message: str
    run_id: UUID | None = None
    task_id: UUID | None = None


_OBSTACLES = text("""
    SELECT w.concurrency_limit AS limit,
        (SELECT count(*) FROM runs a
         WHERE a.workflow_id = r.workflow_id AND a.finished_at IS NULL AND a.ready_at IS NOT NULL) AS going,
        (SELECT a.id FROM runs a
         WHERE a.workflow_id = r.workflow_id AND a.finished_at IS NULL AND a.ready_at IS NOT NULL
         ORDER BY a.id LIMIT 1) AS going_id,
        (SELECT count(*) FROM runs b
         WHERE b.workflow_id = r.workflow_id AND b.status = 'queued' AND b.ready_at IS NULL AND b.id < r.id) AS ahead,
        (SELECT o.id FROM runs o
         WHERE s.overlap <> 'allow' AND r.backfill_id IS NULL AND o.schedule_id = r.schedule_id
           AND o.backfill_id IS NULL AND o.finished_at IS NULL AND o.id <> r.id AND (o.ready_at IS NOT NULL OR o.id < r.id)
         ORDER BY o.ready_at NULLS LAST, o.id LIMIT 1) AS earlier_id,
        (SELECT b.concurrency FROM backfills b WHERE b.id = r.backfill_id) AS concurrency,
        (SELECT count(*) FROM runs o
         WHERE o.backfill_id = r.backfill_id AND o.finished_at IS NULL AND o.ready_at IS NOT NULL) AS beside,
        (SELECT count(*) FROM runs a
         WHERE a.tenant_id = r.tenant_id AND a.install_id = r.install_id AND a.status IN ('queued', 'running')
           AND a.ready_at IS NOT NULL) AS calls_of_install,
        (SELECT count(*) FROM runs a
         WHERE a.tenant_id = r.tenant_id AND r.install_id IS NOT NULL AND a.install_id IS NOT NULL
           AND a.status IN ('queued', 'running') AND a.ready_at IS NOT NULL) AS calls_of_tenant
    FROM runs r LEFT JOIN workflows w ON w.id = r.workflow_id LEFT JOIN schedules s ON s.id = r.schedule_id
    WHERE r.id = :run_id
""")


def obstacle_of(run: Run, now: datetime, zone: str = "UTC") -> Obstacle | None:
    """What keeps a queued run from starting and a waiting one from going on; None for any other. Times in the zone."""
    if run.status == WAITING:
        return _awaited(run, now, zone)
    if run.status != QUEUED:
        return None
    dead = dead_kinds(now)
    if run.ready_at is not None:
        if WORKER in dead:
            message = "It is ready, but no worker is alive. Start one, and it runs."
            return Obstacle(NO_WORKER, message)
        return Obstacle(READY, "It is ready and waits for a free worker.")
    return _before_admission(run, is_admitted_by_none=SCHEDULER in dead)


def _awaited(run: Run, now: datetime, zone: str) -> Obstacle:
    found = open_wait(run.id)
    if found is None:
        return Obstacle(WAITING, "What it waited for is there: it is about to go on.")
    most = attempts_allowed(run, found.wait.step_path) if found.wait.kind == RETRY else None
    message = f"It {wait_in_words(found, now, zone, most)}."
    return Obstacle(WAITING, message, found.wait.child_run_id if found.child_status else None, found.task_id)


def _before_admission(run: Run, is_admitted_by_none: bool) -> Obstacle:
    row = db.session.execute(_OBSTACLES, {"run_id": run.id}).one()
    if row.earlier_id is not None:
        message = "The previous run of its schedule is still going; they run one after the other."
        return Obstacle(EARLIER_RUN, message, row.earlier_id)
    if row.limit is not None and row.going >= row.limit:
        runs = "one run" if row.limit == 1 else f"{row.limit} runs"
        behind = "" if not row.ahead else f" {row.ahead} more {'waits' if row.ahead == 1 else 'wait'} before it."
        return Obstacle(LIMIT, f"Its workflow allows {runs} at a time, and that many are going.{behind}", row.going_id)
    if run.install_id is not None and (calls := _calls_in_the_way(row)):
        return Obstacle(LIMIT, calls)
    if row.concurrency is not None and row.beside >= row.concurrency:
        runs = "one run" if row.concurrency == 1 else f"{row.concurrency} runs"
        return Obstacle(BACKFILL, f"Its backfill allows {runs} at a time, and that many are going.")
    if is_admitted_by_none:
        return Obstacle(NO_SCHEDULER, "No scheduler is alive to let it start. Start one, and it runs.")
    return Obstacle(NEXT, "It is about to start.")


def _calls_in_the_way(row: Row[Any]) -> str | None:
    of_install, of_tenant = limits().calls_per_install, limits().calls_per_tenant
    if row.calls_of_install >= of_install:
        return f"Its extension may have {_calls(of_install)} at a time, and that many are going."
    if row.calls_of_tenant >= of_tenant:
        return f"Your extensions may have {_calls(of_tenant)} at a time together, and that many are going."
    return None


def _calls(number: int) -> str:
    return "one call" if number == 1 else f"{number} calls"
