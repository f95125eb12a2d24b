"""Workflow definitions over HTTP: list, read, create, edit the draft, delete."""

from __future__ import annotations

from uuid import UUID

from flask import Response, url_for

from domain.accounts.tenants import load
from domain.kernel.db import transaction
from domain.kernel.errors import NotFound, Refused
from domain.publishing import STATUSES, delete_workflow, workflows_page
from domain.workflows.draft_fields import checked_fields
from domain.workflows.drafts import create_workflow, save_draft
from domain.workflows.versions import version_of
from domain.workflows.workflows import Workflow, living_workflow
from web.access import actor, member_access, request_now, requires
from web.api import blueprint
from web.api.answering import Json, answered_once, document, page
from web.api.definition_bodies import (
    BODY_MAX_DEPTH,
    READ_ONLY,
    WRITABLE,
    definition_document,
    edited_fields,
    new_fields,
    placed,
    row_document,
)
from web.api.openapi import definitions as shapes
from web.api.openapi.declaring import declared, declared_list
from web.api.preconditions import check_match, conditional, unless_raced
from web.api.reading import check_query, collected, json_body, page_cursor, page_limit, query_choice, query_text
from web.api.schedule_changes import revision_in


@blueprint.get("/workflow-definitions")
@declared_list("List workflows, by name", shapes.DEFINITION_ROW, **shapes.FILTERS)
@requires("workflow:read")
def list_definitions() -> Response:
    check_query(("q", "status"))
    q, status, cursor, limit = collected(
        lambda: query_text("q"), lambda: query_choice("status", STATUSES), _cursor, page_limit
    )
    found = workflows_page(_tenant(), q, status, cursor, limit + 1)
    return page(found, limit, row_document, lambda row: row.id)


@blueprint.post("/workflow-definitions")
@declared("Create a workflow", shapes.DEFINITION, status=201, body=shapes.NEW_DEFINITION, needs_body=True)
@requires("workflow:manage")
def create_definition() -> Response:
    body = json_body(WRITABLE, {*READ_ONLY, "revision"}, BODY_MAX_DEPTH)

    def act(_key: str) -> tuple[int, Json, str]:
        with placed():
            fields = new_fields(body)
            # Everything that is wrong is told at once.
            checked_fields(_tenant(), fields)
            made = create_workflow(actor(), fields.name, request_now(), str(body.get("key") or ""), fields.description)
            fields = edited_fields(made, {member: value for member, value in body.items() if member != "key"})
            save_draft(actor(), made.id, made.revision, fields, request_now())
        return 201, document_of(made.id), address_of(made.id)

    return answered_once(act)


@blueprint.get("/workflow-definitions/<uuid:workflow_id>")
@declared("Read a workflow with its published version", shapes.DEFINITION)
@requires("workflow:read")
def show_definition(workflow_id: UUID) -> Response:
    return document(document_of(workflow_id))


@blueprint.patch("/workflow-definitions/<uuid:workflow_id>")
@declared("Change a workflow and its draft", shapes.DEFINITION, body=shapes.DEFINITION_CHANGE, is_conditional=True)
@requires("workflow:manage")
def change_definition(workflow_id: UUID) -> Response:
    body = json_body(WRITABLE | {"revision"}, READ_ONLY, BODY_MAX_DEPTH)
    asked = revision_in(body)
    return unless_raced(asked, lambda: _change(workflow_id, body, asked))


def _change(workflow_id: UUID, body: Json, asked: int | None) -> Response:
    with transaction():
        stored = living(workflow_id)
        seen = stored.revision
        with conditional(seen, asked) as revision, placed():
            fields = edited_fields(stored, body)
            save_draft(actor(), workflow_id, seen if revision is None else revision, fields, request_now())
        answer = document_of(workflow_id)
    return document(answer)


@blueprint.delete("/workflow-definitions/<uuid:workflow_id>")
@declared("Delete a workflow and end its schedules", status=204, is_conditional=True)
@requires("workflow:admin")
def remove_definition(workflow_id: UUID) -> Response:
    with transaction():
        workflow = living(workflow_id)
        delete_workflow(actor(), workflow_id, request_now())
        # Nobody changes it any more: what is compared now is what was deleted.
        check_match(workflow.revision)
    return Response(status=204)


def _cursor() -> UUID | None:
    """Pages follow the names: a cursor has to be a workflow of the tenant, which may have been deleted meanwhile."""
    after = page_cursor()
    try:
        return load(_tenant(), Workflow, after).id if after else None
    except NotFound:
        message = "Nothing in this list has this id any more. Begin again without a cursor."
        raise Refused.at("cursor", message, "CURSOR_UNKNOWN") from None


def living(workflow_id: UUID) -> Workflow:
    """A workflow of the tenant that is not deleted; raises NotFound."""
    return living_workflow(_tenant(), workflow_id)


def document_of(workflow_id: UUID) -> Json:
    """The workflow as the API shows it; raises NotFound."""
    workflow = living(workflow_id)
    published = workflow.published_version
    return definition_document(workflow, version_of(_tenant(), workflow_id, published) if published else None)


def address_of(workflow_id: UUID) -> str:
    """Where a workflow is read."""
    return url_for("api.show_definition", workflow_id=workflow_id)


def _tenant() -> UUID:
    return member_access().tenant.id
