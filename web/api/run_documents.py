"""Runs as JSON: the short form of lists, and the long one with input, output and steps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.kernel.secret_values import shown
from domain.runs.called import called_by
from domain.runs.details import RunDetail
from domain.runs.invocations import Invocation
from domain.runs.pages import RunRow
from domain.runs.relations import RelatedRun
from domain.runs.runs import BY_RERUN
from domain.runs.step_waits import StepWait
from domain.runs.steps import RunStep
from web.api.answering import Json, instant


def row_document(row: RunRow) -> Json:
    """A run as lists show it. `scheduledFor` and `firedAt` only for a run that an occurrence of a schedule has."""
    return {
        "id": str(row.id),
        "status": row.status,
        "targetKind": row.target_kind,
        "workflowId": _id(row.workflow_id),
        "workflowName": row.workflow_name,
        "workflowVersion": row.workflow_version,
        "installId": _id(row.install_id),
        "extensionId": _id(row.extension_id),
        "extensionName": row.extension_name,
        "extensionVersion": row.extension_version,
        "method": row.method,
        "path": row.path,
        "scheduleId": _id(row.schedule_id),
        "scheduleName": row.schedule_name,
        "startedBy": row.started_by,
        "startedByName": row.actor_name,
        "isRehearsal": row.is_rehearsal,
        "eventId": _id(row.event_id),
        "eventName": row.event_name,
        "parentRunId": _id(row.parent_run_id),
        "rerunOf": _id(row.rerun_of) if row.started_by == BY_RERUN else None,
        "scheduledFor": instant(row.scheduled_for),
        "firedAt": instant(row.decided_at),
        "state": row.state,
        "errorMessage": row.error,
        "createdAt": instant(row.created_at),
        "startedAt": instant(row.started_at),
        "finishedAt": instant(row.finished_at),
        "durationSeconds": _seconds(row.started_at, row.finished_at),
    }


def run_document(detail: RunDetail) -> Json:
    """A run with what it was given, what it gave, why it failed or was canceled, and the first runs that it called."""
    run, occurrence, told = detail.run, detail.occurrence, detail.run.trigger_metadata or {}
    return {
        "id": str(run.id),
        "status": run.status,
        **_target(detail),
        "scheduleId": _id(run.schedule_id),
        "scheduleName": told.get("scheduleName"),
        "startedBy": run.started_by,
        "startedByName": detail.starter or detail.actor_name,
        "isRehearsal": run.is_rehearsal,
        "eventId": _id(detail.event_id),
        "eventName": told.get("eventName"),
        "parentRunId": _id(run.parent_run_id),
        "rerunOf": told.get("rerunOf") if run.started_by == BY_RERUN else None,
        "scheduledFor": instant(occurrence.scheduled_for) if occurrence else None,
        "firedAt": instant(occurrence.decided_at) if occurrence else None,
        "state": run.state,
        "errorMessage": (run.error or {}).get("message"),
        "createdAt": instant(detail.created_at),
        "startedAt": instant(run.started_at),
        "finishedAt": instant(run.finished_at),
        "durationSeconds": _seconds(run.started_at, run.finished_at),
        "cancelRequestedAt": instant(run.cancel_requested_at),
        "cancelReason": run.cancel_reason,
        "triggerMetadata": run.trigger_metadata,
        "input": shown(run.input_json),
        "output": shown(run.output),
        "error": run.error,
        "stepCount": detail.step_count,
        "children": [_child_document(child) for child in detail.children],
    }


def _target(detail: RunDetail) -> Json:
    """What ran: a version of a workflow, or an endpoint of a version of an extension."""
    run, called = detail.run, called_by(detail.run)
    return {
        "targetKind": run.target_kind,
        "workflowId": _id(run.workflow_id),
        "workflowName": detail.workflow.name if detail.workflow else None,
        "workflowVersion": run.workflow_version,
        "installId": _id(run.install_id),
        "extensionId": _id(called.extension_id) if called else None,
        "extensionName": called.extension_name if called else None,
        "extensionVersion": called.version if called else None,
        "method": called.method if called else None,
        "path": called.path if called else None,
    }


def step_documents(steps: Sequence[RunStep]) -> list[Json]:
    """Every attempt at a step, in the order of recording."""
    return [step_document(step) for step in steps]


def step_document(step: RunStep) -> Json:
    """One attempt at a step."""
    return {
        "stepPath": step.step_path,
        "iteration": step.iteration,
        "attempt": step.attempt,
        "stepId": step.step_id,
        "nodeType": step.node_type,
        "status": step.status,
        "input": shown(step.input),
        "output": shown(step.output),
        "error": step.error,
        "startedAt": instant(step.started_at),
        "finishedAt": instant(step.finished_at),
    }


def call_documents(calls: Sequence[Invocation]) -> list[Json]:
    """Every call of an extension, in the order given."""
    return [call_document(call) for call in calls]


def call_document(call: Invocation) -> Json:
    """One call of an extension. `status` is started, succeeded, failed, lost or not_sent; `httpStatus` is the runner's,
    `endpointStatus` what the extension answered inside it."""
    return {
        "id": str(call.id),
        "runId": str(call.run_id),
        "stepPath": call.step_path,
        "iteration": call.iteration,
        "attempt": call.attempt,
        "trigger": call.trigger,
        "scheduleId": _id(call.schedule_id),
        "scheduledFor": instant(call.scheduled_for),
        "method": call.method,
        "path": call.path,
        "status": call.status,
        "httpStatus": call.http_status,
        "endpointStatus": call.endpoint_status,
        "durationMs": call.duration_ms,
        "errorCode": call.error_code,
        "error": call.error,
        "responseExcerpt": call.response_excerpt,
        "startedAt": instant(call.started_at),
        "finishedAt": instant(call.finished_at),
    }


def wait_documents(waits: Sequence[StepWait]) -> list[Json]:
    """What the steps waited for; `status` is open, resolved, timed_out or canceled."""
    return [
        {
            "stepPath": found.wait.step_path,
            "iteration": found.wait.iteration,
            "attempt": found.wait.attempt,
            "kind": found.wait.kind,
            "status": found.wait.status,
            "eventName": found.wait.event_name,
            "correlationKey": found.wait.correlation_key,
            "eventId": _id(found.wait.event_id),
            "taskId": _id(found.task_id),
            "childRunId": _id(found.wait.child_run_id),
            "openedAt": instant(found.wait.opened_at),
            "dueAt": instant(found.wait.due_at),
            "closedAt": instant(found.wait.closed_at),
        }
        for found in waits
    ]


def _child_document(child: RelatedRun) -> Json:
    return {
        "id": str(child.id),
        "status": child.status,
        "workflowId": _id(child.workflow_id),
        "workflowName": child.workflow_name,
        "workflowVersion": child.workflow_version,
        "createdAt": instant(child.created_at),
        "startedAt": instant(child.started_at),
        "finishedAt": instant(child.finished_at),
    }


def _id(value: UUID | None) -> str | None:
    return str(value) if value else None


def _seconds(start: datetime | None, end: datetime | None) -> Any:
    return round((end - start).total_seconds(), 3) if start and end else None
