"""In which order a list shows schedules, and which of them stand on one page: found fast among a hundred thousand of one
tenant.

Of the orders of the cursors the next fire is walked along the tick's index, the last fire along one of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy import case, func, literal, select, union_all
from sqlalchemy.orm import aliased

from domain.kernel.db import db
from domain.schedules.cursors import ScheduleCursor
from domain.schedules.narrowing import (
    FAILING,
    FEW,
    NAME,
    Matches,
    ScheduleFilter,
    failed,
    living,
    looked_up,
    matches,
    matching,
)
from domain.schedules.schedules import ACTIVE, COMPLETED, PAUSED, Schedule

SORTS = ("next", "name", "last", "updated")


@dataclass(frozen=True)
class FoundPage:
    """The ids of one page, and how many match; `is_whole`: no bound ended the count."""

    ids: list[UUID]
    total: int
    is_whole: bool


def found_page(
    tenant_id: UUID, narrowed: ScheduleFilter, sort: str, limit: int, offset: int, count_max: int
) -> FoundPage:
    """One page in its order, which ends with the id: equal keys have an order, and no row is on two pages. Undated ones come
    last. How many match is counted as `matches` does it.

    Two statements, one for the failing ones, and one more for a search.
    """
    narrowed = looked_up(tenant_id, narrowed)
    if narrowed.status == FAILING and narrowed.workflow_id is narrowed.install_id is None:
        failing = _failing_page(tenant_id, narrowed, sort, limit, offset, count_max)
        if failing.is_whole:
            return failing
    found = matches(tenant_id, narrowed, count_max)
    if not found.total:
        return FoundPage([], 0, True)
    page = _ordered(tenant_id, narrowed, found, sort, limit, offset)
    return FoundPage(list(db.session.scalars(page.limit(limit).offset(offset))), found.total, found.is_whole)


def _failing_page(
    tenant_id: UUID, narrowed: ScheduleFilter, sort: str, limit: int, offset: int, count_max: int
) -> FoundPage:
    """Counted and sorted in one pass, unless `count_max` or more fail: then nothing is looked up. Which fail is known by their cursors: as an array they are looked up in the order of the index, and never by reading all."""
    cursors = select(ScheduleCursor.schedule_id, ScheduleCursor.wake_at, ScheduleCursor.last_fire_at)
    failing = cursors.where(*failed(tenant_id)).limit(count_max).cte("failing").prefix_with("MATERIALIZED")
    has_all = select(func.count() < count_max).select_from(failing).scalar_subquery()
    keys = _KEYS | _keys_by_cursor(failing.c)
    rows = matching(tenant_id, replace(narrowed, status=ACTIVE)).join(failing, failing.c.schedule_id == Schedule.id)
    rows = rows.where(Schedule.id == func.any(func.array(select(failing.c.schedule_id).scalar_subquery())))
    found = _with_keys(rows.where(has_all), Schedule.id, keys[sort])
    total = select(func.count()).select_from(found).scalar_subquery()
    page = _by_keys(found, sort).limit(limit).offset(offset).scalar_subquery()
    return FoundPage(*db.session.execute(select(func.array(page), total, has_all)).one())


def _ordered(tenant_id: UUID, narrowed: ScheduleFilter, found: Matches, sort: str, limit: int, offset: int) -> Any:
    if found.few is not None:
        return _few_sorted(tenant_id, list(found.few), sort)
    if sort == "next" and narrowed.status in (PAUSED, COMPLETED):
        return _back_first(matching(tenant_id, narrowed), limit + offset)
    rows = matching(tenant_id, narrowed, sort in _BY_CURSOR)
    if sort == "next":
        return _next_first(rows, _going(tenant_id, narrowed, limit + offset), limit + offset)
    if sort == "name":
        return rows.order_by(NAME, Schedule.id)
    if sort == "updated":
        return rows.order_by(Schedule.updated_at.desc(), Schedule.id)
    if found.is_whole or narrowed.status == FAILING or (narrowed.q and limit + offset > FEW):
        return _sorted(rows, sort)
    return _last_of_many(tenant_id, narrowed) if narrowed else _last_first(tenant_id, limit + offset)


def _few_sorted(tenant_id: UUID, few: list[UUID], sort: str) -> Any:
    """By what the cursors say without reading the schedules, which were just found."""
    if sort not in _BY_CURSOR:
        return _sorted(living(tenant_id).where(Schedule.id == func.any(few)), sort)
    schedule_id, keys = ScheduleCursor.schedule_id.label("id"), _keys_by_cursor(ScheduleCursor)[sort]
    cursors = select(schedule_id).where(
        ScheduleCursor.tenant_id == tenant_id, ScheduleCursor.schedule_id == func.any(few)
    )
    return _by_keys(_with_keys(cursors, schedule_id, keys), sort)


def _sorted(rows: Any, sort: str) -> Any:
    """Found first, with no more than the keys, and sorted then. Left to itself the planner may walk an order that has none
    of them at its front."""
    return _by_keys(_with_keys(rows, Schedule.id, _KEYS[sort]), sort)


def _with_keys(rows: Any, schedule_id: Any, keys: tuple[Any, ...]) -> Any:
    return rows.with_only_columns(schedule_id, *keys).cte("found").prefix_with("MATERIALIZED")


def _by_keys(found: Any, sort: str) -> Any:
    keys = [key.desc() if sort in ("last", "updated") else key for key in found.c if key.name != "id"]
    return select(found.c.id).order_by(*(key.nulls_last() for key in keys), found.c.id)


_BY_CURSOR = ("next", "last")
_KEYS: dict[str, tuple[Any, ...]] = {
    "last": (ScheduleCursor.last_fire_at,),
    "name": (NAME,),
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

    Of a search that finds many, each is asked in its turn until there are enough. An offset of 0 keeps the planner from
    turning the question round.
    """
    going = select(ScheduleCursor.schedule_id).where(ScheduleCursor.tenant_id == tenant_id)
    if not narrowed:
        return going
    if _is_asked_one_by_one(narrowed, wanted):
        asked = matching(tenant_id, narrowed).where(Schedule.id == ScheduleCursor.schedule_id).offset(0)
        return going.where(asked.exists())
    return matching(tenant_id, narrowed, has_cursor=True)


def _is_asked_one_by_one(narrowed: ScheduleFilter, wanted: int) -> bool:
    """Whether it is a search that finds many: the planner takes each for one that finds few."""
    return bool(narrowed.q) and narrowed.status != FAILING and wanted <= FEW


def _next_first(rows: Any, going: Any, wanted: int) -> Any:
    """Along the tick's index what is to be looked at; what is not is read only when that does not fill the page."""
    schedule_id, wake_at = ScheduleCursor.schedule_id.label("id"), ScheduleCursor.wake_at
    dated = going.with_only_columns(schedule_id, wake_at).where(wake_at.is_not(None))
    dated = dated.order_by(wake_at, schedule_id).limit(wanted).cte("dated").prefix_with("MATERIALIZED")
    missing = func.greatest(wanted - select(func.count()).select_from(dated).scalar_subquery(), 0)
    undated = rows.with_only_columns(schedule_id, wake_at, NAME).where(wake_at.is_(None))
    undated = undated.order_by(NAME, schedule_id).limit(missing).subquery("undated")
    both = union_all(
        select(dated.c.id, dated.c.wake_at, literal("").label("name")),
        select(undated.c.id, undated.c.wake_at, undated.c.name),
    ).subquery("both")
    return select(both.c.id).order_by(both.c.wake_at.asc().nulls_last(), both.c.name, both.c.id)


def _back_first(rows: Any, wanted: int) -> Any:
    """Of what is paused or done: first what goes on by itself, which its row says, then the others by name. Their cursors
    would say the same, but all of them would have to be asked."""
    end = Schedule.paused_until
    dated = rows.with_only_columns(Schedule.id, end, literal("").label("name")).where(end.is_not(None))
    dated = dated.order_by(end, Schedule.id).limit(wanted).subquery("dated")
    undated = rows.with_only_columns(Schedule.id, end, NAME).where(end.is_(None))
    undated = undated.order_by(NAME, Schedule.id).limit(wanted).subquery("undated")
    both = union_all(select(dated), select(undated)).subquery("both")
    return select(both.c.id).order_by(both.c.paused_until.asc().nulls_last(), both.c.name, both.c.id)


def _last_first(tenant_id: UUID, wanted: int) -> Any:
    """Of all there are: what wakes up some time is living, so only the others are looked up among the schedules, and of
    those no more than come before the end of the page."""
    cursors = _by_last_fire(tenant_id)
    dated = cursors.where(ScheduleCursor.wake_at.is_not(None)).limit(wanted).subquery("dated")
    # An offset of 0 keeps the planner from looking all of them up at first.
    asleep = cursors.where(ScheduleCursor.wake_at.is_(None)).offset(0).subquery("asleep")
    alive = select(asleep).where(living(tenant_id).where(Schedule.id == asleep.c.id).offset(0).exists())
    undated = alive.order_by(*_last_keys(asleep)).limit(wanted).subquery("undated")
    both = union_all(select(dated), select(undated)).subquery("both")
    return select(both.c.id).order_by(*_last_keys(both))


def _last_of_many(tenant_id: UUID, narrowed: ScheduleFilter) -> Any:
    """Each is asked in its turn whether it matches. An offset of 0 keeps the planner from asking all of them at first."""
    asked = matching(tenant_id, narrowed).where(Schedule.id == ScheduleCursor.schedule_id).offset(0)
    return _by_last_fire(tenant_id).where(asked.exists())


def _by_last_fire(tenant_id: UUID) -> Any:
    cursors = select(ScheduleCursor.schedule_id.label("id"), ScheduleCursor.last_fire_at)
    last = ScheduleCursor.last_fire_at.desc().nulls_last(), ScheduleCursor.schedule_id
    return cursors.where(ScheduleCursor.tenant_id == tenant_id).order_by(*last)


def _last_keys(found: Any) -> tuple[Any, Any]:
    return found.c.last_fire_at.desc().nulls_last(), found.c.id
