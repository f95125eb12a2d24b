"""Of which kind the target of a schedule is, `workflow` or `endpoint`: who may see and change it depends on that."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import select

from domain.kernel.db import db
from domain.schedules.schedules import Schedule


def schedule_kind(tenant_id: UUID, schedule_id: UUID) -> str | None:
    """None when the tenant has no such schedule; deleted ones have a kind."""
    query = select(Schedule.target_kind).where(Schedule.tenant_id == tenant_id, Schedule.id == schedule_id)
    return db.session.scalars(query).one_or_none()


def schedule_kinds(tenant_id: UUID, schedule_ids: Collection[UUID]) -> dict[UUID, str]:
    """The kinds of those that are schedules of the tenant, by id."""
    query = select(Schedule.id, Schedule.target_kind).where(
        Schedule.tenant_id == tenant_id, Schedule.id.in_(schedule_ids)
    )
    return {row.id: row.target_kind for row in db.session.execute(query)}
