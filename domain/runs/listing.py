"""Which runs a list shows: its filters, and the ids of one page, read along an index whatever they are.

A run's id begins with the time at which it was asked for, so the order of ids is the order of the list, and a span of
time is a span of ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, String, and_, bindparam, select, true, union_all

from domain.accounts.tenants import owned
from domain.kernel.ids import first_id_at, parse_id
from domain.runs.runs import (
    BY_API,
    BY_EVENT,
    BY_HAND,
    BY_PARENT,
    BY_RECURRING,
    BY_RERUN,
    BY_SCHEDULE,
    FINISHED,
    UNFINISHED,
    Run,
)
from domain.schedules.schedules import Schedule
from domain.workflows.workflows import Workflow

ANY_UNFINISHED = "unfinished"
STATUSES = (ANY_UNFINISHED, *UNFINISHED, *FINISHED)
STARTERS = (BY_RECURRING, BY_SCHEDULE, BY_EVENT, BY_HAND, BY_API, BY_PARENT, BY_RERUN)
YES, NO = "yes", "no"
REHEARSALS = (YES, NO)
NAMES_SEARCHED = 100
"""Workflows, and schedules, whose runs a search by name looks through."""

_TAIL_BITS = 80  # of a UUIDv7, behind its 48 bits of milliseconds (RFC 9562 §5.7)


@dataclass(frozen=True)
class RunFilters:
    """`q`: part of a workflow's or schedule's name, or a run's id. `status`: one of STATUSES. `started_by`: of STARTERS.

    `since` and `until`: when the run was asked for, the end not included. `rehearsal`: one of REHEARSALS.
    """

    q: str = ""
    workflow_id: UUID | None = None
    schedule_id: UUID | None = None
    status: str = ""
    started_by: str = ""
    since: datetime | None = None
    until: datetime | None = None
    parent_run_id: UUID | None = None
    rehearsal: str = ""


def created_at(run_id: UUID) -> datetime:
    """When a run was asked for, to the millisecond: its id says so."""
    return datetime.fromtimestamp((run_id.int >> _TAIL_BITS) / 1000, UTC)


def page_ids(tenant_id: UUID, filters: RunFilters, before: UUID | None, limit: int) -> Any:
    """A subquery with the column `id`: the newest `limit` of the tenant's runs that pass, older than the run `before`.

    Each way to pass is a walk along one index that stops after `limit`; the page is merged from their ends. What most
    runs are, succeeded and started by a recurring schedule, has no index of its own: the few others are passed over.
    """
    conditions = [Run.tenant_id == tenant_id, *_conditions(filters), *_span(filters, before)]
    named = _named(tenant_id, filters.q)
    walks: list[Select[Any]] = []
    for is_so in _statuses(filters.status):
        walk = select(Run.id).where(*conditions, *is_so).order_by(Run.id.desc()).limit(limit)
        walks += [walk] if named is None else [_walk_each(walk, names, column) for names, column in named]
    if len(walks) == 1:
        return walks[0].subquery()
    found = union_all(*(select(walk.subquery().c.id) for walk in walks)).subquery()
    return select(found.c.id).distinct().order_by(found.c.id.desc()).limit(limit).subquery()


def _conditions(filters: RunFilters) -> list[ColumnElement[bool]]:
    asked = [
        (Run.workflow_id, filters.workflow_id),
        (Run.schedule_id, filters.schedule_id),
        (Run.parent_run_id, filters.parent_run_id),
    ]
    found = [column == value for column, value in asked if value is not None]
    if filters.started_by:
        found.append(Run.started_by == _constant(filters.started_by))
    if filters.rehearsal:
        found.append(and_(Run.is_rehearsal) if filters.rehearsal == YES else ~Run.is_rehearsal)
    if (run_id := parse_id(filters.q)) is not None:
        found.append(Run.id == run_id)
    return found


def _span(filters: RunFilters, before: UUID | None) -> list[ColumnElement[bool]]:
    ends = [before, first_id_at(filters.until) if filters.until else None]
    span = [Run.id < end for end in ends if end is not None]
    return [*span, Run.id >= first_id_at(filters.since)] if filters.since else span


def _statuses(status: str) -> Sequence[list[ColumnElement[bool]]]:
    """The ways to have a status, each of which an index of its own knows."""
    if not status:
        return [[]]
    wanted = UNFINISHED if status == ANY_UNFINISHED else (status,)
    return [
        [Run.status == _constant(one), *([Run.finished_at.is_(None)] if one in UNFINISHED else [])] for one in wanted
    ]


def _constant(word: str) -> Any:
    """Written into the statement: a plan made for any value cannot use an index that holds only some. The words are ours."""
    return bindparam(None, word, String, literal_execute=True)


def _named(tenant_id: UUID, q: str) -> list[tuple[Any, Any]] | None:
    """The workflows and the schedules whose name has `q` in it, with the column that leads to them; None without `q`."""
    if not q or parse_id(q) is not None:
        return None
    workflows = select(Workflow.id).where(Workflow.tenant_id == tenant_id, Workflow.name.icontains(q, autoescape=True))
    schedules = owned(tenant_id, Schedule).where(Schedule.name.icontains(q, autoescape=True))
    return [
        (workflows.limit(NAMES_SEARCHED).subquery(), Run.workflow_id),
        (schedules.with_only_columns(Schedule.id).limit(NAMES_SEARCHED).subquery(), Run.schedule_id),
    ]


def _walk_each(walk: Select[Any], names: Any, column: Any) -> Select[Any]:
    """The walk once for each of `names`."""
    found = walk.where(column == names.c.id).correlate(names).subquery().lateral()
    return select(found.c.id).select_from(names).join(found, true())
