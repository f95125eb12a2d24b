"""Runs over HTTP: the list, one with its steps and calls; cancel, run again.

Below /runs are those of workflows and of endpoints, below /workflow-runs those of workflows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from flask import Response, request, url_for

from domain.accounts.permissions import CHANGE, READ
from domain.kernel.errors import NotFound, Problem, Refused
from domain.runs.details import STEPS_SHOWN, recorded_steps, run_detail
from domain.runs.invocations import invocations_of_run
from domain.runs.kinds import run_kind
from domain.runs.launch import cancel_run, rerun
from domain.runs.listing import ENDPOINT, REHEARSALS, STARTERS, STATUSES, TARGETS, WORKFLOW, RunFilters
from domain.runs.pages import runs_page
from domain.runs.step_waits import recorded_waits
from web.access import actor, member_access, request_now, requires, requires_by_kind
from web.api import blueprint
from web.api.answering import Json, answered_once, document, page
from web.api.openapi import runs as shapes
from web.api.openapi.declaring import declared, declared_list
from web.api.reading import (
    check_query,
    collected,
    json_body,
    number_cursor,
    page_cursor,
    page_limit,
    query_choice,
    query_id,
    query_instant,
    query_text,
    text_in,
)
from web.api.run_documents import (
    call_documents,
    row_document,
    run_document,
    step_document,
    step_documents,
    wait_documents,
)
from web.kinds import readable_target

VERSIONS = ("same", "published")
FILTERS = ("q", "workflowId", "scheduleId", "status", "startedBy", "from", "to")


@blueprint.get("/workflow-runs")
@declared_list("List the runs of workflows, newest first", shapes.RUN_ROW, **shapes.FILTERS)
@requires("workflow:read")
def list_runs() -> Response:
    check_query((*FILTERS, "parentRunId", "rehearsal"))
    return _listed(lambda: WORKFLOW)


@blueprint.get("/runs")
@declared_list("List runs, newest first", shapes.RUN_ROW, **shapes.ANY_FILTERS)
@requires_by_kind(READ)
def list_any_runs() -> Response:
    check_query((*FILTERS, "parentRunId", "rehearsal", "targetKind", "installId"))
    return _listed(lambda: readable_target(query_choice("targetKind", TARGETS)))


def _listed(target: Callable[[], str]) -> Response:
    *asked, cursor, limit = collected(
        lambda: query_text("q"),
        lambda: query_id("workflowId"),
        lambda: query_id("scheduleId"),
        lambda: query_choice("status", STATUSES),
        lambda: query_choice("startedBy", STARTERS),
        lambda: query_instant("from"),
        lambda: query_instant("to"),
        lambda: query_id("parentRunId"),
        lambda: query_choice("rehearsal", REHEARSALS),
        target,
        lambda: query_id("installId"),
        page_cursor,
        page_limit,
    )
    found = runs_page(_tenant(), RunFilters(*asked), cursor, limit + 1)
    return page(found, limit, row_document, lambda row: row.id)


@blueprint.get("/runs/<uuid:run_id>", endpoint="show_any_run")
@blueprint.get("/workflow-runs/<uuid:run_id>")
@declared("Read a run with its steps, waits and calls", shapes.RUN_IN_FULL)
@requires_by_kind(READ)
def show_run(run_id: UUID) -> Response:
    answer = _document_of(run_id)
    steps = step_documents(recorded_steps(run_id, STEPS_SHOWN))
    waits = wait_documents(recorded_waits(run_id, STEPS_SHOWN))
    calls = call_documents(invocations_of_run(_tenant(), run_id))
    return document({**answer, "steps": steps, "waits": waits, "calls": calls})


@blueprint.get("/runs/<uuid:run_id>/steps", endpoint="list_any_steps")
@blueprint.get("/workflow-runs/<uuid:run_id>/steps")
@declared_list("List all attempts at the steps of a run", shapes.STEP)
@requires_by_kind(READ)
def list_steps(run_id: UUID) -> Response:
    if run_kind(_tenant(), run_id) is None:
        raise NotFound
    check_query(())
    after, limit = collected(lambda: number_cursor(-1), page_limit)
    steps = recorded_steps(run_id, limit + 1, after)
    return page(steps, limit, step_document, lambda step: step.position)


@blueprint.post("/runs/<uuid:run_id>/cancel", endpoint="cancel_any_run")
@blueprint.post("/workflow-runs/<uuid:run_id>/cancel")
@declared("Cancel a run", shapes.RUN, body=shapes.CANCEL)
@requires_by_kind(CHANGE)
def cancel_from_body(run_id: UUID) -> Response:
    reason = text_in(json_body(("reason",)), "reason")

    def act(_key: str) -> tuple[int, Json, str]:
        cancel_run(actor(), run_id, request_now(), reason)
        return 200, _document_of(run_id), address_of_run(run_id)

    return answered_once(act)


@blueprint.post("/runs/<uuid:run_id>/rerun", endpoint="rerun_any_run")
@blueprint.post("/workflow-runs/<uuid:run_id>/rerun")
@declared("Run again", shapes.RUN, status=202, body=shapes.RERUN)
@requires_by_kind(CHANGE)
def rerun_from_body(run_id: UUID) -> Response:
    body = json_body(("payload", "version"))
    payload, version = body.get("payload"), body.get("version") or "same"
    _check_rerun(payload, version, run_kind(_tenant(), run_id))

    def act(key: str) -> tuple[int, Json, str]:
        run = rerun(actor(), run_id, key, request_now(), payload, version == "published")
        return 202, _document_of(run.id), address_of_run(run.id)

    return answered_once(act)


def _check_rerun(payload: Any, version: Any, kind: str | None) -> None:
    problems = []
    # What an endpoint takes depends on its method: `domain.schedules.payloads` says it.
    if payload is not None and not isinstance(payload, dict) and kind != ENDPOINT:
        problems.append(Problem("payload", "A payload is a JSON object, in curly braces.", "OBJECT_REQUIRED"))
    if version not in VERSIONS:
        problems.append(Problem("version", f"Choose one of {', '.join(VERSIONS)}.", "CHOICE_INVALID"))
    if problems:
        raise Refused(problems)


def _tenant() -> UUID:
    return member_access().tenant.id


def _document_of(run_id: UUID) -> Json:
    return run_document(run_detail(_tenant(), run_id))


def address_of_run(run_id: UUID) -> str:
    """Where a run is read: below the address that it was asked for by."""
    is_any = request.path.startswith("/api/runs/")
    return url_for("api.show_any_run" if is_any else "api.show_run", run_id=run_id)
