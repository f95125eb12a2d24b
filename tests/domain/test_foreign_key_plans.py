"""How foreign keys are checked while many rows are written: one by one by their index, whatever was planned before."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from domain.accounts.audit import Actor
from domain.engine.step_store import insert_steps
from domain.firing.creating import create_paused_schedules
from domain.firing.tick import fire_due
from domain.kernel import db as kernel
from domain.kernel.ids import new_id
from domain.runs.runs import Run
from domain.schedules.cursors import ScheduleCursor
from domain.workflows.workflows import Workflow
from tests.factories import NOW, a_published_workflow, a_run, a_schedule, a_tenant

MANY = kernel.MANY_ROWS
# More often than PostgreSQL looks at a check before it keeps one plan for it.
OFTEN = 10
FEW, MORE = 10, 1_000

_DUE = text("UPDATE schedule_cursors SET next_fire_at = :now, wake_at = :now")
_READ = text("SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relname = :table")


@pytest.fixture
def sync(db: Any) -> Workflow:
    """Whose schedules and runs are the first that this database has seen: what others left behind are pages, too."""
    db.execute(text("TRUNCATE schedules, runs CASCADE"))
    return a_published_workflow(a_tenant("acme"))


def columns(workflow: Workflow) -> dict[str, Any]:
    timing = {"trigger_type": "recurring", "cron": "0 * * * *", "timezone": "UTC", "spread_seconds": 0}
    target = {"workflow_id": workflow.id, "workflow_version": workflow.published_version, "target_kind": "workflow"}
    policy = {"external_key": None, "payload_json": {}, "run_at": None, "starts_at": None, "ends_at": None}
    return timing | target | policy | {"name": str(new_id()), "dst_gap": "after", "dst_repeat": "first"}


def step_of(run: Run) -> dict[str, Any]:
    """The first step of a run, as a row."""
    place = {"run_id": run.id, "step_path": "root.steps[0]", "iteration": "", "attempt": 1, "position": 0}
    named = {"step_id": "one", "node_type": "transform.assign", "status": "succeeded", "claim_epoch": 1}
    return place | named | {"started_at": NOW, "finished_at": NOW}


def whole_readings(db: Any, act: Callable[[], object], table: str = "schedules") -> int:
    """How often all of the table was read while `act` was done."""
    before = db.scalar(_READ, {"table": table}) or 0
    act()
    return int(db.scalar(_READ, {"table": table}) - before)


@pytest.mark.parametrize("is_mended", [True, False], ids=["guarded", "control"])
def test_each_row_of_a_herd_is_checked_by_the_key_of_its_schedule(
    is_mended: bool, sync: Workflow, db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small installation is analyzed and fires now and then; then it is given many schedules."""
    if not is_mended:
        monkeypatch.setattr(kernel, "MANY_ROWS", 10**9)
    for number in range(FEW):
        a_schedule(sync, f"Old {number}")
    db.execute(text("ANALYZE schedules"))
    now = NOW
    for _ in range(OFTEN):
        db.execute(_DUE, {"now": now})
        assert fire_due(now) == FEW
        now += timedelta(hours=1)
    create_paused_schedules(Actor(sync.tenant_id, None, "alice"), [columns(sync) for _ in range(MORE)], NOW)
    db.execute(text("UPDATE schedules SET status = 'active', paused_at = NULL"))
    db.execute(_DUE, {"now": now})
    assert (whole_readings(db, lambda: fire_due(now)) < MANY) == is_mended


@pytest.mark.parametrize("is_mended", [True, False], ids=["guarded", "control"])
def test_each_of_many_new_schedules_is_checked_by_its_key(
    is_mended: bool, sync: Workflow, db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_mended:
        monkeypatch.setattr(kernel, "MANY_ROWS", 10**9)
    actor = Actor(sync.tenant_id, None, "alice")
    create_paused_schedules(actor, [columns(sync) for _ in range(FEW)], NOW)
    db.execute(text("ANALYZE schedules"))
    for _ in range(OFTEN):
        create_paused_schedules(actor, [columns(sync)], NOW)
    wanted = [columns(sync) for _ in range(MORE)]
    assert (whole_readings(db, lambda: create_paused_schedules(actor, wanted, NOW)) < MANY) == is_mended
    assert db.query(ScheduleCursor).count() == FEW + OFTEN + MORE


@pytest.mark.parametrize("is_mended", [True, False], ids=["guarded", "control"])
def test_each_of_many_steps_is_checked_by_the_key_of_its_run(
    is_mended: bool, sync: Workflow, db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_mended:
        monkeypatch.setattr(kernel, "MANY_ROWS", 10**9)
    few = [a_run(sync) for _ in range(OFTEN)]
    db.execute(text("ANALYZE runs"))
    for run in few:
        insert_steps([step_of(run)])
    steps = [step_of(a_run(sync)) for _ in range(4 * MANY)]
    assert (whole_readings(db, lambda: insert_steps(steps), "runs") < MANY) == is_mended
