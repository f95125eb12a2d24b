"""Runs as JSON: the short form of lists, and the long one with input, output and steps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.runs.details import RunDetail
from domain.runs.pages import RunRow
from domain.runs.steps import RunStep
from web.api.answering import Json, instant


def row_document(row: RunRow) -> Json:
    """A run as lists show it. `scheduledFor` and `firedAt` only for a run that an occurrence of a schedule has."""
    return {
        "id": str(row.id),
        "status": row.status,
        "workflowId": str(row.workflow_id),
        "workflowName": row.workflow_name,
        "workflowVersion": row.workflow_version,
        "scheduleId": _id(row.schedule_id),
        "scheduleName": row.schedule_name,
        "startedBy": row.started_by,
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
    """A run with what it was given, what it gave, and why it failed."""
    run, occurrence = detail.run, detail.occurrence
    return {
        "id": str(run.id),
        "status": run.status,
        "workflowId": str(run.workflow_id),
        "workflowName": detail.workflow.name,
        "workflowVersion": run.workflow_version,
        "scheduleId": _id(run.schedule_id),
        "scheduleName": (run.trigger_metadata or {}).get("scheduleName"),
        "startedBy": run.started_by,
        "scheduledFor": instant(occurrence.scheduled_for) if occurrence else None,
        "firedAt": instant(occurrence.decided_at) if occurrence else None,
        "state": run.state,
        "errorMessage": (run.error or {}).get("message"),
        "createdAt": instant(detail.created_at),
        "startedAt": instant(run.started_at),
        "finishedAt": instant(run.finished_at),
        "durationSeconds": _seconds(run.started_at, run.finished_at),
        "cancelRequestedAt": instant(run.cancel_requested_at),
        "triggerMetadata": run.trigger_metadata,
        "input": run.input_json,
        "output": run.output,
        "error": run.error,
        "stepCount": detail.step_count,
    }


def step_documents(steps: Sequence[RunStep]) -> list[Json]:
    """Every attempt at a step, in the order of recording."""
    return [
        {
            "stepPath": step.step_path,
            "iteration": step.iteration,
            "attempt": step.attempt,
            "stepId": step.step_id,
            "nodeType": step.node_type,
            "status": step.status,
            "input": step.input,
            "output": step.output,
            "error": step.error,
            "startedAt": instant(step.started_at),
            "finishedAt": instant(step.finished_at),
        }
        for step in steps
    ]


def _id(value: UUID | None) -> str | None:
    return str(value) if value else None


def _seconds(start: datetime | None, end: datetime | None) -> Any:
    return round((end - start).total_seconds(), 3) if start and end else None
