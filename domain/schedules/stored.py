"""A schedule as it is stored, deleted ones included: they stay readable."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import select, union_all

from domain.extensions.endpoints import ExtensionEndpoint
from domain.extensions.extensions import Extension, ExtensionVersion
from domain.extensions.installs import Install
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


def target_names(tenant_id: UUID, ids: Collection[UUID]) -> dict[str, str]:
    """What workflows, installs (their extension) and endpoints are called, by their ids as text; what is gone included."""
    workflows = select(Workflow.id, Workflow.name).where(Workflow.tenant_id == tenant_id, Workflow.id.in_(ids))
    installs = (
        select(Install.id, Extension.name)
        .join(Extension, Extension.id == Install.extension_id)
        .where(Install.tenant_id == tenant_id, Install.id.in_(ids))
    )
    # Only those of extensions that the tenant installs or has installed.
    endpoints = (
        select(ExtensionEndpoint.id, ExtensionEndpoint.method + " " + ExtensionEndpoint.path)
        .join(ExtensionVersion, ExtensionVersion.id == ExtensionEndpoint.version_id)
        .join(Install, Install.extension_id == ExtensionVersion.extension_id)
        .where(Install.tenant_id == tenant_id, ExtensionEndpoint.id.in_(ids))
    )
    return {str(row[0]): row[1] for row in db.session.execute(union_all(workflows, installs, endpoints))}
