"""How the step log reaches the database: proven transactions, and one statement for any number of steps."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, text

from domain.engine.steps import Opening, Question
from domain.kernel.clock import database_now
from domain.kernel.db import db, plan_checks_of, transaction
from domain.kernel.errors import StaleTransition
from domain.kernel.metrics import RETRIES, count
from domain.runs.claims import Claim, note_progress, prove_claim
from domain.runs.steps import STARTED, SUCCEEDED, RunStep
from domain.runs.tasks import HumanTask, announce_task
from domain.runs.waits import OPEN, RESOLVED, RETRY, Wait

Row = dict[str, Any]  # the columns of a RunStep by name

_INSERT = text("""
    INSERT INTO run_steps (run_id, step_path, iteration, attempt, position, step_id, node_type, status, input, output,
                           error, idempotency_key, claim_epoch, started_at, finished_at)
    SELECT run_id, step_path, iteration, attempt, position, step_id, node_type, status, input, output,
           error, idempotency_key, claim_epoch, started_at, finished_at
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS step (
        run_id uuid, step_path text, iteration text, attempt integer, position integer, step_id text, node_type text,
        status text, input jsonb, output jsonb, error jsonb, idempotency_key text, claim_epoch integer,
        started_at timestamptz, finished_at timestamptz)
""")

_END_ATTEMPT = text("""
    UPDATE run_steps
    SET status = :status, output = CAST(:output AS jsonb), error = CAST(:error AS jsonb), finished_at = :finished_at
    WHERE run_id = :run_id AND step_path = :step_path AND iteration = :iteration AND attempt = :attempt
      AND status = 'started'
""")

# The time it may run is counted anew when it goes on.
_LET_WAIT = text("""
    UPDATE runs SET status = 'waiting', claimed_by = NULL, deadline_at = NULL, losses = 0, state = coalesce(:state, state)
    WHERE id = :id
""")


@dataclass(frozen=True, slots=True)
class Record:
    """A recorded attempt of a step, as the engine reads it back. `has_waited`: it failed, and the time to wait before it
    is tried again is over."""

    step_path: str
    iteration: str
    attempt: int
    position: int
    status: str
    input: Any
    output: Any
    error: dict[str, Any] | None
    started_at: datetime
    has_waited: bool = False


def recorded_steps(run_ids: Sequence[UUID]) -> dict[UUID, list[Record]]:
    """Everything on record for these runs, in the order of recording; runs without a record are absent."""
    if not run_ids:
        return {}
    step = RunStep
    columns: tuple[Any, ...] = (
        step.step_path,
        step.iteration,
        step.attempt,
        step.position,
        step.status,
        step.input,
        step.output,
        step.error,
        step.started_at,
    )
    rows = db.session.execute(
        select(step.run_id, *columns).where(step.run_id.in_(run_ids)).order_by(step.run_id, step.position)
    )
    waited = _waited(run_ids)
    found: dict[UUID, list[Record]] = {}
    for run_id, *values in rows:
        has_waited = (run_id, *values[:3]) in waited
        found.setdefault(run_id, []).append(Record(*values, has_waited=has_waited))  # type: ignore[misc]
    return found


def _waited(run_ids: Sequence[UUID]) -> set[tuple[UUID, str, str, int]]:
    """(run, path, iteration, attempt) of the failed attempts whose next one is due."""
    place = (Wait.run_id, Wait.step_path, Wait.iteration, Wait.attempt)
    retries = select(*place).where(Wait.run_id.in_(run_ids), Wait.kind == RETRY, Wait.status == RESOLVED)
    return {tuple(row) for row in db.session.execute(retries)}  # type: ignore[misc]


def insert_steps(rows: Sequence[Row]) -> None:
    """Record steps, of one run or of many whose claims the caller has proven in this transaction."""
    if rows:
        plan_checks_of(len(rows))
        db.session.execute(_INSERT, {"rows": json.dumps(rows, ensure_ascii=False, allow_nan=False, default=str)})


class DatabaseStore:
    """The rows of one claimed run. Every transaction proves the claim before anything else."""

    def __init__(self, claim: Claim) -> None:
        self._claim = claim
        self._was_lost = claim.epoch > 1

    @contextmanager
    def writing(self, lock: Callable[[], None] | None = None) -> Iterator[bool]:
        """A transaction that holds the run; yields whether somebody asked to cancel it. Raises LostClaim.

        `lock` takes what is to be locked before the run.
        """
        claim = self._claim
        with transaction():
            if lock:
                lock()
            yield prove_claim(claim.run_id, claim.worker_id, claim.epoch)

    def insert(self, rows: Sequence[Row]) -> None:
        insert_steps(rows)
        if self._was_lost and any(row["status"] == SUCCEEDED for row in rows):
            note_progress(self._claim.run_id)

    def end_attempt(self, row: Row) -> None:
        """Give a started attempt its outcome; raises StaleTransition when it is not `started`."""
        values = {name: row[name] for name in ("run_id", "step_path", "iteration", "attempt", "status", "finished_at")}
        values["output"] = json.dumps(row["output"], ensure_ascii=False, allow_nan=False)
        values["error"] = None if row["error"] is None else json.dumps(row["error"], ensure_ascii=False)
        ended = db.session.execute(_END_ATTEMPT, values)
        if ended.rowcount != 1:  # type: ignore[attr-defined]
            raise StaleTransition(f"The attempt at {row['step_path']} is not {STARTED} any more.")
        if self._was_lost and row["status"] == SUCCEEDED:
            note_progress(self._claim.run_id)

    def open_wait(self, opening: Opening | None, place: Row, state: str | None) -> None:
        """Write what the step at `place` (step_path, iteration, attempt) waits for, and let the run wait.

        None: it waits already. One that is met is only written down.
        """
        now = database_now()
        if opening:
            if opening.kind == RETRY:
                count(RETRIES)
            wait = self._wait(opening, place, now)
            if opening.question:
                task = _question(wait, opening.question)
                db.session.add(task)
                db.session.flush()
                announce_task(task, now)
        if opening is None or not opening.is_met:
            db.session.execute(_LET_WAIT, {"id": self._claim.run_id, "state": state})

    def _wait(self, opening: Opening, place: Row, now: datetime) -> Wait:
        wait = Wait(
            tenant_id=self._claim.tenant_id,
            run_id=self._claim.run_id,
            step_path=place["step_path"],
            iteration=place["iteration"],
            attempt=place["attempt"],
            kind=opening.kind,
            status=RESOLVED if opening.is_met else OPEN,
            due_at=opening.due_at,
            event_name=opening.event_name,
            correlation_key=opening.correlation_key,
            filters=opening.filters,
            event_id=opening.event_id,
            child_run_id=opening.child_run_id,
            opened_at=now,
            closed_at=now if opening.is_met else None,
        )
        db.session.add(wait)
        db.session.flush()
        return wait


def _question(wait: Wait, question: Question) -> HumanTask:
    return HumanTask(
        tenant_id=wait.tenant_id,
        run_id=wait.run_id,
        wait_id=wait.id,
        task_type=question.task_type,
        title=question.title,
        description=question.description,
        context=question.context,
        form_schema=question.form_schema,
        due_at=wait.due_at,
        created_at=wait.opened_at,
        updated_at=wait.opened_at,
    )
