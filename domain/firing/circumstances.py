"""What the checklist of one schedule has to ask the database besides the schedule itself: four statements, always."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import and_, select, text

from domain.extensions.endpoints import ExtensionEndpoint
from domain.extensions.extensions import Extension, ExtensionVersion
from domain.extensions.installs import Install
from domain.kernel import clock
from domain.kernel.db import db
from domain.runs.admission import unfinished_runs
from domain.runs.heartbeats import dead_kinds
from domain.schedules.bindings import BoundVersion
from domain.schedules.schedules import ENDPOINT
from domain.schedules.targets import EndpointTarget, Target, WorkflowTarget
from domain.workflows.versions import WorkflowVersion
from domain.workflows.workflows import Workflow

_AROUND = text("""
    SELECT clock_timestamp() AS database_now, w.concurrency_limit AS slots, (
            SELECT count(*) FROM runs a
            WHERE a.workflow_id = w.id AND a.finished_at IS NULL AND a.ready_at IS NOT NULL
        ) AS taken, (
            SELECT count(*) FROM runs a
            WHERE a.tenant_id = s.tenant_id AND a.install_id = s.install_id AND a.status IN ('queued', 'running')
                AND a.ready_at IS NOT NULL
        ) AS calls_going, circuit.failures, circuit.open_until, circuit.last_error AS circuit_error,
        holder.id AS holder_id, holder.schedule_id AS holder_schedule_id, holder.name AS holder_name,
        mine.id AS going_id, mine.status AS going_status
    FROM schedules s
    LEFT JOIN workflows w ON w.tenant_id = s.tenant_id AND w.id = s.workflow_id
    LEFT JOIN install_circuits circuit ON circuit.install_id = s.install_id
    LEFT JOIN LATERAL (
        SELECT a.id, a.schedule_id, t.name FROM runs a LEFT JOIN schedules t ON t.id = a.schedule_id
        WHERE a.workflow_id = w.id AND a.finished_at IS NULL AND a.ready_at IS NOT NULL
        ORDER BY (a.schedule_id IS NOT DISTINCT FROM s.id), a.id LIMIT 1
    ) holder ON true
    LEFT JOIN LATERAL (
        SELECT r.id, r.status FROM runs r
        WHERE r.schedule_id = s.id AND r.finished_at IS NULL AND r.backfill_id IS NULL AND NOT r.is_rehearsal
        ORDER BY r.id LIMIT 1
    ) mine ON true
    WHERE s.tenant_id = :tenant_id AND s.id = :schedule_id
""")


@dataclass(frozen=True)
class Circumstances:
    """`target`: what the schedule is bound to, None when there is no such version or install. `unfinished`: its runs that count for overlap; `going_id` the oldest.

    `slots`: the workflow's limit, None for none; `taken` by admitted runs, of which `holder_id` is the oldest, of another
    schedule if there is one. `calls_going`: of the install. `failures`: of its calls in a row, and until when nothing is sent
    because of them (`open_until`). `skew`: how far this machine's clock is ahead of the database's.
    """

    dead_kinds: tuple[str, ...]
    target: Target | None
    unfinished: int
    going_id: UUID | None
    going_status: str | None
    slots: int | None
    taken: int
    holder_id: UUID | None
    holder_schedule_id: UUID | None
    holder_name: str | None
    calls_going: int
    failures: int
    open_until: datetime | None
    circuit_error: str | None
    database_now: datetime
    skew: timedelta


def circumstances_of(row: Any) -> Circumstances:
    """What surrounds the schedule of `row` (`domain.schedules.pages.schedule_detail`) at this moment."""
    asked = {"schedule_id": row.id, "tenant_id": row.tenant_id}
    before = clock.now()
    around = db.session.execute(_AROUND, asked).one()
    # Half the way there and back is as near as two clocks can be compared.
    middle = before + (clock.now() - before) / 2
    return Circumstances(
        dead_kinds=tuple(dead_kinds(around.database_now)),
        target=_target(row),
        unfinished=unfinished_runs(row.id),
        going_id=around.going_id,
        going_status=around.going_status,
        slots=around.slots,
        taken=around.taken,
        holder_id=around.holder_id,
        holder_schedule_id=around.holder_schedule_id,
        holder_name=around.holder_name,
        calls_going=around.calls_going,
        failures=around.failures or 0,
        open_until=around.open_until,
        circuit_error=around.circuit_error,
        database_now=around.database_now,
        skew=middle - around.database_now,
    )


def _target(row: Any) -> Target | None:
    """What the schedule is bound to, in one statement."""
    if row.target_kind == ENDPOINT:
        its = (
            select(Install, ExtensionEndpoint, Extension.name, ExtensionVersion.version)
            .join(Extension, Extension.id == Install.extension_id)
            .join(ExtensionVersion, ExtensionVersion.id == Install.version_id)
            .join(ExtensionEndpoint, ExtensionEndpoint.id == row.endpoint_id)
            .where(Install.tenant_id == row.tenant_id, Install.id == row.install_id)
        )
        called = db.session.execute(its).one_or_none()
        return EndpointTarget(*called) if called else None
    of_workflow = and_(Workflow.tenant_id == WorkflowVersion.tenant_id, Workflow.id == WorkflowVersion.workflow_id)
    bound = (
        select(Workflow, WorkflowVersion)
        .join(WorkflowVersion, of_workflow)
        .where(
            Workflow.tenant_id == row.tenant_id,
            Workflow.id == row.workflow_id,
            WorkflowVersion.version == row.workflow_version,
        )
    )
    found = db.session.execute(bound).one_or_none()
    return WorkflowTarget(BoundVersion.of(*found)) if found else None
