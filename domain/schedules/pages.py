"""What the screens of schedules show: the list with the last occurrences of each, one schedule, and its ledger.

Every function asks a fixed number of statements, whatever the number of rows, and reads no payload but that of the one
schedule shown. Runs stand to the right of schedules, so their table is read here by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, and_, column, func, or_, select, table, true, tuple_
from sqlalchemy.orm import aliased

from domain.accounts.tenants import Tenant
from domain.accounts.users import User
from domain.kernel.db import db
from domain.kernel.errors import NotFound, Refused
from domain.schedules.cursors import ScheduleCursor
from domain.schedules.occurrences import Occurrence
from domain.schedules.schedules import ACTIVE, COMPLETED, INVALID, PAUSED, Schedule, timing_of
from domain.timing.outcomes import Outcome
from domain.timing.timing import Timing
from domain.workflows.workflows import Workflow

FAILING = "failing"
STATUSES = (ACTIVE, PAUSED, INVALID, COMPLETED, FAILING)
TRIGGERS = ("schedule", "recurring")
OUTCOMES = tuple(str(outcome) for outcome in Outcome)
PAGE_SIZE = 50
PAGES_MAX = 200
COUNT_MAX = PAGE_SIZE * PAGES_MAX
BARS = 20

_RUNS = table(
    "runs", column("id"), column("status"), column("error"), column("started_at"), column("finished_at"), schema=None
)
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


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the ledger with what became of its run. `seconds`: how long the run took, None while it goes on."""

    scheduled_for: datetime
    origin_key: str
    outcome: str
    reason: str | None
    detail: str | None
    through: datetime | None
    count: int
    decided_at: datetime
    run_id: UUID | None
    run_status: str | None
    run_error: str | None
    seconds: float | None

    @property
    def is_by_hand(self) -> bool:
        return self.origin_key.startswith("run_now:")


@dataclass(frozen=True)
class ScheduleRow:
    """A schedule as lists show it: its columns by name (as attributes) and its last BARS occurrences, newest first."""

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
    entries = _last_entries([row.id for row in found[:limit]])
    rows = tuple(ScheduleRow(row, tuple(entries.get(row.id, ()))) for row in found[:limit])
    return SchedulesPage(rows, total, number, len(found) > limit and number < PAGES_MAX)


def schedule_detail(tenant_id: UUID, schedule_id: UUID) -> ScheduleRow:
    """One schedule with its payload and policies, deleted ones included: they stay readable. Raises NotFound."""
    query = _join(select(*_LISTED, *_DETAILED)).outerjoin(_MAKER, _MAKER.id == Schedule.created_by)
    row = db.session.execute(query.where(Schedule.tenant_id == tenant_id, Schedule.id == schedule_id)).one_or_none()
    if row is None:
        raise NotFound
    return ScheduleRow(row)


def occurrences_page(
    tenant_id: UUID,
    schedule_id: UUID,
    outcome: str = "",
    before: tuple[datetime, str] | None = None,
    limit: int = 10,
) -> tuple[list[Entry], bool]:
    """The ledger of a schedule, newest instant first, and whether there is more.

    `before`: instant and origin of the last entry seen.
    """
    query = select(*_ENTRY).outerjoin(_RUNS, _has_run()).where(Occurrence.schedule_id == schedule_id)
    query = query.where(Occurrence.tenant_id == tenant_id)
    if outcome:
        query = query.where(Occurrence.outcome == outcome)
    if before is not None:
        query = query.where(tuple_(Occurrence.scheduled_for, Occurrence.origin_key) < tuple_(*before))
    query = query.order_by(Occurrence.scheduled_for.desc(), Occurrence.origin_key.desc()).limit(limit + 1)
    found = [Entry(*row) for row in db.session.execute(query)]
    return found[:limit], len(found) > limit


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


def _has_run() -> Any:
    # A fired occurrence and its run share one id; asking only for those spares a look-up per gap.
    return and_(_RUNS.c.id == Occurrence.id, Occurrence.outcome == str(Outcome.FIRED))


def _last_entries(schedule_ids: Sequence[UUID]) -> dict[UUID, list[Entry]]:
    """The last BARS entries of each schedule, newest first, by walking the key of the ledger backwards for each."""
    if not schedule_ids:
        return {}
    wanted = func.unnest(list(schedule_ids)).column_valued("wanted")
    last = (
        select(Occurrence)
        .where(Occurrence.schedule_id == wanted)
        .order_by(Occurrence.scheduled_for.desc(), Occurrence.origin_key.desc())
        .limit(BARS)
        .lateral("last")
    )
    newest = aliased(Occurrence, last)
    run = and_(_RUNS.c.id == newest.id, newest.outcome == str(Outcome.FIRED))
    query = select(newest.schedule_id, *_entry_columns(newest)).select_from(wanted).join(newest, true())
    query = query.outerjoin(_RUNS, run).order_by(newest.scheduled_for.desc(), newest.origin_key.desc())
    found: dict[UUID, list[Entry]] = {}
    for schedule_id, *columns in db.session.execute(query):
        found.setdefault(schedule_id, []).append(Entry(*columns))
    return found


def _entry_columns(ledger: Any) -> tuple[Any, ...]:
    return (
        ledger.scheduled_for,
        ledger.origin_key,
        ledger.outcome,
        ledger.reason,
        ledger.detail,
        ledger.through,
        ledger.count,
        ledger.decided_at,
        _RUNS.c.id,
        _RUNS.c.status,
        _RUNS.c.error.op("->>")("message"),
        func.extract("epoch", _RUNS.c.finished_at - _RUNS.c.started_at),
    )


_ENTRY = _entry_columns(Occurrence)
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
