"""The one launcher of runs. Only schedules start theirs in bulk (`domain.firing.tick`)."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from domain.accounts.audit import Actor, record_change
from domain.accounts.request_keys import RequestKey, answer_request, claim_request
from domain.accounts.tenants import load
from domain.kernel import strict_json
from domain.kernel.db import db
from domain.kernel.errors import Held
from domain.kernel.names import parse_name
from domain.runs.announcing import announce_work
from domain.runs.canceling import request_cancel
from domain.runs.runs import (
    BY_EVENT,
    BY_HAND,
    BY_PARENT,
    BY_RERUN,
    CANCELED,
    EFFECT,
    FAILED,
    FINISHED,
    PURE,
    SUCCEEDED,
    Run,
)
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
    run = insert_run(actor, workflow, version, checked, started_by, told, parent_run_id=parent_run_id)
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
    kept mark stands for what is sealed in the input at that place.

    Repeating the request gives the run it started. Raises Refused at `payload…` when the version does not take it.
    """
    if earlier := claim_request(actor.tenant_id, request_key, "runs.rerun"):
        return load(actor.tenant_id, Run, earlier_run_id(earlier))
    original = load(actor.tenant_id, Run, run_id)
    if original.status not in FINISHED:
        raise Held("This run is still going. Cancel it or wait for its end before running it again.")
    workflow = load(actor.tenant_id, Workflow, original.workflow_id, lock="share")
    published = launchable_version(workflow)
    version = published if use_published else version_of(actor.tenant_id, workflow.id, original.workflow_version)
    given = original.input_json if payload is None else payload
    if given != original.input_json or version.version != original.workflow_version:
        given = taken_payload(actor.tenant_id, version.payload_schema, given, original.input_json)
    metadata = {**(original.trigger_metadata or {}), **_metadata(BY_RERUN, now), "rerunOf": str(original.id)}
    run = insert_run(actor, workflow, version, given, BY_RERUN, metadata, is_rehearsal=original.is_rehearsal)
    answer_request(actor.tenant_id, request_key, {"runId": str(run.id)})
    told = {"workflow": workflow.name, "rerunOf": str(original.id), "version": version.version}
    record_change(actor, "run.repeated", run, after=told)
    announce_work()
    return run


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
    workflow: Workflow,
    version: WorkflowVersion,
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
        workflow_id=workflow.id,
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
