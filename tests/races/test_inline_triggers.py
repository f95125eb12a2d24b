"""Two people migrate the time triggers of one workflow at the same time: one schedule, and both are told the truth."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import select

from domain.accounts.audit import Actor
from domain.kernel import clock
from domain.kernel.db import db, transaction
from domain.publishing.inline_triggers import migrate_time_triggers
from domain.schedules.schedules import Schedule
from tests.factories import a_published_workflow, a_tenant, an_actor

AT_ONCE, ROUNDS = 4, 10


@pytest.fixture
def app(fresh_app: Flask) -> Flask:
    return fresh_app


def test_migrating_at_the_same_time_makes_one_schedule(app: Flask) -> None:
    with app.app_context(), transaction():
        tenant = a_tenant("acme")
        actor = an_actor(tenant)
        workflows = [a_published_workflow(tenant, f"Sync {number}") for number in range(ROUNDS)]
        for workflow in workflows:
            workflow.draft_trigger = {"type": "recurring", "cron": "0 9 * * *", "timezone": "UTC"}
        ids = [workflow.id for workflow in workflows]
    together = Barrier(AT_ONCE)

    def migrate(_number: int) -> list[int]:
        return [migrated(app, actor, workflow_id, together) for workflow_id in ids]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        counts = list(pool.map(migrate, range(AT_ONCE)))
    assert [sum(one) for one in zip(*counts, strict=True)] == [1] * ROUNDS
    with app.app_context():
        assert sorted(db.session.scalars(select(Schedule.workflow_id))) == sorted(ids)


def migrated(app: Flask, actor: Actor, workflow_id: UUID, together: Barrier) -> int:
    """How many schedules this one of them made."""
    together.wait(timeout=30)
    with app.app_context(), transaction():
        return len(migrate_time_triggers(actor, workflow_id, clock.database_now()).adopted)
