"""Schedules over HTTP: create, list, read, edit, delete; run now, pause, resume."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from flask import Response, request, url_for

from domain.accounts.permissions import CHANGE, READ
from domain.firing.holds import EDITION_REQUIRED
from domain.firing.lifecycle import delete_schedule, pause_schedule, resume_schedule
from domain.firing.resuming import parse_make_up
from domain.kernel.db import transaction
from domain.kernel.errors import Forbidden, Problem, Refused
from domain.schedules.listing import ScheduleFilters, schedule_view, schedules_listed
from domain.schedules.narrowing import TARGETS
from domain.schedules.schedules import TRANSITIONS
from domain.timing.zones import parse_instant
from web.access import actor, member_access, request_now, requires_by_kind
from web.api import blueprint
from web.api.answering import Json, answered_once, document, page
from web.api.openapi import extensions as extension_shapes
from web.api.openapi import runs as run_shapes
from web.api.openapi import schedules as shapes
from web.api.openapi.declaring import declared, declared_list
from web.api.preconditions import conditional
from web.api.reading import (
    check_query,
    collected,
    json_body,
    page_cursor,
    page_limit,
    query_choice,
    query_flag,
    query_id,
    query_text,
    text_in,
)
from web.api.schedule_bodies import CREATABLE, EDITABLE, READ_ONLY, body_kind, schedule_document
from web.api.schedule_changes import changed, created, document_of, ran_now, revision_in
from web.kinds import readable_target, require_change

STATUSES = tuple(TRANSITIONS)
TRIGGER_TYPES = ("schedule", "recurring")


@blueprint.before_request
def check_edition() -> None:
    """Raise Forbidden for everything about schedules in a tenant whose edition has none."""
    # /api/schedules…, /api/schedule-bundles and /api/extensions/<id>/schedules…
    is_about_schedules = not {"schedules", "schedule-bundles"}.isdisjoint(request.path.split("/")[2:5])
    if is_about_schedules and not member_access().tenant.has_schedules:
        raise Forbidden(EDITION_REQUIRED, code="EDITION_REQUIRED")


def _tenant() -> UUID:
    return member_access().tenant.id


@blueprint.get("/schedules")
@declared_list("List schedules, newest first", shapes.SCHEDULE, **shapes.ANY_FILTERS)
@requires_by_kind(READ)
def list_schedules() -> Response:
    check_query(("q", "workflowId", "status", "triggerType", "enabled", "targetKind", "installId"))
    *asked, cursor, limit = collected(
        lambda: query_text("q"),
        lambda: query_id("workflowId"),
        lambda: query_choice("status", STATUSES),
        lambda: query_choice("triggerType", TRIGGER_TYPES),
        lambda: query_flag("enabled"),
        lambda: readable_target(query_choice("targetKind", TARGETS)),
        lambda: query_id("installId"),
        page_cursor,
        page_limit,
    )
    found = schedules_listed(_tenant(), ScheduleFilters(*asked), cursor, limit + 1)
    return page(found, limit, schedule_document, lambda view: view.schedule.id)


@blueprint.post("/schedules")
@declared("Create a schedule", shapes.SCHEDULE, status=201, body=shapes.NEW_SCHEDULE, needs_body=True)
@requires_by_kind(CHANGE)
def create_schedule_from_body() -> Response:
    body = json_body(CREATABLE, READ_ONLY)
    require_change(body_kind(body))
    return created(body, _address)


@blueprint.get("/schedules/<uuid:schedule_id>")
@declared("Read a schedule", shapes.SCHEDULE)
@requires_by_kind(READ)
def show_schedule(schedule_id: UUID) -> Response:
    return document(document_of(schedule_id))


@blueprint.patch("/schedules/<uuid:schedule_id>")
@declared("Change a schedule", shapes.SCHEDULE, body=shapes.SCHEDULE_CHANGE, is_conditional=True)
@requires_by_kind(CHANGE)
def change_schedule(schedule_id: UUID) -> Response:
    return changed(schedule_id, json_body(EDITABLE, READ_ONLY - {"revision"}))


@blueprint.delete("/schedules/<uuid:schedule_id>")
@declared("Delete a schedule", status=204, is_conditional=True)
@requires_by_kind(CHANGE)
def remove_schedule(schedule_id: UUID) -> Response:
    with transaction(), conditional(_revision(schedule_id), None) as revision:
        delete_schedule(actor(), schedule_id, request_now(), revision)
    return Response(status=204)


@blueprint.post("/schedules/<uuid:schedule_id>/run-now")
@declared("Run a schedule now", run_shapes.RUN, status=202, body=extension_shapes.NOTHING)
@requires_by_kind(CHANGE)
def run_now(schedule_id: UUID) -> Response:
    json_body(())
    return ran_now(schedule_id)


@blueprint.post("/schedules/<uuid:schedule_id>/pause")
@declared("Pause a schedule", shapes.SCHEDULE, body=shapes.PAUSE, is_conditional=True)
@requires_by_kind(CHANGE)
def pause(schedule_id: UUID) -> Response:
    body = json_body(("reason", "until", "revision"))
    reason, until, asked = collected(
        lambda: text_in(body, "reason"), lambda: _until_in(body), lambda: revision_in(body)
    )

    def act(_key: str) -> tuple[int, Json, str]:
        with conditional(_revision(schedule_id), asked) as revision:
            pause_schedule(actor(), schedule_id, reason, request_now(), revision, until)
        return 200, document_of(schedule_id), _address(schedule_id)

    return answered_once(act)


@blueprint.post("/schedules/<uuid:schedule_id>/resume")
@declared("Resume a schedule", shapes.SCHEDULE, body=shapes.RESUME, is_conditional=True)
@requires_by_kind(CHANGE)
def resume(schedule_id: UUID) -> Response:
    body = json_body(("catchUp", "revision"))
    made_up, asked = collected(
        lambda: parse_make_up("skip" if body.get("catchUp") is None else body["catchUp"]), lambda: revision_in(body)
    )

    def act(_key: str) -> tuple[int, Json, str]:
        with conditional(_revision(schedule_id), asked) as revision:
            resume_schedule(actor(), schedule_id, request_now(), revision, made_up)
        return 200, document_of(schedule_id), _address(schedule_id)

    return answered_once(act)


def _address(schedule_id: UUID) -> str:
    return url_for("api.show_schedule", schedule_id=schedule_id)


def _revision(schedule_id: UUID) -> int:
    return schedule_view(_tenant(), schedule_id).schedule.revision


def _until_in(body: Json) -> datetime | None:
    if body.get("until") is None:
        return None
    try:
        return parse_instant(body["until"])
    except Refused as refused:
        raise Refused(Problem("until", one.message, "INSTANT_INVALID") for one in refused.problems) from None
