"""Tasks over HTTP: what waits for an answer, one task with its form, and the answer."""

from __future__ import annotations

from uuid import UUID

from flask import Response, url_for

from domain.kernel.errors import Refused
from domain.runs.inbox import TaskFilters, TaskRow, TaskView, inbox_page, task_view
from domain.runs.tasks import ANSWER_PERMISSION, STATUSES, answer_task
from domain.workflows.payload_secrets import shown
from web.access import actor, member_access, request_now, requires
from web.api import blueprint
from web.api.answering import Json, answered_once, document, instant, page
from web.api.openapi import happenings
from web.api.openapi.declaring import declared, declared_list
from web.api.openapi.words import choice, text
from web.api.reading import (
    Q_MAX_CHARACTERS,
    check_query,
    collected,
    json_body,
    page_cursor,
    page_limit,
    query_choice,
    query_text,
)


@blueprint.get("/tasks")
@declared_list(
    "List tasks, newest first", happenings.TASK_ROW, status=choice(STATUSES), taskType=text(Q_MAX_CHARACTERS)
)
@requires("workflow:read")
def list_tasks() -> Response:
    check_query(("status", "taskType"))
    status, task_type, cursor, limit = collected(
        lambda: query_choice("status", STATUSES), lambda: query_text("taskType"), page_cursor, page_limit
    )
    found = inbox_page(member_access().tenant.id, TaskFilters(status, task_type), cursor, limit + 1)
    return page(found, limit, _row_document, lambda row: row.id)


@blueprint.get("/tasks/<uuid:task_id>")
@declared("Read a task with its form", happenings.TASK)
@requires("workflow:read")
def show_task(task_id: UUID) -> Response:
    return document(_document(task_view(member_access().tenant.id, task_id)))


@blueprint.post("/tasks/<uuid:task_id>/answer")
@declared("Answer a task", happenings.TASK, body=happenings.TASK_ANSWER, needs_body=True)
@requires(ANSWER_PERMISSION)
def give_answer(task_id: UUID) -> Response:
    body = json_body(("answer",))

    def act(request_key: str) -> tuple[int, Json, str]:
        tenant_id = member_access().tenant.id
        task_view(tenant_id, task_id)
        if "answer" not in body:
            raise Refused.at("answer", "Say what the answer is.", "REQUIRED")
        answer_task(actor(), task_id, body["answer"], request_key, request_now())
        return 200, _document(task_view(tenant_id, task_id)), url_for("api.show_task", task_id=task_id)

    return answered_once(act)


def _row_document(row: TaskRow) -> Json:
    return {
        "id": str(row.id),
        "status": row.status,
        "taskType": row.task_type,
        "title": row.title,
        "workflowId": str(row.workflow_id),
        "workflowName": row.workflow_name,
        "runId": str(row.run_id),
        "askedAt": instant(row.asked_at),
        "dueAt": instant(row.due_at),
        "closedAt": instant(row.closed_at),
        "answeredBy": row.answered_by,
    }


def _document(view: TaskView) -> Json:
    task = view.task
    return {
        "id": str(task.id),
        "status": task.status,
        "taskType": task.task_type,
        "title": task.title,
        "workflowId": str(view.workflow.id),
        "workflowName": view.workflow.name,
        "runId": str(view.run.id),
        "askedAt": instant(task.created_at),
        "dueAt": instant(task.due_at),
        "closedAt": instant(task.closed_at),
        "answeredBy": view.answered_by,
        "description": task.description,
        "context": shown(task.context),
        "formSchema": task.form_schema,
        "answer": shown(task.answer),
    }
