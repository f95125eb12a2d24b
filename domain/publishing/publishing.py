"""Publishing: the draft becomes an immutable version, and every schedule of the workflow is judged again with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from domain.accounts.audit import Actor, record_change
from domain.accounts.tenants import load
from domain.engine.problems import ERROR, StepProblem
from domain.engine.validation import is_pure
from domain.firing.tick import settle
from domain.kernel.db import db
from domain.kernel.errors import Problem, Refused
from domain.publishing.judging import as_problem, draft_of, judged
from domain.publishing.rebinding import Misfit, fitting, rebind, schedule_ids
from domain.publishing.sealing import seal_payloads
from domain.workflows.comparisons import Comparison, draft_changes
from domain.workflows.definitions import definition_hash
from domain.workflows.drafts import check_revision
from domain.workflows.payload_schemas import schema_of, use_schema
from domain.workflows.triggers import event_name_of
from domain.workflows.versions import WorkflowVersion
from domain.workflows.workflows import Workflow


@dataclass(frozen=True)
class Published:
    """What publishing did: the new version, and how many schedules go on with it, became invalid, or fit again."""

    version: int
    rebound: int
    invalidated: int
    recovered: int


@dataclass(frozen=True)
class Preview:
    """What publishing would do now. `found`: errors and warnings of the draft; with an error publishing would be refused,
    and the schedules are not judged. `changes`: against the version that runs, None before the first.
    """

    version: int
    found: tuple[StepProblem, ...] = ()
    changes: Comparison | None = None
    rebound: int = 0
    newly_invalid: tuple[Misfit, ...] = ()
    still_invalid: tuple[Misfit, ...] = ()
    recovering: tuple[str, ...] = ()

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Why publishing would be refused."""
        return tuple(as_problem(one) for one in self.found if one.severity == ERROR)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        return tuple(as_problem(one) for one in self.found if one.severity != ERROR)


def publish_workflow(actor: Actor, workflow_id: UUID, revision: int, now: datetime) -> Published:
    """Make the draft of `revision` the version that runs, and move the schedules it fits to it.

    A schedule whose payload no longer fits becomes invalid and keeps its payload and old version; an invalid one that
    fits again becomes paused until someone resumes it. What came due before `now` is decided under the old version.
    A payload schema that is inferred from the event leaves no schedule valid.
    Raises Refused with a problem per field or step, and Conflict when the draft changed since `revision`.
    """
    workflow = load(actor.tenant_id, Workflow, workflow_id, lock="change")
    check_revision(workflow, revision)
    verdict = judged(actor.tenant_id, draft_of(workflow))
    if verdict.errors:
        raise Refused(verdict.errors)
    schema = use_schema(actor.tenant_id, verdict.payload_ref, now)
    if verdict.source_ref not in (None, verdict.payload_ref):
        use_schema(actor.tenant_id, verdict.source_ref, now, "source_schema_ref")
    settle(schedule_ids(actor.tenant_id, workflow.id), now)
    version = _insert_version(actor, workflow, verdict.payload_ref, schema, now)
    fit = fitting(actor.tenant_id, workflow.id, verdict.payload_ref, schema, workflow.draft_schema_mode)
    published = Published(version, len(fit.going_on), len(fit.newly_invalid), len(fit.recovering))
    record_change(
        actor,
        "workflow.published",
        workflow,
        after={
            "version": version,
            "schedulesMoved": published.rebound,
            "schedulesInvalid": published.invalidated,
            "schedulesRecovered": published.recovered,
        },
    )
    seal_payloads(actor.tenant_id, workflow.id, schema)
    rebind(actor, fit, version, now)
    return published


def publish_preview(tenant_id: UUID, workflow_id: UUID) -> Preview:
    """What `publish_workflow` would do to the draft and the schedules as they are now. Changes nothing."""
    workflow = load(tenant_id, Workflow, workflow_id)
    verdict = judged(tenant_id, draft_of(workflow))
    preview = Preview(_next_version(workflow), verdict.problems, draft_changes(workflow))
    if verdict.errors:
        return preview
    schema = schema_of(tenant_id, verdict.payload_ref)
    fit = fitting(tenant_id, workflow.id, verdict.payload_ref, schema, workflow.draft_schema_mode)
    return replace(
        preview,
        rebound=len(fit.going_on),
        newly_invalid=fit.newly_invalid,
        still_invalid=fit.still_invalid,
        recovering=tuple(one.name for one in fit.recovering),
    )


def draft_problems(workflow: Workflow) -> list[Problem]:
    """Why the draft cannot be published; empty when it can. Paths: a step (`root.steps[0]`) or a field."""
    return judged(workflow.tenant_id, draft_of(workflow)).errors


def _next_version(workflow: Workflow) -> int:
    latest = db.session.scalars(
        select(func.max(WorkflowVersion.version)).where(
            WorkflowVersion.tenant_id == workflow.tenant_id, WorkflowVersion.workflow_id == workflow.id
        )
    ).one()
    return (latest or 0) + 1


def _insert_version(
    actor: Actor, workflow: Workflow, schema_ref: str | None, schema: dict[str, Any], now: datetime
) -> int:
    number = _next_version(workflow)
    definition = workflow.draft_definition
    db.session.add(
        WorkflowVersion(
            tenant_id=workflow.tenant_id,
            workflow_id=workflow.id,
            version=number,
            definition=definition,
            definition_hash=definition_hash(definition),
            trigger=workflow.draft_trigger,
            payload_schema_mode=workflow.draft_schema_mode,
            payload_schema_ref=schema_ref,
            payload_schema=schema,
            is_pure=is_pure(definition),
            published_at=now,
            published_by=actor.user_id,
        )
    )
    db.session.flush()
    workflow.published_version = number
    workflow.event_name = event_name_of(workflow.draft_trigger)
    workflow.draft_version = number + 1
    workflow.revision += 1
    workflow.content_changed_at = now
    workflow.updated_at = now
    db.session.flush()
    return number
