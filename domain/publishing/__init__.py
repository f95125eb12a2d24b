"""Publishing a workflow, and holding or ending it: what changes a workflow together with its schedules."""

from domain.publishing.catalog import (
    STATUSES,
    TRIGGERS,
    RecentRun,
    WorkflowRow,
    living_schedules,
    schedule_count,
    workflow_count,
    workflows_page,
)
from domain.publishing.failing import pause_failing
from domain.publishing.holding import delete_workflow, pause_workflow, resume_workflow
from domain.publishing.judging import Draft, Verdict, draft_of, judged
from domain.publishing.publishing import Preview, Published, draft_problems, publish_preview, publish_workflow
from domain.publishing.rebinding import Misfit

__all__ = [
    "STATUSES",
    "TRIGGERS",
    "Draft",
    "Misfit",
    "Preview",
    "Published",
    "RecentRun",
    "Verdict",
    "WorkflowRow",
    "delete_workflow",
    "draft_of",
    "draft_problems",
    "judged",
    "living_schedules",
    "pause_failing",
    "pause_workflow",
    "publish_preview",
    "publish_workflow",
    "resume_workflow",
    "schedule_count",
    "workflow_count",
    "workflows_page",
]
