"""What the pages of runs share: their blueprint, their tenant, and how values and waits are told."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint

from domain.kernel.secret_values import KEPT_MARK, is_sealed
from domain.runs.step_waits import StepWait
from domain.runs.waits import CANCELED, CHILD, EVENT, RETRY, TASK, TIMED_OUT
from domain.timing.words import duration_words
from web.access import member_access

HIDDEN = "(kept secret)"
STARTER_WORDS = {
    "recurring": "A repeating schedule",
    "schedule": "A one-time schedule",
    "event": "An event",
    "manual": "Someone, by hand",
    "api": "The API",
    "parent": "Another run",
    "rerun": "Someone, again",
}

blueprint = Blueprint("runs", __name__, url_prefix="/runs")


def tenant_id() -> UUID:
    return member_access().tenant.id


def zone_name() -> str:
    """The tenant's zone, in which times are asked for and shown."""
    return member_access().tenant.timezone


def readable(value: Any) -> Any:
    """A stored JSON value for people: a few words in place of what is sealed."""
    if isinstance(value, dict):
        hidden = is_sealed(value) or value == KEPT_MARK
        return HIDDEN if hidden else {key: readable(member) for key, member in value.items()}
    if isinstance(value, list):
        return [readable(item) for item in value]
    return value


def waited_in_words(found: StepWait) -> str:
    """What a wait that is over waited for, for how long, and how it ended."""
    wait = found.wait
    if wait.closed_at is None:
        return ""
    took = duration_words((wait.closed_at - wait.opened_at).total_seconds())
    awaited, ended = "a moment", "it came"
    if wait.kind == EVENT:
        tied = f" with the correlation key {wait.correlation_key}" if wait.correlation_key else ""
        awaited = f"the event {wait.event_name}{tied}"
    elif wait.kind == TASK:
        awaited, ended = f"an answer to “{found.task_title}”", "somebody answered"
    elif wait.kind == CHILD:
        awaited, ended = f"the end of its run of {found.child_name or 'another workflow'}", "it ended"
    elif wait.kind == RETRY:
        awaited = f"attempt {wait.attempt + 1}"
    if wait.status == TIMED_OUT:
        ended = "nothing came in time"
    return f"Waited {took} for {awaited}: {'canceled' if wait.status == CANCELED else ended}."
