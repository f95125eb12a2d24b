"""How the step log reaches the database: proven transactions, and one statement for any number of steps."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select, text

from domain.kernel.db import db, transaction
from domain.kernel.errors import StaleTransition
from domain.runs.claims import Claim, note_progress, prove_claim
from domain.runs.steps import STARTED, SUCCEEDED, RunStep

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


@dataclass(frozen=True, slots=True)
class Record:
    """A recorded attempt of a step, as the engine reads it back."""

    step_path: str
    iteration: str
    attempt: int
    position: int
    status: str
    input: Any
    output: Any
    error: dict[str, Any] | None


def recorded_steps(run_ids: Sequence[UUID]) -> dict[UUID, list[Record]]:
    """Everything on record for these runs, in the order of recording; runs without a record are absent."""
    step = RunStep
    columns = (
        step.step_path,
        step.iteration,
        step.attempt,
        step.position,
        step.status,
        step.input,
        step.output,
        step.error,
    )
    rows = db.session.execute(
        select(step.run_id, *columns).where(step.run_id.in_(run_ids)).order_by(step.run_id, step.position)
    )
    found: dict[UUID, list[Record]] = {}
    for run_id, *values in rows:
        found.setdefault(run_id, []).append(Record(*values))
    return found


def insert_steps(rows: Sequence[Row]) -> None:
    """Record steps, of one run or of many whose claims the caller has proven in this transaction."""
    if rows:
        db.session.execute(_INSERT, {"rows": json.dumps(rows, ensure_ascii=False, allow_nan=False, default=str)})


class DatabaseStore:
    """The rows of one claimed run. Every transaction proves the claim before anything else."""

    def __init__(self, claim: Claim) -> None:
        self._claim = claim
        self._was_lost = claim.epoch > 1

    @contextmanager
    def writing(self) -> Iterator[bool]:
        """A transaction that holds the run; yields whether somebody asked to cancel it. Raises LostClaim."""
        claim = self._claim
        with transaction():
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
