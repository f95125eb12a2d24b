"""The list of runs: newest first, a page at a time, from any place on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, DateTime, and_, cast, func, select
from sqlalchemy.orm import aliased

from domain.accounts.tenants import owned
from domain.accounts.users import User
from domain.extensions.endpoints import ExtensionEndpoint
from domain.extensions.extensions import Extension, ExtensionVersion
from domain.extensions.installs import Install
from domain.kernel.db import db
from domain.kernel.ids import parse_id
from domain.runs.listing import RunFilters, created_at, page_ids
from domain.runs.runs import FINISHED, Run
from domain.schedules.occurrences import Occurrence
from domain.schedules.schedules import Schedule
from domain.workflows.workflows import Workflow

PAGE_SIZE = 50
CHOICES_LISTED = 500


@dataclass(frozen=True)
class RunRow:
    """One line of the list. `scheduled_for` and `decided_at` only for what has an occurrence of its own.

    `parent_name`: the workflow of the parent run, None when that run is no longer kept. A run of an endpoint has no
    workflow but `install_id`, the name of its extension, the version that was installed, and what it calls.
    """

    id: UUID
    status: str
    target_kind: str
    workflow_id: UUID | None
    workflow_name: str | None
    workflow_version: int | None
    install_id: UUID | None
    extension_id: UUID | None
    extension_name: str | None
    extension_version: str | None
    method: str | None
    path: str | None
    schedule_id: UUID | None
    schedule_name: str | None
    timezone: str | None
    started_by: str
    actor_name: str | None
    event_id_text: str | None
    event_name: str | None
    parent_run_id: UUID | None
    parent_name: str | None
    rerun_of_text: str | None
    scheduled_for: datetime | None
    decided_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    state: str | None
    error: str | None
    is_rehearsal: bool

    @property
    def is_finished(self) -> bool:
        return self.status in FINISHED

    @property
    def target_name(self) -> str:
        """The workflow's name, or method and path of the endpoint."""
        return self.workflow_name or f"{self.method} {self.path}"

    @property
    def created_at(self) -> datetime:
        return created_at(self.id)

    @property
    def event_id(self) -> UUID | None:
        """The event that started it."""
        return parse_id(self.event_id_text or "")

    @property
    def rerun_of(self) -> UUID | None:
        """The run that it repeats."""
        return parse_id(self.rerun_of_text or "")

    @property
    def lateness(self) -> timedelta | None:
        """How long after its instant it was fired."""
        if self.scheduled_for is None or self.decided_at is None:
            return None
        return max(self.decided_at - self.scheduled_for, timedelta(0))


def runs_page(
    tenant_id: UUID, filters: RunFilters | None = None, before: UUID | None = None, limit: int = PAGE_SIZE
) -> list[RunRow]:
    """The tenant's runs, newest first, at most `limit`, older than the run `before`. One statement, whatever its size."""
    page = page_ids(tenant_id, filters or RunFilters(), before, limit)
    parent, caller = aliased(Run), aliased(Workflow)
    query = (
        select(*_columns(caller))
        .join(page, page.c.id == Run.id)
        .outerjoin(Workflow, Workflow.id == Run.workflow_id)
        .outerjoin(Install, Install.id == Run.install_id)
        .outerjoin(Extension, Extension.id == Install.extension_id)
        .outerjoin(ExtensionVersion, ExtensionVersion.id == Run.extension_version_id)
        .outerjoin(ExtensionEndpoint, ExtensionEndpoint.id == Run.endpoint_id)
        .outerjoin(Occurrence, _is_its_own())
        .outerjoin(User, User.id == Run.actor_id)
        .outerjoin(parent, parent.id == Run.parent_run_id)
        .outerjoin(caller, caller.id == parent.workflow_id)
        .order_by(Run.id.desc())
    )
    return [RunRow(*row) for row in db.session.execute(query)]


def workflow_choices(tenant_id: UUID) -> list[tuple[UUID, str]]:
    """Id and name of the workflows that the list can be narrowed to, by name."""
    query = select(Workflow.id, Workflow.name).where(Workflow.tenant_id == tenant_id, Workflow.deleted_at.is_(None))
    return [(row.id, row.name) for row in db.session.execute(query.order_by(Workflow.name).limit(CHOICES_LISTED))]


def schedule_choices(tenant_id: UUID, workflow_id: UUID | None = None) -> list[tuple[UUID, str]]:
    """Id and name of the schedules that the list can be narrowed to, by name: all, or those of one workflow."""
    query = owned(tenant_id, Schedule).with_only_columns(Schedule.id, Schedule.name)
    if workflow_id is not None:
        query = query.where(Schedule.workflow_id == workflow_id)
    # In the order of the lists of schedules, which has an index.
    query = query.order_by(func.lower(Schedule.name), Schedule.id).limit(CHOICES_LISTED)
    return [(row.id, row.name) for row in db.session.execute(query)]


def schedule_name(tenant_id: UUID, schedule_id: UUID) -> str | None:
    """The name of a schedule, deleted ones included; None when the tenant has no such schedule."""
    query = select(Schedule.name).where(Schedule.tenant_id == tenant_id, Schedule.id == schedule_id)
    return db.session.scalars(query).one_or_none()


def extension_of_install(tenant_id: UUID, install_id: UUID) -> str | None:
    """The name of the extension, also when it was uninstalled; None when the tenant has no such install."""
    query = select(Extension.name).join(Install, Install.extension_id == Extension.id)
    return db.session.scalars(query.where(Install.tenant_id == tenant_id, Install.id == install_id)).one_or_none()


def _columns(caller: Any) -> list[Any]:
    """What a RunRow holds, in its order; `caller` is the workflow of the parent."""
    told = Run.trigger_metadata
    return [
        Run.id,
        Run.status,
        Run.target_kind,
        Run.workflow_id,
        Workflow.name,
        Run.workflow_version,
        Run.install_id,
        Extension.id,
        Extension.name,
        ExtensionVersion.version,
        ExtensionEndpoint.method,
        ExtensionEndpoint.path,
        Run.schedule_id,
        told["scheduleName"].astext,
        told["timezone"].astext,
        Run.started_by,
        User.name,
        told["eventId"].astext,
        told["eventName"].astext,
        Run.parent_run_id,
        caller.name,
        told["rerunOf"].astext,
        Occurrence.scheduled_for,
        Occurrence.decided_at,
        Run.started_at,
        Run.finished_at,
        Run.state,
        Run.error["message"].astext,
        Run.is_rehearsal,
    ]


def _is_its_own() -> ColumnElement[bool]:
    """The occurrence of the run. The key of the ledger begins with schedule and instant: one look-up per line."""
    return and_(
        Occurrence.schedule_id == Run.schedule_id,
        Occurrence.scheduled_for == cast(Run.trigger_metadata["scheduledFor"].astext, DateTime(timezone=True)),
        Occurrence.id == Run.id,
    )
