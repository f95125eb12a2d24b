"""What the screens of schedules show: the list with the last occurrences of each, and one schedule.

Every function asks a fixed number of statements, whatever the number of rows, and reads no payload but that of the one
schedule shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Row, Uuid, and_, bindparam, func, select
from sqlalchemy.orm import aliased

from domain.accounts.tenants import Tenant
from domain.accounts.users import User
from domain.extensions.endpoints import ExtensionEndpoint
from domain.extensions.extensions import Extension
from domain.extensions.installs import Install
from domain.kernel.db import db
from domain.kernel.errors import NotFound, Refused
from domain.schedules.cursors import ScheduleCursor
from domain.schedules.entries import LastEntry, last_entries
from domain.schedules.narrowing import ScheduleFilter
from domain.schedules.orders import SORTS, found_page
from domain.schedules.schedules import Schedule, timing_of
from domain.timing.outcomes import Outcome
from domain.timing.timing import Timing
from domain.workflows.workflows import Workflow

PAGE_SIZE = 50
PAGES_MAX = 200
COUNT_MAX = PAGE_SIZE * PAGES_MAX


def _name_of(user_id: Any) -> Any:
    """Of the user with this id. Beside the joins, not one of them: planning takes twice as long with each."""
    user = aliased(User)
    return select(user.name).where(user.id == user_id).scalar_subquery()


class ScheduleRow:
    """A schedule as lists show it: its columns by name (as attributes) and its last occurrences, newest first.

    Those of its target are None, and its flags false, where the target is of the other kind: of a workflow `workflow_…` and
    `published_version`, of an endpoint `install_…`, `endpoint_…` and `extension_…`. `target_name`: the workflow's or the
    extension's. Rows that say the same are equal.
    """

    def __init__(self, columns: Row[Any], entries: Sequence[LastEntry] = ()) -> None:
        # A list asks each row for some hundred of them: they are attributes of its own.
        vars(self).update(columns._mapping)
        self.entries = tuple(entries)
        self._all = (tuple(columns), self.entries)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ScheduleRow) and self._all == other._all

    def __hash__(self) -> int:
        # Of what changes with nearly every change: hashing all of it would take longer.
        return hash((self.id, self.updated_at, self.next_fire_at, self.last_finished_at))

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"this row has no {name}")

    @cached_property
    def timing(self) -> Timing | None:
        """None when what is stored cannot be computed: one such row must not take the whole list away."""
        try:
            return timing_of(self)
        except (Refused, ValueError):
            return None

    @property
    def last_fired(self) -> LastEntry | None:
        """The newest of the entries that has a run."""
        return next((entry for entry in self.entries if entry.outcome == Outcome.FIRED), None)


@dataclass(frozen=True)
class SchedulesPage:
    """`total` stops at COUNT_MAX, of a search earlier: then it is not exact. `number` counts from 1."""

    rows: tuple[ScheduleRow, ...]
    total: int
    is_total_exact: bool
    number: int
    has_more: bool


NO_SCHEDULES = SchedulesPage(rows=(), total=0, is_total_exact=True, number=1, has_more=False)


def schedules_page(
    tenant_id: UUID, narrowed: ScheduleFilter, sort: str = "next", number: int = 1, limit: int = PAGE_SIZE
) -> SchedulesPage:
    """One page of the tenant's schedules, in at most four statements, five for a search. Unknown sorts and pages beyond
    PAGES_MAX are the nearest."""
    number = min(max(number, 1), PAGES_MAX)
    sort = sort if sort in SORTS else "next"
    found = found_page(tenant_id, narrowed, sort, limit + 1, (number - 1) * limit, COUNT_MAX)
    has_more = len(found.ids) > limit and number < PAGES_MAX
    return SchedulesPage(_rows(tenant_id, found.ids[:limit]), found.total, found.is_whole, number, has_more)


def _rows(tenant_id: UUID, ids: Sequence[UUID]) -> tuple[ScheduleRow, ...]:
    """All that a list shows of these schedules of the tenant, in this order. Two statements."""
    if not ids:
        return ()
    read = db.session.connection().execute(_ROWS_BY_ID, {"tenant_id": tenant_id, "ids": list(ids)})
    found = {row.id: row for row in read.all()}
    entries = last_entries(ids)
    return tuple(ScheduleRow(found[one], entries.get(one, ())) for one in ids if one in found)


def schedule_detail(tenant_id: UUID, schedule_id: UUID) -> ScheduleRow:
    """One schedule with its payload and policies, deleted ones included: they stay readable. Raises NotFound."""
    query = _with_all(select(*_LISTED, *_DETAILED).select_from(Schedule))
    row = db.session.execute(query.where(Schedule.tenant_id == tenant_id, Schedule.id == schedule_id)).one_or_none()
    if row is None:
        raise NotFound
    return ScheduleRow(row)


def install_schedules(tenant_id: UUID, install_id: UUID) -> list[ScheduleRow]:
    """The living schedules of an install by name, in two statements: as many as the limit of an install allows."""
    query = _with_all(select(*_LISTED).select_from(Schedule)).where(
        Schedule.tenant_id == tenant_id, Schedule.install_id == install_id, Schedule.deleted_at.is_(None)
    )
    found = db.session.execute(query.order_by(func.lower(Schedule.name), Schedule.id)).all()
    entries = last_entries([row.id for row in found])
    return [ScheduleRow(row, entries.get(row.id, ())) for row in found]


def _with_all(query: Any) -> Any:
    """Joins what is shown of a schedule to its row."""
    return (
        query.join(ScheduleCursor, ScheduleCursor.schedule_id == Schedule.id)
        .outerjoin(Workflow, and_(Workflow.tenant_id == Schedule.tenant_id, Workflow.id == Schedule.workflow_id))
        .outerjoin(Install, and_(Install.tenant_id == Schedule.tenant_id, Install.id == Schedule.install_id))
        .outerjoin(Extension, Extension.id == Install.extension_id)
        .outerjoin(ExtensionEndpoint, ExtensionEndpoint.id == Schedule.endpoint_id)
    )


_LISTED = (
    Schedule.id,
    Schedule.name,
    Schedule.is_named,
    Schedule.target_kind,
    func.coalesce(Workflow.name, Extension.name).label("target_name"),
    Schedule.workflow_id,
    Schedule.workflow_version,
    Schedule.install_id,
    Schedule.endpoint_id,
    Schedule.max_attempts,
    ExtensionEndpoint.method.label("endpoint_method"),
    ExtensionEndpoint.path.label("endpoint_path"),
    Install.extension_id,
    Extension.name.label("extension_name"),
    Install.disabled_at.is_not(None).label("install_disabled"),
    Install.disable_reason.label("install_disable_reason"),
    ExtensionEndpoint.version_id.is_distinct_from(Install.version_id).label("endpoint_stale"),
    Schedule.trigger_type,
    Schedule.run_at,
    Schedule.cron,
    Schedule.timezone,
    Schedule.starts_at,
    Schedule.ends_at,
    Schedule.dst_gap,
    Schedule.dst_repeat,
    Schedule.spread_seconds,
    Schedule.status,
    Schedule.invalid_reason,
    Schedule.paused_at,
    Schedule.pause_reason,
    Schedule.paused_until,
    Schedule.skip_next_at,
    Schedule.updated_at,
    Schedule.deleted_at,
    ScheduleCursor.next_fire_at,
    ScheduleCursor.wake_at,
    ScheduleCursor.last_fire_at,
    ScheduleCursor.last_run_at,
    ScheduleCursor.last_finished_at,
    ScheduleCursor.last_run_status,
    ScheduleCursor.last_error,
    _name_of(Schedule.paused_by).label("paused_by_name"),
    _name_of(Schedule.skip_next_by).label("skip_next_by_name"),
    Workflow.name.label("workflow_name"),
    Workflow.deleted_at.is_not(None).label("workflow_deleted"),
    Workflow.paused_at.is_not(None).label("workflow_paused"),
    Workflow.pause_reason.label("workflow_pause_reason"),
    Workflow.published_version,
    select(Tenant.edition).where(Tenant.id == Schedule.tenant_id).scalar_subquery().label("edition"),
)
_DETAILED = (
    Schedule.tenant_id,
    Schedule.payload_json,
    Schedule.overlap,
    Schedule.catch_up,
    Schedule.max_lateness_seconds,
    Schedule.external_key,
    Schedule.revision,
    Schedule.created_at,
    _name_of(Schedule.created_by).label("created_by_name"),
)

# By their keys: so many tables take longer to plan than to read, the more so together with the way to the page.
_ROWS_BY_ID = _with_all(select(*_LISTED).select_from(Schedule)).where(
    Schedule.tenant_id == bindparam("tenant_id"),
    Schedule.id == func.any(bindparam("ids", type_=ARRAY(Uuid))),
    Schedule.deleted_at.is_(None),
)
