"""One call of an extension: what is written down before, the call without a database connection, what is written after."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from domain.engine.actions.action import ActionContext
from domain.engine.actions.call_targets import (
    Target,
    check_payload,
    check_room,
    check_target,
    hold_room,
    install_target,
    named_target,
    passage,
)
from domain.engine.failures import ACTION, TIMEOUT, TRANSIENT, VALIDATION, StepFailed
from domain.extensions.answers import MAX_EXCERPT_CHARACTERS, Executed, RunnerFailed
from domain.extensions.capabilities import provided
from domain.extensions.circuits import Passage, close_circuit, note_failure
from domain.extensions.extensions import asked_by
from domain.extensions.install_secrets import install_secret_values
from domain.extensions.runner import ExecuteRequest, execute
from domain.extensions.settings import Runner, configured_runner
from domain.kernel.clock import database_now
from domain.kernel.db import transacted
from domain.kernel.errors import LostClaim
from domain.kernel.failpoints import hit
from domain.kernel.ids import new_id
from domain.kernel.log import log_context, logger
from domain.kernel.redaction import redacted_text, texts_to_hide
from domain.kernel.vault import Unsealable
from domain.runs.invocations import FAILED, NOT_SENT, SUCCEEDED
from domain.runs.invoking import Outcome, begin_invocation, end_invocation, held_run

log = logger(__name__)

BY_TIMING = ("schedule", "recurring")
# What says that nobody is there who could answer, or that what answers is broken.
_UNANSWERED = frozenset(
    {"RUNNER_UNREACHABLE", "RUNNER_TIMEOUT", "RUNNER_HTTP_ERROR", "RUNNER_NOT_JSON", "RUNNER_EMPTY", "RUNNER_TOO_LARGE"}
)


@dataclass(frozen=True)
class Asked:
    """What is to be called. `extension`: its name or its id, where the run is not one of an install itself."""

    extension: str
    method: str
    path: str
    payload: Any = field(default=None, repr=False)
    query: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """A call that is written down. `hidden`: texts that no record may hold, longest first. `row`: its columns."""

    runner: Runner = field(repr=False)
    request: ExecuteRequest
    passage: Passage
    row: dict[str, Any]
    hidden: tuple[str, ...] = field(repr=False)


def call_endpoint(asked: Asked, context: ActionContext) -> tuple[Executed, tuple[str, ...]]:
    """Call once, and write down how it went: the answer, and the texts to take out of it. Raises StepFailed."""
    call = transacted(lambda: _begun(asked, context))
    if isinstance(call, StepFailed):
        raise call
    hit("call.before_send")
    executed, failed = _sent(call)
    hit("call.after_answer")
    outcome = _outcome(call, executed, failed)
    transacted(lambda: _end(call, outcome, failed))
    if executed and not failed:
        return executed, call.hidden
    assert failed is not None, "one of the two is there"  # noqa: S101
    raise StepFailed(outcome.error or failed.message, failed.code, _category(failed))


def _sent(call: Call) -> tuple[Executed | None, RunnerFailed | None]:
    try:
        executed = execute(call.runner, call.request)
    except RunnerFailed as failed:
        return None, failed
    except Exception as error:
        log.exception("A call broke before it could be made")
        return None, RunnerFailed("CALL_BROKE", f"The call broke: {type(error).__name__}: {error}")
    return executed, executed.failure


def _begun(asked: Asked, context: ActionContext) -> Call | StepFailed:
    """In one transaction: who is called, whether it may be, and the row that says that it is."""
    if context.workflow_id is not None:
        # Endpoint runs have been admitted; of workflows nobody knows before what they will call.
        hold_room(context.tenant_id)
    run = held_run(context.run_id, context.step_path, context.iteration, context.attempt)
    if run is None:
        raise LostClaim
    now = run.now
    try:
        target = (
            install_target(context.tenant_id, run.install_id)
            if run.install_id
            else named_target(context.tenant_id, asked.extension)
        )
    except StepFailed as failure:
        return failure
    row = _row(asked, context, run, target)
    try:
        call = _call(asked, context, run.install_id is None, target, row, now)
    except StepFailed as failure:
        outcome = Outcome(NOT_SENT, failure.code, redacted_text(failure.message, context.hidden))
        begin_invocation(row, now, outcome)
        _log(row, outcome, now, now)
        return failure
    begin_invocation(row, now)
    return call


def _call(
    asked: Asked, context: ActionContext, is_of_workflow: bool, target: Target, row: dict[str, Any], now: datetime
) -> Call:
    """Raises StepFailed with the reason why the call is not made."""
    runner = configured_runner()
    check_target(target, runner, asked.method, asked.path)
    assert runner is not None, "it was checked with the target"  # noqa: S101
    check_payload(asked.payload)
    if is_of_workflow:
        check_room(target, now)
    secrets = _secrets(target)
    way = passage(target, runner, now)
    request = _request(asked, context, target, row, secrets, now)
    hidden = texts_to_hide([list(secrets.values()), runner.token, runner.key, list(context.hidden)])
    return Call(runner, request, way, row, hidden)


def _secrets(target: Target) -> dict[str, str]:
    """Those of the install, when it was granted to read them. Raises StepFailed."""
    if "cap:secrets.get" not in target.install.capabilities:
        return {}
    try:
        return install_secret_values(target.install)
    except Unsealable as unsealable:
        raise StepFailed(unsealable.message, unsealable.code, VALIDATION) from None


def _row(asked: Asked, context: ActionContext, run: Any, target: Target) -> dict[str, Any]:
    told = run.trigger_metadata or {}
    scheduled_for = told.get("scheduledFor")
    return {
        "id": new_id(),
        "tenant_id": context.tenant_id,
        "run_id": context.run_id,
        "step_path": context.step_path,
        "iteration": context.iteration,
        "attempt": context.attempt,
        "install_id": target.install.id,
        "extension_id": target.extension.id,
        "version_id": target.version.id,
        "content_hash": target.version.content_hash,
        "schedule_id": run.schedule_id,
        "scheduled_for": datetime.fromisoformat(scheduled_for) if scheduled_for else None,
        "trigger": "schedule" if told.get("triggerType") in BY_TIMING else "manual",
        "actor_id": run.actor_id,
        "method": asked.method,
        # A step may make its path of anything, a secret too.
        "path": redacted_text(asked.path, context.hidden),
        "idempotency_key": context.idempotency_key or "",
    }


def _request(
    asked: Asked, context: ActionContext, target: Target, row: dict[str, Any], secrets: dict[str, str], now: datetime
) -> ExecuteRequest:
    same = ("attempt", "trigger", "tenant_id", "extension_id", "install_id", "version_id", "content_hash", "method",
            "schedule_id", "scheduled_for", "idempotency_key")  # fmt: skip
    return ExecuteRequest(
        **{name: row[name] for name in same},
        path=asked.path,
        request_id=row["id"],
        invocation_id=invocation_of(context),
        now=now,
        payload=asked.payload,
        query=asked.query,
        config=dict(target.install.config),
        providers=provided(target.install.capabilities, asked_by(target.version.id)),
        secrets=secrets,
    )


def invocation_of(context: ActionContext) -> UUID:
    """What all attempts of one call have in common: the run, or, of a workflow, its step in this turn of its loops."""
    if context.workflow_id is None:
        return context.run_id
    return uuid5(context.run_id, f"{context.step_path}\n{context.iteration}")


def _outcome(call: Call, executed: Executed | None, failed: RunnerFailed | None) -> Outcome:
    """How it went, as it is recorded: redacted, and cut afterwards, so that no cut hides the end of a secret."""
    if failed is None:
        assert executed is not None, "one of the two is there"  # noqa: S101
        excerpt = redacted_text(executed.text, call.hidden)[:MAX_EXCERPT_CHARACTERS]
        return Outcome(SUCCEEDED, None, None, executed.http_status, executed.status, executed.duration_ms, excerpt)
    text = executed.text if executed else failed.excerpt
    return Outcome(
        FAILED,
        failed.code,
        redacted_text(failed.message, call.hidden)[:MAX_EXCERPT_CHARACTERS],
        failed.http_status,
        failed.endpoint_status,
        failed.duration_ms,
        redacted_text(text, call.hidden)[:MAX_EXCERPT_CHARACTERS],
    )


def _end(call: Call, outcome: Outcome, failed: RunnerFailed | None) -> None:
    """In one transaction: how the call went, and what the circuit makes of it."""
    now = end_invocation(call.request.request_id, outcome) or database_now()
    install_id = call.request.install_id
    if failed is None or not _is_unanswered(failed):
        close_circuit(install_id)
    elif note_failure(call.request.tenant_id, install_id, call.passage, outcome.error or "", now):
        log.warning("Calls of an install are held back", install_id=str(install_id), error=outcome.error)
    _log(call.row, outcome, call.request.now, now)


def _is_unanswered(failed: RunnerFailed) -> bool:
    return failed.code in _UNANSWERED or (failed.endpoint_status or 0) >= 500


def _category(failed: RunnerFailed) -> str:
    if failed.code == "RUNNER_TIMEOUT":
        return TIMEOUT
    return TRANSIENT if failed.is_retryable else ACTION


def _log(row: dict[str, Any], outcome: Outcome, started_at: datetime, finished_at: datetime) -> None:
    """One line per call; the run and the schedule are bound where the row knows them."""
    with log_context(tenant_id=row["tenant_id"], run_id=row["run_id"], schedule_id=row["schedule_id"]):
        log.info(
            "An endpoint was called" if outcome.status != NOT_SENT else "An endpoint was not called",
            install_id=str(row["install_id"]),
            registry_id=str(row["extension_id"]),
            version_id=str(row["version_id"]),
            content_hash=row["content_hash"],
            method=row["method"],
            path=row["path"],
            attempt=row["attempt"],
            trigger=row["trigger"],
            invocation_id=str(row["id"]),
            started_at=started_at.isoformat(),
            finished_at=finished_at.isoformat(),
            status=outcome.status,
            endpoint_status=outcome.endpoint_status,
            duration_ms=outcome.duration_ms,
            code=outcome.error_code,
            error=outcome.error,
        )
