"""What the list of workflows and the questions before a change show: workflows with their schedules and last runs."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, exists, func, or_, select, text, true, tuple_
from sqlalchemy.orm import aliased, load_only

from domain.accounts.tenants import owned
from domain.kernel.db import db
from domain.runs.runs import CANCELED, SUCCEEDED, Run
from domain.schedules.schedules import Schedule
from domain.workflows.draft_fields import PINNED
from domain.workflows.versions import WorkflowVersion
from domain.workflows.workflows import Workflow

STATUSES = ("draft", "published", "paused")
# What really starts a workflow besides people: nothing, the event of its published version, living schedules.
NO_TRIGGER, ON_EVENT, SCHEDULED = "none", "event", "scheduled"
TRIGGERS = (NO_TRIGGER, ON_EVENT, SCHEDULED)
RECENT_RUNS = 20


@dataclass(frozen=True)
class RecentRun:
    """A finished run as a bar. `seconds`: from its start to its end, None for one that never started."""

    id: UUID
    status: str
    seconds: float | None
    finished_at: datetime


@dataclass(frozen=True)
class WorkflowRow:
    """One line of the list. `has_newer_draft`: publishing now would make a version that differs from the last one.

    `event_name`: what starts the published version; `schedules`: how many living ones it has. `last_run_at` is when the
    newest run ended, or started, or None while it waits; None too if there is no run. `recent`: the last RECENT_RUNS
    runs that ended, oldest first. Rehearsals are none of these.
    """

    id: UUID
    key: str
    name: str
    published_version: int | None
    paused_at: datetime | None
    deleted_at: datetime | None
    has_newer_draft: bool
    schedules: int
    last_run_id: UUID | None
    last_run_status: str | None
    last_run_at: datetime | None
    event_name: str | None = None
    recent: tuple[RecentRun, ...] = ()

    @property
    def success_rate(self) -> float | None:
        """The fraction of the recent runs that succeeded, canceled ones left out; None without any."""
        ended = [run for run in self.recent if run.status != CANCELED]
        return sum(run.status == SUCCEEDED for run in ended) / len(ended) if ended else None


# Along ix_runs_finished: as many rows as are shown, however many runs there are.
_RECENT = text("""
    SELECT w.id AS workflow_id, r.id, r.status, r.finished_at,
        CAST(extract(epoch FROM r.finished_at - r.started_at) AS double precision) AS seconds
    FROM unnest(CAST(:ids AS uuid[])) AS w(id)
    CROSS JOIN LATERAL (
        SELECT id, status, started_at, finished_at FROM runs
        WHERE workflow_id = w.id AND finished_at IS NOT NULL AND NOT is_rehearsal
        ORDER BY finished_at DESC
        LIMIT :limit
    ) r
    ORDER BY w.id, r.finished_at, r.id
""")


def workflows_page(
    tenant_id: UUID, q: str = "", status: str = "", after: UUID | None = None, limit: int = 50, trigger: str = ""
) -> list[WorkflowRow]:
    """The tenant's workflows by name, at most `limit`, from behind the workflow `after`. Two queries, whatever its size.

    `q` is part of a name or key; `status` one of STATUSES or empty, `trigger` one of TRIGGERS or empty.
    """
    lower = func.lower(Workflow.name)
    page = _with_filters(select(Workflow.id).where(Workflow.tenant_id == tenant_id), q, status, trigger)
    if after:
        behind = aliased(Workflow)
        start = select(func.lower(behind.name), behind.id).where(behind.tenant_id == tenant_id, behind.id == after)
        page = page.where(tuple_(lower, Workflow.id) > start.scalar_subquery())
    page_ids = page.order_by(lower, Workflow.id).limit(limit)
    rows = _rows().where(Workflow.id.in_(page_ids)).order_by(lower, Workflow.id)
    found = [WorkflowRow(*row) for row in db.session.execute(rows)]
    recent = _recent_runs([row.id for row in found])
    return [replace(row, recent=recent.get(row.id, ())) for row in found]


def _rows() -> Select[Any]:
    """The columns of WorkflowRow, of every workflow."""
    last = _last_run().lateral("last_run")
    its_version = and_(
        WorkflowVersion.tenant_id == Workflow.tenant_id,
        WorkflowVersion.workflow_id == Workflow.id,
        WorkflowVersion.version == Workflow.published_version,
    )
    columns: Select[Any] = select(
        Workflow.id,
        Workflow.key,
        Workflow.name,
        Workflow.published_version,
        Workflow.paused_at,
        Workflow.deleted_at,
        _has_newer_draft().label("has_newer_draft"),
        _schedule_count().label("schedules"),
        last.c.id,
        last.c.status,
        last.c.at,
        Workflow.event_name,
    )
    return columns.outerjoin(WorkflowVersion, its_version).outerjoin(last, true())


def _recent_runs(workflow_ids: list[UUID]) -> dict[UUID, tuple[RecentRun, ...]]:
    if not workflow_ids:
        return {}
    found: defaultdict[UUID, list[RecentRun]] = defaultdict(list)
    for row in db.session.execute(_RECENT, {"ids": workflow_ids, "limit": RECENT_RUNS}):
        found[row.workflow_id].append(RecentRun(row.id, row.status, row.seconds, row.finished_at))
    return {workflow_id: tuple(runs) for workflow_id, runs in found.items()}


def workflow_count(tenant_id: UUID, q: str = "", status: str = "", trigger: str = "") -> int:
    """How many workflows the filters leave."""
    query = select(func.count()).select_from(Workflow).where(Workflow.tenant_id == tenant_id)
    return db.session.scalars(_with_filters(query, q, status, trigger)).one()


def living_schedules(tenant_id: UUID, workflow_id: UUID, limit: int | None = None) -> list[Schedule]:
    """The schedules of a workflow by name, with only what a list of names shows."""
    query = owned(tenant_id, Schedule).where(Schedule.workflow_id == workflow_id).order_by(Schedule.name, Schedule.id)
    shown = load_only(Schedule.id, Schedule.name, Schedule.status, Schedule.cron, Schedule.run_at, Schedule.timezone)
    return list(db.session.scalars(query.options(shown).limit(limit)))


def schedule_count(tenant_id: UUID, workflow_id: UUID) -> int:
    """How many living schedules a workflow has."""
    query = select(func.count()).where(
        Schedule.tenant_id == tenant_id, Schedule.workflow_id == workflow_id, Schedule.deleted_at.is_(None)
    )
    return db.session.scalars(query).one()


def _with_filters(query: Select[Any], q: str, status: str, trigger: str) -> Select[Any]:
    query = query.where(Workflow.deleted_at.is_(None))
    if q:
        query = query.where(
            or_(Workflow.name.icontains(q, autoescape=True), Workflow.key.icontains(q, autoescape=True))
        )
    if status == "paused":
        query = query.where(Workflow.paused_at.is_not(None))
    elif status == "published":
        query = query.where(Workflow.paused_at.is_(None), Workflow.published_version.is_not(None))
    elif status == "draft":
        query = query.where(Workflow.paused_at.is_(None), Workflow.published_version.is_(None))
    if trigger == ON_EVENT:
        query = query.where(Workflow.event_name.is_not(None))
    elif trigger == SCHEDULED:
        query = query.where(_has_schedule())
    elif trigger == NO_TRIGGER:
        query = query.where(Workflow.event_name.is_(None), ~_has_schedule())
    return query


def _has_schedule() -> Any:
    living = (Schedule.tenant_id == Workflow.tenant_id, Schedule.workflow_id == Workflow.id)
    return exists().where(*living, Schedule.deleted_at.is_(None))


def _has_newer_draft() -> Any:
    return and_(
        WorkflowVersion.id.is_not(None),
        or_(
            Workflow.draft_definition != WorkflowVersion.definition,
            Workflow.draft_trigger.is_distinct_from(WorkflowVersion.trigger),
            Workflow.draft_schema_mode != WorkflowVersion.payload_schema_mode,
            # An inferred ref is the event's, whatever the draft names.
            and_(
                Workflow.draft_schema_mode == PINNED,
                Workflow.draft_schema_ref.is_distinct_from(WorkflowVersion.payload_schema_ref),
            ),
        ),
    )


def _schedule_count() -> Any:
    return (
        select(func.count())
        .select_from(Schedule)
        .where(
            Schedule.tenant_id == Workflow.tenant_id,
            Schedule.workflow_id == Workflow.id,
            Schedule.deleted_at.is_(None),
        )
        .scalar_subquery()
    )


def _last_run() -> Any:
    return (
        select(Run.id, Run.status, func.coalesce(Run.finished_at, Run.started_at).label("at"))
        .where(Run.workflow_id == Workflow.id, Run.is_rehearsal.is_(False))
        .order_by(Run.id.desc())
        .limit(1)
        .correlate(Workflow)
    )
