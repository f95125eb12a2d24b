"""An install at a version that has two endpoints one can schedule, and the schedules that call them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from domain.accounts.audit import AuditEntry
from domain.extensions.endpoints import ExtensionEndpoint
from domain.extensions.extensions import ExtensionVersion
from domain.extensions.installs import Install
from domain.kernel.db import db
from domain.schedules.cursors import ScheduleCursor
from domain.schedules.schedules import Schedule
from tests.calls import a_call_schedule
from tests.factories import NOW

SYNC, HEALTH, REPORT = "POST /api/sync", "GET /api/health", "POST /api/report"
ELEVEN = NOW.replace(hour=11)
NEEDS_REGION = {"type": "object", "properties": {"region": {"type": "string"}}, "required": ["region"]}


def declared(called: str, schema: Any = None) -> dict[str, Any]:
    """An endpoint of a manifest."""
    method, _, path = called.partition(" ")
    return {"method": method, "path": path, "handler": "dist/main"} | ({"requestSchema": schema} if schema else {})


def endpoint(version: ExtensionVersion, called: str) -> ExtensionEndpoint:
    method, _, path = called.partition(" ")
    query = select(ExtensionEndpoint).filter_by(version_id=version.id, method=method, path=path)
    return db.session.scalars(query).one()


def calling(install: Install, called: str = SYNC, name: str | None = None, **values: Any) -> Schedule:
    """A schedule of an endpoint of the installed version, hourly, next at 11:00; looked at when its status wants it."""
    if values.get("status") == "invalid":
        values.setdefault("invalid_reason", "it does not fit")
    schedule = a_call_schedule(install, name or "", called, **values)
    cursor = db.session.get_one(ScheduleCursor, schedule.id)
    cursor.wake_at = ELEVEN if schedule.status in ("active", "invalid") else schedule.paused_until
    db.session.flush()
    return schedule


def stored(schedule: Schedule) -> Schedule:
    query = select(Schedule).where(Schedule.id == schedule.id)
    return db.session.scalars(query.execution_options(populate_existing=True)).one()


def called_by(schedule: Schedule) -> tuple[str, str]:
    """The version and the endpoint that the schedule calls."""
    query = (
        select(ExtensionVersion.version, ExtensionEndpoint)
        .join(ExtensionEndpoint, ExtensionEndpoint.version_id == ExtensionVersion.id)
        .where(ExtensionEndpoint.id == stored(schedule).endpoint_id)
    )
    version, found = db.session.execute(query).one()
    return version, found.called


def cursor_of(schedule: Schedule) -> ScheduleCursor:
    query = select(ScheduleCursor).where(ScheduleCursor.schedule_id == schedule.id)
    return db.session.scalars(query.execution_options(populate_existing=True)).one()


def audited(action: str) -> list[AuditEntry]:
    return list(db.session.scalars(select(AuditEntry).where(AuditEntry.action == action).order_by(AuditEntry.id)))
