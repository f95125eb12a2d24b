"""What a new version marks as secret is sealed in the schedules that were stored before it did."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text

from domain.kernel import strict_json
from domain.kernel.db import db
from domain.schedules.schedules import Schedule
from domain.workflows.payload_secrets import sealed
from domain.workflows.secret_places import secret_places

# All schedules at once: ten thousand cost as many statements as one.
_REPLACE = text("""
    UPDATE schedules s SET payload_json = CAST(m.payload AS jsonb)
    FROM unnest(CAST(:ids AS uuid[]), CAST(:payloads AS text[])) AS m(id, payload)
    WHERE s.id = m.id
""")


def seal_payloads(tenant_id: UUID, workflow_id: UUID, schema: dict[str, Any]) -> None:
    """Seal the payloads of the workflow's living schedules where `schema` says so. The caller holds their cursors."""
    if not secret_places(schema).has_any:
        return
    living = (Schedule.tenant_id == tenant_id, Schedule.workflow_id == workflow_id, Schedule.deleted_at.is_(None))
    distinct = select(Schedule.payload_json, func.array_agg(Schedule.id)).where(*living)
    changed: dict[UUID, str] = {}
    for payload, ids in db.session.execute(distinct.group_by(Schedule.payload_json)):
        hidden = sealed(tenant_id, schema, payload)
        if hidden != payload:
            changed |= dict.fromkeys(ids, strict_json.dumps(hidden))
    if changed:
        db.session.execute(_REPLACE, {"ids": list(changed), "payloads": list(changed.values())})
