"""A schedule as it is stored, deleted ones included: they stay readable."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import and_, select

from domain.kernel.db import db
from domain.kernel.errors import NotFound
from domain.schedules.cursors import ScheduleCursor
from domain.schedules.listing import ScheduleView
from domain.schedules.schedules import Schedule
from domain.workflows.workflows import Workflow


def stored_schedule(tenant_id: UUID, schedule_id: UUID) -> ScheduleView:
    """The schedule with its cursor and the name of its workflow, in one statement; raises NotFound."""
    its_workflow = and_(Workflow.tenant_id == Schedule.tenant_id, Workflow.id == Schedule.workflow_id)
    query = (
        select(Schedule, ScheduleCursor, Workflow.name)
        .join(ScheduleCursor, ScheduleCursor.schedule_id == Schedule.id)
        .join(Workflow, its_workflow)
        .where(Schedule.tenant_id == tenant_id, Schedule.id == schedule_id)
    )
    found = db.session.execute(query).one_or_none()
    if found is None:
        raise NotFound
    return ScheduleView(*found)


def workflow_names(tenant_id: UUID, ids: Collection[UUID]) -> dict[str, str]:
    """The names of workflows, deleted ones included, by their ids as text."""
    query = select(Workflow.id, Workflow.name).where(Workflow.tenant_id == tenant_id, Workflow.id.in_(ids))
    return {str(row.id): row.name for row in db.session.execute(query)}
