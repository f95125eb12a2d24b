"""A schedule as it is stored, deleted ones included: they stay readable."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import select

from domain.kernel.db import db
from domain.kernel.errors import NotFound
from domain.schedules.listing import ScheduleView, views
from domain.schedules.schedules import Schedule
from domain.workflows.workflows import Workflow


def stored_schedule(tenant_id: UUID, schedule_id: UUID) -> ScheduleView:
    """The schedule with its cursor and what it runs, in one statement; raises NotFound."""
    query = views().where(Schedule.tenant_id == tenant_id, Schedule.id == schedule_id)
    found = db.session.execute(query).one_or_none()
    if found is None:
        raise NotFound
    return ScheduleView(*found)


def workflow_names(tenant_id: UUID, ids: Collection[UUID]) -> dict[str, str]:
    """The names of workflows, deleted ones included, by their ids as text."""
    query = select(Workflow.id, Workflow.name).where(Workflow.tenant_id == tenant_id, Workflow.id.in_(ids))
    return {str(row.id): row.name for row in db.session.execute(query)}
