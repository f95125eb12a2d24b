"""What a request does to a schedule: made, changed and run by hand alike below /schedules and below an extension."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID

from flask import Response, current_app, url_for

from domain.firing.lifecycle import edit_schedule, new_schedule, pause_schedule, resume_schedule
from domain.firing.run_now import run_schedule_now
from domain.kernel.db import transaction
from domain.kernel.errors import Conflict, NotFound, Refused
from domain.runs.details import run_detail
from domain.schedules.listing import free_name, schedule_view
from domain.schedules.schedules import ACTIVE, Schedule
from web.access import actor, member_access, request_now
from web.api.answering import Json, answered_once, document
from web.api.preconditions import TRIES, conditional, unless_raced
from web.api.reading import whole_number_in
from web.api.run_documents import run_document
from web.api.schedule_bodies import edited_draft, new_draft, schedule_document


def created(body: Json, address: Callable[[UUID], str]) -> Response:
    """A schedule as the body describes it; `address`: where one with this id is read."""
    for _ in range(TRIES - 1):
        try:
            return answered_once(lambda _key: _create(body, address))
        except Refused as refused:
            # Someone else took the name that was chosen for this schedule; the next one is free.
            if body.get("name") is not None or not any(problem.code == "NAME_TAKEN" for problem in refused.problems):
                raise
    return answered_once(lambda _key: _create(body, address))


def _create(body: Json, address: Callable[[UUID], str]) -> tuple[int, Json, str]:
    given = dict(body)
    draft = new_draft({**given, "name": ""} if given.get("name") is None else given, member_access().tenant.timezone)
    if given.get("name") is None and draft.workflow_id is not None:
        given["name"] = free_name(_tenant(), draft.workflow_id, draft.cron if draft.trigger_type == "recurring" else "")
        draft = new_draft(given, member_access().tenant.timezone)
    with _workflow_in_body():
        view = new_schedule(actor(), draft, request_now(), _least_seconds())
    return 201, schedule_document(view), address(view.schedule.id)


def changed(schedule_id: UUID, body: Json) -> Response:
    """The schedule with only what the body names changed; with `revision` or an If-Match, only that revision of it."""
    asked = revision_in(body)
    return unless_raced(asked, lambda: _change(schedule_id, body, asked))


def _change(schedule_id: UUID, body: Json, asked: int | None) -> Response:
    with transaction():
        stored = schedule_view(_tenant(), schedule_id).schedule
        with conditional(stored.revision, asked) as revision:
            _write(stored, body, stored.revision if revision is None else revision)
        answer = document_of(schedule_id)
    return document(answer)


def _write(stored: Schedule, body: Json, seen: int) -> None:
    changes = {name: value for name, value in body.items() if name not in ("revision", "targetKind")}
    draft = edited_draft(stored, body)
    if set(changes) == {"enabled"}:
        _switch(stored.id, draft.enabled, stored.status, seen)
    elif changes or seen != stored.revision:
        with _workflow_in_body():
            edit_schedule(actor(), stored.id, seen, draft, request_now(), _least_seconds())


def _switch(schedule_id: UUID, enabled: bool, status: str, revision: int) -> None:
    """On follows the rules of resume, off those of pause; what is so already stays so."""
    if enabled and status != ACTIVE:
        resume_schedule(actor(), schedule_id, request_now(), revision)
    elif not enabled and status == ACTIVE:
        pause_schedule(actor(), schedule_id, "", request_now(), revision)
    elif schedule_view(_tenant(), schedule_id).schedule.revision != revision:
        raise Conflict


def ran_now(schedule_id: UUID) -> Response:
    """The run that was started by hand, and where it is read."""

    def act(key: str) -> tuple[int, Json, str]:
        run = run_schedule_now(actor(), schedule_id, key, request_now())
        address = url_for("api.show_run" if run.workflow_id else "api.show_any_run", run_id=run.id)
        return 202, run_document(run_detail(_tenant(), run.id)), address

    return answered_once(act)


def document_of(schedule_id: UUID) -> Json:
    """The schedule as the API shows it; raises NotFound."""
    return schedule_document(schedule_view(_tenant(), schedule_id))


def revision_in(body: Json) -> int | None:
    """The revision that a body is about; None when it names none."""
    return whole_number_in(body, "revision", "Write the whole number that was answered as revision.")


@contextmanager
def _workflow_in_body() -> Iterator[None]:
    """A workflow that the body names and nobody has is a problem of the body: the address is right."""
    try:
        yield
    except NotFound:
        message = "There is no workflow with this id."
        raise Refused.at("workflowId", message, "WORKFLOW_NOT_FOUND") from None


def _least_seconds() -> int:
    return int(current_app.config["CARILLON"].min_interval_seconds)


def _tenant() -> UUID:
    return member_access().tenant.id
