"""The one launcher of runs. Only schedules start theirs in bulk (`domain.firing.tick`)."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from domain.accounts.audit import Actor, record_change
from domain.accounts.request_keys import RequestKey, answer_request, claim_request
from domain.accounts.tenants import load
from domain.extensions.endpoints import ExtensionEndpoint
from domain.extensions.extensions import Extension
from domain.extensions.installs import Install
from domain.kernel import strict_json
from domain.kernel.db import db
from domain.kernel.errors import Held
from domain.kernel.names import parse_name
from domain.runs.announcing import announce_work
from domain.runs.call_limits import check_call_rate
from domain.runs.canceling import request_cancel
from domain.runs.runs import (
    BY_EVENT,
    BY_HAND,
    BY_PARENT,
    BY_RERUN,
    CALL,
    CANCELED,
    EFFECT,
    FAILED,
    FINISHED,
    PURE,
    SUCCEEDED,
    Run,
)
from domain.schedules.bindings import BoundVersion
from domain.schedules.drafts import ATTEMPTS
from domain.schedules.payloads import endpoint_payload
from domain.schedules.schedules import ENDPOINT
from domain.schedules.targets import target_called
from domain.workflows.payload_secrets import taken_payload
from domain.workflows.versions import WorkflowVersion, version_of
from domain.workflows.workflows import Workflow

REASON_MAX_CHARACTERS = 500


def launch(
    actor: Actor,
    workflow: Workflow,
    payload: Any,
    started_by: str,
    now: datetime,
    metadata: dict[str, Any] | None = None,
    parent_run_id: UUID | None = None,
    version: WorkflowVersion | None = None,
) -> Run:
    """Start one run of the published version of a workflow, or of `version`, which the caller has loaded with lock="share".

    The one way to start a run that is not an occurrence: by hand, over the API, for an event, for a parent run.
    `metadata` goes beside triggerType and firedAt into `meta.trigger`. Raises Refused at `payload…` (JSON pointers) and
    Held (paused, unpublished).
    """
    published = launchable_version(workflow)
    version = version or published
    # What was stored before may hold sealed values; what somebody brings may not.
    stored = payload if started_by in (BY_EVENT, BY_PARENT) else None
    checked = taken_payload(actor.tenant_id, version.payload_schema, payload, stored)
    told = {**_metadata(started_by, now), **(metadata or {})}
    run = insert_run(actor, version, checked, started_by, told, parent_run_id=parent_run_id)
    announce_work()
    return run


def launch_workflow(
    actor: Actor, workflow_id: UUID, payload_text: str, request_key: str, now: datetime, started_by: str = BY_HAND
) -> Run:
    """Start one run of the published version by hand or over the API; repeating the request gives the run it started.

    Raises Refused (payload, with JSON pointers) and Held (paused, unpublished).
    """
    if earlier := claim_request(actor.tenant_id, request_key, "runs.launch"):
        return load(actor.tenant_id, Run, earlier_run_id(earlier))
    workflow = load(actor.tenant_id, Workflow, workflow_id, lock="share")
    launchable_version(workflow)
    run = launch(actor, workflow, strict_json.loads(payload_text, path="payload"), started_by, now)
    answer_request(actor.tenant_id, request_key, {"runId": str(run.id)})
    record_change(actor, "run.started", run, after={"workflow": workflow.name, "startedBy": started_by})
    return run


def rerun(
    actor: Actor, run_id: UUID, request_key: str, now: datetime, payload: Any = None, use_published: bool = False
) -> Run:
    """Run a finished run again: its version, or the published one, with its input, or another `payload`, in which a
    kept mark stands for what is sealed in the input at that place. An endpoint is called as the installed version has it.

    Repeating the request gives the run it started. Raises Refused at `payload…` when the target does not take it, Held
    when it cannot be started, Throttled when extensions were called too often by hand.
    """
    if earlier := claim_request(actor.tenant_id, request_key, "runs.rerun"):
        return load(actor.tenant_id, Run, earlier_run_id(earlier))
    original = load(actor.tenant_id, Run, run_id)
    if original.status not in FINISHED:
        raise Held("This run is still going. Cancel it or wait for its end before running it again.")
    metadata = {**(original.trigger_metadata or {}), **_metadata(BY_RERUN, now), "rerunOf": str(original.id)}
    if original.target_kind == ENDPOINT:
        check_call_rate(actor.tenant_id, now)
        run, told = _repeated_call(actor, original, metadata, payload)
    else:
        run, told = _repeated_run(actor, original, metadata, payload, use_published)
    answer_request(actor.tenant_id, request_key, {"runId": str(run.id)})
    record_change(actor, "run.repeated", run, after={**told, "rerunOf": str(original.id)})
    announce_work()
    return run


def _repeated_run(
    actor: Actor, original: Run, metadata: dict[str, Any], payload: Any, use_published: bool
) -> tuple[Run, dict[str, Any]]:
    workflow = load(actor.tenant_id, Workflow, original.workflow_id, lock="share")
    published = launchable_version(workflow)
    version = published if use_published else version_of(actor.tenant_id, workflow.id, original.workflow_version)
    given = original.input_json if payload is None else payload
    if given != original.input_json or version.version != original.workflow_version:
        given = taken_payload(actor.tenant_id, version.payload_schema, given, original.input_json)
    run = insert_run(actor, version, given, BY_RERUN, metadata, is_rehearsal=original.is_rehearsal)
    return run, {"workflow": workflow.name, "version": version.version}


def _repeated_call(actor: Actor, original: Run, metadata: dict[str, Any], payload: Any) -> tuple[Run, dict[str, Any]]:
    method, path = str(metadata.get("method", "")), str(metadata.get("path", ""))
    target = target_called(actor.tenant_id, original.install_id, method, path)
    given = original.input_json if payload is None else payload
    if given != original.input_json or target.endpoint.id != original.endpoint_id:
        given = endpoint_payload(given, target, original.input_json)
    run = insert_call(
        actor,
        target.install,
        target.endpoint,
        given,
        BY_RERUN,
        metadata,
        is_rehearsal=original.is_rehearsal,
        max_attempts=int(metadata.get("maxAttempts", ATTEMPTS)),
    )
    return run, {"extension": target.extension, "endpoint": target.label, "version": target.version}


def earlier_run_id(earlier: RequestKey) -> UUID:
    """The run that the first request with this key started."""
    return UUID(str((earlier.answer or {}).get("runId")))


def cancel_run(actor: Actor, run_id: UUID, now: datetime, reason: str = "") -> str:
    """End a run: `canceled` at once, `requested` while a worker holds it. Asking again changes nothing.

    Raises Refused at `reason`, and Held when it has ended otherwise.
    """
    why = parse_name(reason, "reason", max_characters=REASON_MAX_CHARACTERS) if reason.strip() else ""
    run = load(actor.tenant_id, Run, run_id)
    result = request_cancel(run.id, now, why)
    if result == "canceled" or (result == "requested" and run.cancel_requested_at is None):
        record_change(actor, "run.canceled", run, reason=why or None)
        announce_work()
    db.session.refresh(run)
    if run.status in (SUCCEEDED, FAILED):
        raise Held("This run has already ended. There is nothing left to cancel.")
    return "canceled" if run.status == CANCELED else result


def launchable_version(workflow: Workflow) -> WorkflowVersion:
    """The published version; raises Held with the reason when nothing may be started now."""
    if workflow.published_version is None:
        raise Held(f"{workflow.name} has no published version. Publish it first.", code="WORKFLOW_NOT_PUBLISHED")
    if workflow.paused_at is not None:
        because = f": {workflow.pause_reason}" if workflow.pause_reason else ""
        raise Held(f"{workflow.name} is paused{because}. Resume it first.", code="WORKFLOW_PAUSED")
    return version_of(workflow.tenant_id, workflow.id, workflow.published_version)


def _metadata(trigger_type: str, now: datetime) -> dict[str, Any]:
    return {"triggerType": trigger_type, "firedAt": now.strftime("%Y-%m-%dT%H:%M:%SZ")}


def insert_run(
    actor: Actor,
    version: WorkflowVersion | BoundVersion,
    payload: Any,
    started_by: str,
    metadata: dict[str, Any],
    schedule_id: UUID | None = None,
    parent_run_id: UUID | None = None,
    is_rehearsal: bool = False,
) -> Run:
    """Write a queued run. Always unready: admission decides when it starts, also without a limit."""
    run = Run(
        tenant_id=actor.tenant_id,
        workflow_id=version.workflow_id,
        workflow_version=version.version,
        schedule_id=schedule_id,
        parent_run_id=parent_run_id,
        is_rehearsal=is_rehearsal,
        started_by=started_by,
        actor_id=actor.user_id,
        trigger_metadata=metadata,
        input_json=payload,
        lane=PURE if version.is_pure else EFFECT,
    )
    db.session.add(run)
    db.session.flush()
    return run


def insert_call(
    actor: Actor,
    install: Install,
    endpoint: ExtensionEndpoint,
    payload: Any,
    started_by: str,
    metadata: dict[str, Any],
    schedule_id: UUID | None = None,
    is_rehearsal: bool = False,
    max_attempts: int = ATTEMPTS,
) -> Run:
    """Write a queued run that calls an endpoint of an install at most `max_attempts` times; `payload` None: without a body.

    What is called goes on record beside `metadata`. Always unready: admission decides when it starts.
    """
    run = Run(
        tenant_id=actor.tenant_id,
        target_kind=ENDPOINT,
        install_id=install.id,
        extension_version_id=endpoint.version_id,
        endpoint_id=endpoint.id,
        schedule_id=schedule_id,
        is_rehearsal=is_rehearsal,
        started_by=started_by,
        actor_id=actor.user_id,
        trigger_metadata=metadata | _called(install, endpoint, max_attempts),
        input_json=payload,
        lane=CALL,
    )
    db.session.add(run)
    db.session.flush()
    return run


def _called(install: Install, endpoint: ExtensionEndpoint, max_attempts: int) -> dict[str, Any]:
    extension = db.session.get_one(Extension, install.extension_id)
    return {
        "extensionId": str(extension.id),
        "extension": extension.name,
        "installId": str(install.id),
        "endpointId": str(endpoint.id),
        "method": endpoint.method,
        "path": endpoint.path,
        "maxAttempts": max_attempts,
    }
