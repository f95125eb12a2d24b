"""The endpoints of an installed extension over HTTP, and the schedules that call them."""

from __future__ import annotations

from uuid import UUID

from flask import Response, url_for

from domain.extensions.endpoints import endpoints_of
from domain.firing.lifecycle import delete_schedule
from domain.kernel.db import transaction
from domain.kernel.errors import NotFound, Refused
from domain.runs.invocations import invocations_of_schedule
from domain.schedules.listing import ScheduleFilters, ScheduleView, schedule_view, schedules_listed
from domain.schedules.schedules import ENDPOINT
from web.access import actor, member_access, request_now, requires
from web.api import blueprint
from web.api.answering import document, page, page_within
from web.api.extension_documents import endpoint_document
from web.api.installs import installed
from web.api.openapi import extensions as extension_shapes
from web.api.openapi import runs as run_shapes
from web.api.openapi import schedules as shapes
from web.api.openapi.declaring import declared, declared_list
from web.api.preconditions import conditional
from web.api.reading import (
    check_query,
    collected,
    id_in,
    json_body,
    page_cursor,
    page_limit,
    query_choice,
    query_flag,
    query_text,
)
from web.api.run_documents import call_document
from web.api.schedule_bodies import CREATABLE, EDITABLE, READ_ONLY, schedule_document
from web.api.schedule_changes import changed, created, ran_now
from web.api.schedules import STATUSES, TRIGGER_TYPES

OF_WORKFLOWS = {"workflowId"}


@blueprint.get("/extensions/<uuid:extension_id>/endpoints")
@declared_list("List the endpoints of an installed extension", extension_shapes.ENDPOINT)
@requires("extension:read")
def list_endpoints(extension_id: UUID) -> Response:
    _, install = installed(extension_id)
    check_query(())
    return page_within(endpoints_of(install.version_id), endpoint_document)


@blueprint.get("/extensions/<uuid:extension_id>/schedules")
@declared_list("List the schedules that call an extension", shapes.SCHEDULE, **shapes.FILTERS)
@requires("extension:read")
def list_extension_schedules(extension_id: UUID) -> Response:
    _, install = installed(extension_id)
    check_query(("q", "status", "triggerType", "enabled"))
    q, status, trigger_type, enabled, cursor, limit = collected(
        lambda: query_text("q"),
        lambda: query_choice("status", STATUSES),
        lambda: query_choice("triggerType", TRIGGER_TYPES),
        lambda: query_flag("enabled"),
        page_cursor,
        page_limit,
    )
    wanted = ScheduleFilters(q, None, status, trigger_type, enabled, install_id=install.id)
    found = schedules_listed(_tenant(), wanted, cursor, limit + 1)
    return page(found, limit, schedule_document, lambda view: view.schedule.id)


@blueprint.post("/extensions/<uuid:extension_id>/schedules")
@declared(
    "Create a schedule that calls an endpoint",
    shapes.SCHEDULE,
    status=201,
    body=shapes.NEW_CALL_SCHEDULE,
    needs_body=True,
)
@requires("extension:write")
def create_extension_schedule(extension_id: UUID) -> Response:
    _, install = installed(extension_id)
    body = json_body(CREATABLE - OF_WORKFLOWS, READ_ONLY)
    body = {**body, "targetKind": body.get("targetKind") or ENDPOINT}
    if body.get("installId") is None:
        body["installId"] = str(install.id)
    if id_in(body["installId"], "installId") != install.id:
        raise Refused.at("installId", "This is not the install of this extension. Leave it out.", "INSTALL_OTHER")
    return created(body, lambda schedule_id: _address(extension_id, schedule_id))


@blueprint.get("/extensions/<uuid:extension_id>/schedules/<uuid:extension_schedule_id>")
@declared("Read a schedule that calls an extension", shapes.SCHEDULE)
@requires("extension:read")
def show_extension_schedule(extension_id: UUID, extension_schedule_id: UUID) -> Response:
    return document(schedule_document(_view(extension_id, extension_schedule_id)))


@blueprint.patch("/extensions/<uuid:extension_id>/schedules/<uuid:extension_schedule_id>")
@declared(
    "Change a schedule that calls an extension",
    shapes.SCHEDULE,
    body=shapes.CALL_SCHEDULE_CHANGE,
    is_conditional=True,
)
@requires("extension:write")
def change_extension_schedule(extension_id: UUID, extension_schedule_id: UUID) -> Response:
    _view(extension_id, extension_schedule_id)
    return changed(extension_schedule_id, json_body(EDITABLE - OF_WORKFLOWS, READ_ONLY - {"revision"}))


@blueprint.delete("/extensions/<uuid:extension_id>/schedules/<uuid:extension_schedule_id>")
@declared("Delete a schedule that calls an extension", status=204, is_conditional=True)
@requires("extension:write")
def remove_extension_schedule(extension_id: UUID, extension_schedule_id: UUID) -> Response:
    with transaction():
        stored = _view(extension_id, extension_schedule_id).schedule.revision
        with conditional(stored, None) as revision:
            delete_schedule(actor(), extension_schedule_id, request_now(), revision)
    return Response(status=204)


@blueprint.post("/extensions/<uuid:extension_id>/schedules/<uuid:extension_schedule_id>/run-now")
@declared("Call the endpoint of a schedule now", run_shapes.RUN, status=202, body=extension_shapes.NOTHING)
@requires("extension:write")
def run_extension_schedule(extension_id: UUID, extension_schedule_id: UUID) -> Response:
    _view(extension_id, extension_schedule_id)
    json_body(())
    return ran_now(extension_schedule_id)


@blueprint.get("/extensions/<uuid:extension_id>/schedules/<uuid:extension_schedule_id>/invocations")
@declared_list("List the calls of a schedule, newest first", run_shapes.CALL)
@requires("extension:read")
def list_invocations(extension_id: UUID, extension_schedule_id: UUID) -> Response:
    _view(extension_id, extension_schedule_id)
    check_query(())
    cursor, limit = collected(page_cursor, page_limit)
    found = invocations_of_schedule(_tenant(), extension_schedule_id, cursor, limit + 1)
    return page(found, limit, call_document, lambda call: call.id)


def _view(extension_id: UUID, schedule_id: UUID) -> ScheduleView:
    """A schedule that calls what is installed of this extension; raises NotFound."""
    _, install = installed(extension_id)
    view = schedule_view(_tenant(), schedule_id)
    if view.schedule.install_id != install.id:
        raise NotFound
    return view


def _address(extension_id: UUID, schedule_id: UUID) -> str:
    where = "api.show_extension_schedule"
    return url_for(where, extension_id=extension_id, extension_schedule_id=schedule_id)


def _tenant() -> UUID:
    return member_access().tenant.id
