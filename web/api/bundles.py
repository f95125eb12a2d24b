"""Bundles over HTTP: workflows and schedules as files, and what importing one does or would do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from uuid import UUID

from flask import Response, current_app, url_for

from domain.accounts.permissions import CHANGE, READ
from domain.bundles.answers import plan_document, summary_document
from domain.bundles.documents import read_bundle
from domain.bundles.exporting import export_bundle, workflows_by_key
from domain.bundles.importing import import_bundle
from domain.bundles.plans import plan_import
from domain.bundles.reading import MAX_BYTES, BundleRefused
from domain.bundles.schedule_documents import read_schedule_bundle
from domain.bundles.schedule_exporting import export_schedules
from domain.bundles.schedule_importing import ScheduleEntry, ScheduleImport, import_schedules, plan_schedule_import
from domain.kernel.collecting import seldom_collecting
from domain.kernel.errors import Problem
from web.access import actor, member_access, request_now, requires, requires_by_kind
from web.api import blueprint
from web.api.answering import Json, answered_once, document
from web.api.openapi import definitions as shapes
from web.api.openapi import schedules as schedule_shapes
from web.api.openapi.declaring import declared
from web.api.openapi.words import ID, text
from web.api.reading import check_query, collected, query_flag, query_ids, query_text, query_texts, raw_body
from web.errors import Answer, problem_answer
from web.kinds import require_change

View = TypeVar("View", bound=Callable[..., Any])

CONFLICTS = frozenset({"WORKFLOW_KEY_CONFLICT", "WORKFLOW_RUNS_UNFINISHED"})
UNUSABLE = frozenset({"DEFINITION_INVALID", "SCHEDULE_INVALID"})
"""What stands in a file of the right form and cannot be stored. All other refusals are of the file itself: 400."""


def takes_file(view: View) -> View:
    """A body as large as a bundle, also by a session."""
    view.body_max_bytes = MAX_BYTES  # type: ignore[attr-defined]
    return view


@blueprint.errorhandler(BundleRefused)
def answer_refused_bundle(error: BundleRefused) -> Response:
    """The code with what tells more of it; every problem is at its JSON pointer into the file."""
    status = 409 if error.code in CONFLICTS else 422 if error.code in UNUSABLE else 400
    return problem_answer(Answer(status, error.code, error.message, error.problems, members=error.details))


@blueprint.get("/workflow-definitions/<uuid:workflow_id>/export")
@declared("Export a workflow as a bundle", shapes.WORKFLOW_BUNDLE)
@requires("workflow:read")
def export_definition(workflow_id: UUID) -> Response:
    check_query(())
    return _file(export_bundle(_tenant(), [workflow_id]), "workflow-bundle.json")


@blueprint.get("/workflow-definitions/export")
@declared("Export workflows as a bundle", shapes.WORKFLOW_BUNDLE, query={"key": text(128)}, faults=(404,))
@requires("workflow:read")
def export_definitions() -> Response:
    check_query(("key",))
    keys = query_texts("key")
    chosen = workflows_by_key(_tenant(), keys) if keys else None
    return _file(export_bundle(_tenant(), chosen), "workflow-bundle.json")


@blueprint.post("/workflow-definitions/import")
@declared(
    "Import a bundle of workflows",
    shapes.IMPORTED,
    query=shapes.IMPORT_OPTIONS,
    body=shapes.WORKFLOW_BUNDLE,
    needs_body=True,
)
@takes_file
@requires("workflow:admin")
def import_definitions() -> Response:
    check_query(("force", "cancelRuns", "dryRun", "fingerprint"))
    force, cancel_runs, is_dry, fingerprint = collected(
        lambda: query_flag("force"),
        lambda: query_flag("cancelRuns"),
        lambda: query_flag("dryRun"),
        lambda: query_text("fingerprint"),
    )
    bundle = read_bundle(raw_body(MAX_BYTES))
    how: dict[str, Any] = {"force": bool(force), "cancel_runs": bool(cancel_runs), "now": request_now()}
    if is_dry:
        return document(plan_document(plan_import(actor(), bundle, **how)))

    def act(_key: str) -> tuple[int, Json, str]:
        agreed = how | {"fingerprint": fingerprint or None, "min_interval_seconds": _least_seconds()}
        return 200, summary_document(import_bundle(actor(), bundle, **agreed)), url_for("api.list_definitions")

    return answered_once(act)


@blueprint.get("/schedule-bundles")
@declared("Export schedules as a bundle", schedule_shapes.SCHEDULE_BUNDLE, query={"scheduleId": ID}, faults=(404, 409))
@requires_by_kind(READ)
def export_schedule_bundle() -> Response:
    check_query(("scheduleId",))
    ids = query_ids("scheduleId")
    written = export_schedules(_tenant(), ids or None, member_access().readable_kinds)
    return _file(written, "schedule-bundle.json")


@blueprint.post("/schedule-bundles")
@declared(
    "Import a bundle of schedules",
    schedule_shapes.IMPORTED,
    query=schedule_shapes.IMPORT_OPTIONS,
    body=schedule_shapes.SCHEDULE_BUNDLE,
    needs_body=True,
)
@takes_file
@requires_by_kind(CHANGE)
@seldom_collecting()
def import_schedule_bundle() -> Response:
    check_query(("dryRun", "fingerprint"))
    is_dry, fingerprint = collected(lambda: query_flag("dryRun"), lambda: query_text("fingerprint"))
    bundle = read_schedule_bundle(raw_body(MAX_BYTES))
    for kind in sorted(bundle.kinds):
        require_change(kind)
    if is_dry:
        plan = plan_schedule_import(actor(), bundle, request_now(), _least_seconds())
        return document(_schedules_document(plan, is_dry=True))

    def act(_key: str) -> tuple[int, Json, str]:
        done = import_schedules(actor(), bundle, request_now(), fingerprint or None, _least_seconds())
        return 200, _schedules_document(done, is_dry=False), url_for("api.list_schedules")

    return answered_once(act)


def _schedules_document(done: ScheduleImport, *, is_dry: bool) -> Json:
    return {
        "dryRun": is_dry,
        "fingerprint": done.fingerprint,
        "schedules": [_entry_document(entry) for entry in done.entries],
    }


def _entry_document(entry: ScheduleEntry) -> Json:
    return {
        "externalKey": entry.key,
        "name": entry.name,
        "target": entry.target,
        "targetKind": entry.kind,
        "action": entry.action,
        "scheduleId": str(entry.schedule_id) if entry.schedule_id else None,
        "warnings": list(entry.warnings),
        "errors": [_problem_document(problem) for problem in entry.problems],
    }


def _problem_document(problem: Problem) -> Json:
    return {"path": problem.path, "message": problem.message, "code": problem.code}


def _file(written: bytes, name: str) -> Response:
    """The bytes of a bundle as they are, for whoever saves them under this name."""
    answer = Response(written, content_type="application/json")
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _least_seconds() -> int:
    return int(current_app.config["CARILLON"].min_interval_seconds)


def _tenant() -> UUID:
    return member_access().tenant.id
