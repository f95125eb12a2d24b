"""Importing a workflow bundle: everything in it, in the caller's transaction, or nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from domain.accounts.audit import Actor, record_change
from domain.bundles.canonical import instant_text
from domain.bundles.checking import Progress
from domain.bundles.documents import Bundle, BundledVersion, BundledWorkflow
from domain.bundles.plans import (
    CREATE,
    KEY_CONFLICT,
    REPLACE,
    RUNS_UNFINISHED,
    Asked,
    CarriedSchedule,
    ImportEntry,
    ImportPlan,
    Prepared,
    carried,
    existing_workflows,
    prepare,
)
from domain.bundles.reading import BundleRefused
from domain.engine.validation import is_pure
from domain.firing.tick import settle
from domain.kernel.db import db
from domain.kernel.errors import Conflict, Problem
from domain.publishing.inline_triggers import AdoptedTrigger, adopt_time_trigger, distinct_triggers, is_scheduled
from domain.publishing.replacing import carry_over, record_replaced, retire_workflows, scheduled
from domain.workflows.definitions import definition_hash
from domain.workflows.drafts import hold_keys
from domain.workflows.payload_schemas import use_schema
from domain.workflows.triggers import event_name_of
from domain.workflows.versions import WorkflowVersion
from domain.workflows.workflows import Workflow

PLAN_CHANGED = "PLAN_CHANGED"
IMPORTED_PAUSED = "It was paused where it was exported"


@dataclass(frozen=True)
class ImportedWorkflow:
    """A workflow that an import made. `replaced_id`: of the one whose place it took, None for a new one.

    `schedules`: those carried over from there. `adopted`: what became of the time triggers of the file.
    """

    key: str
    name: str
    workflow_id: UUID
    versions: tuple[int, ...]
    replaced_id: UUID | None
    schedules: tuple[CarriedSchedule, ...]
    adopted: tuple[AdoptedTrigger, ...]
    warnings: tuple[Problem, ...]


@dataclass(frozen=True)
class ImportSummary:
    """What an import did. `unchanged`: the keys of workflows that were just so already."""

    imported: tuple[ImportedWorkflow, ...]
    unchanged: tuple[str, ...]
    canceled_runs: int

    @property
    def created(self) -> tuple[ImportedWorkflow, ...]:
        """Workflows with a key that the tenant did not have."""
        return tuple(one for one in self.imported if one.replaced_id is None)

    @property
    def replaced(self) -> tuple[ImportedWorkflow, ...]:
        """Workflows that took the place of another."""
        return tuple(one for one in self.imported if one.replaced_id is not None)


def import_bundle(
    actor: Actor,
    bundle: Bundle,
    *,
    force: bool = False,
    cancel_runs: bool = False,
    now: datetime,
    fingerprint: str | None = None,
    on_progress: Progress | None = None,
    min_interval_seconds: int = 60,
) -> ImportSummary:
    """Make the workflows of the bundle; with `force` those whose key exists take its place, unless nothing differs.

    With `fingerprint` only what that plan showed is done. `on_progress(checked, of)` is called as the check, which takes
    the time, goes on. The caller commits, or rolls back when this raises.
    Raises BundleRefused as `checked_workflows` does, and with WORKFLOW_KEY_CONFLICT (a key exists) or
    WORKFLOW_RUNS_UNFINISHED (of what is replaced, without `cancel_runs`), and Conflict with PLAN_CHANGED.
    """
    hold_keys(actor.tenant_id)
    existing = existing_workflows(actor.tenant_id, bundle, is_locked=True)
    if force and _settle(actor, existing, now):
        existing = existing_workflows(actor.tenant_id, bundle, is_locked=True)
    prepared = prepare(actor, bundle, Asked(force, cancel_runs, now), existing, on_progress)
    _check_plan(prepared, fingerprint)
    replaced = [existing[entry.key] for entry in prepared.plan.entries if entry.action == REPLACE]
    canceled = retire_workflows(actor, replaced, now, "The workflow was replaced by an import") if replaced else 0
    entries = {entry.key: entry for entry in prepared.plan.entries}
    coming = [one.workflow for one in prepared.checked if entries[one.workflow.key].action in (CREATE, REPLACE)]
    made = _insert(actor, coming, existing, bundle.exported_at, now)
    imported = [
        _finish(actor, workflow, row, entries[workflow.key], existing.get(workflow.key), now, min_interval_seconds)
        for workflow, row in zip(coming, made, strict=True)
    ]
    kept = tuple(entry.key for entry in prepared.plan.entries if entry.action not in (CREATE, REPLACE))
    _keep_export_date(bundle.exported_at, [existing[key] for key in kept], is_newest=not made)
    return ImportSummary(tuple(imported), kept, canceled)


def _keep_export_date(exported_at: datetime, kept: Sequence[Workflow], *, is_newest: bool) -> None:
    """Give workflows that stay as they are the date of the file where exporting them again would write another one.
    `is_newest`: whether one of them has to be as new as the file."""
    dates = [instant_text(workflow.content_changed_at) for workflow in kept]
    wanted = instant_text(exported_at)
    if kept and (max(dates) > wanted or (is_newest and max(dates) < wanted)):
        values = {"content_changed_at": exported_at, "updated_at": Workflow.updated_at}
        db.session.execute(update(Workflow).where(Workflow.id.in_([one.id for one in kept])).values(values))


def _settle(actor: Actor, existing: Mapping[str, Workflow], now: datetime) -> bool:
    """Decide what has come due of the schedules of these, whose cursors stay held; whether there are any."""
    mine = scheduled(actor.tenant_id, [workflow.id for workflow in existing.values()])
    if mine:
        settle(sorted(one for ids in mine.values() for one in ids), now)
    return bool(mine)


def _check_plan(prepared: Prepared, fingerprint: str | None) -> None:
    plan = prepared.plan
    if fingerprint is not None and fingerprint != plan.fingerprint:
        raise Conflict(
            "What this import would do has changed since you looked at it. Look at the plan again.", code=PLAN_CHANGED
        )
    if not plan.conflicts:
        return
    first = plan.conflicts[0]
    places = {one.workflow.key: one.workflow.place for one in prepared.checked}
    problems = [
        Problem(f"{places[one.key]}/key", f"{one.key}: {one.warnings[0].message}", one.conflict or KEY_CONFLICT)
        for one in plan.conflicts
    ]
    code = first.conflict or KEY_CONFLICT
    raise BundleRefused(code, f"{first.key}: {first.warnings[0].message}", _conflict_details(plan, first), problems)


def _conflict_details(plan: ImportPlan, first: ImportEntry) -> dict[str, object]:
    """The first conflict as other readers of this format know it, and all of them."""
    everything = [
        {
            "workflowKey": one.key,
            "existingWorkflowId": str(one.existing_id),
            "code": one.conflict,
            **({"unfinishedRuns": one.unfinished} if one.conflict == RUNS_UNFINISHED else {}),
        }
        for one in plan.conflicts
    ]
    return {"workflowKey": first.key, "existingWorkflowId": str(first.existing_id), "conflicts": everything}


def _insert(
    actor: Actor,
    coming: Sequence[BundledWorkflow],
    existing: Mapping[str, Workflow],
    content_changed_at: datetime,
    now: datetime,
) -> list[Workflow]:
    """The rows of the workflows with those of their versions; as many statements for a thousand as for one."""
    rows = [_row(actor, workflow, existing.get(workflow.key), content_changed_at, now) for workflow in coming]
    try:
        with db.session.begin_nested():
            db.session.add_all(rows)
            db.session.flush()
    except IntegrityError as error:
        # Somebody who does not wait for imports took a key meanwhile.
        if "uq_workflows_key" not in str(error.orig):
            raise
        message = "Somebody made a workflow with one of these keys at the same moment. Look at the plan again."
        raise BundleRefused(KEY_CONFLICT, message) from None
    for ref in sorted(
        {version.schema_ref for workflow in coming for version in workflow.versions if version.schema_ref}
    ):
        use_schema(actor.tenant_id, ref, now)
    versions = [
        _version_row(actor, row, version, now)
        for workflow, row in zip(coming, rows, strict=True)
        for version in workflow.versions
    ]
    db.session.add_all(versions)
    db.session.flush()
    return rows


def _row(
    actor: Actor, workflow: BundledWorkflow, old: Workflow | None, content_changed_at: datetime, now: datetime
) -> Workflow:
    latest = workflow.latest
    row = Workflow(
        tenant_id=actor.tenant_id,
        key=workflow.key,
        name=workflow.name,
        description=workflow.description,
        is_system=workflow.is_system,
        is_visible=workflow.is_visible,
        draft_definition=workflow.draft_definition,
        draft_version=workflow.draft_version,
        draft_trigger=workflow.trigger,
        draft_schema_mode=workflow.schema_mode,
        draft_schema_ref=workflow.schema_ref,
        published_version=latest.version if latest else None,
        event_name=event_name_of(latest.trigger) if latest else None,
        concurrency_limit=workflow.concurrency_limit,
        auto_pause_on_failure=workflow.auto_pause_on_failure,
        failure_rate_threshold=workflow.failure_rate_threshold,
        failure_rate_min_runs=workflow.failure_rate_min_runs,
        retention_policy_override=workflow.retention_policy_override,
        content_changed_at=content_changed_at,
        created_at=now,
        updated_at=now,
    )
    if workflow.is_paused:
        was = (old.paused_at, old.paused_by, old.pause_reason) if old and old.paused_at else None
        row.paused_at, row.paused_by, row.pause_reason = was or (now, actor.user_id, IMPORTED_PAUSED)
    return row


def _version_row(actor: Actor, workflow: Workflow, version: BundledVersion, now: datetime) -> WorkflowVersion:
    return WorkflowVersion(
        tenant_id=actor.tenant_id,
        workflow_id=workflow.id,
        version=version.version,
        definition=version.definition,
        definition_hash=definition_hash(version.definition),
        trigger=version.trigger,
        payload_schema_mode=version.schema_mode,
        payload_schema_ref=version.schema_ref,
        payload_schema=version.schema,
        is_pure=is_pure(version.definition),
        published_at=now,
        published_by=actor.user_id,
    )


def _finish(
    actor: Actor,
    workflow: BundledWorkflow,
    row: Workflow,
    entry: ImportEntry,
    old: Workflow | None,
    now: datetime,
    min_interval_seconds: int,
) -> ImportedWorkflow:
    """What comes after the rows are there: schedules from the old workflow, schedules from time triggers, the record."""
    schedules: tuple[CarriedSchedule, ...] = ()
    if old is not None and entry.schedules:
        schedules = carried(carry_over(actor, old, row, _latest(row), now))
    elif old is not None:
        record_replaced(actor, old, row)
    adopted = _adopt(actor, workflow, row, now, min_interval_seconds) if workflow.time_triggers else ()
    after = {"key": row.key, "versions": list(entry.versions)} | ({"replaces": str(old.id)} if old else {})
    record_change(actor, "workflow.imported", row, after=after)
    return ImportedWorkflow(
        row.key, row.name, row.id, entry.versions, old.id if old else None, schedules, adopted, entry.warnings
    )


def _latest(row: Workflow) -> WorkflowVersion | None:
    versions = db.select(WorkflowVersion).filter_by(
        tenant_id=row.tenant_id, workflow_id=row.id, version=row.published_version
    )
    return db.session.scalars(versions).one_or_none()


def _adopt(
    actor: Actor, workflow: BundledWorkflow, row: Workflow, now: datetime, min_interval_seconds: int
) -> tuple[AdoptedTrigger, ...]:
    """A schedule for each time trigger that no schedule stands for yet; what no schedule can hold stays in the draft."""
    triggers = distinct_triggers(actor.tenant_id, workflow.time_triggers)
    adopted = tuple(
        adopt_time_trigger(actor, row, trigger, now, min_interval_seconds)
        for trigger in triggers
        if not is_scheduled(row, trigger, now)
    )
    left = [one.trigger for one in adopted if one.schedule is None]
    if left and row.draft_trigger is None:
        row.draft_trigger = left[0]
        db.session.flush()
    return adopted
