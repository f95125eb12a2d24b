"""Auto-pause: a workflow whose last runs failed too often is paused by the system, and its operators are told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select, text

from domain.accounts.audit import Actor
from domain.accounts.notifications import ERROR, members_with, notify
from domain.firing.tick import settle
from domain.kernel.db import db
from domain.kernel.log import logger
from domain.publishing.holding import hold_workflow
from domain.schedules.schedules import Schedule
from domain.workflows.workflows import Workflow

log = logger(__name__)

DEFAULT_THRESHOLD = 0.5  # a fraction
DEFAULT_MIN_RUNS = 10
BATCH = 100
TOLD = "workflow:manage"

# Of each workflow that may be paused, its last runs along ix_runs_finished: as many as its threshold looks at. What
# somebody canceled or only rehearsed says nothing of the workflow. A fraction such as 0.07 has no exact form, hence the small allowance.
_FAILING = text("""
    SELECT w.id, last.failed, last.counted
    FROM workflows w
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE r.status = 'failed') AS failed, count(*) AS counted
        FROM (
            SELECT status FROM runs
            WHERE workflow_id = w.id AND finished_at > coalesce(w.failures_counted_from, '-infinity')
              AND status <> 'canceled' AND NOT is_rehearsal
            ORDER BY finished_at DESC
            LIMIT coalesce(w.failure_rate_min_runs, :min_runs)
        ) r
    ) last
    WHERE w.auto_pause_on_failure AND w.paused_at IS NULL AND w.deleted_at IS NULL
      AND w.published_version IS NOT NULL
      AND (CAST(:ids AS uuid[]) IS NULL OR w.id = ANY(:ids))
      AND last.counted = coalesce(w.failure_rate_min_runs, :min_runs)
      AND last.failed >= coalesce(w.failure_rate_threshold, :threshold) * last.counted - 1e-9
    ORDER BY w.id
    LIMIT :limit
""")


class _Failing(NamedTuple):
    id: UUID
    failed: int
    counted: int


def pause_failing(now: datetime) -> int:
    """Pause every workflow that has auto-pause and is at its threshold; how many were paused.

    One statement when there is none. A workflow that somebody holds is left to the next time, so that a tick never
    waits for a person; what is held here is judged again before it is paused.
    """
    found = _failing(None)
    if not found:
        return 0
    wanted = select(Workflow).where(Workflow.id.in_([one.id for one in found])).order_by(Workflow.id)
    locked = wanted.with_for_update(key_share=True, skip_locked=True).execution_options(populate_existing=True)
    workflows = {workflow.id: workflow for workflow in db.session.scalars(locked)}
    failing = _failing(list(workflows))
    # All cursors of all of them in one order, as everywhere.
    bound = select(Schedule.id).where(
        Schedule.workflow_id.in_([one.id for one in failing]), Schedule.deleted_at.is_(None)
    )
    settle(db.session.scalars(bound.order_by(Schedule.id)).all(), now)
    for one in failing:
        _pause(workflows[one.id], one, now)
    return len(failing)


def _failing(ids: Sequence[UUID] | None) -> list[_Failing]:
    values = {"ids": ids, "min_runs": DEFAULT_MIN_RUNS, "threshold": DEFAULT_THRESHOLD, "limit": BATCH}
    return [_Failing(*row) for row in db.session.execute(_FAILING, values)]


def _pause(workflow: Workflow, found: _Failing, now: datetime) -> None:
    many = f"{found.failed} of its last {found.counted} runs" if found.counted > 1 else "its last run"
    reason = f"{many[0].upper()}{many[1:]} failed, so it was paused by itself"
    hold_workflow(Actor(workflow.tenant_id), workflow, reason, now)
    notify(
        workflow.tenant_id,
        members_with(workflow.tenant_id, TOLD),
        f"{workflow.name} was paused",
        f"{reason}. Nothing starts it until somebody finds out why and resumes it.",
        ERROR,
        now,
        link=f"/workflows/{workflow.id}",
        dedupe_key=f"auto-pause:{workflow.id}:{now.isoformat()}",
    )
    log.warning("A workflow fails too often and was paused", workflow_id=str(workflow.id), reason=reason)
