"""Where a run came from and what it started: its parent, the run that it repeats, its children, and who asked for it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select

from domain.accounts.audit import AuditEntry
from domain.kernel.db import db
from domain.runs.listing import created_at
from domain.runs.runs import Run
from domain.workflows.workflows import Workflow

CHILDREN_SHOWN = 20


@dataclass(frozen=True)
class RelatedRun:
    """Another run, as a line about it needs it; one of an endpoint has no workflow."""

    id: UUID
    status: str
    workflow_id: UUID | None
    workflow_name: str | None
    workflow_version: int | None
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def created_at(self) -> datetime:
        return created_at(self.id)


def related_runs(tenant_id: UUID, run_ids: Collection[UUID]) -> dict[UUID, RelatedRun]:
    """Those of the tenant's runs that are still kept, by id."""
    if not run_ids:
        return {}
    rows = db.session.execute(_related(tenant_id).where(Run.id.in_(run_ids)))
    return {row.id: RelatedRun(*row) for row in rows}


def child_runs(tenant_id: UUID, run_id: UUID, limit: int = CHILDREN_SHOWN) -> list[RelatedRun]:
    """The runs that a run's steps called, in the order in which they did, at most `limit`."""
    called = _related(tenant_id).where(Run.parent_run_id == run_id).order_by(Run.id).limit(limit)
    return [RelatedRun(*row) for row in db.session.execute(called)]


def starter_label(tenant_id: UUID, run_id: UUID) -> str | None:
    """Who asked for a run, in the words of the audit log: a person, or a token of theirs. None when nobody did."""
    return _label_of(tenant_id, run_id, ("run.started", "run.repeated"))


def canceler_label(tenant_id: UUID, run_id: UUID) -> str | None:
    """Who asked for the end of a run; None when nobody did."""
    return _label_of(tenant_id, run_id, ("run.canceled",))


def _label_of(tenant_id: UUID, run_id: UUID, actions: Collection[str]) -> str | None:
    about = select(AuditEntry.actor_label).where(
        AuditEntry.tenant_id == tenant_id, AuditEntry.subject_id == run_id, AuditEntry.action.in_(actions)
    )
    return db.session.scalars(about.order_by(AuditEntry.id).limit(1)).one_or_none()


def _related(tenant_id: UUID) -> Any:
    return (
        select(
            Run.id,
            Run.status,
            Run.workflow_id,
            Workflow.name,
            Run.workflow_version,
            Run.started_at,
            Run.finished_at,
        )
        .outerjoin(Workflow, Workflow.id == Run.workflow_id)
        .where(Run.tenant_id == tenant_id)
    )
