"""Schedules with their hot half, for whoever reads many of them in a stable order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from domain.accounts.tenants import owned
from domain.extensions.endpoints import ExtensionEndpoint
from domain.extensions.extensions import Extension
from domain.extensions.installs import Install
from domain.kernel.db import db
from domain.kernel.errors import NotFound, Refused
from domain.kernel.names import MAX_CHARACTERS
from domain.schedules.cursors import ScheduleCursor
from domain.schedules.narrowing import is_called, is_of_kind
from domain.schedules.schedules import ACTIVE, Schedule
from domain.schedules.targets import EndpointTarget, Target
from domain.timing.fields import parse_cron
from domain.timing.words import cron_in_words
from domain.workflows.workflows import Workflow

PAGE_SIZE = 50
_SUFFIX_CHARACTERS = 8  # room for a number behind a name


@dataclass(frozen=True)
class ScheduleView:
    """A schedule, where its ledger ends, and what it runs: a workflow by its name, or an endpoint with its install and the
    name of its extension. What it does not have is None."""

    schedule: Schedule
    cursor: ScheduleCursor
    workflow_name: str | None
    install: Install | None
    endpoint: ExtensionEndpoint | None
    extension_name: str | None

    @property
    def next_fire_at(self) -> datetime | None:
        """The instant at which it fires next; None unless it is active. One that is to be skipped is passed over."""
        following = self.cursor.next_fire_at if self.schedule.status == ACTIVE else None
        if following is not None and following == self.schedule.skip_next_at:
            return self.schedule.timing.next_after(following)
        return following


@dataclass(frozen=True)
class ScheduleFilters:
    """`q`: part of a schedule's, workflow's or extension's name, or of a path. `target`: a kind. Empty ones leave everything."""

    q: str = ""
    workflow_id: UUID | None = None
    status: str = ""
    trigger_type: str = ""
    enabled: bool | None = None
    target: str = ""
    install_id: UUID | None = None


def schedules_listed(
    tenant_id: UUID, filters: ScheduleFilters, before: UUID | None = None, limit: int = PAGE_SIZE
) -> list[ScheduleView]:
    """The tenant's schedules, newest first, at most `limit`, older than the schedule `before`. One statement."""
    query = _filtered(_views(tenant_id), tenant_id, filters)
    if before is not None:
        query = query.where(Schedule.id < before)
    return [ScheduleView(*row) for row in db.session.execute(query.order_by(Schedule.id.desc()).limit(limit))]


def schedule_view(tenant_id: UUID, schedule_id: UUID) -> ScheduleView:
    """One schedule of the tenant; raises NotFound."""
    query = _views(tenant_id).where(Schedule.id == schedule_id).execution_options(populate_existing=True)
    found = db.session.execute(query).one_or_none()
    if found is None:
        raise NotFound
    return ScheduleView(*found)


def view_of(schedule: Schedule, cursor: ScheduleCursor, target: Target) -> ScheduleView:
    """A schedule that runs `target`, from whoever has read all of it."""
    if isinstance(target, EndpointTarget):
        return ScheduleView(schedule, cursor, None, target.install, target.endpoint, target.extension)
    return ScheduleView(schedule, cursor, target.label, None, None, None)


def free_name(tenant_id: UUID, workflow_id: UUID, cron: object) -> str:
    """A name for a schedule that came without one: its workflow and when it runs, numbered when it is taken."""
    # Until this one is written, whoever else wants a name made for them waits here.
    db.session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"schedule name {workflow_id}", 0))))
    query = select(Workflow.name).where(Workflow.tenant_id == tenant_id, Workflow.id == workflow_id)
    workflow = db.session.scalars(query).one_or_none() or "Schedule"
    wanted = f"{workflow}: {_when(cron)}"[: MAX_CHARACTERS - _SUFFIX_CHARACTERS].strip()
    alike = owned(tenant_id, Schedule).where(
        Schedule.workflow_id == workflow_id, Schedule.name.startswith(wanted, autoescape=True)
    )
    taken = set(db.session.scalars(alike.with_only_columns(Schedule.name)))
    if wanted not in taken:
        return wanted
    return next(name for number in range(2, len(taken) + 3) if (name := f"{wanted} ({number})") not in taken)


def _when(cron: object) -> str:
    if cron in (None, ""):
        return "once"
    try:
        words = cron_in_words(parse_cron(cron))
    except Refused:
        return "schedule"
    return words[:1].lower() + words[1:]


def _views(tenant_id: UUID) -> Any:
    return views().where(Schedule.tenant_id == tenant_id, Schedule.deleted_at.is_(None))


def views() -> Any:
    """What a ScheduleView is made of, of all schedules."""
    return (
        select(Schedule, ScheduleCursor, Workflow.name, Install, ExtensionEndpoint, Extension.name)
        .join(ScheduleCursor, ScheduleCursor.schedule_id == Schedule.id)
        .outerjoin(Workflow, Workflow.id == Schedule.workflow_id)
        .outerjoin(Install, Install.id == Schedule.install_id)
        .outerjoin(ExtensionEndpoint, ExtensionEndpoint.id == Schedule.endpoint_id)
        .outerjoin(Extension, Extension.id == Install.extension_id)
    )


def _filtered(query: Any, tenant_id: UUID, filters: ScheduleFilters) -> Any:
    if filters.q:
        query = query.where(is_called(tenant_id, filters.q))
    if filters.workflow_id is not None:
        query = query.where(Schedule.workflow_id == filters.workflow_id)
    if filters.install_id is not None:
        query = query.where(Schedule.install_id == filters.install_id)
    if filters.target:
        query = query.where(is_of_kind(tenant_id, filters.target))
    if filters.status:
        query = query.where(Schedule.status == filters.status)
    if filters.trigger_type:
        query = query.where(Schedule.trigger_type == filters.trigger_type)
    if filters.enabled is not None:
        query = query.where((Schedule.status == "active") == filters.enabled)
    return query
