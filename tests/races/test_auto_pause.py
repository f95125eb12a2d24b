"""Several schedulers look for failing workflows at once, while people change them: real commits in several threads."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import func, select

from domain.accounts.audit import AuditEntry
from domain.accounts.notifications import Notification
from domain.accounts.tenants import load
from domain.kernel.clock import database_now
from domain.kernel.db import db, transaction
from domain.publishing import pause_failing
from domain.workflows.workflows import Workflow
from tests.factories import a_published_workflow, a_run, a_schedule, a_tenant, a_user

SCHEDULERS = 6
ROUNDS = 5
SECONDS = 60


@pytest.fixture
def app(fresh_app: Flask) -> Flask:
    return fresh_app


def seed(app: Flask) -> tuple[UUID, UUID]:
    """A workflow with one schedule whose ten runs all failed; its tenant and itself."""
    with app.app_context(), transaction():
        acme = a_tenant()
        a_user(acme)
        workflow = a_published_workflow(acme, auto_pause_on_failure=True)
        a_schedule(workflow)
        for _ in range(10):
            a_run(workflow, "failed")
        return acme.id, workflow.id


def test_of_several_schedulers_one_pauses_it(app: Flask) -> None:
    tenant_id, workflow_id = seed(app)
    start = threading.Barrier(SCHEDULERS)

    def look(_number: int) -> int:
        with app.app_context():
            start.wait(SECONDS)
            with transaction():
                return pause_failing(database_now())

    for paused_before in range(ROUNDS):
        with ThreadPoolExecutor(SCHEDULERS) as pool:
            assert sum(pool.map(look, range(SCHEDULERS))) == 1
        with app.app_context(), transaction():
            assert db.session.scalars(select(func.count()).select_from(Notification)).one() == paused_before + 1
            assert db.session.scalars(select(func.count()).select_from(AuditEntry)).one() == paused_before + 1
            workflow = load(tenant_id, Workflow, workflow_id, lock="change")
            workflow.paused_at = workflow.pause_reason = None


def test_a_workflow_that_somebody_holds_is_left_to_the_next_time(app: Flask) -> None:
    tenant_id, workflow_id = seed(app)

    def look() -> int:
        with app.app_context(), transaction():
            db.session.execute(select(func.set_config("lock_timeout", "100ms", True)))
            return pause_failing(database_now())

    with ThreadPoolExecutor(1) as pool:
        with app.app_context(), transaction():
            load(tenant_id, Workflow, workflow_id, lock="change")
            assert pool.submit(look).result(SECONDS) == 0
        assert pool.submit(look).result(SECONDS) == 1
