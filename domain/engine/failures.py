"""How a step fails, and how a run is stopped from outside."""

from __future__ import annotations

from typing import Any

from domain.expressions import ExpressionError

VALIDATION, EXPRESSION, ACTION = "ValidationError", "ExpressionError", "ActionError"
TRANSIENT, TIMEOUT, CHILD = "TransientError", "TimeoutError", "ChildWorkflowError"
# The worker was lost after the effect may have begun, and the action cannot be repeated safely.
UNKNOWN = "OutcomeUnknownError"
CATEGORIES = (VALIDATION, EXPRESSION, ACTION, TRANSIENT, TIMEOUT, CHILD, UNKNOWN)

MESSAGE_MAX_CHARACTERS = 2_000
FINAL_CODES = frozenset({"TOO_MANY_STEPS", "RUN_TOO_LARGE"})


class StepFailed(Exception):
    """A step could not do its work. Recorded with the step; the run fails with it.

    `category`: one of CATEGORIES; `code`: stable, in capitals; `node_path`: where, set when the step is recorded;
    `retry_after_seconds`: how long the other side asked to be left alone, which is not recorded.
    """

    def __init__(
        self,
        message: str,
        code: str,
        category: str = ACTION,
        node_path: str | None = None,
        *,
        retry_after_seconds: float = 0,
    ) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
        self.message = _printable(message)
        self.code = code
        self.category = category
        self.node_path = node_path

    @property
    def is_final(self) -> bool:
        """Whether the run as a whole has reached a limit: no handler catches that, and nothing is tried again."""
        return self.code in FINAL_CODES

    @property
    def error(self) -> dict[str, Any]:
        """The error as it is recorded: {category, message, code, nodePath}."""
        return {
            "category": self.category,
            "message": self.message,
            "code": self.code,
            "nodePath": self.node_path,
        }

    @classmethod
    def from_error(cls, error: dict[str, Any]) -> StepFailed:
        """The failure that `error` recorded."""
        return cls(error["message"], error["code"], error["category"], error["nodePath"])


class Suspended(Exception):
    """The run waits: what it waits for is on record, and it has left the hands of this process."""


class Canceled(Exception):
    """Somebody asked to cancel the run. What was done until then is on record; nothing more is begun."""


def expression_failed(error: ExpressionError) -> StepFailed:
    """The failure of a step whose expression cannot be computed."""
    return StepFailed(error.message, "EXPRESSION_FAILED", EXPRESSION)


def outcome_unknown(node_path: str, *, is_repeated: bool) -> StepFailed:
    """The failure of an attempt whose worker was lost after it had begun."""
    if is_repeated:
        message = "The worker was lost before the outcome was on record. Tried again with the same idempotency key."
        return StepFailed(message, "OUTCOME_UNKNOWN", TRANSIENT, node_path)
    message = "The worker was lost before the outcome was on record, and this action cannot be repeated safely."
    return StepFailed(message, "OUTCOME_UNKNOWN", UNKNOWN, node_path)


def failure_of(error: Exception) -> StepFailed:
    """What an exception out of a step's work means: it took too long, could not be reached, or broke."""
    if isinstance(error, StepFailed):
        return error
    if isinstance(error, ExpressionError):
        return expression_failed(error)
    if isinstance(error, TimeoutError):
        return StepFailed(f"It took too long: {error}", "TIMED_OUT", TIMEOUT)
    if isinstance(error, OSError):
        return StepFailed(f"The other side could not be reached: {error}", "UNREACHABLE", TRANSIENT)
    return StepFailed(f"The step broke: {type(error).__name__}: {error}", "UNEXPECTED", ACTION)


def _printable(message: str) -> str:
    """A message that a jsonb column takes, whatever an action put into it."""
    text = message.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= MESSAGE_MAX_CHARACTERS else text[: MESSAGE_MAX_CHARACTERS - 1] + "…"
