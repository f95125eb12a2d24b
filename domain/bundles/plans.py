"""What an import would do to each workflow of a bundle, before anything is changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.accounts.audit import Actor
from domain.accounts.tenants import owned
from domain.bundles.canonical import digest
from domain.bundles.checking import CheckedWorkflow, Progress, checked_workflows
from domain.bundles.documents import Bundle, BundledWorkflow, entry_document
from domain.bundles.exporting import bundled
from domain.kernel.db import db
from domain.kernel.errors import Problem
from domain.publishing.inline_triggers import distinct_triggers, is_scheduled
from domain.publishing.rebinding import Fitting
from domain.publishing.replacing import schedule_fit, scheduled, unfinished_runs
from domain.schedules.schedules import INVALID, PAUSED
from domain.workflows.workflows import Workflow

CREATE, REPLACE, UNCHANGED, CONFLICT = "create", "replace", "unchanged", "conflict"
KEY_CONFLICT, RUNS_UNFINISHED = "WORKFLOW_KEY_CONFLICT", "WORKFLOW_RUNS_UNFINISHED"


@dataclass(frozen=True)
class CarriedSchedule:
    """A schedule of a workflow that is replaced. `becomes`: its status afterwards. `reason`: why it becomes invalid."""

    id: UUID
    name: str
    becomes: str
    reason: str | None = None


@dataclass(frozen=True)
class ImportEntry:
    """What becomes of one workflow: `action` is create, replace, unchanged or conflict. `versions`: those of the file.

    `existing_id`: of the workflow that has the key. `conflict`: WORKFLOW_KEY_CONFLICT or WORKFLOW_RUNS_UNFINISHED.
    `warnings`: at a part of the workflow. `schedules`: those that are carried over. `inline_triggers`: time triggers
    that become schedules. `unfinished`: how many runs have not ended.
    """

    key: str
    name: str
    action: str
    versions: tuple[int, ...]
    warnings: tuple[Problem, ...] = ()
    schedules: tuple[CarriedSchedule, ...] = ()
    inline_triggers: tuple[dict[str, Any], ...] = ()
    existing_id: UUID | None = None
    conflict: str | None = None
    unfinished: int = 0


@dataclass(frozen=True)
class ImportPlan:
    """`fingerprint`: of the file and of what it would do; who passes it on imports exactly this, or nothing."""

    entries: tuple[ImportEntry, ...]
    fingerprint: str

    @property
    def conflicts(self) -> tuple[ImportEntry, ...]:
        """What keeps the bundle from being imported."""
        return tuple(entry for entry in self.entries if entry.action == CONFLICT)


@dataclass(frozen=True)
class Asked:
    """How a bundle is to be imported, and when."""

    force: bool
    cancel_runs: bool
    now: datetime


@dataclass(frozen=True)
class _Standing:
    """What is known of the workflows that have the keys now: unfinished runs and schedules by their id, keys of the same."""

    going: Mapping[UUID, int]
    scheduled: Mapping[UUID, Sequence[UUID]]
    same: frozenset[str]


@dataclass(frozen=True)
class Prepared:
    """A plan with what it was made of: the workflows as they would be stored, and those that have their keys now."""

    plan: ImportPlan
    checked: tuple[CheckedWorkflow, ...]
    existing: Mapping[str, Workflow]


def plan_import(
    actor: Actor,
    bundle: Bundle,
    *,
    force: bool = False,
    cancel_runs: bool = False,
    now: datetime,
    on_progress: Progress | None = None,
) -> ImportPlan:
    """What `import_bundle` would do now. Changes nothing. Conflicts are entries of the plan.

    `on_progress` is called, and BundleRefused raised, as `checked_workflows` does.
    """
    existing = existing_workflows(actor.tenant_id, bundle)
    return prepare(actor, bundle, Asked(force, cancel_runs, now), existing, on_progress).plan


def prepare(
    actor: Actor,
    bundle: Bundle,
    asked: Asked,
    existing: Mapping[str, Workflow],
    on_progress: Progress | None = None,
) -> Prepared:
    """The plan for a bundle, given the living workflows that have its keys. Raises BundleRefused."""
    checked = tuple(checked_workflows(actor.tenant_id, bundle, on_progress))
    ids = [workflow.id for workflow in existing.values()] if asked.force else []
    same = _unchanged(actor.tenant_id, checked, existing) if asked.force else frozenset()
    standing = _Standing(unfinished_runs(actor.tenant_id, ids), scheduled(actor.tenant_id, ids), same)
    entries = tuple(_entry(actor, one, existing.get(one.workflow.key), asked, standing) for one in checked)
    return Prepared(ImportPlan(entries, _fingerprint(bundle, asked, entries, existing)), checked, existing)


def existing_workflows(tenant_id: UUID, bundle: Bundle, *, is_locked: bool = False) -> dict[str, Workflow]:
    """The living workflows that have the keys of the bundle, by key; locked in the order of their ids."""
    keys = [workflow.key for workflow in bundle.workflows]
    query = owned(tenant_id, Workflow).where(Workflow.key.in_(keys)).order_by(Workflow.id)
    if is_locked:
        query = query.with_for_update(key_share=True).execution_options(populate_existing=True)
    return {workflow.key: workflow for workflow in db.session.scalars(query)}


def _unchanged(tenant_id: UUID, checked: Sequence[CheckedWorkflow], existing: Mapping[str, Workflow]) -> frozenset[str]:
    """The keys whose workflow would be exported just so now."""
    now = {one.key: digest(entry_document(one)) for one in bundled(tenant_id, list(existing.values()))}
    return frozenset(
        one.workflow.key for one in checked if now.get(one.workflow.key) == digest(entry_document(one.workflow))
    )


def _entry(
    actor: Actor, checked: CheckedWorkflow, existing: Workflow | None, asked: Asked, standing: _Standing
) -> ImportEntry:
    workflow = checked.workflow
    numbers = tuple(version.version for version in workflow.versions)
    entry = ImportEntry(workflow.key, workflow.name, CREATE, numbers, checked.warnings)
    triggers = distinct_triggers(actor.tenant_id, workflow.time_triggers) if workflow.time_triggers else []
    if existing is None:
        return replace(entry, inline_triggers=tuple(triggers))
    entry = replace(entry, existing_id=existing.id)
    if not asked.force:
        message = f"{existing.name} has this key already. Import with force to replace it."
        told = (Problem("key", message, KEY_CONFLICT), *checked.warnings)
        return replace(entry, action=CONFLICT, conflict=KEY_CONFLICT, warnings=told)
    if workflow.key in standing.same:
        return replace(entry, action=UNCHANGED)
    unfinished = standing.going.get(existing.id, 0)
    is_held = unfinished > 0 and not asked.cancel_runs
    return replace(
        entry,
        action=CONFLICT if is_held else REPLACE,
        conflict=RUNS_UNFINISHED if is_held else None,
        unfinished=unfinished,
        warnings=(*_run_warnings(unfinished, is_held), *checked.warnings),
        schedules=carried(_fit_of(existing, workflow)) if existing.id in standing.scheduled else (),
        inline_triggers=tuple(one for one in triggers if not is_scheduled(existing, one, asked.now)),
    )


def _fit_of(existing: Workflow, workflow: BundledWorkflow) -> Fitting:
    """What becomes of the schedules of `existing` when `workflow` replaces it."""
    latest = workflow.latest
    if latest is None:
        return schedule_fit(existing, "", None, None)
    return schedule_fit(existing, latest.schema_mode, latest.schema_ref, latest.schema)


def carried(fit: Fitting) -> tuple[CarriedSchedule, ...]:
    """The schedules of a fit by name, with what becomes of each."""
    found = [
        *(CarriedSchedule(one.id, one.name, one.status) for one in fit.going_on),
        *(CarriedSchedule(one.id, one.name, PAUSED) for one in fit.recovering),
        *(CarriedSchedule(one.id, one.name, INVALID, one.reason) for one in fit.misfits),
    ]
    return tuple(sorted(found, key=lambda one: (one.name, one.id)))


def _run_warnings(unfinished: int, is_held: bool) -> tuple[Problem, ...]:
    if not unfinished:
        return ()
    many = "1 run has" if unfinished == 1 else f"{unfinished:,} runs have"
    if is_held:
        message = f"{many} not ended. Wait for them, or import with the choice to cancel them."
        return (Problem("runs", message, RUNS_UNFINISHED),)
    return (Problem("runs", f"{many} not ended and will be canceled.", "RUNS_CANCELED"),)


def _fingerprint(bundle: Bundle, asked: Asked, entries: Sequence[ImportEntry], existing: Mapping[str, Workflow]) -> str:
    """How many runs go is left out: it changes by itself, and whoever plans to cancel them says so."""
    rows = []
    for entry in entries:
        there = existing.get(entry.key)
        stood = [str(there.id), there.revision, there.published_version] if there else None
        rows.append([entry.key, entry.action, stood, [[str(one.id), one.becomes] for one in entry.schedules]])
    return digest([bundle.digest, asked.force, asked.cancel_runs, rows])
