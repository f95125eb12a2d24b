"""Runs of endpoints in one process, against the real runner: what the scheduler and a worker would do."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from domain.execution import Worker
from domain.extensions import settings
from domain.extensions.extensions import Extension, ExtensionVersion
from domain.extensions.installs import Install
from domain.extensions.settings import Limits, Runner
from domain.kernel import clock
from domain.kernel.db import db
from domain.kernel.ids import new_id
from domain.runs.call_admission import admit_calls
from domain.runs.invocations import Invocation
from domain.runs.runs import CALL, QUEUED, Run
from domain.runs.waking import wake_due
from tests.calls import a_call_run
from tests.factories import a_tenant, an_extension, an_extension_version, an_install

MOST = {
    "schedules_per_install": 50,
    "schedules_per_tenant": 500,
    "min_interval_seconds": 300,
    "run_now_per_minute": 5,
    "payload_max_bytes": 100_000,
    "calls_per_install": 4,
    "calls_per_tenant": 16,
}


def configure(monkeypatch: pytest.MonkeyPatch, runner: Runner | None, **limits: int) -> None:
    """What this process knows of the runner and the limits, for the test."""
    monkeypatch.setattr(settings, "_settings", settings._Settings(runner, Limits(**MOST | limits)))


def an_installed(slug: str = "acme", **values: Any) -> Install:
    """Every capability of its version granted, in a tenant of its own."""
    tenant = a_tenant(slug)
    extension = an_extension(tenant)
    asked = ["cap:secrets.get", "cap:http.fetch"]
    version = an_extension_version(extension, capabilities=asked)
    return an_install(tenant, version, **{"capabilities": asked, "config": {"region": "eu"}} | values)


def a_newer_version(install: Install, endpoints: list[dict[str, Any]]) -> ExtensionVersion:
    """Another version of the installed extension, installed."""
    newer = an_extension_version(db.session.get_one(Extension, install.extension_id), "2.0.0", endpoints)
    install.version_id = newer.id
    db.session.flush()
    return newer


def a_waiting_call(install: Install, payload: Any = None, **values: Any) -> Run:
    return a_call_run(install, QUEUED, input_json=payload, **values)


def work(worker: Worker | None = None) -> None:
    """Admit and execute until nothing can be done now."""
    worker = worker or Worker(new_id(), run_deadline_seconds=600)
    db.session.commit()
    for _ in range(50):
        admitted = admit_calls(clock.database_now())
        db.session.commit()
        if not worker.work(CALL) and not admitted:
            return
    raise AssertionError("there is no end to it")


def work_later(seconds: float) -> None:
    """Wake what is due by then, and work."""
    assert wake_due(clock.database_now() + timedelta(seconds=seconds))
    work()


def fresh(run_id: Any) -> Run:
    return db.session.get_one(Run, run_id, populate_existing=True)


def invocations(run_id: Any) -> list[Invocation]:
    query = select(Invocation).where(Invocation.run_id == run_id).order_by(Invocation.id)
    return list(db.session.scalars(query.execution_options(populate_existing=True)))
