"""Of which kind the target of a run is, `workflow` or `endpoint`: who may see and change it depends on that."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select

from domain.kernel.db import db
from domain.runs.runs import Run


def run_kind(tenant_id: UUID, run_id: UUID) -> str | None:
    """None when the tenant has no such run."""
    query = select(Run.target_kind).where(Run.tenant_id == tenant_id, Run.id == run_id)
    return db.session.scalars(query).one_or_none()
