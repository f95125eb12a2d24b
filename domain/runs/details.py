"""One run with everything that its page and the API tell of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import and_, func, select, tuple_

from domain.accounts.users import User
from domain.kernel.db import db
from domain.kernel.errors import NotFound
from domain.kernel.ids import parse_id
from domain.runs.listing import created_at
from domain.runs.relations import CHILDREN_SHOWN, RelatedRun, child_runs, related_runs, starter_label
from domain.runs.runs import BY_API, BY_HAND, BY_RERUN, FAILED, FINISHED, Run
from domain.runs.step_waits import StepWait, waits_of_steps
from domain.runs.steps import FAILED as STEP_FAILED
from domain.runs.steps import RunStep
from domain.schedules.occurrences import Occurrence
from domain.schedules.schedules import Schedule
from domain.timing.zones import parse_instant
from domain.workflows.workflows import Workflow

STEPS_SHOWN = 200

StepKey = tuple[str, str]
"""Path and iteration: what a step of a run is known by."""


@dataclass(frozen=True)
class StepRow:
    """One attempt at a step, without its values."""

    step_path: str
    iteration: str
    attempt: int
    position: int
    step_id: str
    node_type: str
    status: str
    started_at: datetime
    finished_at: datetime | None

    @property
    def key(self) -> StepKey:
        return self.step_path, self.iteration


@dataclass(frozen=True)
class RunDetail:
    """A run and where it came from. `workflow` is None for a run of an endpoint.

    `schedule` may be a deleted one; `occurrence` only when the run is that of an occurrence. `steps`: a page of attempts
    in the order of recording; `step_count`: all steps, each counted once; `failed`: the step that a failed run died of.
    `waits`: what the shown steps waited for, the latest first. `children`: the first runs that its steps called. `parent`
    and `rerun_of` are None when there is none, or it is no longer kept. `starter`: who asked for it, as the audit says.
    """

    run: Run
    workflow: Workflow | None
    schedule: Schedule | None
    occurrence: Occurrence | None
    actor_name: str | None
    steps: Sequence[StepRow]
    has_more_steps: bool
    step_count: int
    failed: StepKey | None
    waits: Mapping[StepKey, Sequence[StepWait]]
    children: Sequence[RelatedRun]
    has_more_children: bool
    parent: RelatedRun | None
    rerun_of: RelatedRun | None
    starter: str | None

    @property
    def event_id(self) -> UUID | None:
        """The event that started it."""
        return parse_id(str((self.run.trigger_metadata or {}).get("eventId", "")))

    @property
    def is_finished(self) -> bool:
        return self.run.status in FINISHED

    @property
    def created_at(self) -> datetime:
        return created_at(self.run.id)

    @property
    def lateness(self) -> timedelta | None:
        """How long after its instant it was fired, when its timing fired it."""
        if self.occurrence is None:
            return None
        return max(self.occurrence.decided_at - self.occurrence.scheduled_for, timedelta(0))


def run_detail(tenant_id: UUID, run_id: UUID, after: int = -1) -> RunDetail:
    """A run of the tenant with its steps recorded behind the position `after`. Raises NotFound. At most nine statements."""
    query = (
        select(Run, Workflow, Schedule, User.name)
        .outerjoin(Workflow, Workflow.id == Run.workflow_id)
        .outerjoin(Schedule, and_(Schedule.tenant_id == Run.tenant_id, Schedule.id == Run.schedule_id))
        .outerjoin(User, User.id == Run.actor_id)
        .where(Run.tenant_id == tenant_id, Run.id == run_id)
        .execution_options(populate_existing=True)
    )
    found = db.session.execute(query).one_or_none()
    if found is None:
        raise NotFound
    run, workflow, schedule, actor_name = found
    steps = _steps(run.id, after)
    shown = steps[:STEPS_SHOWN]
    children = child_runs(tenant_id, run.id, CHILDREN_SHOWN + 1)
    repeated = parse_id(str((run.trigger_metadata or {}).get("rerunOf", ""))) if run.started_by == BY_RERUN else None
    related = related_runs(tenant_id, [one for one in (run.parent_run_id, repeated) if one])
    return RunDetail(
        run,
        workflow,
        schedule,
        _occurrence_of(run),
        actor_name,
        shown,
        len(steps) > STEPS_SHOWN,
        _step_count(run.id),
        _failed_step(run),
        waits_of_steps(run.id, {step.key for step in shown}),
        children[:CHILDREN_SHOWN],
        len(children) > CHILDREN_SHOWN,
        related.get(run.parent_run_id) if run.parent_run_id else None,
        related.get(repeated) if repeated else None,
        starter_label(tenant_id, run.id) if run.started_by in (BY_HAND, BY_API, BY_RERUN) else None,
    )


def step_attempts(run_id: UUID, step_path: str, iteration: str) -> list[RunStep]:
    """All attempts at one step of a run that the caller has loaded for its tenant, the latest first."""
    query = select(RunStep).where(
        RunStep.run_id == run_id, RunStep.step_path == step_path, RunStep.iteration == iteration
    )
    return list(db.session.scalars(query.order_by(RunStep.attempt.desc()).execution_options(populate_existing=True)))


def steps_named(run_id: UUID, keys: Sequence[StepKey]) -> list[StepRow]:
    """The attempts at the steps with these keys, as far as they are on record, in the order of recording."""
    if not keys:
        return []
    named = _rows(run_id).where(tuple_(RunStep.step_path, RunStep.iteration).in_(keys))
    return [StepRow(*row) for row in db.session.execute(named.order_by(RunStep.position))]


def recorded_steps(run_id: UUID, limit: int, after: int = -1) -> list[RunStep]:
    """The attempts of a run that the caller has loaded for its tenant, with their values, in the order of recording from
    behind the position `after`."""
    query = select(RunStep).where(RunStep.run_id == run_id, RunStep.position > after)
    return list(db.session.scalars(query.order_by(RunStep.position, RunStep.attempt).limit(limit)))


def _rows(run_id: UUID) -> Any:
    return select(
        RunStep.step_path,
        RunStep.iteration,
        RunStep.attempt,
        RunStep.position,
        RunStep.step_id,
        RunStep.node_type,
        RunStep.status,
        RunStep.started_at,
        RunStep.finished_at,
    ).where(RunStep.run_id == run_id)


def _steps(run_id: UUID, after: int) -> list[StepRow]:
    page = _rows(run_id).where(RunStep.position > after).order_by(RunStep.position).limit(STEPS_SHOWN + 1)
    return [StepRow(*row) for row in db.session.execute(page)]


def _step_count(run_id: UUID) -> int:
    query = select(func.count()).where(RunStep.run_id == run_id, RunStep.attempt == 1)
    return db.session.scalars(query).one()


def _failed_step(run: Run) -> StepKey | None:
    if run.status != FAILED:
        return None
    failed = select(RunStep.step_path, RunStep.iteration).where(RunStep.run_id == run.id, RunStep.status == STEP_FAILED)
    found = db.session.execute(failed.order_by(RunStep.position.desc()).limit(1)).one_or_none()
    return (found.step_path, found.iteration) if found else None


def _occurrence_of(run: Run) -> Occurrence | None:
    scheduled_for = (run.trigger_metadata or {}).get("scheduledFor")
    if run.schedule_id is None or scheduled_for is None:
        return None
    query = select(Occurrence).where(
        Occurrence.schedule_id == run.schedule_id,
        Occurrence.scheduled_for == parse_instant(scheduled_for),
        Occurrence.id == run.id,
    )
    return db.session.scalars(query).one_or_none()
