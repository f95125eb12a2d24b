"""Imports of schedules that meet each other, and what happens to schedules meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from domain.accounts.audit import Actor
from domain.bundles.reading import BundleRefused
from domain.bundles.schedule_importing import ScheduleImport, import_schedules
from domain.firing.lifecycle import create_schedule, pause_schedule, resume_schedule
from domain.firing.tick import fire_due
from domain.kernel import clock
from domain.kernel.db import db, transaction
from domain.kernel.errors import Refused
from domain.schedules.drafts import ScheduleDraft
from domain.schedules.occurrences import Occurrence
from domain.schedules.schedules import Schedule
from domain.workflows.workflows import Workflow
from tests.domain.bundles.schedule_files import HOURLY, a_bundle, an_item
from tests.factories import a_published_workflow, a_schedule, a_tenant, an_actor
from tests.races.together import together
from tests.servers import config_for, make_app

ROUNDS = 10
DAILY = {**HOURLY, "cron": "0 9 * * *"}


@pytest.fixture
def app(fresh_database: str, fresh_redis: str) -> Iterator[Flask]:
    app = make_app(config_for(fresh_database, fresh_redis))
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def alice(app: Flask) -> Actor:
    with app.app_context(), transaction():
        tenant = a_tenant("acme")
        a_published_workflow(tenant)
        return an_actor(tenant)


def actions(done: Any) -> list[str]:
    assert isinstance(done, ScheduleImport), done
    return [entry.action for entry in done.entries]


def now() -> datetime:
    return clock.database_now()


def workflow_id() -> Any:
    return db.session.scalars(select(Workflow.id)).one()


def test_two_imports_of_one_file_make_each_schedule_once(app: Flask, alice: Actor) -> None:
    for number in range(ROUNDS):
        bundle = a_bundle(*(an_item(f"{number} {part}") for part in ("a", "b", "c")))
        answers = together(app, *[lambda bundle=bundle: import_schedules(alice, bundle, now())] * 3)
        assert sorted(map(actions, answers)) == [["create"] * 3, ["unchanged"] * 3, ["unchanged"] * 3]
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Schedule)) == 3 * ROUNDS


def test_an_import_and_somebody_who_takes_the_key_leave_one_winner_and_one_refusal(app: Flask, alice: Actor) -> None:
    for number in range(ROUNDS):
        key = f"key {number}"
        bundle = a_bundle(an_item(key), an_item(f"beside {number}"))

        def make(key: str = key) -> Schedule:
            draft = ScheduleDraft(workflow_id(), f"By hand {key}", cron="0 9 * * *", external_key=key)
            return create_schedule(alice, draft, now())

        imported, made = together(app, lambda bundle=bundle: import_schedules(alice, bundle, now()), make)
        with app.app_context():
            keys = set(db.session.scalars(select(Schedule.external_key).where(Schedule.name.contains(str(number)))))
        if isinstance(made, Refused):
            assert actions(imported) == ["create", "create"]
        elif isinstance(imported, BundleRefused):
            assert [problem.code for problem in imported.problems] == ["EXTERNAL_KEY_TAKEN"]
            assert f"beside {number}" not in keys
        else:
            assert actions(imported) == ["update", "create"]
        assert key in keys


def test_one_that_is_paused_beside_the_import_is_paused_after_both(app: Flask, alice: Actor) -> None:
    with app.app_context(), transaction():
        workflow = db.session.scalars(select(Workflow)).one()
        ids = [a_schedule(workflow, f"The {number} sync", external_key=str(number)).id for number in range(ROUNDS)]
    for number, schedule_id in enumerate(ids):
        bundle = a_bundle(an_item(str(number), timing=DAILY))
        imported, paused = together(
            app,
            lambda bundle=bundle: import_schedules(alice, bundle, now()),
            lambda schedule_id=schedule_id: pause_schedule(alice, schedule_id, "Holidays", now()),
        )
        assert actions(imported) == ["update"]
        assert isinstance(paused, Schedule), paused
    with app.app_context():
        rows = db.session.execute(select(Schedule.status, Schedule.cron, Schedule.pause_reason).distinct()).all()
        assert [tuple(row) for row in rows] == [("paused", "0 9 * * *", "Holidays")]


def test_an_import_and_an_action_on_many_take_their_locks_in_one_order(app: Flask, alice: Actor) -> None:
    """Else one of them ends as a deadlock, which is no refusal and fails this."""
    count = 20
    with app.app_context(), transaction():
        workflow = db.session.scalars(select(Workflow)).one()
        ids = [a_schedule(workflow, f"The {number} sync", external_key=str(number)).id for number in range(count)]
    for turn in range(ROUNDS):
        steer = resume_schedule if turn % 2 else partial(pause_schedule, reason="")
        timing = DAILY if turn % 2 else HOURLY
        back = a_bundle(
            *(an_item(str(number), timing=timing, name=f"Turn {turn}: {number}") for number in range(count)[::-1])
        )
        imported, steered, fired = together(
            app,
            lambda back=back: import_schedules(alice, back, now()),
            lambda steer=steer: [steer(alice, schedule_id, now=now()).status for schedule_id in sorted(ids)],
            lambda: fire_due(now()),
        )
        assert actions(imported) == ["update"] * count
        assert steered == [("active" if turn % 2 else "paused")] * count
        assert isinstance(fired, int)
    with app.app_context():
        at_once = select(Occurrence.schedule_id).group_by(Occurrence.schedule_id, Occurrence.scheduled_for)
        assert db.session.execute(at_once.having(func.count() > 1)).all() == []
        assert set(db.session.scalars(select(Schedule.status))) == {"active"}
