"""Workflow definitions over HTTP: which workflows there are, and what the published version of one does."""

from __future__ import annotations

from uuid import UUID

from flask import Response

from domain.publishing import STATUSES, WorkflowRow, workflows_page
from domain.workflows.versions import WorkflowVersion, version_of
from domain.workflows.workflows import Workflow, living_workflow
from web.access import member_access, requires
from web.api import blueprint
from web.api.answering import Json, document, instant, page
from web.api.openapi import definitions as shapes
from web.api.openapi.declaring import declared, declared_list
from web.api.reading import check_query, collected, page_cursor, page_limit, query_choice, query_text


@blueprint.get("/workflow-definitions")
@declared_list("List workflows, by name", shapes.DEFINITION_ROW, **shapes.FILTERS)
@requires("workflow:read")
def list_definitions() -> Response:
    check_query(("q", "status"))
    q, status, cursor, limit = collected(
        lambda: query_text("q"), lambda: query_choice("status", STATUSES), page_cursor, page_limit
    )
    found = workflows_page(member_access().tenant.id, q, status, cursor, limit + 1)
    return page(found, limit, _row_document, lambda row: row.id)


@blueprint.get("/workflow-definitions/<uuid:workflow_id>")
@declared("Read a workflow with its published version", shapes.DEFINITION)
@requires("workflow:read")
def show_definition(workflow_id: UUID) -> Response:
    tenant_id = member_access().tenant.id
    workflow = living_workflow(tenant_id, workflow_id)
    published = workflow.published_version
    return document(_document(workflow, version_of(tenant_id, workflow_id, published) if published else None))


def _row_document(row: WorkflowRow) -> Json:
    return {
        "id": str(row.id),
        "key": row.key,
        "name": row.name,
        "status": _status(row),
        "publishedVersion": row.published_version,
        "hasNewerDraft": row.has_newer_draft,
        "scheduleCount": row.schedules,
        "lastRunId": str(row.last_run_id) if row.last_run_id else None,
        "lastRunStatus": row.last_run_status,
    }


def _document(workflow: Workflow, version: WorkflowVersion | None) -> Json:
    return {
        "id": str(workflow.id),
        "key": workflow.key,
        "name": workflow.name,
        "description": workflow.description,
        "status": _status(workflow),
        "pauseReason": workflow.pause_reason,
        "concurrencyLimit": workflow.concurrency_limit,
        "publishedVersion": workflow.published_version,
        "publishedAt": instant(version.published_at) if version else None,
        "definition": version.definition if version else None,
        "definitionHash": version.definition_hash if version else None,
        "payloadSchemaRef": version.payload_schema_ref if version else None,
        "payloadSchema": version.payload_schema if version else None,
        "revision": workflow.revision,
        "createdAt": instant(workflow.created_at),
        "updatedAt": instant(workflow.updated_at),
    }


def _status(workflow: Workflow | WorkflowRow) -> str:
    if workflow.paused_at is not None:
        return "paused"
    return "published" if workflow.published_version else "draft"
