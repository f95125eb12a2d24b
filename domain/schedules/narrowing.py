"""Which schedules a list shows, and in which order: found fast among a hundred thousand of one tenant.

No order of the cursors has an index of its own beyond the tick's: firing writes there, and each would slow it down.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy import case, func, literal, null, or_, select, union_all
from sqlalchemy.orm import aliased

from domain.extensions.endpoints import ExtensionEndpoint
from domain.extensions.extensions import Extension, ExtensionVersion
from domain.extensions.installs import Install
from domain.kernel.db import db
from domain.schedules.cursors import ScheduleCursor
from domain.schedules.schedules import ACTIVE, COMPLETED, ENDPOINT, INVALID, PAUSED, WORKFLOW, Schedule
from domain.workflows.workflows import Workflow

FAILING = "failing"
STATUSES = (ACTIVE, PAUSED, INVALID, COMPLETED, FAILING)
TRIGGERS = ("schedule", "recurring")
TARGETS = (WORKFLOW, ENDPOINT)
_WILD = re.compile("[%_/]")
SORTS = ("next", "name", "last", "updated")
# At most so many are sorted as a set; of more, an index in the order wanted is walked until the page is full.
FEW = 1_000


@dataclass(frozen=True)
class ScheduleFilter:
    """What a list of schedules is narrowed to. `q`: part of the name of the schedule, of its workflow or extension, or of
    the path it calls, in any case.

    `status` is one of STATUSES (failing: active, and its last run failed), `trigger` one of TRIGGERS, `target` of TARGETS.
    """

    q: str = ""
    workflow_id: UUID | None = None
    trigger: str = ""
    status: str = ""
    target: str = ""
    install_id: UUID | None = None

    def __bool__(self) -> bool:
        return self != ScheduleFilter()


@dataclass(frozen=True)
class Matches:
    """How many match, counted up to a bound, and which, if they are FEW. `is_whole`: the bound was not reached."""

    total: int
    few: tuple[UUID, ...] | None
    is_whole: bool


def found_page(
    tenant_id: UUID, narrowed: ScheduleFilter, sort: str, limit: int, offset: int, count_max: int
) -> tuple[int, list[UUID]]:
    """How many match, counted up to `count_max`, and the ids of one page in its order, which ends with the id: equal keys
    have an order, and no row is on two pages. Undated ones come last. Two statements; of the failing ones it is one."""
    if narrowed.status == FAILING and narrowed.workflow_id is narrowed.install_id is None:
        total, ids = _failing_page(tenant_id, narrowed, sort, limit, offset, count_max)
        if total < count_max:
            return total, ids
        found = Matches(total, None, is_whole=False)
    else:
        found = matches(tenant_id, narrowed, count_max)
    if not found.total:
        return 0, []
    page = _ordered(tenant_id, narrowed, found, sort, limit, offset)
    return found.total, list(db.session.scalars(page.limit(limit).offset(offset)))


def matches(tenant_id: UUID, narrowed: ScheduleFilter, count_max: int) -> Matches:
    """One pass over what may match, which ends at `count_max`. One statement."""
    query = _matching(tenant_id, narrowed)
    if narrowed.q:
        # The index of this order holds all that is asked for, in a third of the pages: the rows themselves are not read.
        query = query.order_by(_NAME, Schedule.id)
    found = query.limit(count_max).subquery()
    ids = case((func.count() <= FEW, func.array_agg(found.c.id)), else_=null())
    total, few = db.session.execute(select(func.count(), ids).select_from(found)).one()
    return Matches(total, tuple(few or ()) if total <= FEW else None, total < count_max)


def matching_ids(tenant_id: UUID, narrowed: ScheduleFilter, after: UUID | None, limit: int) -> list[UUID]:
    """The first `limit` matching ids, ascending, behind `after`."""
    query = _matching(tenant_id, narrowed)
    if after is not None:
        query = query.where(Schedule.id > after)
    return list(db.session.scalars(query.order_by(Schedule.id).limit(limit)))


def has_published_workflow(tenant_id: UUID) -> bool:
    """Whether there is anything yet that a schedule could run."""
    published = select(Workflow.id).where(
        Workflow.tenant_id == tenant_id, Workflow.deleted_at.is_(None), Workflow.published_version.is_not(None)
    )
    return bool(db.session.scalar(select(published.exists())))


def _failing_page(
    tenant_id: UUID, narrowed: ScheduleFilter, sort: str, limit: int, offset: int, count_max: int
) -> tuple[int, list[UUID]]:
    """Counted and sorted in one pass; the page is right if the count was not cut. Which fail is known by their cursors:
    as an array they are looked up in the order of the index, and never by reading all schedules."""
    cursors = select(ScheduleCursor.schedule_id, ScheduleCursor.wake_at, ScheduleCursor.last_fire_at)
    failing = cursors.where(*_failed(tenant_id)).cte("failing").prefix_with("MATERIALIZED")
    keys = _KEYS | _keys_by_cursor(failing.c)
    rows = _matching(tenant_id, replace(narrowed, status=ACTIVE)).join(failing, failing.c.schedule_id == Schedule.id)
    rows = rows.where(Schedule.id == func.any(func.array(select(failing.c.schedule_id).scalar_subquery())))
    found = _with_keys(rows.limit(count_max), Schedule.id, keys[sort])
    total = select(func.count()).select_from(found).scalar_subquery()
    page = _by_keys(found, sort).limit(limit).offset(offset).scalar_subquery()
    counted, ids = db.session.execute(select(total, func.array(page))).one()
    return counted, ids


def _ordered(tenant_id: UUID, narrowed: ScheduleFilter, found: Matches, sort: str, limit: int, offset: int) -> Any:
    if found.few is not None:
        return _few_sorted(tenant_id, list(found.few), sort)
    rows = _matching(tenant_id, narrowed, sort in _BY_CURSOR)
    if sort == "next" and narrowed.status not in (PAUSED, COMPLETED):
        return _next_first(rows, _going(tenant_id, narrowed, limit + offset), limit + offset)
    if sort == "name":
        return rows.order_by(_NAME, Schedule.id)
    if sort == "updated":
        return rows.order_by(Schedule.updated_at.desc(), Schedule.id)
    if sort == "last" and not narrowed and not found.is_whole:
        return _last_first(tenant_id, limit + offset)
    return _sorted(rows, sort)


def _few_sorted(tenant_id: UUID, few: list[UUID], sort: str) -> Any:
    """By what the cursors say without reading the schedules, which were just found."""
    if sort not in _BY_CURSOR:
        return _sorted(_living(tenant_id).where(Schedule.id == func.any(few)), sort)
    id, keys = ScheduleCursor.schedule_id.label("id"), _keys_by_cursor(ScheduleCursor)[sort]
    cursors = select(id).where(ScheduleCursor.tenant_id == tenant_id, ScheduleCursor.schedule_id == func.any(few))
    return _by_keys(_with_keys(cursors, id, keys), sort)


def _sorted(rows: Any, sort: str) -> Any:
    """Found first, with no more than the keys, and sorted then. Left to itself the planner may walk an order that has none
    of them at its front."""
    return _by_keys(_with_keys(rows, Schedule.id, _KEYS[sort]), sort)


def _with_keys(rows: Any, id: Any, keys: tuple[Any, ...]) -> Any:
    return rows.with_only_columns(id, *keys).cte("found").prefix_with("MATERIALIZED")


def _by_keys(found: Any, sort: str) -> Any:
    keys = [key.desc() if sort in ("last", "updated") else key for key in found.c if key.name != "id"]
    return select(found.c.id).order_by(*(key.nulls_last() for key in keys), found.c.id)


_BY_CURSOR = ("next", "last")
_NAME = func.lower(Schedule.name).label("name")
_KEYS: dict[str, tuple[Any, ...]] = {
    "next": (ScheduleCursor.wake_at, case((ScheduleCursor.wake_at.is_(None), _NAME)).label("undated_name")),
    "last": (ScheduleCursor.last_fire_at,),
    "name": (_NAME,),
    "updated": (Schedule.updated_at,),
}
_named = aliased(Schedule)


def _keys_by_cursor(cursor: Any) -> dict[str, tuple[Any, ...]]:
    """With the name of no more than what is undated, so that no schedule is read for the others."""
    name = select(func.lower(_named.name)).where(_named.id == cursor.schedule_id).scalar_subquery()
    undated_name = case((cursor.wake_at.is_(None), name)).label("undated_name")
    return {"next": (cursor.wake_at, undated_name), "last": (cursor.last_fire_at,)}


def _going(tenant_id: UUID, narrowed: ScheduleFilter, wanted: int) -> Any:
    """What wakes up some time, of all that match: those that were deleted do not, and their cursors alone say so.

    Of a search that finds many, each is asked in its turn until there are enough: the planner takes every search for one
    that finds few. An offset of 0 keeps it from turning the question round.
    """
    going = select(ScheduleCursor.schedule_id).where(ScheduleCursor.tenant_id == tenant_id)
    if not narrowed:
        return going
    if narrowed.q and narrowed.status != FAILING and wanted <= FEW:
        asked = _matching(tenant_id, narrowed).where(Schedule.id == ScheduleCursor.schedule_id).offset(0)
        return going.where(asked.exists())
    return _matching(tenant_id, narrowed, has_cursor=True)


def _next_first(rows: Any, going: Any, wanted: int) -> Any:
    """Along the tick's index what is to be looked at; what is not is read only when that does not fill the page."""
    schedule_id, wake_at = ScheduleCursor.schedule_id.label("id"), ScheduleCursor.wake_at
    dated = going.with_only_columns(schedule_id, wake_at).where(wake_at.is_not(None))
    dated = dated.order_by(wake_at, schedule_id).limit(wanted).cte("dated").prefix_with("MATERIALIZED")
    missing = func.greatest(wanted - select(func.count()).select_from(dated).scalar_subquery(), 0)
    undated = rows.with_only_columns(schedule_id, wake_at, _NAME).where(wake_at.is_(None))
    undated = undated.order_by(_NAME, schedule_id).limit(missing).subquery("undated")
    both = union_all(
        select(dated.c.id, dated.c.wake_at, literal("").label("name")),
        select(undated.c.id, undated.c.wake_at, undated.c.name),
    ).subquery("both")
    return select(both.c.id).order_by(both.c.wake_at.asc().nulls_last(), both.c.name, both.c.id)


def _last_first(tenant_id: UUID, wanted: int) -> Any:
    """Of all there are: what wakes up some time is living, so only the others are looked up among the schedules, and of
    those no more than come before the end of the page."""
    last = ScheduleCursor.last_fire_at.desc().nulls_last(), ScheduleCursor.schedule_id
    cursors = select(ScheduleCursor.schedule_id.label("id"), ScheduleCursor.last_fire_at)
    cursors = cursors.where(ScheduleCursor.tenant_id == tenant_id).order_by(*last)
    dated = cursors.where(ScheduleCursor.wake_at.is_not(None)).limit(wanted).subquery("dated")
    # An offset of 0 keeps the planner from looking all of them up at first.
    asleep = cursors.where(ScheduleCursor.wake_at.is_(None)).offset(0).subquery("asleep")
    living = select(asleep).where(_living(tenant_id).where(Schedule.id == asleep.c.id).offset(0).exists())
    undated = living.order_by(*_last_keys(asleep)).limit(wanted).subquery("undated")
    both = union_all(select(dated), select(undated)).subquery("both")
    return select(both.c.id).order_by(*_last_keys(both))


def _last_keys(found: Any) -> tuple[Any, Any]:
    return found.c.last_fire_at.desc().nulls_last(), found.c.id


def _living(tenant_id: UUID, has_cursor: bool = False) -> Any:
    query = select(Schedule.id)
    if has_cursor:
        query = query.join(ScheduleCursor, ScheduleCursor.schedule_id == Schedule.id)
    return query.where(Schedule.tenant_id == tenant_id, Schedule.deleted_at.is_(None))


def _matching(tenant_id: UUID, narrowed: ScheduleFilter, has_cursor: bool = False) -> Any:
    query = _living(tenant_id, has_cursor or narrowed.status == FAILING)
    if narrowed.q:
        query = query.where(is_called(tenant_id, narrowed.q))
    if narrowed.workflow_id is not None:
        query = query.where(Schedule.workflow_id == narrowed.workflow_id)
    if narrowed.install_id is not None:
        query = query.where(Schedule.install_id == narrowed.install_id)
    if narrowed.target:
        query = query.where(is_of_kind(tenant_id, narrowed.target))
    if narrowed.trigger:
        query = query.where(Schedule.trigger_type == narrowed.trigger)
    if narrowed.status == FAILING:
        return query.where(Schedule.status == ACTIVE, *_failed(tenant_id))
    return query.where(Schedule.status == narrowed.status) if narrowed.status else query


def _failed(tenant_id: UUID) -> tuple[Any, Any]:
    # By the tenant too, for the index of the failing ones.
    return ScheduleCursor.tenant_id == tenant_id, ScheduleCursor.last_run_status == "failed"


def is_of_kind(tenant_id: UUID, kind: str) -> Any:
    """Whether a schedule's target is of this kind. Few are for endpoints: they are found by their installs."""
    if kind == WORKFLOW:
        return Schedule.install_id.is_(None)
    return Schedule.install_id.in_(select(Install.id).where(Install.tenant_id == tenant_id))


def is_called(tenant_id: UUID, q: str) -> Any:
    """Whether `q` is part of the name of a schedule, of its workflow or extension, or of the path it calls."""
    workflows = select(Workflow.id).where(Workflow.tenant_id == tenant_id, Workflow.name.icontains(q, autoescape=True))
    installs = (
        select(Install.id)
        .join(Extension, Extension.id == Install.extension_id)
        .where(Install.tenant_id == tenant_id, Extension.name.icontains(q, autoescape=True))
    )
    # Also those of versions that are not installed any more: a stale schedule still calls one.
    endpoints = (
        select(ExtensionEndpoint.id)
        .join(ExtensionVersion, ExtensionVersion.id == ExtensionEndpoint.version_id)
        .join(Install, Install.extension_id == ExtensionVersion.extension_id)
        .where(Install.tenant_id == tenant_id, ExtensionEndpoint.path.icontains(q, autoescape=True))
    )
    wanted = "%" + _WILD.sub(r"/\g<0>", q) + "%"
    return or_(
        # In the lower case that the index by name holds, so that none of them is put into it once more.
        func.lower(Schedule.name).like(func.lower(wanted), escape="/"),
        Schedule.workflow_id.in_(workflows),
        Schedule.install_id.in_(installs),
        Schedule.endpoint_id.in_(endpoints),
    )
