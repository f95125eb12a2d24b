"""Why a due schedule may not fire: the target's side of the decision. Timing's side is `domain.timing.decisions`."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple, Protocol

from domain.accounts.tenants import includes_schedules

EDITION_REQUIRED = "Schedules belong to the enterprise edition."


class Refusal(StrEnum):
    """The reason on a refused occurrence."""

    PAYLOAD_INVALID = "payload_invalid"
    WORKFLOW_PAUSED = "workflow_paused"
    WORKFLOW_UNPUBLISHED = "workflow_unpublished"
    WORKFLOW_DELETED = "workflow_deleted"
    EDITION = "edition"


class Hold(NamedTuple):
    reason: Refusal
    detail: str


class Target(Protocol):
    """What a hold is computed from: columns of a schedule, its workflow and its tenant."""

    @property
    def status(self) -> str: ...
    @property
    def invalid_reason(self) -> str | None: ...
    @property
    def workflow_name(self) -> str: ...
    @property
    def workflow_deleted(self) -> bool: ...
    @property
    def workflow_paused(self) -> bool: ...
    @property
    def workflow_pause_reason(self) -> str | None: ...
    @property
    def published_version(self) -> int | None: ...
    @property
    def edition(self) -> str: ...


def hold_of(target: Target) -> Hold | None:
    """The first reason, most lasting first, why an instant of this schedule is refused; None when it may fire."""
    return next(holds_of(target), None)


def holds_of(target: Target) -> Iterator[Hold]:
    """Every reason why an instant of this schedule is refused, most lasting first."""
    if target.workflow_deleted:
        yield Hold(Refusal.WORKFLOW_DELETED, f"{target.workflow_name} was deleted.")
    if not includes_schedules(target.edition):
        yield Hold(Refusal.EDITION, EDITION_REQUIRED)
    if target.published_version is None:
        yield Hold(Refusal.WORKFLOW_UNPUBLISHED, f"{target.workflow_name} has no published version.")
    if target.workflow_paused:
        because = f": {target.workflow_pause_reason}" if target.workflow_pause_reason else ""
        yield Hold(Refusal.WORKFLOW_PAUSED, f"{target.workflow_name} is paused{because}.")
    if target.status == "invalid":
        yield Hold(Refusal.PAYLOAD_INVALID, target.invalid_reason or "The payload does not fit.")
