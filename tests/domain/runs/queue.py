"""What tests of runs begin with and look at: waiting runs, and who of them may start."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from domain.kernel.db import db
from domain.kernel.ids import new_id
from domain.runs.claims import Claim, claim_runs
from domain.runs.heartbeats import WORKER, Heartbeat
from domain.runs.runs import EFFECT, Run
from domain.schedules.schedules import Schedule
from domain.workflows.workflows import Workflow
from tests.factories import a_run

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
DEADLINE_SECONDS = 600


def waiting_runs(workflow: Workflow, count: int, schedule: Schedule | None = None) -> list[Run]:
    """Queued and not admitted, oldest first."""
    return [
        a_run(workflow, "queued", schedule_id=schedule.id if schedule else None, trigger_metadata={"number": number})
        for number in range(count)
    ]


def ready_runs(workflow: Workflow, count: int, **values: Any) -> list[Run]:
    return [a_run(workflow, "queued", **{"ready_at": NOW} | values) for _ in range(count)]


def admitted(runs: Sequence[Run]) -> list[bool]:
    """Which of them may start, or have started."""
    return [fresh(run).ready_at is not None for run in runs]


def end(run: Run, status: str = "succeeded") -> None:
    db.session.execute(
        text("UPDATE runs SET status = :status, finished_at = :now, claimed_by = NULL WHERE id = :id"),
        {"id": run.id, "status": status, "now": NOW},
    )


def fresh(run: Run) -> Run:
    """The row as it is now."""
    return db.session.get_one(Run, run.id, populate_existing=True)


def a_worker(lease_until: datetime = NOW + timedelta(minutes=1)) -> UUID:
    """A worker process with a heartbeat."""
    row = Heartbeat(id=new_id(), kind=WORKER, host="test", pid=1, version="test", lease_until=lease_until)
    db.session.add(row)
    db.session.flush()
    return row.id


def claimed(worker_id: UUID, limit: int = 100, now: datetime = NOW) -> list[Claim]:
    return claim_runs(EFFECT, worker_id, limit, now, DEADLINE_SECONDS)
