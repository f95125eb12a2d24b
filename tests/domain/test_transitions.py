"""Every pair of statuses: a command leads from one to the other, or there is none."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from domain.accounts.audit import Actor
from domain.firing.lifecycle import delete_schedule, edit_schedule, pause_schedule, resume_schedule
from domain.firing.run_now import run_schedule_now
from domain.firing.tick import fire_due
from domain.kernel.db import db as database
from domain.kernel.errors import DomainError
from domain.kernel.ids import new_id
from domain.publishing import pause_workflow, publish_workflow, resume_workflow
from domain.runs import runs as run_statuses
from domain.runs.admission import admit_waiting
from domain.runs.canceling import request_cancel
from domain.runs.claims import Ending, claim_runs, finish_runs, release_claims
from domain.runs.reaping import reap_lost
from domain.runs.runs import FINISHED, UNFINISHED, Run
from domain.schedules import schedules as schedule_statuses
from domain.schedules.drafts import ScheduleDraft
from domain.schedules.schedules import Schedule
from domain.workflows.payload_schemas import register_schema
from domain.workflows.workflows import Workflow
from tests.domain.firing.ledger import NOON, minute
from tests.factories import a_published_workflow, a_run, a_schedule, a_tenant

pytestmark = pytest.mark.usefixtures("db")
EASY, STRICT = "payload.Easy.v1", "payload.Strict.v1"
LATER = minute(10)
STATUSES = ("active", "paused", "invalid", "completed")


class Stage:
    """A schedule in one status, and everything that anybody can do to it."""

    def __init__(self, status: str, fits: bool) -> None:
        tenant = a_tenant()
        self.actor = Actor(tenant.id)
        register_schema(self.actor, EASY, {"type": "object"}, NOON)
        register_schema(self.actor, STRICT, {"type": "object", "required": ["region"]}, NOON)
        self.workflow = a_published_workflow(tenant, draft_schema_ref=EASY, schema={"type": "object"})
        once: dict[str, Any] = {"trigger_type": "schedule", "cron": None, "run_at": minute(5)}
        at = None if status == "completed" else minute(5)
        payload = {"region": "eu"} if fits else {}
        self.schedule = a_schedule(self.workflow, status=status, next_fire_at=at, payload_json=payload, **once)

    def draft(self, **changes: Any) -> ScheduleDraft:
        values = {"workflow_id": self.workflow.id, "name": "Morning sync", "trigger_type": "schedule"}
        values |= {"run_at": minute(30).isoformat(), "payload": self.schedule.payload_json}
        return ScheduleDraft(**values | changes)

    def edit(self, **changes: Any) -> None:
        edit_schedule(self.actor, self.schedule.id, self.schedule.revision, self.draft(**changes), minute(1))

    def publish(self, ref: str) -> None:
        workflow = database.session.get_one(Workflow, self.workflow.id)
        workflow.draft_schema_ref = ref
        database.session.flush()
        publish_workflow(self.actor, workflow.id, workflow.revision, minute(1))

    def end_pause(self) -> None:
        """The tick, if the schedule is paused, finds that the pause was to last until a minute before it."""
        database.session.execute(
            text("UPDATE schedules SET paused_until = :at WHERE status = 'paused'"), {"at": minute(9)}
        )
        database.session.execute(
            text("UPDATE schedule_cursors SET wake_at = :at WHERE wake_at IS NULL"), {"at": minute(9)}
        )
        database.session.expire_all()
        fire_due(LATER)

    def commands(self) -> dict[str, Any]:
        one, actor = self.schedule.id, self.actor
        return {
            "pause": lambda: pause_schedule(actor, one, "", minute(1)),
            "resume": lambda: resume_schedule(actor, one, minute(1)),
            "edit, on": lambda: self.edit(enabled=True),
            "edit, off": lambda: self.edit(enabled=False),
            "publish what fits": lambda: self.publish(EASY),
            "publish what may not fit": lambda: self.publish(STRICT),
            "tick": lambda: fire_due(LATER),
            "tick after a pause to an hour": self.end_pause,
            "run now": lambda: run_schedule_now(actor, one, "key", minute(1)),
            "delete": lambda: delete_schedule(actor, one, minute(1)),
            "pause the workflow": lambda: pause_workflow(actor, self.workflow.id, "", minute(1)),
            "pause and resume the workflow": lambda: (
                pause_workflow(actor, self.workflow.id, "", minute(1)),
                resume_workflow(actor, self.workflow.id, LATER),
            ),
        }

    def status(self) -> str:
        return database.session.get_one(Schedule, self.schedule.id, populate_existing=True).status


def reachable(status: str, fits: bool) -> dict[str, str]:
    """What each command makes of a schedule in `status`; a refused one leaves it as it is."""
    found = {}
    for name in Stage("active", True).commands():
        database.session.rollback()
        stage = Stage(status, fits)
        with suppress(DomainError):
            stage.commands()[name]()
        found[name] = stage.status()
    database.session.rollback()
    return found


@pytest.mark.parametrize("status", STATUSES)
def test_commands_lead_a_schedule_exactly_where_its_table_says(status: str) -> None:
    reached = {*reachable(status, fits=True).values(), *reachable(status, fits=False).values()}
    assert reached - {status} == set(schedule_statuses.TRANSITIONS[status])


def test_the_tables_know_every_status() -> None:
    assert set(schedule_statuses.TRANSITIONS) == set(STATUSES)
    assert set(run_statuses.TRANSITIONS) == {*UNFINISHED, *FINISHED}
    assert {status for status in FINISHED if run_statuses.TRANSITIONS[status]} == set()


def run_commands(run: Run) -> dict[str, Any]:
    """Everything that anybody can do to a run; `worker` holds it when it is running."""
    worker, epoch, far = run.claimed_by or new_id(), run.claim_epoch, LATER + timedelta(days=1)
    return {
        "admit": lambda: admit_waiting(LATER),
        "claim": lambda: claim_runs(run.lane, new_id(), 9, LATER, 600),
        "succeed": lambda: finish_runs([Ending(run.id, epoch, "succeeded")], worker, LATER),
        "fail": lambda: finish_runs([Ending(run.id, epoch, "failed")], worker, LATER),
        "end as canceled": lambda: finish_runs([Ending(run.id, epoch, "canceled")], worker, LATER),
        "cancel": lambda: request_cancel(run.id, LATER),
        "give back": lambda: release_claims({(run.id, epoch)}, worker),
        "reap": lambda: reap_lost(far),
    }


# What a later issue brings: waits, and their timeouts.
NOT_YET = {("running", "waiting"), ("waiting", "queued"), ("waiting", "failed"), ("queued", "failed")}


@pytest.mark.parametrize("status", [*UNFINISHED, *FINISHED])
def test_commands_lead_a_run_only_where_its_table_says(status: str) -> None:
    reached = set()
    for name in list(run_commands(Run(id=new_id(), claim_epoch=0))):
        database.session.rollback()
        workflow = a_published_workflow(a_tenant())
        run = a_run(workflow, status, **({"ready_at": NOON} if status == "queued" else {}))
        database.session.refresh(run)
        run_commands(run)[name]()
        reached.add(database.session.get_one(Run, run.id, populate_existing=True).status)
    allowed = {to for to in run_statuses.TRANSITIONS[status] if (status, to) not in NOT_YET}
    assert reached - {status} == allowed


@pytest.mark.parametrize("status", FINISHED)
def test_the_database_keeps_a_run_that_ended_from_losing_its_end(status: str) -> None:
    run = a_run(a_published_workflow(a_tenant()), status)
    with pytest.raises(Exception, match="ck_runs_finished"):
        database.session.execute(text("UPDATE runs SET status = 'queued' WHERE id = :id"), {"id": run.id})
