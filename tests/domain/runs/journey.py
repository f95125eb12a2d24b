"""A run from its launch to its end in one process: what the scheduler and a worker would do, when the test says so."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select

from domain.accounts.tenants import Tenant
from domain.engine.validation import is_pure
from domain.execution import Worker
from domain.kernel import clock
from domain.kernel.db import db
from domain.kernel.ids import new_id
from domain.runs.admission import admit_waiting
from domain.runs.launch import launch
from domain.runs.runs import BY_HAND, LANES, Run
from domain.runs.steps import RunStep
from domain.runs.waits import OPEN, Wait
from domain.runs.waking import wake_due, wake_parents
from domain.workflows.workflows import Workflow
from tests.domain.engine.engine_runs import with_ids
from tests.factories import a_version, a_workflow, an_actor


def a_flow(tenant: Tenant, name: str, *steps: dict[str, Any], **values: Any) -> Workflow:
    """A published workflow of these steps, which takes any payload."""
    definition = {"steps": [with_ids(step, f"s{index}") for index, step in enumerate(steps)]}
    workflow = a_workflow(tenant, name, draft_definition=definition, **values)
    a_version(workflow, schema={"type": "object"}, is_pure=is_pure(definition))
    return workflow


def begin(workflow: Workflow, **payload: Any) -> Run:
    """A run by hand."""
    tenant = db.session.get_one(Tenant, workflow.tenant_id)
    return launch(an_actor(tenant), workflow, payload, BY_HAND, clock.database_now())


def work() -> None:
    """Everything that can be done now: admit, execute, and let parents go on."""
    worker = Worker(new_id(), run_deadline_seconds=60)
    for _ in range(50):
        admit_waiting(clock.database_now())
        again = [worker.work(lane) for lane in LANES]
        if not wake_parents() and not any(again) and not _is_anything_ready():
            return
    raise AssertionError("there is no end to it")


def work_at(now: datetime) -> None:
    """Wake what is due at `now`, and work."""
    wake_due(now)
    work()


def fresh(run: Run) -> Run:
    return db.session.get_one(Run, run.id, populate_existing=True)


def open_wait(run: Run) -> Wait:
    waits = select(Wait).where(Wait.run_id == run.id, Wait.status == OPEN)
    return db.session.scalars(waits.execution_options(populate_existing=True)).one()


def steps_of(run: Run) -> list[tuple[str, int, str]]:
    """(path, attempt, status) in the order of recording."""
    rows = select(RunStep).where(RunStep.run_id == run.id).order_by(RunStep.position)
    found = db.session.scalars(rows.execution_options(populate_existing=True))
    return [(row.step_path, row.attempt, row.status) for row in found]


def children_of(run: Run) -> list[Run]:
    query = select(Run).where(Run.parent_run_id == run.id).order_by(Run.id)
    return list(db.session.scalars(query.execution_options(populate_existing=True)))


def _is_anything_ready() -> bool:
    ready = select(Run.id).where(Run.status == "queued", Run.ready_at.is_not(None)).limit(1)
    return db.session.scalar(ready) is not None
