"""People and programs while everything breaks: they pause, resume, edit, publish and run by hand, and try again later."""

from __future__ import annotations

import random
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from uuid import UUID

from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from domain.accounts.audit import Actor
from domain.firing.lifecycle import edit_schedule, pause_schedule, resume_schedule
from domain.firing.run_now import run_schedule_now
from domain.kernel import clock
from domain.kernel.db import db, transaction
from domain.kernel.errors import DomainError
from domain.kernel.ids import new_id
from domain.publishing.publishing import publish_workflow
from domain.schedules.drafts import ScheduleDraft
from domain.schedules.schedules import PAUSED, Schedule
from domain.workflows.workflows import Workflow

REASON = "The chaos bench wants it so."


class Clients:
    """One thread of them, on the recurring schedules of a workflow. `done` and `refused` count what they tried."""

    def __init__(self, app: Flask, workflow_id: UUID, seed: int) -> None:
        self.app = app
        self.workflow_id = workflow_id
        self.chance = random.Random(seed)
        self.done: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._go_on, daemon=True)
        with app.app_context(), transaction():
            schedules = select(Schedule.id).where(Schedule.workflow_id == workflow_id).order_by(Schedule.id)
            self.schedule_ids = list(db.session.scalars(schedules))
            self.actor = Actor(db.session.get_one(Workflow, workflow_id).tenant_id)

    def start(self) -> None:
        self.thread.start()

    def stop(self) -> None:
        """No more of it; what is paused goes on."""
        self.stopping.set()
        self.thread.join(60)
        with self.app.app_context():
            for schedule_id in self.schedule_ids:
                with suppress(DomainError), transaction():
                    if db.session.get_one(Schedule, schedule_id).status == PAUSED:
                        resume_schedule(self.actor, schedule_id, clock.database_now())

    def _go_on(self) -> None:
        acts = (self._pause, self._resume, self._edit, self._run, self._publish)
        while not self.stopping.wait(self.chance.uniform(0.05, 0.5)):
            act = self.chance.choices(acts, weights=(4, 6, 4, 4, 1))[0]
            name = act.__name__.strip("_")
            try:
                with self.app.app_context(), transaction():
                    act(self.chance.choice(self.schedule_ids))
                self.done[name] += 1
            except (DomainError, SQLAlchemyError) as error:
                self.refused[type(error).__name__] += 1

    def _pause(self, schedule_id: UUID) -> None:
        pause_schedule(self.actor, schedule_id, REASON, clock.database_now())

    def _resume(self, _schedule_id: UUID) -> None:
        """The one that has been paused longest."""
        paused = select(Schedule.id).where(Schedule.workflow_id == self.workflow_id, Schedule.status == PAUSED)
        schedule_id = db.session.scalars(paused.order_by(Schedule.paused_at).limit(1)).one_or_none()
        if schedule_id is None:
            return
        catch_up = self.chance.choice(("skip", "latest", "all"))
        resume_schedule(self.actor, schedule_id, clock.database_now(), catch_up=catch_up)

    def _edit(self, schedule_id: UUID) -> None:
        schedule = db.session.get_one(Schedule, schedule_id)
        draft = ScheduleDraft(self.workflow_id, f"Edited {new_id()}", cron=schedule.cron, timezone=schedule.timezone)
        draft = replace(draft, payload=schedule.payload_json, enabled=schedule.status != PAUSED)
        edit_schedule(self.actor, schedule_id, schedule.revision, draft, clock.database_now())

    def _run(self, schedule_id: UUID) -> None:
        run_schedule_now(self.actor, schedule_id, str(new_id()), clock.database_now())

    def _publish(self, _schedule_id: UUID) -> None:
        revision = db.session.get_one(Workflow, self.workflow_id).revision
        publish_workflow(self.actor, self.workflow_id, revision, clock.database_now())
