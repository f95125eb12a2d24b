"""Schedules over HTTP: create, list, read, edit, delete; run now, pause, resume."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from flask import Response, current_app, request, url_for

from domain.accounts.permissions import CHANGE, READ
from domain.firing.holds import EDITION_REQUIRED
from domain.firing.lifecycle import create_schedule, delete_schedule, edit_schedule, pause_schedule, resume_schedule
from domain.firing.resuming import parse_make_up
from domain.firing.run_now import run_schedule_now
from domain.kernel.db import transaction
from domain.kernel.errors import Conflict, Forbidden, NotFound, Problem, Refused
from domain.runs.details import run_detail
from domain.schedules.listing import ScheduleFilters, free_name, schedule_view, schedules_listed
from domain.schedules.narrowing import TARGETS
from domain.schedules.schedules import ACTIVE, TRANSITIONS
from domain.timing.zones import parse_instant
from web.access import actor, member_access, request_now, requires_by_kind
from web.api import blueprint
from web.api.answering import Json, answered_once, document, page
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
)
from web.api.run_documents import run_document
from web.api.schedule_bodies import (
    CREATABLE,
    EDITABLE,
    READ_ONLY,
    body_kind,
    edited_draft,
    new_draft,
    schedule_document,
)
from web.kinds import readable_target, require_change

TRIES = 3
"""How often something that lost a race against others is tried again with what is stored then."""

STATUSES = tuple(TRANSITIONS)
TRIGGER_TYPES = ("schedule", "recurring")


@blueprint.before_request
def check_edition() -> None:
    """Raise Forbidden for everything about schedules in a tenant whose edition has none."""
    is_about_schedules = request.path.removeprefix(blueprint.url_prefix or "").startswith("/schedules")
    if is_about_schedules and not member_access().tenant.has_schedules:
        raise Forbidden(EDITION_REQUIRED, code="EDITION_REQUIRED")


def _tenant() -> UUID:
    return member_access().tenant.id


@blueprint.get("/schedules")
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
@requires_by_kind(CHANGE)
def create_schedule_from_body() -> Response:
    body = json_body(CREATABLE, READ_ONLY)
    require_change(body_kind(body))
    for _ in range(TRIES - 1):
        try:
            return answered_once(lambda _key: _create(body))
        except Refused as refused:
            # Someone else took the name that was chosen for this schedule; the next one is free.
            if body.get("name") is not None or not any(problem.code == "NAME_TAKEN" for problem in refused.problems):
                raise
    return answered_once(lambda _key: _create(body))


def _create(body: Json) -> tuple[int, Json, str]:
    given = dict(body)
    draft = new_draft({**given, "name": ""} if given.get("name") is None else given, member_access().tenant.timezone)
    if given.get("name") is None and draft.workflow_id is not None:
        given["name"] = free_name(_tenant(), draft.workflow_id, draft.cron if draft.trigger_type == "recurring" else "")
        draft = new_draft(given, member_access().tenant.timezone)
    with _workflow_in_body():
        schedule = create_schedule(actor(), draft, request_now(), _least_seconds())
    return 201, _document_of(schedule.id), _address(schedule.id)


@blueprint.get("/schedules/<uuid:schedule_id>")
@requires_by_kind(READ)
def show_schedule(schedule_id: UUID) -> Response:
    return document(_document_of(schedule_id))


@blueprint.patch("/schedules/<uuid:schedule_id>")
@requires_by_kind(CHANGE)
def change_schedule(schedule_id: UUID) -> Response:
    body = json_body(EDITABLE, READ_ONLY - {"revision"})
    revision = _revision_in(body)
    for _ in range(TRIES - 1):
        try:
            return _change(schedule_id, body, revision)
        except Conflict as conflict:
            if revision is not None or type(conflict) is not Conflict:
                raise
    return _change(schedule_id, body, revision)


def _change(schedule_id: UUID, body: Json, revision: int | None) -> Response:
    with transaction():
        stored = schedule_view(_tenant(), schedule_id).schedule
        seen = stored.revision if revision is None else revision
        changes = {name: value for name, value in body.items() if name not in ("revision", "targetKind")}
        draft = edited_draft(stored, body)
        if set(changes) == {"enabled"}:
            _switch(schedule_id, draft.enabled, stored.status, seen)
        elif changes or seen != stored.revision:
            with _workflow_in_body():
                edit_schedule(actor(), schedule_id, seen, draft, request_now(), _least_seconds())
        answer = _document_of(schedule_id)
    return document(answer)


def _switch(schedule_id: UUID, enabled: bool, status: str, revision: int) -> None:
    """On follows the rules of resume, off those of pause; what is so already stays so."""
    if enabled and status != ACTIVE:
        resume_schedule(actor(), schedule_id, request_now(), revision)
    elif not enabled and status == ACTIVE:
        pause_schedule(actor(), schedule_id, "", request_now(), revision)
    elif schedule_view(_tenant(), schedule_id).schedule.revision != revision:
        raise Conflict


@blueprint.delete("/schedules/<uuid:schedule_id>")
@requires_by_kind(CHANGE)
def remove_schedule(schedule_id: UUID) -> Response:
    with transaction():
        delete_schedule(actor(), schedule_id, request_now())
    return Response(status=204)


@blueprint.post("/schedules/<uuid:schedule_id>/run-now")
@requires_by_kind(CHANGE)
def run_now(schedule_id: UUID) -> Response:
    json_body(())

    def act(key: str) -> tuple[int, Json, str]:
        run = run_schedule_now(actor(), schedule_id, key, request_now())
        address = url_for("api.show_run" if run.workflow_id else "api.show_any_run", run_id=run.id)
        return 202, run_document(run_detail(_tenant(), run.id)), address

    return answered_once(act)


@blueprint.post("/schedules/<uuid:schedule_id>/pause")
@requires_by_kind(CHANGE)
def pause(schedule_id: UUID) -> Response:
    body = json_body(("reason", "until", "revision"))
    reason, until, revision = collected(lambda: _reason_in(body), lambda: _until_in(body), lambda: _revision_in(body))

    def act(_key: str) -> tuple[int, Json, str]:
        pause_schedule(actor(), schedule_id, reason, request_now(), revision, until)
        return 200, _document_of(schedule_id), _address(schedule_id)

    return answered_once(act)


@blueprint.post("/schedules/<uuid:schedule_id>/resume")
@requires_by_kind(CHANGE)
def resume(schedule_id: UUID) -> Response:
    body = json_body(("catchUp", "revision"))
    made_up, revision = collected(
        lambda: parse_make_up("skip" if body.get("catchUp") is None else body["catchUp"]), lambda: _revision_in(body)
    )

    def act(_key: str) -> tuple[int, Json, str]:
        resume_schedule(actor(), schedule_id, request_now(), revision, made_up)
        return 200, _document_of(schedule_id), _address(schedule_id)

    return answered_once(act)


@contextmanager
def _workflow_in_body() -> Iterator[None]:
    """A workflow that the body names and nobody has is a problem of the body: the address is right."""
    try:
        yield
    except NotFound:
        message = "There is no workflow with this id."
        raise Refused.at("workflowId", message, "WORKFLOW_NOT_FOUND") from None


def _document_of(schedule_id: UUID) -> Json:
    return schedule_document(schedule_view(_tenant(), schedule_id))


def _address(schedule_id: UUID) -> str:
    return url_for("api.show_schedule", schedule_id=schedule_id)


def _revision_in(body: Json) -> int | None:
    revision: Any = body.get("revision")
    if revision is not None and (not isinstance(revision, int) or isinstance(revision, bool)):
        raise Refused.at("revision", "Write the whole number that was answered as revision.", "NUMBER_INVALID")
    return revision


def _reason_in(body: Json) -> str:
    reason = body.get("reason") or ""
    if not isinstance(reason, str):
        raise Refused.at("reason", "This must be text.", "TEXT_REQUIRED")
    return reason


def _until_in(body: Json) -> datetime | None:
    if body.get("until") is None:
        return None
    try:
        return parse_instant(body["until"])
    except Refused as refused:
        raise Refused(Problem("until", one.message, "INSTANT_INVALID") for one in refused.problems) from None


def _least_seconds() -> int:
    return int(current_app.config["CARILLON"].min_interval_seconds)
