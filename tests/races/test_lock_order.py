"""Everybody at once on the same few rows: nobody waits in a circle, and the ledger adds up afterwards."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text

from domain.accounts.audit import Actor
from domain.accounts.tenants import Tenant
from domain.execution import Worker
from domain.firing.backfilling import cancel_backfill, start_backfill
from domain.firing.lifecycle import create_schedule, delete_schedule, edit_schedule, pause_schedule, resume_schedule
from domain.firing.run_now import run_schedule_now
from domain.firing.skipping import skip_next, unskip_next
from domain.firing.tick import fire_due, settle
from domain.kernel import clock
from domain.kernel.db import db, transaction
from domain.kernel.errors import DomainError
from domain.kernel.ids import new_id
from domain.publishing import pause_workflow, publish_workflow, resume_workflow
from domain.runs.admission import admit_waiting
from domain.runs.heartbeats import beat
from domain.runs.launch import cancel_run
from domain.runs.reaping import reap_lost
from domain.runs.runs import PURE
from domain.schedules.drafts import ScheduleDraft
from domain.workflows.workflows import Workflow
from tests.factories import a_version, a_workflow
from tests.faults.fleet import Fleet, rows, scalar
from tests.faults.seeds import PURE_STEPS, seed_workflow
from tests.faults.ticking import stored_violations

ROUNDS = 60
INSIDE_A_GAP = """
    SELECT a.schedule_id, a.scheduled_for, a.through, b.scheduled_for FROM occurrences a
    JOIN occurrences b ON a.schedule_id = b.schedule_id AND a.origin_key = b.origin_key AND b.id <> a.id
    WHERE a.origin_key = 'timing' AND b.scheduled_for BETWEEN a.scheduled_for AND a.through
"""
MORE_THAN_A_BACKFILL_ALLOWS = """
    SELECT b.id FROM backfills b JOIN runs r ON r.backfill_id = b.id
    WHERE r.ready_at IS NOT NULL AND r.finished_at IS NULL GROUP BY b.id HAVING count(*) > b.concurrency
"""
SCHEDULES = 6


class Crowd:
    """People, ticks and workers on two workflows and their schedules. Schedules come due again whenever somebody looks."""

    def __init__(self, fleet: Fleet) -> None:
        self.app = fleet.app
        self.start = scalar(fleet.app, "SELECT clock_timestamp()")
        first = seed_workflow(fleet.app, PURE_STEPS, is_pure=True, limit=2)
        self.actor = Actor(scalar(fleet.app, "SELECT id FROM tenants"))
        with self.app.app_context(), transaction():
            tenant = db.session.get_one(Tenant, self.actor.tenant_id)
            ref = {"draft_schema_ref": "payload.Empty.v1", "draft_definition": {"steps": PURE_STEPS}}
            other = a_workflow(tenant, "Other", concurrency_limit=None, **ref)
            a_version(other, schema={"type": "object"})
            db.session.execute(text("UPDATE workflows SET draft_schema_ref = 'payload.Empty.v1'"))
            self.workflows = [first, other.id]
            for number in range(SCHEDULES):
                create_schedule(self.actor, self.draft(f"Schedule {number}", number % 2), clock.database_now())
        self.outcomes: Counter[str] = Counter()
        self.failures: list[BaseException] = []
        self.lock = threading.Lock()
        self.ticks = 0

    def now(self) -> datetime:
        """A clock on which time flies, read before the locks are waited for: twenty seconds later each time."""
        with self.lock:
            self.ticks += 1
            return self.start + timedelta(seconds=20 * self.ticks)

    def draft(self, name: str, workflow: int) -> ScheduleDraft:
        overlap = random.choice(["queue", "skip", "allow"])
        return ScheduleDraft(workflow_id=self.workflows[workflow], name=name, cron="* * * * *", overlap=overlap)

    def crowd_in(self, acts: list[Callable[[], Any]]) -> None:
        """Each act again and again in a thread of its own; refusals are answers, anything else is a failure."""

        def keep_at(act: Callable[[], Any]) -> None:
            for _ in range(ROUNDS):
                try:
                    with self.app.app_context():
                        act()
                    result = act.__name__
                except DomainError as refusal:
                    result = f"{act.__name__}: {type(refusal).__name__}"
                except BaseException as failure:
                    self.failures.append(failure)
                    return
                with self.lock:
                    self.outcomes[result] += 1

        with ThreadPoolExecutor(len(acts)) as pool:
            list(pool.map(keep_at, acts))

    def schedule(self) -> Any:
        living = "SELECT id, revision, name FROM schedules WHERE deleted_at IS NULL ORDER BY random() LIMIT 1"
        return db.session.execute(text(living)).one()

    def edit(self) -> None:
        with transaction():
            now, one = self.now(), self.schedule()
            edit_schedule(self.actor, one.id, one.revision, self.draft(one.name, random.randrange(2)), now)

    def pause_and_resume(self) -> None:
        with transaction():
            now, one = self.now(), self.schedule()
            if random.random() < 0.5:
                until = random.choice([None, now + timedelta(minutes=random.randrange(1, 20))])
                pause_schedule(self.actor, one.id, "", now, until=until)
            else:
                resume_schedule(self.actor, one.id, now, catch_up=random.choice(["skip", "latest", "all"]))

    def skip_and_unskip(self) -> None:
        with transaction():
            now, one = self.now(), self.schedule()
            settle([one.id], now)
            upcoming = db.session.scalar(
                text("SELECT next_fire_at FROM schedule_cursors WHERE schedule_id = :id"), {"id": one.id}
            )
            if upcoming is not None and random.random() < 0.7:
                skip_next(self.actor, one.id, upcoming, now)
            else:
                unskip_next(self.actor, one.id, now)

    def backfill_and_cancel(self) -> None:
        with transaction():
            now, one = self.now(), self.schedule()
            span = now - timedelta(minutes=random.randrange(6, 12)), now - timedelta(minutes=random.randrange(5))
            started = start_backfill(self.actor, one.id, *span, random.randrange(1, 4), str(new_id()), now)
        if random.random() < 0.5:
            with transaction():
                cancel_backfill(self.actor, one.id, started.id, self.now())

    def run_now(self) -> None:
        with transaction():
            run_schedule_now(self.actor, self.schedule().id, str(new_id()), self.now())

    def replace(self) -> None:
        """Delete one and create it anew."""
        with transaction():
            now, one = self.now(), self.schedule()
            delete_schedule(self.actor, one.id, now)
        with transaction():
            create_schedule(self.actor, self.draft(one.name, random.randrange(2)), self.now())

    def publish(self) -> None:
        with transaction():
            now, workflow = self.now(), db.session.get_one(Workflow, random.choice(self.workflows))
            publish_workflow(self.actor, workflow.id, workflow.revision, now)

    def hold(self) -> None:
        workflow_id = random.choice(self.workflows)
        with transaction():
            pause_workflow(self.actor, workflow_id, "", self.now())
        with transaction():
            resume_workflow(self.actor, workflow_id, self.now())

    def tick(self) -> None:
        with transaction():
            fire_due(self.now(), batch=3)

    def cancel(self) -> None:
        with transaction():
            now = self.now()
            run = db.session.scalar(text("SELECT id FROM runs ORDER BY finished_at NULLS FIRST, random() LIMIT 1"))
            if run is not None:
                cancel_run(self.actor, run, now)

    def work(self) -> None:
        worker = Worker(new_id(), 600)
        with transaction():
            beat(worker.id, "worker", "test", 1, "test", 60)
        worker.work(PURE)

    def reap(self) -> None:
        with transaction():
            reap_lost(clock.database_now())
        with transaction():
            admit_waiting(clock.database_now())


def test_nobody_waits_in_a_circle(fleet: Fleet) -> None:
    crowd = Crowd(fleet)
    people = [
        crowd.edit,
        crowd.pause_and_resume,
        crowd.pause_and_resume,
        crowd.skip_and_unskip,
        crowd.backfill_and_cancel,
        crowd.backfill_and_cancel,
        crowd.run_now,
        crowd.replace,
        crowd.publish,
        crowd.hold,
    ]
    machines = [crowd.tick, crowd.tick, crowd.cancel, crowd.work, crowd.work, crowd.reap]
    crowd.crowd_in([*people, *machines])
    assert [str(failure) for failure in crowd.failures] == []
    done = {name.partition(":")[0] for name in crowd.outcomes if ":" not in name}
    assert done == {act.__name__ for act in (*people, *machines)}, crowd.outcomes
    assert scalar(fleet.app, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == 0
    # Not those that are watched in production: they go by the database's clock, and this one flies ahead of it.
    assert stored_violations(fleet.app) == set()
    assert rows(fleet.app, INSIDE_A_GAP) == []
    assert rows(fleet.app, MORE_THAN_A_BACKFILL_ALLOWS) == []
    assert scalar(fleet.app, "SELECT count(*) FROM occurrences WHERE outcome = 'fired' AND origin_key = 'timing'") > 0
