"""One step as the engine works on it: how it is done, the attempt at it, and what it may stop for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from domain.engine.actions.action import PURE
from domain.engine.failures import StepFailed, expression_failed, failure_of
from domain.engine.retries import Retry
from domain.expressions import ExpressionError
from domain.kernel import strict_json


def is_database_away(error: Exception) -> bool:
    """Whether a step's work met a connection that failed or was ended, or there was none to be had in time. None of it
    says anything about the step."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    return isinstance(error, OperationalError | InterfaceError | PoolTimeout)


class At(NamedTuple):
    """A step and when it was begun, as recorded: the only time that its expressions see."""

    started_at: datetime
    path: str
    iteration: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """The attempt at the step that is being made: what an effect needs to know of it."""

    number: int
    idempotency_key: str | None
    now: datetime


@dataclass(frozen=True, slots=True)
class Question:
    """What a task asks a person: as in `tasks`."""

    task_type: str
    title: str
    description: str
    context: Any
    form_schema: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Opening:
    """What a step stops for: as in `waits`. With `event_id` it is there already, and `output` is that of the step."""

    kind: str
    due_at: datetime | None = None
    event_name: str | None = None
    correlation_key: str | None = None
    filters: Any = None
    child_run_id: UUID | None = None
    question: Question | None = None
    event_id: UUID | None = None
    output: Any = None

    @property
    def is_met(self) -> bool:
        return self.event_id is not None


@dataclass(slots=True)
class Task:
    """One step in one iteration, and how it is done unless it is on record.

    `prepare()` gives the input, `check(input)` refuses one that does not fit, `act(input, attempt)` gives the output, or
    (with a local effect) the Opening that the run stops for. Input and output are JSON; all three may raise StepFailed.
    `own_key()` gives what the author wants the idempotency key made of instead of run, path and iteration.
    `lock(input)` comes first in the transaction of a local effect, before the run is locked. An outside effect that
    cannot be repeated (`is_idempotent`) is not begun again after its worker was lost.
    """

    path: str
    iteration: str
    step_id: str
    node_type: str
    act: Callable[[Any, Attempt], Any]
    prepare: Callable[[], Any] | None = None
    check: Callable[[Any], None] | None = None
    lock: Callable[[Any], None] | None = None
    own_key: Callable[[], Any] | None = None
    effect: str = PURE
    is_idempotent: bool = True
    retry: Retry | None = None

    def key(self, run_id: UUID) -> str:
        """The idempotency key of every attempt at this step: SHA-256 over run, path and iteration, in hexadecimal.

        Raises StepFailed.
        """
        if self.own_key:
            try:
                return hashlib.sha256(strict_json.dumps(self.own_key()).encode()).hexdigest()
            except ExpressionError as error:
                raise expression_failed(error) from None
        return hashlib.sha256(f"{run_id}\n{self.path}\n{self.iteration}".encode()).hexdigest()

    def prepared(self) -> Any:
        """The input, computed now. Raises StepFailed."""
        try:
            return self.prepare() if self.prepare else None
        except ExpressionError as error:
            raise expression_failed(error) from None

    def outcome(self, given: Any, attempt: Attempt) -> Any:
        """What the step's work gives. An unforeseen exception fails the step, not the worker; a database that is away
        fails neither: the run goes on elsewhere."""
        try:
            return self.act(given, attempt)
        except StepFailed:
            raise
        except Exception as error:
            if is_database_away(error):
                raise
            raise failure_of(error) from error
