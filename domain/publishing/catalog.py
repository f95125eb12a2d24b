"""What the list of workflows and the questions before a change show: workflows with their schedules and last runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, func, or_, select, true, tuple_
from sqlalchemy.orm import aliased, load_only

from domain.accounts.tenants import owned
from domain.kernel.db import db
from domain.runs.runs import Run
from domain.schedules.schedules import Schedule
from domain.workflows.versions import WorkflowVersion
from domain.workflows.workflows import Workflow

STATUSES = ("draft", "published", "paused")


@dataclass(frozen=True)
class WorkflowRow:
    """One line of the list. `has_newer_draft`: publishing now would make a version that differs from the last one.

    `last_run_at` is when the newest run ended, or started, or None while it waits; None too if there is no run.
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


def workflows_page(
    tenant_id: UUID, q: str = "", status: str = "", after: UUID | None = None, limit: int = 50
) -> list[WorkflowRow]:
    """The tenant's workflows by name, at most `limit`, from behind the workflow `after`. One query, whatever its size.

    `q` is part of a name or key; `status` one of STATUSES or empty.
    """
    lower = func.lower(Workflow.name)
    page = _with_filters(select(Workflow.id).where(Workflow.tenant_id == tenant_id), q, status)
    if after:
        behind = aliased(Workflow)
        start = select(func.lower(behind.name), behind.id).where(behind.tenant_id == tenant_id, behind.id == after)
        page = page.where(tuple_(lower, Workflow.id) > start.scalar_subquery())
    page_ids = page.order_by(lower, Workflow.id).limit(limit)
    rows = _rows().where(Workflow.id.in_(page_ids)).order_by(lower, Workflow.id)
    return [WorkflowRow(*row) for row in db.session.execute(rows)]


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
    )
    return columns.outerjoin(WorkflowVersion, its_version).outerjoin(last, true())


def workflow_count(tenant_id: UUID, q: str = "", status: str = "") -> int:
    """How many workflows the filters leave."""
    query = select(func.count()).select_from(Workflow).where(Workflow.tenant_id == tenant_id)
    return db.session.scalars(_with_filters(query, q, status)).one()


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


def _with_filters(query: Select[Any], q: str, status: str) -> Select[Any]:
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
    return query


def _has_newer_draft() -> Any:
    return and_(
        WorkflowVersion.id.is_not(None),
        or_(
            Workflow.draft_definition != WorkflowVersion.definition,
            Workflow.draft_schema_ref.is_distinct_from(WorkflowVersion.payload_schema_ref),
            Workflow.draft_schema_mode != WorkflowVersion.payload_schema_mode,
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
        .where(Run.workflow_id == Workflow.id)
        .order_by(Run.id.desc())
        .limit(1)
        .correlate(Workflow)
    )
