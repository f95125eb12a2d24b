"""What a new version marks as secret is sealed in the schedules that were stored before it did."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update

from domain.kernel.db import db
from domain.schedules.schedules import Schedule
from domain.workflows.payload_secrets import sealed
from domain.workflows.secret_places import secret_places


def seal_payloads(tenant_id: UUID, workflow_id: UUID, schema: dict[str, Any]) -> None:
    """Seal the payloads of the workflow's living schedules where `schema` says so. The caller holds their cursors."""
    if not secret_places(schema).has_any:
        return
    living = (Schedule.tenant_id == tenant_id, Schedule.workflow_id == workflow_id, Schedule.deleted_at.is_(None))
    distinct = select(Schedule.payload_json, func.array_agg(Schedule.id)).where(*living)
    for payload, ids in db.session.execute(distinct.group_by(Schedule.payload_json)).all():
        hidden = sealed(tenant_id, schema, payload)
        if hidden != payload:
            db.session.execute(update(Schedule).where(Schedule.id.in_(ids)).values(payload_json=hidden))
