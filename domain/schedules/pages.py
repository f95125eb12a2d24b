"""What the screens of schedules show: the list with the last occurrences of each, and one schedule.

Every function asks a fixed number of statements, whatever the number of rows, and reads no payload but that of the one
schedule shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Row, and_, func, or_, select
from sqlalchemy.orm import aliased

from domain.accounts.tenants import Tenant
from domain.accounts.users import User
from domain.kernel.db import db
from domain.kernel.errors import NotFound, Refused
from domain.schedules.cursors import ScheduleCursor
from domain.schedules.entries import Entry, last_entries
from domain.schedules.schedules import ACTIVE, COMPLETED, INVALID, PAUSED, Schedule, timing_of
from domain.timing.outcomes import Outcome
from domain.timing.timing import Timing
from domain.workflows.workflows import Workflow

FAILING = "failing"
STATUSES = (ACTIVE, PAUSED, INVALID, COMPLETED, FAILING)
TRIGGERS = ("schedule", "recurring")
PAGE_SIZE = 50
PAGES_MAX = 200
COUNT_MAX = PAGE_SIZE * PAGES_MAX


_PAUSER, _MAKER = aliased(User), aliased(User)

# Each ends with the id, so that equal keys have an order and no row is on two pages. Undated rows come last.
_ORDERS: dict[str, tuple[Any, ...]] = {
    "next": (ScheduleCursor.wake_at.asc().nulls_last(), func.lower(Schedule.name)),
    "name": (func.lower(Schedule.name),),
    "last": (ScheduleCursor.last_fire_at.desc().nulls_last(),),
    "updated": (Schedule.updated_at.desc(),),
}
SORTS = tuple(_ORDERS)


@dataclass(frozen=True)
class ScheduleFilter:
    """What a list of schedules is narrowed to. `q`: part of the name of the schedule or of its workflow, in any case.

    `status` is one of STATUSES (failing: active, and its last run failed), `trigger` one of TRIGGERS.
    """

    q: str = ""
    workflow_id: UUID | None = None
    trigger: str = ""
    status: str = ""

    def __bool__(self) -> bool:
        return bool(self.q or self.workflow_id or self.trigger or self.status)


@dataclass(frozen=True)
class ScheduleRow:
    """A schedule as lists show it: its columns by name (as attributes) and its last occurrences, newest first."""

    columns: Row[Any]
    entries: tuple[Entry, ...] = ()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.columns, name)

    @property
    def timing(self) -> Timing | None:
        """None when what is stored cannot be computed: one such row must not take the whole list away."""
        try:
            return timing_of(self.columns)
        except (Refused, ValueError):
            return None

    @property
    def last_fired(self) -> Entry | None:
        """The newest of the entries that has a run."""
        return next((entry for entry in self.entries if entry.outcome == Outcome.FIRED), None)


@dataclass(frozen=True)
class SchedulesPage:
    """`total` stops at COUNT_MAX; `number` counts from 1."""

    rows: tuple[ScheduleRow, ...]
    total: int
    number: int
    has_more: bool

    @property
    def is_total_exact(self) -> bool:
        return self.total < COUNT_MAX


def schedules_page(
    tenant_id: UUID, narrowed: ScheduleFilter, sort: str = "next", number: int = 1, limit: int = PAGE_SIZE
) -> SchedulesPage:
    """One page of the tenant's schedules, in three statements. Unknown sorts and pages beyond PAGES_MAX are the nearest."""
    number = min(max(number, 1), PAGES_MAX)
    order = (*_ORDERS.get(sort, _ORDERS["next"]), Schedule.id)
    matching = _matching(tenant_id, narrowed)
    counted = select(func.count()).select_from(_join(select(Schedule.id)).where(*matching).limit(COUNT_MAX).subquery())
    total = db.session.scalar(counted) or 0
    query = _join(select(*_LISTED)).where(*matching).order_by(*order).limit(limit + 1).offset((number - 1) * limit)
    found = db.session.execute(query).all()
    entries = last_entries([row.id for row in found[:limit]])
    rows = tuple(ScheduleRow(row, tuple(entries.get(row.id, ()))) for row in found[:limit])
    return SchedulesPage(rows, total, number, len(found) > limit and number < PAGES_MAX)


def schedule_detail(tenant_id: UUID, schedule_id: UUID) -> ScheduleRow:
    """One schedule with its payload and policies, deleted ones included: they stay readable. Raises NotFound."""
    query = _join(select(*_LISTED, *_DETAILED)).outerjoin(_MAKER, _MAKER.id == Schedule.created_by)
    row = db.session.execute(query.where(Schedule.tenant_id == tenant_id, Schedule.id == schedule_id)).one_or_none()
    if row is None:
        raise NotFound
    return ScheduleRow(row)


def _matching(tenant_id: UUID, narrowed: ScheduleFilter) -> list[Any]:
    clauses: list[Any] = [Schedule.tenant_id == tenant_id, Schedule.deleted_at.is_(None)]
    if narrowed.q:
        clauses.append(
            or_(
                Schedule.name.icontains(narrowed.q, autoescape=True),
                Workflow.name.icontains(narrowed.q, autoescape=True),
            )
        )
    if narrowed.workflow_id is not None:
        clauses.append(Schedule.workflow_id == narrowed.workflow_id)
    if narrowed.trigger:
        clauses.append(Schedule.trigger_type == narrowed.trigger)
    if narrowed.status == FAILING:
        clauses += [Schedule.status == ACTIVE, ScheduleCursor.last_run_status == "failed"]
    elif narrowed.status:
        clauses.append(Schedule.status == narrowed.status)
    return clauses


def _join(query: Any) -> Any:
    return (
        query.select_from(Schedule)
        .join(Workflow, and_(Workflow.tenant_id == Schedule.tenant_id, Workflow.id == Schedule.workflow_id))
        .join(ScheduleCursor, ScheduleCursor.schedule_id == Schedule.id)
        .join(Tenant, Tenant.id == Schedule.tenant_id)
        .outerjoin(_PAUSER, _PAUSER.id == Schedule.paused_by)
    )


_LISTED = (
    Schedule.id,
    Schedule.name,
    Schedule.workflow_id,
    Schedule.workflow_version,
    Schedule.trigger_type,
    Schedule.run_at,
    Schedule.cron,
    Schedule.timezone,
    Schedule.starts_at,
    Schedule.ends_at,
    Schedule.dst_gap,
    Schedule.dst_repeat,
    Schedule.status,
    Schedule.invalid_reason,
    Schedule.paused_at,
    Schedule.pause_reason,
    Schedule.updated_at,
    Schedule.deleted_at,
    ScheduleCursor.next_fire_at,
    ScheduleCursor.wake_at,
    ScheduleCursor.last_fire_at,
    ScheduleCursor.last_run_at,
    ScheduleCursor.last_finished_at,
    ScheduleCursor.last_run_status,
    ScheduleCursor.last_error,
    _PAUSER.name.label("paused_by_name"),
    Workflow.name.label("workflow_name"),
    Workflow.deleted_at.is_not(None).label("workflow_deleted"),
    Workflow.paused_at.is_not(None).label("workflow_paused"),
    Workflow.pause_reason.label("workflow_pause_reason"),
    Workflow.published_version,
    Tenant.edition,
)
_DETAILED = (
    Schedule.payload_json,
    Schedule.overlap,
    Schedule.catch_up,
    Schedule.max_lateness_seconds,
    Schedule.spread_seconds,
    Schedule.external_key,
    Schedule.revision,
    Schedule.created_at,
    _MAKER.name.label("created_by_name"),
)
