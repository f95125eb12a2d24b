"""What the checklist of one schedule has to ask the database besides the schedule itself: four statements, always."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select, text

from domain.kernel import clock
from domain.kernel.db import db
from domain.runs.admission import unfinished_runs
from domain.runs.heartbeats import dead_kinds
from domain.workflows.versions import WorkflowVersion

_AROUND = text("""
    SELECT clock_timestamp() AS database_now, w.concurrency_limit AS slots, (
            SELECT count(*) FROM runs a
            WHERE a.workflow_id = w.id AND a.finished_at IS NULL AND a.ready_at IS NOT NULL
        ) AS taken, holder.id AS holder_id, holder.schedule_id AS holder_schedule_id, holder.name AS holder_name,
        mine.id AS going_id, mine.status AS going_status
    FROM workflows w
    LEFT JOIN LATERAL (
        SELECT a.id, a.schedule_id, s.name FROM runs a LEFT JOIN schedules s ON s.id = a.schedule_id
        WHERE a.workflow_id = w.id AND a.finished_at IS NULL AND a.ready_at IS NOT NULL
        ORDER BY (a.schedule_id IS NOT DISTINCT FROM :schedule_id), a.id LIMIT 1
    ) holder ON true
    LEFT JOIN LATERAL (
        SELECT r.id, r.status FROM runs r
        WHERE r.schedule_id = :schedule_id AND r.finished_at IS NULL AND r.backfill_id IS NULL AND NOT r.is_rehearsal
        ORDER BY r.id LIMIT 1
    ) mine ON true
    WHERE w.tenant_id = :tenant_id AND w.id = :workflow_id
""")


@dataclass(frozen=True)
class Circumstances:
    """`version`: what the schedule is bound to. `unfinished`: its runs that count for overlap; `going_id` the oldest.

    `slots`: the workflow's limit, None for none; `taken` by admitted runs, of which `holder_id` is the oldest, of another
    schedule if there is one. `skew`: how far this machine's clock is ahead of the database's.
    """

    dead_kinds: tuple[str, ...]
    version: WorkflowVersion | None
    unfinished: int
    going_id: UUID | None
    going_status: str | None
    slots: int | None
    taken: int
    holder_id: UUID | None
    holder_schedule_id: UUID | None
    holder_name: str | None
    skew: timedelta


def circumstances_of(row: Any) -> Circumstances:
    """What surrounds the schedule of `row` (`domain.schedules.pages.schedule_detail`) at this moment."""
    asked = {"schedule_id": row.id, "tenant_id": row.tenant_id, "workflow_id": row.workflow_id}
    before = clock.now()
    around = db.session.execute(_AROUND, asked).one()
    # Half the way there and back is as near as two clocks can be compared.
    middle = before + (clock.now() - before) / 2
    bound = select(WorkflowVersion).where(
        WorkflowVersion.tenant_id == row.tenant_id,
        WorkflowVersion.workflow_id == row.workflow_id,
        WorkflowVersion.version == row.workflow_version,
    )
    return Circumstances(
        dead_kinds=tuple(dead_kinds(around.database_now)),
        version=db.session.scalars(bound).one_or_none(),
        unfinished=unfinished_runs(row.id),
        going_id=around.going_id,
        going_status=around.going_status,
        slots=around.slots,
        taken=around.taken,
        holder_id=around.holder_id,
        holder_schedule_id=around.holder_schedule_id,
        holder_name=around.holder_name,
        skew=middle - around.database_now,
    )
