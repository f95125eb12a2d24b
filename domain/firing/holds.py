"""Why a due schedule may not fire: the target's side of the decision. Timing's side is `domain.timing.decisions`."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple, Protocol

from domain.accounts.tenants import includes_schedules
from domain.extensions.settings import configured_runner
from domain.schedules.schedules import ENDPOINT
from domain.schedules.targets import NO_RUNNER, disabled_words, stale_words

EDITION_REQUIRED = "Schedules belong to the enterprise edition."


class Refusal(StrEnum):
    """The reason on a refused occurrence."""

    PAYLOAD_INVALID = "payload_invalid"
    WORKFLOW_PAUSED = "workflow_paused"
    WORKFLOW_UNPUBLISHED = "workflow_unpublished"
    WORKFLOW_DELETED = "workflow_deleted"
    EDITION = "edition"
    INSTALL_DISABLED = "install_disabled"
    ENDPOINT_STALE = "endpoint_stale"
    RUNNER_NOT_CONFIGURED = "runner_not_configured"


class Hold(NamedTuple):
    reason: Refusal
    detail: str


class Target(Protocol):
    """What a hold is computed from: columns of a schedule, its target and its tenant. Those of a workflow and those of an
    endpoint are None, and flags false, where the target is of the other kind."""

    @property
    def target_kind(self) -> str: ...
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
    def extension_name(self) -> str: ...
    @property
    def endpoint_method(self) -> str: ...
    @property
    def endpoint_path(self) -> str: ...
    @property
    def endpoint_stale(self) -> bool: ...
    @property
    def install_disabled(self) -> bool: ...
    @property
    def install_disable_reason(self) -> str | None: ...
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
    yield from _holds_of_call(target) if target.target_kind == ENDPOINT else _holds_of_workflow(target)
    if target.status == "invalid":
        yield Hold(Refusal.PAYLOAD_INVALID, target.invalid_reason or "The payload does not fit.")


def _holds_of_workflow(target: Target) -> Iterator[Hold]:
    if target.published_version is None:
        yield Hold(Refusal.WORKFLOW_UNPUBLISHED, f"{target.workflow_name} has no published version.")
    if target.workflow_paused:
        because = f": {target.workflow_pause_reason}" if target.workflow_pause_reason else ""
        yield Hold(Refusal.WORKFLOW_PAUSED, f"{target.workflow_name} is paused{because}.")


def _holds_of_call(target: Target) -> Iterator[Hold]:
    if target.endpoint_stale:
        words = stale_words(f"{target.endpoint_method} {target.endpoint_path}", target.extension_name)
        yield Hold(Refusal.ENDPOINT_STALE, words)
    if target.install_disabled:
        yield Hold(Refusal.INSTALL_DISABLED, disabled_words(target.extension_name, target.install_disable_reason))
    if configured_runner() is None:
        yield Hold(Refusal.RUNNER_NOT_CONFIGURED, NO_RUNNER)
