"""Many schedules are paused at once while the tick fires them, and the same request comes twice."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import pytest
from flask import Flask
from sqlalchemy import func, select

from domain.accounts.audit import Actor, AuditEntry
from domain.firing.bulk import PAUSE, UNDO, bulk_so_far, continue_bulk, start_bulk, start_undo
from domain.firing.tick import fire_due
from domain.kernel.clock import database_now
from domain.kernel.db import db, transacted, transaction
from domain.schedules.occurrences import Occurrence
from domain.schedules.schedules import Schedule
from tests.factories import a_published_workflow, a_schedule, a_tenant

SCHEDULES = 60
SECONDS = 60


@pytest.fixture
def app(fresh_app: Flask) -> Flask:
    return fresh_app


def test_each_is_paused_once_and_no_instant_is_decided_twice(app: Flask) -> None:
    with app.app_context(), transaction():
        acme = a_tenant()
        workflow = a_published_workflow(acme)
        due = database_now().replace(second=0, microsecond=0) - timedelta(minutes=1)
        ids = [a_schedule(workflow, f"S{number}", cron="* * * * *", next_fire_at=due).id for number in range(SCHEDULES)]
        actor = Actor(acme.id)
    start = threading.Barrier(4)

    def pause(_number: int) -> None:
        with app.app_context():
            start.wait(SECONDS)
            transacted(partial(start_bulk, actor, PAUSE, ids, "k", "stock-taking"))
            while transacted(partial(continue_bulk, actor, "k", database_now())).left:
                pass

    def tick(_number: int) -> None:
        with app.app_context():
            start.wait(SECONDS)
            for _ in range(30):
                transacted(lambda: fire_due(database_now(), 7))

    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(pause, 1), pool.submit(pause, 2), pool.submit(tick, 1), pool.submit(tick, 2)]
        for job in jobs:
            job.result(SECONDS)

    with app.app_context():
        assert len(bulk_so_far(actor.tenant_id, "k").done) == SCHEDULES
        paused = select(func.count()).where(AuditEntry.action == "schedule.paused")
        assert db.session.scalar(paused) == SCHEDULES
        assert set(db.session.scalars(select(Schedule.status))) == {"paused"}
        # Whoever came first, the tick or the pause: what was due before the pause was decided once.
        decided = select(Occurrence.schedule_id).where(Occurrence.scheduled_for == due)
        assert sorted(db.session.scalars(decided)) == sorted(ids)
        with transaction():
            assert start_undo(actor, "k").action == UNDO
        while transacted(partial(continue_bulk, actor, "undo:k", database_now())).left:
            pass
        db.session.expire_all()
        assert set(db.session.scalars(select(Schedule.status))) == {"active"}
