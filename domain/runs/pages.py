"""The list of runs: newest first, a page at a time, from any place on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, Select, and_, cast, or_, select

from domain.accounts.tenants import owned
from domain.accounts.users import User
from domain.kernel.db import db
from domain.kernel.ids import parse_id
from domain.runs.runs import BY_API, BY_HAND, BY_RECURRING, BY_RERUN, BY_SCHEDULE, FINISHED, UNFINISHED, Run
from domain.schedules.occurrences import Occurrence
from domain.schedules.schedules import Schedule
from domain.workflows.workflows import Workflow

PAGE_SIZE = 50
ANY_UNFINISHED = "unfinished"
STATUSES = (ANY_UNFINISHED, *UNFINISHED, *FINISHED)
STARTERS = (BY_RECURRING, BY_SCHEDULE, BY_HAND, BY_API, BY_RERUN)
CHOICES_LISTED = 500


@dataclass(frozen=True)
class RunFilters:
    """`q`: part of a workflow's or schedule's name, or a run's id. `status`: one of STATUSES. `started_by`: of STARTERS."""

    q: str = ""
    workflow_id: UUID | None = None
    schedule_id: UUID | None = None
    status: str = ""
    started_by: str = ""


@dataclass(frozen=True)
class RunRow:
    """One line of the list. `scheduled_for` and `decided_at` only for what has an occurrence of its own."""

    id: UUID
    status: str
    workflow_id: UUID
    workflow_name: str
    workflow_version: int
    schedule_id: UUID | None
    schedule_name: str | None
    timezone: str | None
    started_by: str
    actor_name: str | None
    scheduled_for: datetime | None
    decided_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    state: str | None
    error: str | None

    @property
    def is_finished(self) -> bool:
        return self.status in FINISHED

    @property
    def created_at(self) -> datetime:
        return created_at(self.id)

    @property
    def lateness(self) -> timedelta | None:
        """How long after its instant it was fired."""
        if self.scheduled_for is None or self.decided_at is None:
            return None
        return max(self.decided_at - self.scheduled_for, timedelta(0))


def created_at(run_id: UUID) -> datetime:
    """When a run was asked for, to the millisecond: its id says so (UUIDv7, RFC 9562 §5.7)."""
    return datetime.fromtimestamp((run_id.int >> 80) / 1000, UTC)


def runs_page(
    tenant_id: UUID, filters: RunFilters | None = None, before: UUID | None = None, limit: int = PAGE_SIZE
) -> list[RunRow]:
    """The tenant's runs, newest first, at most `limit`, older than the run `before`. One statement, whatever its size."""
    page = _filtered(select(Run).where(Run.tenant_id == tenant_id), tenant_id, filters or RunFilters())
    if before is not None:
        page = page.where(Run.id < before)
    run = page.order_by(Run.id.desc()).limit(limit).subquery()
    # The key of the ledger begins with schedule and instant, so this is one look-up per line.
    is_its_own = and_(
        Occurrence.schedule_id == run.c.schedule_id,
        Occurrence.scheduled_for == cast(run.c.trigger_metadata["scheduledFor"].astext, DateTime(timezone=True)),
        Occurrence.id == run.c.id,
    )
    query = (
        select(
            run.c.id,
            run.c.status,
            run.c.workflow_id,
            Workflow.name,
            run.c.workflow_version,
            run.c.schedule_id,
            run.c.trigger_metadata["scheduleName"].astext,
            run.c.trigger_metadata["timezone"].astext,
            run.c.started_by,
            User.name,
            Occurrence.scheduled_for,
            Occurrence.decided_at,
            run.c.started_at,
            run.c.finished_at,
            run.c.state,
            run.c.error["message"].astext,
        )
        .join(Workflow, Workflow.id == run.c.workflow_id)
        .outerjoin(Occurrence, is_its_own)
        .outerjoin(User, User.id == run.c.actor_id)
        .order_by(run.c.id.desc())
    )
    return [RunRow(*row) for row in db.session.execute(query)]


def workflow_choices(tenant_id: UUID) -> list[tuple[UUID, str]]:
    """Id and name of the workflows that the list can be narrowed to, by name."""
    query = select(Workflow.id, Workflow.name).where(Workflow.tenant_id == tenant_id, Workflow.deleted_at.is_(None))
    return [(row.id, row.name) for row in db.session.execute(query.order_by(Workflow.name).limit(CHOICES_LISTED))]


def schedule_name(tenant_id: UUID, schedule_id: UUID) -> str | None:
    """The name of a schedule, deleted ones included; None when the tenant has no such schedule."""
    query = select(Schedule.name).where(Schedule.tenant_id == tenant_id, Schedule.id == schedule_id)
    return db.session.scalars(query).one_or_none()


def _filtered(query: Select[Any], tenant_id: UUID, filters: RunFilters) -> Select[Any]:
    if filters.workflow_id is not None:
        query = query.where(Run.workflow_id == filters.workflow_id)
    if filters.schedule_id is not None:
        query = query.where(Run.schedule_id == filters.schedule_id)
    if filters.status == ANY_UNFINISHED:
        query = query.where(Run.finished_at.is_(None))
    elif filters.status:
        query = query.where(Run.status == filters.status)
    if filters.started_by:
        query = query.where(Run.started_by == filters.started_by)
    return query.where(_named(tenant_id, filters.q)) if filters.q else query


def _named(tenant_id: UUID, q: str) -> Any:
    run_id = parse_id(q)
    if run_id is not None:
        return Run.id == run_id
    workflows = select(Workflow.id).where(Workflow.tenant_id == tenant_id, Workflow.name.icontains(q, autoescape=True))
    schedules = owned(tenant_id, Schedule).where(Schedule.name.icontains(q, autoescape=True))
    return or_(Run.workflow_id.in_(workflows), Run.schedule_id.in_(schedules.with_only_columns(Schedule.id)))
