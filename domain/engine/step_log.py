"""The step log: the engine's only memory.

A step on record gives its recorded result and is not done again. What touches nothing is recorded together at the next
boundary; what writes to our database is recorded in the transaction that does it, hence done exactly once; what reaches
outside is preceded by a committed attempt with its idempotency key, hence attempted at least once with the same key.
No transaction and no connection is held while something outside is asked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.exc import InterfaceError, OperationalError

from domain.engine.actions.action import LOCAL, PURE
from domain.engine.failures import ACTION, TIMEOUT, TRANSIENT, VALIDATION, Canceled, StepFailed, expression_failed
from domain.engine.recorded_values import settled
from domain.engine.step_store import DatabaseStore, Record, Row
from domain.expressions import ExpressionError
from domain.kernel.clock import monotonic
from domain.kernel.failpoints import hit
from domain.runs.claims import Claim
from domain.runs.steps import FAILED, STARTED, SUCCEEDED

MAX_STEPS = 50_000
MAX_RUN_CHARACTERS = 64_000_000
COMMIT_AFTER_STEPS = 200
COMMIT_AFTER_CHARACTERS = 4_000_000
COMMIT_AFTER_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """The attempt at a step that is being made: what an effect needs to know of it."""

    number: int
    idempotency_key: str | None
    now: datetime


@dataclass(slots=True)
class Task:
    """One step in one iteration, and how it is done unless it is on record.

    `prepare()` gives the input, `check(input)` refuses one that does not fit, `act(input, attempt)` gives the output.
    Input and output are JSON; all three may raise StepFailed.
    """

    path: str
    iteration: str
    step_id: str
    node_type: str
    act: Callable[[Any, Attempt], Any]
    prepare: Callable[[], Any] | None = None
    check: Callable[[Any], None] | None = None
    effect: str = PURE


class StepLog:
    """What one claimed run has done. Rows that are not committed yet are `pending_rows`, for whoever ends the run."""

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

    def pending_rows(self) -> list[Row]:
        """The rows to be inserted (`insert_steps`) in the transaction that proves the claim and ends the run."""
        return self._pending

    def result_of(self, task: Task) -> Any:
        """The recorded output of the step, done now unless it is on record.

        Raises StepFailed (recorded), Canceled, or LostClaim.
        """
        record = self._records.get((task.path, task.iteration))
        if record is not None and record.status != STARTED:
            return self._recorded_result(record)
        started_at = self._time()
        given = None
        number = record.attempt + 1 if record else 1
        try:
            self._count_step()
            given = self._settled(record.input if record else _prepared(task))
            if task.check:
                task.check(given)
            if task.effect == PURE:
                output = self._settled(_outcome(task, given, Attempt(number, None, started_at)))
            else:
                do = self._do_locally if task.effect == LOCAL else self._do_outside
                return do(task, given, record, Attempt(number, self._key(task), started_at))
        except StepFailed as failure:
            if failure.node_path is None:
                failure.node_path = task.path
                self._note(self._row(task, number, started_at, given, failure=failure))
            raise
        self._note(self._row(task, number, started_at, given, output))
        return output

    def _recorded_result(self, record: Record) -> Any:
        self._count_step()
        if record.status == FAILED and record.error:
            raise StepFailed.from_error(record.error)
        return self._settled(record.output)

    def _do_locally(self, task: Task, given: Any, _lost: Record | None, attempt: Attempt) -> Any:
        output = None
        with self._store.writing() as is_canceled:
            rows = self._pending
            if not is_canceled:
                hit("engine.mid_step")
                output = self._settled(_outcome(task, given, attempt))
                rows = [*rows, self._row(task, attempt.number, attempt.now, given, output, attempt.idempotency_key)]
            self._store.insert(rows)
            hit("engine.before_step_commit")
        self._committed(len(rows))
        if is_canceled:
            raise Canceled
        return output

    def _do_outside(self, task: Task, given: Any, lost: Record | None, attempt: Attempt) -> Any:
        row = self._row(task, attempt.number, attempt.now, given, None, attempt.idempotency_key)
        self._begin_attempt(row, lost)
        hit("engine.mid_step")
        failure = output = None
        try:
            output = self._settled(_outcome(task, given, attempt))
        except StepFailed as failed:
            failure = failed
            failure.node_path = task.path
        hit("engine.after_effect")
        with self._store.writing() as is_canceled:
            self._store.end_attempt(self._ended(row, output, failure))
            hit("engine.before_step_commit")
        self._committed(0)
        if is_canceled:
            raise Canceled
        if failure:
            raise failure
        return output

    def _begin_attempt(self, row: Row, lost: Record | None) -> None:
        with self._store.writing() as is_canceled:
            if lost:
                self._store.end_attempt(self._ended(row | {"attempt": lost.attempt}, None, _outcome_unknown(row)))
            rows = self._pending if is_canceled else [*self._pending, row | {"status": STARTED, "finished_at": None}]
            self._store.insert(rows)
            hit("engine.before_step_commit")
        self._committed(len(rows))
        if is_canceled:
            raise Canceled

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
            "run_id": self._claim.run_id,
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

    def _key(self, task: Task) -> str:
        return hashlib.sha256(f"{self._claim.run_id}\n{task.path}\n{task.iteration}".encode()).hexdigest()


def _prepared(task: Task) -> Any:
    try:
        return task.prepare() if task.prepare else None
    except ExpressionError as error:
        raise expression_failed(error) from None


def _outcome(task: Task, given: Any, attempt: Attempt) -> Any:
    """What the step's work gives. An unforeseen exception fails the step, not the worker; a database that is away
    fails neither: the run goes on elsewhere."""
    try:
        return task.act(given, attempt)
    except (StepFailed, OperationalError, InterfaceError):
        raise
    except ExpressionError as error:
        raise expression_failed(error) from None
    except TimeoutError as error:
        raise StepFailed(f"It took too long: {error}", "TIMED_OUT", TIMEOUT) from error
    except OSError as error:
        raise StepFailed(f"The other side could not be reached: {error}", "UNREACHABLE", TRANSIENT) from error
    except Exception as error:
        raise StepFailed(f"The step broke: {type(error).__name__}: {error}", "UNEXPECTED", ACTION) from error


def _outcome_unknown(row: Row) -> StepFailed:
    message = "The worker was lost before the outcome was on record. Tried again with the same idempotency key."
    return StepFailed(message, "OUTCOME_UNKNOWN", TRANSIENT, row["step_path"])
