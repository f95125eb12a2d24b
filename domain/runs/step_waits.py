"""What the steps of a run waited for, and what it waits for now, with the run or the task that it hangs on."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, tuple_
from sqlalchemy.orm import aliased

from domain.kernel.db import db
from domain.runs.runs import Run
from domain.runs.tasks import HumanTask
from domain.runs.waits import CHILD, EVENT, OPEN, RETRY, TASK, TIME, Wait
from domain.timing.words import absolute, relative
from domain.workflows.versions import version_of
from domain.workflows.workflows import Workflow

# The branch and the index of each step on the way: `root.steps[2].then.steps[0]` is steps 2, then 0.
_PLACES = re.compile(r"(?:^root\.)?(\w+?)(?:\.steps)?\[(\d{1,6})\]")


@dataclass(frozen=True)
class StepWait:
    """A wait; the child run's status and workflow are None when that run is no longer kept."""

    wait: Wait
    task_id: UUID | None
    task_title: str | None
    child_status: str | None
    child_name: str | None

    @property
    def is_open(self) -> bool:
        return self.wait.status == OPEN


def open_wait(run_id: UUID) -> StepWait | None:
    """What a run that the caller has loaded for its tenant waits for now."""
    found = db.session.execute(_waits(run_id).where(Wait.status == OPEN)).one_or_none()
    return StepWait(*found) if found else None


def recorded_waits(run_id: UUID, limit: int) -> list[StepWait]:
    """What a run that the caller has loaded for its tenant waited for, the first first."""
    return [StepWait(*row) for row in db.session.execute(_waits(run_id).order_by(Wait.id).limit(limit))]


def waits_of_steps(run_id: UUID, keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], list[StepWait]]:
    """By (step path, iteration): what these steps waited for, the latest first."""
    if not keys:
        return {}
    named = _waits(run_id).where(tuple_(Wait.step_path, Wait.iteration).in_(keys)).order_by(Wait.id.desc())
    found: dict[tuple[str, str], list[StepWait]] = {}
    for row in db.session.execute(named.execution_options(populate_existing=True)):
        found.setdefault((row[0].step_path, row[0].iteration), []).append(StepWait(*row))
    return found


def wait_in_words(found: StepWait, now: datetime, zone: str, max_attempts: int | None = None) -> str:
    """What an open wait waits for, to follow "It": `waits until Mon 09:00 UTC+1`. Times in the zone."""
    wait = found.wait
    until = f", until {absolute(wait.due_at, zone, now)}" if wait.due_at else ""
    if wait.kind == TIME:
        return f"waits{until.removeprefix(',')}"
    if wait.kind == RETRY and wait.due_at:
        of = f" of {max_attempts}" if max_attempts else ""
        when = relative(wait.due_at, now) if wait.due_at > now else "now"
        return f"makes attempt {wait.attempt + 1}{of} {when}"
    if wait.kind == EVENT:
        tied = f" with the correlation key {wait.correlation_key}" if wait.correlation_key else ""
        return f"waits for the event {wait.event_name}{tied}{until}"
    if wait.kind == TASK:
        return f"waits for an answer to “{found.task_title}”{until}"
    assert wait.kind == CHILD, "there are five kinds of wait"  # noqa: S101
    return f"waits for the end of its run of {found.child_name or 'another workflow'}{until}"


def attempts_allowed(run: Run, step_path: str) -> int | None:
    """How often the step is tried at most, as the run's version says; None when it says nothing."""
    if run.workflow_id is None:
        return None
    definition = version_of(run.tenant_id, run.workflow_id, run.workflow_version).definition
    step: Any = definition
    for branch, index in _PLACES.findall(step_path):
        steps = step.get(branch) if isinstance(step, dict) else None
        step = steps[int(index)] if isinstance(steps, list) and int(index) < len(steps) else None
    retry = step.get("retry") if isinstance(step, dict) else None
    most = retry.get("maxAttempts") if isinstance(retry, dict) else None
    return most if isinstance(most, int) else None


def _waits(run_id: UUID) -> Any:
    child, called = aliased(Run), aliased(Workflow)
    return (
        select(Wait, HumanTask.id, HumanTask.title, child.status, called.name)
        .outerjoin(HumanTask, HumanTask.wait_id == Wait.id)
        .outerjoin(child, child.id == Wait.child_run_id)
        .outerjoin(called, called.id == child.workflow_id)
        .where(Wait.run_id == run_id)
    )
