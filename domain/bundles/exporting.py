"""Workflows as a bundle: what is stored, without ids, people and times, in canonical bytes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from sqlalchemy import select

from domain.accounts.tenants import owned
from domain.bundles.canonical import instant_text, parse_instant_text
from domain.bundles.documents import Bundle, BundledVersion, BundledWorkflow, bundle_bytes
from domain.bundles.portable import portable
from domain.bundles.schema import MAX_WORKFLOWS
from domain.kernel.db import db
from domain.kernel.errors import NotFound, Refused
from domain.workflows.versions import WorkflowVersion
from domain.workflows.workflows import Workflow


def export_bundle(tenant_id: UUID, workflow_ids: Collection[UUID] | None = None) -> bytes:
    """These living workflows of the tenant as a bundle, or all of them. The same state gives the same bytes.

    Raises NotFound when one of them is not there, and Refused at `workflows` when there are none, or too many for one file.
    """
    query = owned(tenant_id, Workflow).order_by(Workflow.key)
    if workflow_ids is not None:
        query = query.where(Workflow.id.in_(list(workflow_ids)))
    found = db.session.scalars(query.limit(MAX_WORKFLOWS + 1)).all()
    if workflow_ids is not None and len(found) < min(len(set(workflow_ids)), MAX_WORKFLOWS):
        raise NotFound
    if not found:
        raise Refused.at("workflows", "There is no workflow to export. Choose one at least.", "NOTHING_TO_EXPORT")
    if len(found) > MAX_WORKFLOWS:
        message = f"A bundle holds {MAX_WORKFLOWS:,} workflows at most. Export some at a time."
        raise Refused.at("workflows", message, "TOO_MANY_WORKFLOWS")
    newest = instant_text(max(workflow.content_changed_at for workflow in found))
    return bundle_bytes(Bundle(parse_instant_text(newest, ""), tuple(bundled(tenant_id, found))))


def workflows_by_key(tenant_id: UUID, keys: Sequence[str]) -> list[UUID]:
    """The ids of the tenant's living workflows with these keys; raises NotFound when one of them is not there."""
    found = db.session.execute(
        owned(tenant_id, Workflow).where(Workflow.key.in_(keys)).with_only_columns(Workflow.key, Workflow.id)
    )
    ids = {row.key: row.id for row in found}
    if missing := [key for key in keys if key not in ids]:
        raise NotFound(f"There is no workflow with the key {missing[0]}. Look at the list of workflows.")
    return list(ids.values())


def bundled(tenant_id: UUID, workflows: Sequence[Workflow]) -> list[BundledWorkflow]:
    """What bundles hold of these workflows. One query for all their versions."""
    ids = [workflow.id for workflow in workflows]
    query = select(WorkflowVersion).where(WorkflowVersion.tenant_id == tenant_id, WorkflowVersion.workflow_id.in_(ids))
    versions: defaultdict[UUID, list[WorkflowVersion]] = defaultdict(list)
    for version in db.session.scalars(query.order_by(WorkflowVersion.version)):
        versions[version.workflow_id].append(version)
    keys = {str(workflow.id): workflow.key for workflow in workflows}
    return [_bundled(workflow, versions[workflow.id], keys) for workflow in workflows]


def _bundled(workflow: Workflow, versions: Sequence[WorkflowVersion], keys: Mapping[str, str]) -> BundledWorkflow:
    return BundledWorkflow(
        key=workflow.key,
        name=workflow.name,
        description=workflow.description,
        trigger=workflow.draft_trigger,
        schema_mode=workflow.draft_schema_mode,
        schema_ref=workflow.draft_schema_ref,
        is_system=workflow.is_system,
        is_visible=workflow.is_visible,
        is_paused=workflow.paused_at is not None,
        concurrency_limit=workflow.concurrency_limit,
        auto_pause_on_failure=workflow.auto_pause_on_failure,
        failure_rate_threshold=workflow.failure_rate_threshold,
        failure_rate_min_runs=workflow.failure_rate_min_runs,
        retention_policy_override=workflow.retention_policy_override,
        draft_version=workflow.draft_version,
        draft_definition=portable(workflow.draft_definition, keys),
        versions=tuple(_bundled_version(version, keys) for version in versions),
    )


def _bundled_version(version: WorkflowVersion, keys: Mapping[str, str]) -> BundledVersion:
    return BundledVersion(
        version=version.version,
        definition=portable(version.definition, keys),
        trigger=version.trigger,
        schema_mode=version.payload_schema_mode,
        schema_ref=version.payload_schema_ref,
        schema=version.payload_schema,
    )
