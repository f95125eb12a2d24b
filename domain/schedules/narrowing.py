"""Which schedules a list shows: what it is narrowed to, and how many that are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import case, func, null, or_, select

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
NAME = func.lower(Schedule.name).label("name")
# At most so many are sorted as a set; of more, an index in the order wanted is walked until the page is full.
FEW = 1_000
# A search is counted no further: of a word that many have, nearly all names would be looked at for a number nobody needs.
FOUND_MAX = 1_000


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
class Search(ScheduleFilter):
    """With the workflows, installs and endpoints that are called so, by the columns of a schedule that name them."""

    targets: tuple[tuple[Any, list[UUID]], ...] = ()


@dataclass(frozen=True)
class Matches:
    """How many match, counted up to a bound, and which, if they are FEW. `is_whole`: the bound was not reached."""

    total: int
    few: tuple[UUID, ...] | None
    is_whole: bool


def looked_up(tenant_id: UUID, narrowed: ScheduleFilter) -> ScheduleFilter:
    """The same, with what is called as it searches for. Asked for once, and not for each of many rows: mostly there is none.
    At most one statement."""
    if not narrowed.q:
        return narrowed
    called = _called(tenant_id, narrowed.q)
    arrays = (func.array(ids.limit(FEW + 1).scalar_subquery()) for ids in called.values())
    found = tuple(zip(called, db.session.execute(select(*arrays)).one(), strict=True))
    if any(len(ids) > FEW for _, ids in found):
        return narrowed
    return Search(**vars(narrowed), targets=tuple((column, ids) for column, ids in found if ids))


def matches(tenant_id: UUID, narrowed: ScheduleFilter, count_max: int) -> Matches:
    """One pass over what may match, which ends at `count_max`, of a search at FOUND_MAX. One statement."""
    query = matching(tenant_id, narrowed)
    if narrowed.q:
        count_max = min(count_max, FOUND_MAX)
        # The index of this order holds all that is asked for, in a third of the pages: the rows themselves are not read.
        query = query.order_by(NAME, Schedule.id)
    found = query.limit(count_max).subquery()
    ids = case((func.count() <= FEW, func.array_agg(found.c.id)), else_=null())
    total, few = db.session.execute(select(func.count(), ids).select_from(found)).one()
    is_whole = total < count_max
    return Matches(total, tuple(few or ()) if is_whole and total <= FEW else None, is_whole)


def matching_ids(tenant_id: UUID, narrowed: ScheduleFilter, after: UUID | None, limit: int) -> list[UUID]:
    """The first `limit` matching ids, ascending, behind `after`."""
    query = matching(tenant_id, narrowed)
    if after is not None:
        query = query.where(Schedule.id > after)
    return list(db.session.scalars(query.order_by(Schedule.id).limit(limit)))


def has_published_workflow(tenant_id: UUID) -> bool:
    """Whether there is anything yet that a schedule could run."""
    published = select(Workflow.id).where(
        Workflow.tenant_id == tenant_id, Workflow.deleted_at.is_(None), Workflow.published_version.is_not(None)
    )
    return bool(db.session.scalar(select(published.exists())))


def living(tenant_id: UUID, has_cursor: bool = False) -> Any:
    query = select(Schedule.id)
    if has_cursor:
        query = query.join(ScheduleCursor, ScheduleCursor.schedule_id == Schedule.id)
    return query.where(Schedule.tenant_id == tenant_id, Schedule.deleted_at.is_(None))


def matching(tenant_id: UUID, narrowed: ScheduleFilter, has_cursor: bool = False) -> Any:
    query = living(tenant_id, has_cursor or narrowed.status == FAILING)
    if isinstance(narrowed, Search):
        query = query.where(_is_found(narrowed))
    elif narrowed.q:
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
        return query.where(Schedule.status == ACTIVE, *failed(tenant_id))
    return query.where(Schedule.status == narrowed.status) if narrowed.status else query


def failed(tenant_id: UUID) -> tuple[Any, Any]:
    # By the tenant too, for the index of the failing ones.
    return ScheduleCursor.tenant_id == tenant_id, ScheduleCursor.last_run_status == "failed"


def is_of_kind(tenant_id: UUID, kind: str) -> Any:
    """Whether a schedule's target is of this kind. Few are for endpoints: they are found by their installs."""
    if kind == WORKFLOW:
        return Schedule.install_id.is_(None)
    return Schedule.install_id.in_(select(Install.id).where(Install.tenant_id == tenant_id))


def is_called(tenant_id: UUID, q: str) -> Any:
    """Whether `q` is part of the name of a schedule, of its workflow or extension, or of the path it calls."""
    targets = (column.in_(ids) for column, ids in _called(tenant_id, q).items())
    return or_(_is_like(q), *targets)


def _is_found(search: Search) -> Any:
    """`is_called` with targets that are known. Left to itself, the planner would take a pattern for one that finds few, and
    read all rows for these."""
    # Of two letters `strpos` makes a longer way than LIKE, of more a shorter one.
    is_long = len(search.q) > 2
    name = func.lower(Schedule.name)
    is_named = func.strpos(name, func.lower(search.q)) > 0 if is_long else func.coalesce(_is_like(search.q), False)
    return or_(is_named, *(column == func.any(ids) for column, ids in search.targets))


def _is_like(q: str) -> Any:
    wanted = "%" + _WILD.sub(r"/\g<0>", q) + "%"
    # In the lower case that the index by name holds, so that none of them is put into it once more.
    return func.lower(Schedule.name).like(func.lower(wanted), escape="/")


def _called(tenant_id: UUID, q: str) -> dict[Any, Any]:
    """The ids of what has `q` in its name or path, by the columns of a schedule that hold them."""
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
    return {Schedule.workflow_id: workflows, Schedule.install_id: installs, Schedule.endpoint_id: endpoints}
