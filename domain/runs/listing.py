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
from domain.extensions.extensions import Extension
from domain.extensions.installs import Install
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
WORKFLOW, ENDPOINT = "workflow", "endpoint"
TARGETS = (WORKFLOW, ENDPOINT)
NAMES_SEARCHED = 100
"""Workflows, schedules and installs whose runs a search by name looks through."""

_TAIL_BITS = 80  # of a UUIDv7, behind its 48 bits of milliseconds (RFC 9562 §5.7)


@dataclass(frozen=True)
class RunFilters:
    """`q`: part of the name of a workflow, a schedule or an extension, or a run's id. `status`: one of STATUSES. `started_by`: of STARTERS.

    `since` and `until`: when the run was asked for, the end not included. `rehearsal`: one of REHEARSALS. `target`: one
    of TARGETS, what it ran.
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
    target: str = ""
    install_id: UUID | None = None


def created_at(run_id: UUID) -> datetime:
    """When a run was asked for, to the millisecond: its id says so."""
    return datetime.fromtimestamp((run_id.int >> _TAIL_BITS) / 1000, UTC)


def page_ids(tenant_id: UUID, filters: RunFilters, before: UUID | None, limit: int) -> Any:
    """A subquery with the column `id`: the newest `limit` of the tenant's runs that pass, older than the run `before`.

    Each way to pass is a walk along one index that stops after `limit`; the page is merged from their ends. What most
    runs are, succeeded and started by a recurring schedule, has no index of its own: the few others are passed over.
    """
    conditions = [Run.tenant_id == tenant_id, *_conditions(filters), *_span(filters, before)]
    named = _named(tenant_id, filters)
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
        (Run.install_id, filters.install_id),
    ]
    found = [column == value for column, value in asked if value is not None]
    if filters.target:
        found.append(Run.target_kind == filters.target)
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


def _named(tenant_id: UUID, filters: RunFilters) -> list[tuple[Any, Any]] | None:
    """What has `q` in its name (workflows, schedules, installs), with the column that leads to it; None without `q`.

    Runs of endpoints are asked for by the installs of the tenant: among those of workflows they may be rare.
    """
    q, installs = filters.q, select(Install.id).where(Install.tenant_id == tenant_id)
    if not q or parse_id(q) is not None:
        is_rare = filters.target == ENDPOINT and not (q or filters.install_id or filters.schedule_id)
        return [(installs.subquery(), Run.install_id)] if is_rare else None
    workflows = select(Workflow.id).where(Workflow.tenant_id == tenant_id, Workflow.name.icontains(q, autoescape=True))
    schedules = owned(tenant_id, Schedule).where(Schedule.name.icontains(q, autoescape=True))
    extensions = select(Extension.id).where(Extension.name.icontains(q, autoescape=True))
    found = [
        (workflows, Run.workflow_id),
        (schedules.with_only_columns(Schedule.id), Run.schedule_id),
        (installs.where(Install.extension_id.in_(extensions)), Run.install_id),
    ]
    return [(names.limit(NAMES_SEARCHED).subquery(), column) for names, column in found]


def _walk_each(walk: Select[Any], names: Any, column: Any) -> Select[Any]:
    """The walk once for each of `names`."""
    found = walk.where(column == names.c.id).correlate(names).subquery().lateral()
    return select(found.c.id).select_from(names).join(found, true())
