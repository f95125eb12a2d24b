"""Publishing: the draft becomes an immutable version, and every schedule of the workflow is judged again with it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from domain.accounts.audit import Actor, record_change
from domain.accounts.tenants import load
from domain.engine.problems import ERROR, StepProblem
from domain.engine.validation import definition_problems, is_pure
from domain.firing.tick import settle
from domain.kernel.db import db
from domain.kernel.errors import Problem, Refused
from domain.publishing.rebinding import Fitting, Misfit, fitting, rebind, schedule_ids
from domain.publishing.sealing import seal_payloads
from domain.workflows.definitions import definition_hash
from domain.workflows.drafts import INFERRED, check_revision
from domain.workflows.payload_schemas import schema_of, use_schema
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
    """What publishing would do now. With `problems` it would be refused, and the schedules are not judged."""

    version: int
    problems: tuple[Problem, ...]
    rebound: int = 0
    newly_invalid: tuple[Misfit, ...] = ()
    still_invalid: tuple[Misfit, ...] = ()
    recovering: tuple[str, ...] = ()
    warnings: tuple[Problem, ...] = ()


def publish_workflow(actor: Actor, workflow_id: UUID, revision: int, now: datetime) -> Published:
    """Make the draft of `revision` the version that runs, and move the schedules it fits to it.

    A schedule whose payload no longer fits becomes invalid and keeps its payload and old version; an invalid one that
    fits again becomes paused until someone resumes it. What came due before `now` is decided under the old version.
    Raises Refused with a problem per field or step, and Conflict when the draft changed since `revision`.
    """
    workflow = load(actor.tenant_id, Workflow, workflow_id, lock="change")
    check_revision(workflow, revision)
    if problems := _definition_problems(workflow):
        raise Refused(problems)
    schema = use_schema(actor.tenant_id, workflow.draft_schema_ref, now)
    settle(schedule_ids(actor.tenant_id, workflow.id), now)
    version = _insert_version(actor, workflow, schema, now)
    fit = fitting(actor.tenant_id, workflow.id, workflow.draft_schema_ref or "", schema)
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
    version = _next_version(workflow)
    if problems := draft_problems(workflow):
        return Preview(version, tuple(problems))
    schema = schema_of(tenant_id, workflow.draft_schema_ref)
    return _preview(
        version, _warnings(workflow), fitting(tenant_id, workflow.id, workflow.draft_schema_ref or "", schema)
    )


def draft_problems(workflow: Workflow) -> list[Problem]:
    """Why the draft cannot be published; empty when it can. Paths: a step (`root.steps[0]`) or a field."""
    problems = _definition_problems(workflow)
    try:
        schema_of(workflow.tenant_id, workflow.draft_schema_ref)
    except Refused as refusal:
        problems += refusal.problems
    return problems


def _preview(version: int, warnings: tuple[Problem, ...], fit: Fitting) -> Preview:
    return Preview(
        version,
        (),
        rebound=len(fit.going_on),
        newly_invalid=fit.newly_invalid,
        still_invalid=fit.still_invalid,
        recovering=tuple(one.name for one in fit.recovering),
        warnings=warnings,
    )


def _definition_problems(workflow: Workflow) -> list[Problem]:
    definition = workflow.draft_definition
    found = [_problem(one) for one in definition_problems(definition) if one.severity == ERROR]
    return [*_schema_choice_problems(workflow), *found]


def _warnings(workflow: Workflow) -> tuple[Problem, ...]:
    found = definition_problems(workflow.draft_definition)
    return tuple(_problem(one) for one in found if one.severity != ERROR)


def _problem(found: StepProblem) -> Problem:
    message = f"{found.message} {found.suggestion}" if found.suggestion else found.message
    return Problem(found.step_path, message, found.code)


def _schema_choice_problems(workflow: Workflow) -> list[Problem]:
    if workflow.draft_schema_mode == INFERRED:
        message = "An inferred schema needs an event trigger, and those are not available yet. Choose pinned."
        return [Problem("schema_mode", message, "PAYLOAD_SCHEMA_INFERENCE_UNSUPPORTED_TRIGGER")]
    definition = workflow.draft_definition
    named = definition.get("payloadSchemaRef") if isinstance(definition, dict) else None
    if named is not None and named != workflow.draft_schema_ref:
        message = (
            f"The definition names another schema than the settings ({workflow.draft_schema_ref}). Use one of them."
        )
        return [Problem("schema_ref", message, "PAYLOAD_SCHEMA_REF_MISMATCH")]
    return []


def _next_version(workflow: Workflow) -> int:
    latest = db.session.scalars(
        select(func.max(WorkflowVersion.version)).where(
            WorkflowVersion.tenant_id == workflow.tenant_id, WorkflowVersion.workflow_id == workflow.id
        )
    ).one()
    return (latest or 0) + 1


def _insert_version(actor: Actor, workflow: Workflow, schema: dict[str, Any], now: datetime) -> int:
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
            payload_schema_ref=workflow.draft_schema_ref,
            payload_schema=schema,
            is_pure=is_pure(definition),
            published_at=now,
            published_by=actor.user_id,
        )
    )
    db.session.flush()
    workflow.published_version = number
    workflow.draft_version = number + 1
    workflow.revision += 1
    workflow.content_changed_at = now
    workflow.updated_at = now
    db.session.flush()
    return number
