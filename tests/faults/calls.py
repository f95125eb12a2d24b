"""What fault tests of calls begin with: a fleet that knows a runner, an install, and runs of its endpoint."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Flask

from domain.extensions.installs import Install
from domain.kernel.clock import database_now
from domain.kernel.db import db, transaction
from domain.kernel.ids import new_id
from tests.calls import a_call_run, a_call_schedule
from tests.factories import a_tenant, an_extension, an_extension_version, an_install
from tests.faults.fleet import Fleet, rows
from tests.runners import LocalRunner


def know_runner(fleet: Fleet, runner: LocalRunner, **env: Any) -> None:
    """Processes started from now on ask this runner."""
    fleet.env |= runner.env | {name: str(value) for name, value in env.items()}


def seed_install(app: Flask, slug: str = "acme") -> UUID:
    """A tenant with one installed extension; answers the install's id."""
    with app.app_context(), transaction():
        tenant = a_tenant(slug)
        return an_install(tenant, an_extension_version(an_extension(tenant))).id


def seed_calls(app: Flask, install_id: UUID, count: int, payload: Any = None) -> list[UUID]:
    """`count` waiting calls by hand; the ids of their runs."""
    with app.app_context(), transaction():
        install = db.session.get_one(Install, install_id)
        return [a_call_run(install, "queued", input_json=payload).id for _ in range(count)]


def seed_fires(app: Flask, install_id: UUID, count: int, payload: Any = None, **values: Any) -> list[UUID]:
    """`count` schedules that fire once, now; their ids."""
    with app.app_context(), transaction():
        install, now = db.session.get_one(Install, install_id), database_now().replace(microsecond=0)
        once = {"trigger_type": "schedule", "cron": None, "run_at": now, "next_fire_at": now, "payload_json": payload}
        return [a_call_schedule(install, f"Call {new_id()}", **once | values).id for _ in range(count)]


def outcomes(app: Flask) -> list[tuple[str, str | None]]:
    """(status, code) of every call on record, in order."""
    return [tuple(row) for row in rows(app, "SELECT status, error_code FROM invocations ORDER BY id")]
