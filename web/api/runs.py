"""Runs of workflows over HTTP: the list, and one with its steps."""

from __future__ import annotations

from uuid import UUID

from flask import Response

from domain.runs.details import STEPS_SHOWN, recorded_steps, run_detail
from domain.runs.listing import STARTERS, STATUSES, RunFilters
from domain.runs.pages import runs_page
from web.access import member_access, requires
from web.api import blueprint
from web.api.answering import document, page
from web.api.reading import check_query, collected, page_cursor, page_limit, query_choice, query_id, query_text
from web.api.run_documents import row_document, run_document, step_documents


@blueprint.get("/workflow-runs")
@requires("workflow:read")
def list_runs() -> Response:
    check_query(("q", "workflowId", "scheduleId", "status", "startedBy"))
    q, workflow_id, schedule_id, status, started_by, cursor, limit = collected(
        lambda: query_text("q"),
        lambda: query_id("workflowId"),
        lambda: query_id("scheduleId"),
        lambda: query_choice("status", STATUSES),
        lambda: query_choice("startedBy", STARTERS),
        page_cursor,
        page_limit,
    )
    filters = RunFilters(q, workflow_id, schedule_id, status, started_by)
    found = runs_page(member_access().tenant.id, filters, cursor, limit + 1)
    return page(found, limit, row_document, lambda row: row.id)


@blueprint.get("/workflow-runs/<uuid:run_id>")
@requires("workflow:read")
def show_run(run_id: UUID) -> Response:
    detail = run_detail(member_access().tenant.id, run_id)
    steps = step_documents(recorded_steps(detail.run.id, STEPS_SHOWN))
    return document({**run_document(detail), "steps": steps})
