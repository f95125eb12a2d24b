"""Installs that are upgraded, held and removed while others bind schedules to them and ticks fire: real commits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import func, select, text

from domain.accounts.audit import Actor, AuditEntry
from domain.extensions.endpoints import ExtensionEndpoint
from domain.extensions.extensions import ExtensionVersion
from domain.extensions.installs import Install
from domain.firing.lifecycle import create_schedule, delete_schedule, resume_schedule
from domain.firing.tick import fire_due
from domain.kernel.clock import database_now
from domain.kernel.db import db, transaction
from domain.kernel.errors import Conflict, DomainError, Held, NotFound, Refused
from domain.runs.runs import Run
from domain.schedules.cursors import ScheduleCursor
from domain.schedules.drafts import ScheduleDraft
from domain.schedules.schedules import Schedule
from domain.upgrades import (
    RemapFailed,
    Upgraded,
    disable_install,
    enable_install,
    uninstall,
    upgrade_install,
    upgrade_plan,
)
from domain.upgrades.version_removal import DeletedVersion, delete_version
from tests import servers
from tests.domain.upgrades.scene import HEALTH, REPORT, SYNC, endpoint
from tests.factories import a_tenant, an_actor, an_extension, an_extension_version, an_install
from tests.faults.fleet import wait_until
from tests.races.together import together

TWICE = "SELECT schedule_id, scheduled_for FROM occurrences GROUP BY 1, 2 HAVING count(*) > 1"
STRANDED = """
    SELECT s.id FROM schedules s
    JOIN extension_endpoints e ON e.id = s.endpoint_id
    JOIN installs i ON i.id = s.install_id
    WHERE s.deleted_at IS NULL AND s.status <> 'paused' AND e.version_id <> i.version_id
"""


class Scene:
    """1.0.0 has SYNC and HEALTH, 2.0.0 only HEALTH and REPORT, 3.0.0 all of them; 1.0.0 is installed."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        with app.app_context(), transaction():
            acme = a_tenant()
            self.actor: Actor = an_actor(acme)
            extension = an_extension(acme)
            self.extension_id = extension.id
            called = {"1.0.0": [SYNC, HEALTH], "2.0.0": [HEALTH, REPORT], "3.0.0": [SYNC, HEALTH, REPORT]}
            versions = [an_extension_version(extension, number, endpoints) for number, endpoints in called.items()]
            self.first, self.second, self.third = (version.id for version in versions)
            self.sync, self.health = (endpoint(versions[0], one).id for one in (SYNC, HEALTH))
            self.install_id = an_install(acme, versions[0]).id

    def create(self, name: str, endpoint_id: UUID | None = None) -> Callable[[], UUID]:
        target = endpoint_id or self.sync
        draft = ScheduleDraft(endpoint_id=target, name=name, cron="*/5 * * * *", timezone="UTC", payload=None)
        return lambda: create_schedule(self.actor, draft, database_now()).id

    def upgrade(self, version_id: UUID, **options: Any) -> Callable[[], Upgraded]:
        return lambda: upgrade_install(self.actor, self.install_id, version_id, database_now(), **options)

    def made(self, *acts: Callable[[], UUID]) -> list[UUID]:
        with self.app.app_context(), transaction():
            return [act() for act in acts]

    def rows(self, statement: str) -> list[Any]:
        with self.app.app_context():
            return [tuple(row) for row in db.session.execute(text(statement))]

    def version_of_install(self) -> UUID:
        with self.app.app_context():
            return db.session.scalars(select(Install.version_id)).one()


@pytest.fixture
def scene(fresh_database: str, redis_url: str) -> Iterator[Scene]:
    runner = {"runner_url": "http://127.0.0.1:9", "runner_token": "t" * 32, "runner_key": "k" * 32}
    app = servers.make_app(replace(servers.config_for(fresh_database, redis_url), **runner))
    yield Scene(app)
    with app.app_context():
        db.engine.dispose()


def test_a_schedule_created_while_its_install_is_upgraded_is_never_stranded(scene: Scene) -> None:
    creators = [scene.create(f"Sync {number}") for number in range(9)]

    answers = together(scene.app, *creators, scene.upgrade(scene.second, disable_missing=True))

    assert all(isinstance(answer, UUID | Refused) for answer in answers[:-1])
    made = sum(isinstance(answer, UUID) for answer in answers)
    assert answers[-1].disabled == made
    assert scene.rows("SELECT DISTINCT status FROM schedules") == ([("paused",)] if made else [])
    assert scene.rows(STRANDED) == []


def test_without_an_answer_either_all_schedules_move_or_nothing_changes(scene: Scene) -> None:
    creators = [scene.create(f"Sync {number}") for number in range(9)]

    answers = together(scene.app, *creators, scene.upgrade(scene.second))

    made = [answer for answer in answers if isinstance(answer, UUID)]
    if isinstance(answers[-1], RemapFailed):
        assert {one.schedule_id for one in answers[-1].missing} <= set(made)
        assert scene.version_of_install() == scene.first
    else:
        assert (made, scene.version_of_install()) == ([], scene.second)
    assert scene.rows(STRANDED) == []


def test_a_refused_upgrade_leaves_nothing_behind(scene: Scene) -> None:
    scene.made(scene.create("Sync"), scene.create("Health", scene.health))
    before = scene.rows("SELECT id, endpoint_id, status, revision FROM schedules ORDER BY id")
    with scene.app.app_context():
        recorded = db.session.scalar(select(func.count()).select_from(AuditEntry))

    (refused,) = together(scene.app, scene.upgrade(scene.second))

    assert isinstance(refused, RemapFailed)
    assert scene.rows("SELECT id, endpoint_id, status, revision FROM schedules ORDER BY id") == before
    assert scene.version_of_install() == scene.first
    with scene.app.app_context():
        assert db.session.scalar(select(func.count()).select_from(AuditEntry)) == recorded


def test_of_several_people_who_agreed_to_the_same_plan_one_upgrades(scene: Scene) -> None:
    scene.made(*(scene.create(f"Sync {number}") for number in range(5)))
    with scene.app.app_context():
        seen = upgrade_plan(scene.actor.tenant_id, scene.install_id, scene.third).fingerprint

    answers = together(scene.app, *[scene.upgrade(scene.third, fingerprint=seen)] * 5)

    assert Counter(type(answer) for answer in answers) == {Upgraded: 1, Conflict: 4}
    assert scene.rows("SELECT action, count(*) FROM audit_entries WHERE action LIKE '%ed' GROUP BY 1 ORDER BY 1") == [
        ("install.upgraded", 1),
        ("schedule.created", 5),
        ("schedule.remapped", 5),
    ]


def test_two_upgrades_to_different_versions_take_turns(scene: Scene) -> None:
    scene.made(*(scene.create(f"Sync {number}") for number in range(5)))

    answers = together(
        scene.app,
        scene.upgrade(scene.second, disable_missing=True),
        scene.upgrade(scene.third),
        scene.upgrade(scene.first),
    )

    assert all(isinstance(answer, Upgraded) for answer in answers)
    assert scene.rows(STRANDED) == []
    with scene.app.app_context():
        bound = select(ExtensionEndpoint.version_id).join(Schedule, Schedule.endpoint_id == ExtensionEndpoint.id)
        versions = set(db.session.scalars(bound))
    if scene.version_of_install() != scene.second:
        assert versions == {scene.version_of_install()}


def test_resuming_beside_an_upgrade_wakes_nothing_that_has_no_endpoint(scene: Scene) -> None:
    ids = scene.made(*(scene.create(f"Sync {number}") for number in range(6)))
    with scene.app.app_context(), transaction():
        db.session.execute(text("UPDATE schedules SET status = 'paused', paused_at = clock_timestamp()"))
        db.session.execute(text("UPDATE schedule_cursors SET wake_at = NULL"))

    answers = together(
        scene.app,
        *(lambda one=one: resume_schedule(scene.actor, one, database_now()).id for one in ids),
        scene.upgrade(scene.second, disable_missing=True),
    )

    assert isinstance(answers[-1], Upgraded)
    assert all(isinstance(answer, UUID | Held | Conflict) for answer in answers[:-1])
    assert scene.rows("SELECT DISTINCT status FROM schedules") == [("paused",)]
    assert scene.rows("SELECT count(*) FROM schedule_cursors WHERE wake_at IS NOT NULL") == [(0,)]


def test_ticks_beside_upgrades_decide_every_instant_once(scene: Scene) -> None:
    scene.made(*(scene.create(f"Sync {number}") for number in range(6)), scene.create("Health", scene.health))
    with scene.app.app_context():
        start = database_now()

    def keep_at(act: Callable[[datetime], Any]) -> Callable[[], list[str]]:
        def rounds() -> list[str]:
            refusals = []
            for number in range(1, 16):
                try:
                    with transaction():
                        act(start + timedelta(minutes=5 * number))
                except DomainError as refusal:
                    refusals.append(type(refusal).__name__)
            return refusals

        return rounds

    def there_and_back(now: datetime) -> None:
        upgrade_install(scene.actor, scene.install_id, scene.third, now)
        upgrade_install(scene.actor, scene.install_id, scene.first, now)

    def hold(now: datetime) -> None:
        disable_install(scene.actor, scene.install_id, "", now)
        enable_install(scene.actor, scene.install_id, now)

    # Each round is a transaction of its own: `together` would make one of all.
    answers = _at_once(scene.app, keep_at(fire_due), keep_at(fire_due), keep_at(there_and_back), keep_at(hold))

    assert answers[2:] == [[], []]
    assert scene.rows(TWICE) == []
    with scene.app.app_context(), transaction():
        while fire_due(start + timedelta(minutes=5 * 15)):
            pass
    decided = dict(scene.rows("SELECT schedule_id, sum(coalesce(count, 1)) FROM occurrences GROUP BY 1"))
    assert set(decided.values()) == {15}
    with scene.app.app_context():
        fired = "SELECT count(*) FROM occurrences WHERE outcome = 'fired'"
        assert db.session.scalar(select(func.count()).select_from(Run)) == db.session.scalar(text(fired))
        deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        assert db.session.scalar(text(deadlocks)) == 0
    assert scene.rows(STRANDED) == []


def test_a_schedule_created_while_its_install_is_uninstalled_ends_with_it(scene: Scene) -> None:
    answers = together(
        scene.app,
        *(scene.create(f"Sync {number}") for number in range(9)),
        lambda: uninstall(scene.actor, scene.install_id, database_now()),
    )

    assert answers[-1].schedules == sum(isinstance(answer, UUID) for answer in answers[:-1])
    assert all(isinstance(answer, UUID | Refused | NotFound) for answer in answers[:-1])
    with scene.app.app_context():
        assert db.session.scalar(select(func.count()).where(Schedule.deleted_at.is_(None))) == 0
        assert db.session.scalar(select(func.count()).where(ScheduleCursor.wake_at.is_not(None))) == 0


def test_a_schedule_that_is_deleted_while_its_install_is_uninstalled_ends_once(scene: Scene) -> None:
    schedule_id, _ = scene.made(scene.create("Sync"), scene.create("Other"))
    held = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"

    def take_out() -> int:
        with scene.app.app_context(), transaction():
            return uninstall(scene.actor, scene.install_id, database_now()).schedules

    with ThreadPoolExecutor(1) as pool:
        with scene.app.app_context(), transaction():
            delete_schedule(scene.actor, schedule_id, database_now())
            uninstalling = pool.submit(take_out)
            wait_until(lambda: scene.rows(held) == [(1,)], "it waits for the cursor")
        assert uninstalling.result(60) == 1

    ended = "SELECT count(*) FROM audit_entries WHERE action = 'schedule.deleted' GROUP BY subject_id"
    assert scene.rows(ended) == [(1,), (1,)]


def test_a_version_is_installed_or_deleted_never_both(scene: Scene) -> None:
    tenant_id = scene.actor.tenant_id

    answers = together(
        scene.app,
        scene.upgrade(scene.third),
        lambda: delete_version(scene.actor, tenant_id, scene.extension_id, scene.third),
    )

    upgraded, deleted = answers
    with scene.app.app_context():
        is_there = db.session.get(ExtensionVersion, scene.third) is not None
    if isinstance(upgraded, Upgraded):
        assert (is_there, isinstance(deleted, Held), scene.version_of_install()) == (True, True, scene.third)
    else:
        assert isinstance(upgraded, NotFound)
        assert (is_there, isinstance(deleted, DeletedVersion), scene.version_of_install()) == (False, True, scene.first)


def _at_once(app: Flask, *acts: Callable[[], Any]) -> list[Any]:
    def run(act: Callable[[], Any]) -> Any:
        with app.app_context():
            return act()

    with ThreadPoolExecutor(len(acts)) as pool:
        return [future.result(100) for future in [pool.submit(run, act) for act in acts]]
