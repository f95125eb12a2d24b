"""Rows of schedules that call an endpoint, of their runs and of the calls that these made. Call them inside an app context."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from domain.extensions.endpoints import ExtensionEndpoint
from domain.extensions.extensions import ExtensionVersion
from domain.extensions.installs import Install
from domain.kernel.db import db
from domain.kernel.ids import new_id
from domain.runs.invocations import Invocation
from domain.runs.runs import BY_HAND, CALL, FINISHED, QUEUED, Run
from domain.schedules.cursors import ScheduleCursor
from domain.schedules.schedules import Schedule
from tests.factories import NOW, an_endpoint


def endpoint_of(install: Install, called: str = "POST /api/sync") -> ExtensionEndpoint:
    """The endpoint of the installed version."""
    return an_endpoint(db.session.get_one(ExtensionVersion, install.version_id), called)


def a_call_schedule(
    install: Install, name: str = "Nightly call", called: str = "POST /api/sync", **values: Any
) -> Schedule:
    """Hourly in UTC, next at 11:00 of `NOW`'s day, unless told otherwise; an empty name: it has none of its own."""
    next_fire_at = values.pop("next_fire_at", NOW.replace(hour=11))
    endpoint = values.pop("endpoint", None) or endpoint_of(install, called)
    values = {
        "trigger_type": "recurring",
        "cron": "0 * * * *",
        "timezone": "UTC",
        "payload_json": None,
        "status": "active",
        "overlap": "skip",
    } | values
    if values["status"] == "paused":
        values.setdefault("paused_at", NOW)
    schedule = Schedule(
        tenant_id=install.tenant_id,
        target_kind="endpoint",
        install_id=install.id,
        endpoint_id=endpoint.id,
        name=name or called,
        is_named=bool(name),
        **values,
    )
    db.session.add(schedule)
    db.session.flush()
    cursor = ScheduleCursor(tenant_id=schedule.tenant_id, schedule_id=schedule.id)
    cursor.next_fire_at = next_fire_at
    cursor.wake_at = next_fire_at if values["status"] == "active" else None
    db.session.add(cursor)
    db.session.flush()
    return schedule


def a_call_run(install: Install, status: str = "succeeded", called: str = "POST /api/sync", **values: Any) -> Run:
    """A run of the endpoint of the installed version, by hand; one that ended took 1.2 seconds from `NOW` on."""
    if status != QUEUED:
        values = {"ready_at": NOW, "started_at": NOW} | values
    if status == "running":
        values.setdefault("claimed_by", new_id())
    if status in FINISHED:
        values.setdefault("finished_at", NOW + timedelta(seconds=1.2))
    values = {"started_by": BY_HAND, "input_json": None, "extension_version_id": install.version_id} | values
    run = Run(
        tenant_id=install.tenant_id,
        target_kind="endpoint",
        install_id=install.id,
        endpoint_id=endpoint_of(install, called).id,
        status=status,
        lane=CALL,
        **values,
    )
    db.session.add(run)
    db.session.flush()
    return run


def an_invocation(run: Run, status: str = "succeeded", attempt: int = 1, **values: Any) -> Invocation:
    """A call of an endpoint run that took 180 ms from `NOW` on and was answered 200, unless told otherwise."""
    install = db.session.get_one(Install, run.install_id)
    version = db.session.get_one(ExtensionVersion, run.extension_version_id)
    endpoint = db.session.get_one(ExtensionEndpoint, run.endpoint_id)
    if status != "started":
        values = {"finished_at": NOW + timedelta(milliseconds=180), "duration_ms": 180} | values
    if status == "succeeded":
        values = {"http_status": 200, "endpoint_status": 200} | values
    values = {"step_path": "root.steps[0]", "iteration": "", "trigger": "manual", "started_at": NOW} | values
    call = Invocation(
        tenant_id=run.tenant_id,
        run_id=run.id,
        attempt=attempt,
        install_id=install.id,
        extension_id=install.extension_id,
        version_id=version.id,
        content_hash=version.content_hash,
        schedule_id=run.schedule_id,
        method=endpoint.method,
        path=endpoint.path,
        idempotency_key=f"key-of-{run.id}",
        status=status,
        **values,
    )
    db.session.add(call)
    db.session.flush()
    return call
