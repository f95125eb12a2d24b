"""Plans and summaries of imports as JSON documents, camelCase: what the API answers and the command line prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from domain.bundles.importing import ImportedWorkflow, ImportSummary
from domain.bundles.plans import CarriedSchedule, ImportEntry, ImportPlan
from domain.kernel.errors import Problem
from domain.publishing.inline_triggers import AdoptedTrigger


def plan_document(plan: ImportPlan) -> dict[str, Any]:
    """`{fingerprint, workflows: [{key, name, action, versions, warnings, schedules, inlineTriggers, …}]}`."""
    return {"dryRun": True, "fingerprint": plan.fingerprint, "workflows": [_entry(entry) for entry in plan.entries]}


def summary_document(summary: ImportSummary) -> dict[str, Any]:
    """What was done. `createdWorkflows`, `deletedWorkflows` and `createdPublishedVersions` are what other readers of this
    format answer with; workflows that took the place of another are among the created ones."""
    imported = summary.imported
    replaced = [
        {"key": one.key, "workflowId": str(one.workflow_id), "replacedWorkflowId": str(one.replaced_id)}
        for one in summary.replaced
    ]
    return {
        "dryRun": False,
        "createdWorkflows": [{"key": one.key, "workflowId": str(one.workflow_id)} for one in imported],
        "deletedWorkflows": [{"key": one.key, "workflowId": str(one.replaced_id)} for one in summary.replaced],
        "replacedWorkflows": replaced,
        "createdPublishedVersions": [
            {"key": one.key, "workflowId": str(one.workflow_id), "versions": list(one.versions)} for one in imported
        ],
        "unchangedWorkflows": list(summary.unchanged),
        "canceledRuns": summary.canceled_runs,
        "workflows": [_imported(one) for one in imported],
    }


def _entry(entry: ImportEntry) -> dict[str, Any]:
    return {
        "key": entry.key,
        "name": entry.name,
        "action": entry.action,
        "conflict": entry.conflict,
        "existingWorkflowId": str(entry.existing_id) if entry.existing_id else None,
        "versions": list(entry.versions),
        "unfinishedRuns": entry.unfinished,
        "warnings": _told(entry.warnings),
        "schedules": _schedules(entry.schedules),
        "inlineTriggers": [{"trigger": trigger} for trigger in entry.inline_triggers],
    }


def _imported(one: ImportedWorkflow) -> dict[str, Any]:
    return {
        "key": one.key,
        "name": one.name,
        "workflowId": str(one.workflow_id),
        "action": "replace" if one.replaced_id else "create",
        "versions": list(one.versions),
        "warnings": _told(one.warnings),
        "schedules": _schedules(one.schedules),
        "inlineTriggers": [_adopted(adopted) for adopted in one.adopted],
    }


def _schedules(schedules: Sequence[CarriedSchedule]) -> list[dict[str, Any]]:
    return [{"id": str(one.id), "name": one.name, "status": one.becomes, "reason": one.reason} for one in schedules]


def _adopted(adopted: AdoptedTrigger) -> dict[str, Any]:
    schedule = adopted.schedule
    return {
        "trigger": adopted.trigger,
        "scheduleId": str(schedule.id) if schedule else None,
        "scheduleName": schedule.name if schedule else None,
        "status": schedule.status if schedule else None,
        "reason": adopted.reason,
    }


def _told(problems: Sequence[Problem]) -> list[dict[str, str]]:
    return [{"path": one.path, "message": one.message, "code": one.code} for one in problems]
