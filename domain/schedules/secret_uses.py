"""Who names a secret: published workflows in their steps, schedules in their payloads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import and_, cast, func, select
from sqlalchemy.dialects.postgresql import JSONB, JSONPATH

from domain.kernel.db import db
from domain.schedules.schedules import Schedule
from domain.workflows.versions import WorkflowVersion
from domain.workflows.workflows import Workflow

SHOWN = 20
_REFERENCE = '$.** ? (@."$secret" == $name)'


class Named(NamedTuple):
    id: UUID
    name: str


@dataclass(frozen=True)
class SecretUses:
    """The first of those that name a secret, by name; one more than `SHOWN` when there are more."""

    workflows: tuple[Named, ...]
    schedules: tuple[Named, ...]

    def __bool__(self) -> bool:
        return bool(self.workflows or self.schedules)


def secret_uses(tenant_id: UUID, name: str) -> SecretUses:
    """The living workflows whose published version names the secret, and the living schedules whose payload does."""
    published = and_(
        WorkflowVersion.tenant_id == Workflow.tenant_id,
        WorkflowVersion.workflow_id == Workflow.id,
        WorkflowVersion.version == Workflow.published_version,
    )
    workflows = (
        select(Workflow.id, Workflow.name)
        .join(WorkflowVersion, published)
        .where(Workflow.tenant_id == tenant_id, Workflow.deleted_at.is_(None), _names(WorkflowVersion.definition, name))
        .order_by(Workflow.name, Workflow.id)
    )
    schedules = (
        select(Schedule.id, Schedule.name)
        .where(Schedule.tenant_id == tenant_id, Schedule.deleted_at.is_(None), _names(Schedule.payload_json, name))
        .order_by(Schedule.name, Schedule.id)
    )
    return SecretUses(_first(workflows), _first(schedules))


def _names(column: Any, name: str) -> Any:
    return func.jsonb_path_exists(column, cast(_REFERENCE, JSONPATH), cast({"name": name}, JSONB))


def _first(query: Any) -> tuple[Named, ...]:
    return tuple(Named(*row) for row in db.session.execute(query.limit(SHOWN + 1)))
