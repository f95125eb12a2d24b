"""What one can do to a workflow over HTTP: publish, pause, resume, run."""

from __future__ import annotations

from uuid import UUID

from flask import Response, url_for

from domain.kernel import strict_json
from domain.kernel.errors import Problem
from domain.publishing import draft_of, judged, pause_workflow, publish_workflow, resume_workflow
from domain.runs.details import run_detail
from domain.runs.launch import launch_workflow
from domain.runs.runs import BY_API
from web.access import actor, member_access, request_now, requires
from web.api import blueprint
from web.api.answering import Json, answered_once
from web.api.definition_bodies import placed, placed_problem
from web.api.definitions import address_of, document_of, living
from web.api.openapi import definitions as shapes
from web.api.openapi.declaring import declared
from web.api.openapi.extensions import NOTHING
from web.api.openapi.runs import RUN
from web.api.preconditions import check_match, conditional, unless_raced
from web.api.reading import json_body, text_in
from web.api.run_documents import run_document
from web.api.schedule_changes import revision_in


@blueprint.post("/workflow-definitions/<uuid:workflow_id>/publish")
@declared("Publish the draft of a workflow", shapes.PUBLISHED, body=shapes.PUBLISH, is_conditional=True)
@requires("workflow:publish")
def publish_definition(workflow_id: UUID) -> Response:
    asked = revision_in(json_body(("revision",)))

    def act(_key: str) -> tuple[int, Json, str]:
        return _published(workflow_id, asked)

    return unless_raced(asked, lambda: answered_once(act))


def _published(workflow_id: UUID, asked: int | None) -> tuple[int, Json, str]:
    workflow = living(workflow_id)
    seen, warnings = workflow.revision, judged(workflow.tenant_id, draft_of(workflow)).warnings
    with conditional(seen, asked) as revision, placed():
        made = publish_workflow(actor(), workflow_id, seen if revision is None else revision, request_now())
    answer = {
        "version": made.version,
        "schedulesMoved": made.rebound,
        "schedulesInvalid": made.invalidated,
        "schedulesRecovered": made.recovered,
        "warnings": [_problem(placed_problem(warning)) for warning in warnings],
        "revision": living(workflow_id).revision,
    }
    return 200, answer, address_of(workflow_id)


@blueprint.post("/workflow-definitions/<uuid:workflow_id>/pause")
@declared("Pause a workflow", shapes.DEFINITION, body=shapes.PAUSE, is_conditional=True)
@requires("workflow:manage")
def pause_definition(workflow_id: UUID) -> Response:
    reason = text_in(json_body(("reason",)), "reason")

    def act(_key: str) -> tuple[int, Json, str]:
        check_match(pause_workflow(actor(), workflow_id, reason, request_now()).revision)
        return 200, document_of(workflow_id), address_of(workflow_id)

    return answered_once(act)


@blueprint.post("/workflow-definitions/<uuid:workflow_id>/resume")
@declared("Resume a workflow", shapes.DEFINITION, body=NOTHING, is_conditional=True)
@requires("workflow:manage")
def resume_definition(workflow_id: UUID) -> Response:
    json_body(())

    def act(_key: str) -> tuple[int, Json, str]:
        check_match(resume_workflow(actor(), workflow_id, request_now()).revision)
        return 200, document_of(workflow_id), address_of(workflow_id)

    return answered_once(act)


@blueprint.post("/workflow-definitions/<uuid:workflow_id>/run")
@declared("Run a workflow", RUN, status=202, body=shapes.RUN)
@requires("workflow:manage")
def run_definition(workflow_id: UUID) -> Response:
    body = json_body(("payload",))
    payload = strict_json.dumps(body.get("payload", {}))

    def act(key: str) -> tuple[int, Json, str]:
        run = launch_workflow(actor(), workflow_id, payload, key, request_now(), BY_API)
        answer = run_document(run_detail(member_access().tenant.id, run.id))
        return 202, answer, url_for("api.show_run", run_id=run.id)

    return answered_once(act)


def _problem(problem: Problem) -> Json:
    return {"path": problem.path, "code": problem.code, "message": problem.message}
