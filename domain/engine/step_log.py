"""The step log: the engine's only memory.

A step on record gives its recorded result and is not done again. What touches nothing is recorded together at the next
boundary; what writes to our database is recorded in the transaction that does it, hence done exactly once; what reaches
outside is preceded by a committed attempt with its idempotency key, hence attempted at least once with the same key.
No transaction and no connection is held while something outside is asked.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from random import random
from typing import Any, NoReturn

from domain.engine.actions.action import LOCAL, PURE
from domain.engine.failures import VALIDATION, Canceled, StepFailed, Suspended, outcome_unknown
from domain.engine.recorded_values import settled
from domain.engine.step_store import DatabaseStore, Record, Row
from domain.engine.steps import At, Attempt, Opening, Task
from domain.kernel.clock import monotonic
from domain.kernel.failpoints import hit
from domain.runs.claims import Claim
from domain.runs.steps import FAILED, STARTED, SUCCEEDED, WAITING
from domain.runs.waits import RETRY

MAX_STEPS = 50_000
MAX_RUN_CHARACTERS = 64_000_000
COMMIT_AFTER_STEPS = 200
COMMIT_AFTER_CHARACTERS = 4_000_000
COMMIT_AFTER_SECONDS = 1.0


class StepLog:
    """What one claimed run has done. Rows that are not committed yet are `pending_rows`, for whoever ends the run.

    `at`: the step worked on last, with its recorded start. `state`: the run's label, recorded when it waits.
    """

    def __init__(
        self,
        claim: Claim,
        records: Iterable[Record],
        now: datetime,
        *,
        store: DatabaseStore | None = None,
        is_pure: bool = False,
    ) -> None:
        """`now`: the database's clock, from which step times are counted on. `is_pure`: the run has no effects, so its
        rows are kept for the caller unless they become many or old."""
        self._claim = claim
        self._run_id = str(claim.run_id)
        self._records = {(record.step_path, record.iteration): record for record in records}
        self._position = max((record.position for record in self._records.values()), default=-1) + 1
        self._store = store or DatabaseStore(claim)
        self._now, self._read_at = now, monotonic()
        self._committed_at = self._read_at
        self._commit_after = MAX_STEPS if is_pure else COMMIT_AFTER_STEPS
        self._pending: list[Row] = []
        self._pending_characters = 0
        self._characters = 0
        self._steps = 0
        self.at: At | None = None
        self.state: str | None = None

    def pending_rows(self) -> list[Row]:
        """The rows to be inserted (`insert_steps`) in the transaction that proves the claim and ends the run."""
        return self._pending

    def result_of(self, task: Task) -> Any:
        """The recorded output of the step, done now unless it is on record.

        Raises StepFailed (recorded), Suspended (what it waits for is recorded), Canceled, or LostClaim.
        """
        record = self._records.get((task.path, task.iteration))
        if record is None:
            return self._attempted(task, None)
        self.at = At(record.started_at, task.path, task.iteration)
        if record.status == SUCCEEDED:
            self._count_step()
            return self._settled(record.output)
        if record.status == WAITING:
            # Whoever closes a wait completes its step first: nobody has, so the run goes back to waiting.
            self._suspend([], None)
        if record.status == STARTED and not task.is_idempotent:
            record = self._given_up(task, record)
        if record.status == FAILED and record.error:
            self._check_tried_again(task, record)
        return self._attempted(task, record)

    def _check_tried_again(self, task: Task, failed: Record) -> None:
        """Raises the recorded failure, unless the step is tried again; Suspended while its time has not come."""
        failure = StepFailed.from_error(failed.error or {})
        opening = self._retry_of(task, failed.attempt, failure)
        if opening is None:
            self._count_step()
            raise failure
        if not failed.has_waited:
            self._suspend([], opening, task, failed.attempt)

    def _attempted(self, task: Task, record: Record | None) -> Any:
        started_at = self._time()
        self.at = At(started_at, task.path, task.iteration)
        given = None
        number = record.attempt + 1 if record else 1
        try:
            self._count_step()
            given = self._settled(record.input if record and record.input is not None else task.prepared())
            if task.check:
                task.check(given)
            if task.effect == PURE:
                output = self._settled(task.outcome(given, Attempt(number, None, started_at)))
            else:
                lost = record if record and record.status == STARTED else None
                do = self._do_locally if task.effect == LOCAL else self._do_outside
                return do(task, given, lost, Attempt(number, task.key(self._claim.run_id), started_at))
        except StepFailed as failure:
            if failure.node_path is None:
                failure.node_path = task.path
                row = self._row(task, number, started_at, given, failure=failure)
                if opening := self._retry_of(task, number, failure):
                    self._suspend([row], opening, task, number)
                self._note(row)
            raise
        self._note(self._row(task, number, started_at, given, output))
        return output

    def _do_locally(self, task: Task, given: Any, _lost: Record | None, attempt: Attempt) -> Any:
        output = opening = None
        with self._store.writing(task.lock and (lambda: task.lock(given))) as is_canceled:  # type: ignore[misc]
            rows = self._pending
            if not is_canceled:
                hit("engine.mid_step")
                output = task.outcome(given, attempt)
                if isinstance(output, Opening):
                    opening, output = output, output.output
                output = self._settled(output)
                row = self._row(task, attempt.number, attempt.now, given, output, attempt.idempotency_key)
                is_waiting = opening is not None and not opening.is_met
                rows = [*rows, row | {"status": WAITING, "finished_at": None} if is_waiting else row]
            self._store.insert(rows)
            if opening:
                self._store.open_wait(opening, row, self.state)
            hit("engine.before_step_commit")
        self._committed(len(rows))
        if is_canceled:
            raise Canceled
        if opening and not opening.is_met:
            raise Suspended
        return output

    def _do_outside(self, task: Task, given: Any, lost: Record | None, attempt: Attempt) -> Any:
        row = self._row(task, attempt.number, attempt.now, given, None, attempt.idempotency_key)
        self._begin_attempt(row, lost)
        hit("engine.mid_step")
        failure = output = opening = None
        try:
            output = self._settled(task.outcome(given, attempt))
        except StepFailed as failed:
            failure = failed
            failure.node_path = task.path
            opening = self._retry_of(task, attempt.number, failure)
        hit("engine.after_effect")
        with self._store.writing() as is_canceled:
            self._store.end_attempt(self._ended(row, output, failure))
            if opening and not is_canceled:
                self._store.open_wait(opening, row, self.state)
            hit("engine.before_step_commit")
        self._committed(0)
        if is_canceled:
            raise Canceled
        if opening:
            raise Suspended
        if failure:
            raise failure
        return output

    def _begin_attempt(self, row: Row, lost: Record | None) -> None:
        with self._store.writing() as is_canceled:
            if lost:
                self._store.end_attempt(
                    self._ended(
                        row | {"attempt": lost.attempt}, None, outcome_unknown(row["step_path"], is_repeated=True)
                    )
                )
            rows = self._pending if is_canceled else [*self._pending, row | {"status": STARTED, "finished_at": None}]
            self._store.insert(rows)
            hit("engine.before_step_commit")
        self._committed(len(rows))
        if is_canceled:
            raise Canceled

    def _given_up(self, task: Task, lost: Record) -> Record:
        """The attempt whose worker was lost is a failure of unknown outcome: nobody knows whether it had its effect."""
        failure = outcome_unknown(task.path, is_repeated=False)
        row = self._row(task, lost.attempt, lost.started_at, lost.input, failure=failure)
        with self._store.writing() as is_canceled:
            self._store.end_attempt(row)
            self._store.insert(self._pending)
        self._committed(len(self._pending))
        if is_canceled:
            raise Canceled
        return replace(lost, status=FAILED, error=failure.error)

    def _retry_of(self, task: Task, attempt: int, failure: StepFailed) -> Opening | None:
        """What the step waits for before it is tried again; None when it is not."""
        if failure.is_final or task.retry is None or not task.retry.is_due_after(attempt, failure.category):
            return None
        asked = timedelta(seconds=failure.retry_after_seconds)
        return Opening(RETRY, due_at=self._time() + max(asked, task.retry.delay_after(attempt, random())))

    def _suspend(
        self, rows: list[Row], opening: Opening | None, task: Task | None = None, attempt: int = 1
    ) -> NoReturn:
        """Record what is pending and `rows`, and let the run wait: for `opening`, or for what it waits for already."""
        rows = [*self._pending, *rows]
        with self._store.writing() as is_canceled:
            self._store.insert(rows)
            if not is_canceled:
                place = {"step_path": task.path, "iteration": task.iteration, "attempt": attempt} if task else {}
                self._store.open_wait(opening, place, self.state)
            hit("engine.before_step_commit")
        self._committed(len(rows))
        raise Canceled if is_canceled else Suspended

    def _note(self, row: Row) -> None:
        self._pending.append(row)
        if (
            len(self._pending) >= self._commit_after
            or self._pending_characters >= COMMIT_AFTER_CHARACTERS
            or monotonic() - self._committed_at >= COMMIT_AFTER_SECONDS
        ):
            self._commit_pending()

    def _commit_pending(self) -> None:
        with self._store.writing() as is_canceled:
            self._store.insert(self._pending)
            hit("engine.before_step_commit")
        self._committed(len(self._pending))
        if is_canceled:
            raise Canceled

    def _committed(self, rows: int) -> None:
        self._position += rows
        self._pending = []
        self._pending_characters = 0
        self._committed_at = monotonic()
        hit("engine.after_step_commit")

    def _row(
        self,
        task: Task,
        attempt: int,
        started_at: datetime,
        given: Any,
        output: Any = None,
        key: str | None = None,
        failure: StepFailed | None = None,
    ) -> Row:
        return {
            "run_id": self._run_id,
            "step_path": task.path,
            "iteration": task.iteration,
            "attempt": attempt,
            "position": self._position + len(self._pending),
            "step_id": task.step_id,
            "node_type": task.node_type,
            "status": FAILED if failure else SUCCEEDED,
            "input": given,
            "output": output,
            "error": failure.error if failure else None,
            "idempotency_key": key,
            "claim_epoch": self._claim.epoch,
            "started_at": started_at,
            "finished_at": self._time(),
        }

    def _ended(self, row: Row, output: Any, failure: StepFailed | None) -> Row:
        status, error = (FAILED, failure.error) if failure else (SUCCEEDED, None)
        return row | {"status": status, "output": output, "error": error, "finished_at": self._time()}

    def _settled(self, value: Any) -> Any:
        copy, characters = settled(value)
        self._pending_characters += characters
        self._characters += characters
        if self._characters > MAX_RUN_CHARACTERS:
            raise StepFailed("The values of this run have become too many or too large.", "RUN_TOO_LARGE", VALIDATION)
        return copy

    def _count_step(self) -> None:
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise StepFailed(f"A run may take at most {MAX_STEPS:,} steps.", "TOO_MANY_STEPS", VALIDATION)

    def _time(self) -> datetime:
        return self._now + timedelta(seconds=monotonic() - self._read_at)
