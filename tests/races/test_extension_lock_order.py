"""Everybody at once on the schedules of one extension, while it is upgraded, held, taken out and installed anew: nobody
waits in a circle, no schedule is stranded, and the ledger adds up afterwards."""

from __future__ import annotations

import random
import time
from collections import Counter
from datetime import timedelta
from threading import Lock
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from domain.accounts.audit import Actor
from domain.execution import Worker
from domain.extensions.installs import install_extension
from domain.firing.bulk import ACTIONS, continue_bulk, start_bulk
from domain.firing.lifecycle import create_schedule, edit_schedule
from domain.kernel.clock import database_now
from domain.kernel.db import db, transacted, transaction
from domain.kernel.errors import NotFound
from domain.kernel.ids import new_id
from domain.runs.call_admission import admit_calls
from domain.runs.heartbeats import WORKER, beat
from domain.runs.launch import rerun
from domain.runs.reaping import reap_lost
from domain.runs.runs import CALL
from domain.runs.waking import wake_due
from domain.schedules.drafts import ScheduleDraft
from domain.upgrades import disable_install, enable_install, uninstall, upgrade_install
from tests.domain.engine.endpoint_runs import configure
from tests.domain.upgrades.scene import HEALTH, REPORT, SYNC
from tests.factories import a_tenant, an_actor, an_extension, an_extension_version, an_install
from tests.faults.fleet import Fleet, rows, scalar
from tests.faults.ticking import stored_violations
from tests.races.test_lock_order import INSIDE_A_GAP, MORE_THAN_A_BACKFILL_ALLOWS, SCHEDULES, Crowd
from tests.runners import LocalRunner

STRANDED = """
    SELECT s.id FROM schedules s
    JOIN extension_endpoints e ON e.id = s.endpoint_id
    JOIN installs i ON i.id = s.install_id
    WHERE s.deleted_at IS NULL AND (i.deleted_at IS NOT NULL OR (s.status <> 'paused' AND e.version_id <> i.version_id))
"""

# Of who finds nothing to do, so that everybody is there until the end.
PAUSE_SECONDS = 0.1


class Users(Crowd):
    """People, ticks and workers on what one tenant has of one extension. 1.0.0 has other endpoints than 2.0.0."""

    def __init__(self, fleet: Fleet) -> None:
        self.app = fleet.app
        self.start = scalar(fleet.app, "SELECT clock_timestamp()")
        with self.app.app_context(), transaction():
            tenant = a_tenant()
            self.actor: Actor = an_actor(tenant)
            extension = an_extension(tenant)
            called = {"1.0.0": [SYNC, HEALTH], "2.0.0": [HEALTH, REPORT]}
            versions = [an_extension_version(extension, *one) for one in called.items()]
            self.versions = [version.id for version in versions]
            self.extension_id = extension.id
            an_install(tenant, versions[0])
            for number in range(SCHEDULES):
                create_schedule(self.actor, self.draft(f"Schedule {number}", 0), database_now())
        self.outcomes: Counter[str] = Counter()
        self.failures: list[BaseException] = []
        self.lock = Lock()
        self.ticks = 0

    def draft(self, name: str, _workflow: int) -> ScheduleDraft:
        overlap = random.choice(["queue", "skip", "allow"])
        found = db.session.scalars(
            text("""
                SELECT e.id FROM extension_endpoints e JOIN installs i ON i.version_id = e.version_id
                WHERE i.deleted_at IS NULL ORDER BY random() LIMIT 1
            """)
        ).first()
        return ScheduleDraft(endpoint_id=found or new_id(), name=name, cron="*/5 * * * *", overlap=overlap)

    def schedule(self) -> Any:
        living = "SELECT id, revision, name FROM schedules WHERE deleted_at IS NULL ORDER BY random() LIMIT 1"
        return self.found(db.session.execute(text(living)).one_or_none())

    def install_id(self) -> UUID:
        installed: UUID = self.found(
            db.session.scalars(text("SELECT id FROM installs WHERE deleted_at IS NULL")).one_or_none()
        )
        return installed

    def found(self, one: Any) -> Any:
        """Whoever comes just after an uninstallation looks again a moment later: the others are making new ones."""
        if one is None:
            time.sleep(PAUSE_SECONDS)
            raise NotFound
        return one

    def edit(self) -> None:
        with transaction():
            now, one = self.now(), self.schedule()
            edit_schedule(self.actor, one.id, one.revision, self.draft(one.name, 0), now)

    def change_many(self) -> None:
        key = str(new_id())
        with transaction():
            chosen = db.session.scalars(text("SELECT id FROM schedules WHERE deleted_at IS NULL")).all()
            start_bulk(self.actor, random.choice([one for one in ACTIONS if one != "delete"]), chosen, key)
        with transaction():
            continue_bulk(self.actor, key, self.now())

    def repeat(self) -> None:
        with transaction():
            ended = "SELECT id FROM runs WHERE finished_at IS NOT NULL ORDER BY random() LIMIT 1"
            found = db.session.scalars(text(ended)).first()
            if found is not None:
                rerun(self.actor, found, str(new_id()), self.now())

    def upgrade(self) -> None:
        with transaction():
            version_id = random.choice(self.versions)
            upgrade_install(self.actor, self.install_id(), version_id, self.now(), disable_missing=True)

    def hold(self) -> None:
        with transaction():
            disable_install(self.actor, self.install_id(), "", self.now())
        with transaction():
            enable_install(self.actor, self.install_id(), self.now())

    def take_out_and_install(self) -> None:
        time.sleep(PAUSE_SECONDS)
        if random.random() < 0.9:
            return
        with transaction():
            uninstall(self.actor, self.install_id(), self.now())
        with transaction():
            install_extension(self.actor, self.extension_id, random.choice(self.versions), [], {}, self.now())

    def add(self) -> None:
        """Until there are enough again."""
        time.sleep(PAUSE_SECONDS)
        with transaction():
            living = db.session.scalar(text("SELECT count(*) FROM schedules WHERE deleted_at IS NULL"))
            if living is not None and living < SCHEDULES:
                create_schedule(self.actor, self.draft(f"New {new_id()}", 0), self.now())

    def work(self) -> None:
        worker = Worker(new_id(), 600)
        with transaction():
            beat(worker.id, WORKER, "test", 1, "test", 60)
        if not worker.work(CALL):
            time.sleep(PAUSE_SECONDS)

    def reap(self) -> None:
        with transaction():
            reap_lost(database_now())
        with transaction():
            wake_due(database_now() + timedelta(minutes=10))
        transacted(lambda: admit_calls(database_now()))


def test_nobody_waits_in_a_circle_around_an_install(
    fleet: Fleet, runner: LocalRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch, runner.settings(), run_now_per_minute=100_000, schedules_per_install=500)
    crowd = Users(fleet)
    people = [
        crowd.edit,
        crowd.pause_and_resume,
        crowd.pause_and_resume,
        crowd.skip_and_unskip,
        crowd.backfill_and_cancel,
        crowd.run_now,
        crowd.change_many,
        crowd.replace,
        crowd.repeat,
        crowd.upgrade,
        crowd.hold,
        crowd.take_out_and_install,
        crowd.add,
        crowd.add,
    ]
    machines = [crowd.tick, crowd.tick, crowd.cancel, crowd.work, crowd.work, crowd.reap]
    crowd.crowd_in([*people, *machines])
    assert [str(failure) for failure in crowd.failures] == []
    done = {name.partition(":")[0] for name in crowd.outcomes if ":" not in name}
    assert done == {act.__name__ for act in (*people, *machines)}, crowd.outcomes
    assert scalar(fleet.app, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == 0
    # As in the other race of all locks: the clock flies.
    assert stored_violations(fleet.app) == set()
    for wrong in (STRANDED, INSIDE_A_GAP, MORE_THAN_A_BACKFILL_ALLOWS):
        assert rows(fleet.app, wrong) == []
    assert scalar(fleet.app, "SELECT count(*) FROM occurrences WHERE outcome = 'fired' AND origin_key = 'timing'") > 0
    assert scalar(fleet.app, "SELECT count(*) FROM invocations") > 0
