"""What a schedule will do, over HTTP: why it fires or not, its next fires, and those of a timing nobody has saved."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from flask import Response, current_app, request

from domain.accounts.permissions import READ
from domain.firing.checklist import Checklist, checklist
from domain.firing.checks import Check
from domain.kernel.errors import NotFound, Refused
from domain.schedules.drafts import typed_timing
from domain.schedules.pages import ScheduleRow, schedule_detail
from domain.schedules.previews import next_fires, timing_preview
from domain.timing.words import absolute, timing_in_words
from domain.timing.zones import zone
from web.access import member_access, request_now, requires, requires_by_kind
from web.api import blueprint
from web.api.answering import Json, document, instant
from web.api.openapi import schedules as shapes
from web.api.openapi.declaring import declared
from web.api.reading import check_query, json_body, page_limit
from web.api.schedule_bodies import new_draft

FIRES_DEFAULT = 10
TIMING_MEMBERS = ("triggerType", "runAt", "cron", "timezone", "startsAt", "endsAt", "dstGap", "dstRepeat")


@blueprint.get("/schedules/<uuid:schedule_id>/explain")
@declared("Say whether and why a schedule will fire", shapes.EXPLANATION)
@requires_by_kind(READ)
def explain_schedule(schedule_id: UUID) -> Response:
    check_query(())
    row = _row(schedule_id)
    found = checklist(row, request_now())
    return document(
        {
            "fires": found.fires,
            "nextFireAt": instant(found.explanation.at),
            "sentence": _sentence(row, found),
            "remedy": found.obstacle.remedy if found.obstacle else found.explanation.remedy,
            "checks": [_check(check) for check in found.checks],
        }
    )


@blueprint.get("/schedules/<uuid:schedule_id>/preview")
@declared("Read the next instants of a schedule", shapes.PREVIEW, query=shapes.PREVIEW_LIMIT)
@requires_by_kind(READ)
def preview_schedule(schedule_id: UUID) -> Response:
    check_query(())
    row, limit = _row(schedule_id), _limit()
    if row.timing is None:
        raise Refused.at("", "The timing of this schedule cannot be computed. Edit it.", "TIMING_UNREADABLE")
    after = max(request_now(), row.paused_until or request_now())
    fires = next_fires(row.timing, after, limit)
    skipped = row.skip_next_at
    return document(
        {
            "words": timing_in_words(row.timing, request_now()),
            "cron": row.cron,
            "timezone": row.timezone,
            "fires": [fire | {"skipped": at == skipped} for at, fire in _fires(fires, row.timezone)],
        }
    )


@blueprint.post("/schedules/preview")
@declared(
    "Read the next instants of a timing that nobody has saved",
    shapes.TIMING_PREVIEW,
    query=shapes.PREVIEW_LIMIT,
    body=shapes.TIMING,
    needs_body=True,
    is_once=False,
)
@requires("workflow:read")
def preview_timing() -> Response:
    body, limit = json_body(TIMING_MEMBERS), _limit()
    draft, least = new_draft(body, member_access().tenant.timezone), _least_seconds()
    found = timing_preview(draft, request_now(), least)
    timing = None if found.problems else typed_timing(replace(draft, cron=found.cron), request_now(), least)
    if timing is None:
        raise Refused(found.problems)
    return document(
        {
            "words": found.words,
            "cron": found.cron,
            "timezone": found.timezone,
            "fires": [fire for _, fire in _fires(next_fires(timing, request_now(), limit), found.timezone)],
            "clockChanges": [{"at": instant(one.at), "message": one.sentence} for one in found.clock_changes],
            "advice": [{"code": one.code, "message": one.message} for one in found.advice],
        }
    )


def _row(schedule_id: UUID) -> ScheduleRow:
    """One schedule that is not deleted; raises NotFound."""
    row = schedule_detail(member_access().tenant.id, schedule_id)
    if row.deleted_at is not None:
        raise NotFound
    return row


def _sentence(row: ScheduleRow, found: Checklist) -> str:
    """The one sentence that sums the checklist up."""
    explanation = found.explanation
    if found.obstacle:
        return f"It will not fire as things stand: {found.obstacle.sentence}"
    if explanation.fires and explanation.at:
        at = absolute(explanation.at, row.timezone, request_now())
        return f"It fires now: it is due since {at}." if explanation.is_due else f"It fires next at {at}."
    return f"It does not fire: {explanation.reason}"


def _check(check: Check) -> Json:
    said: dict[str, Any] = {"name": check.name, "state": check.state, "sentence": check.sentence}
    return said | {"remedy": check.remedy, "runId": str(check.run_id) if check.run_id else None}


def _fires(instants: Iterable[datetime], timezone: str) -> Iterable[tuple[datetime, Json]]:
    """Each instant with what it is in UTC and on the clocks of its zone, with the offset in force then."""
    for at in instants:
        yield at, {"at": instant(at), "local": at.astimezone(zone(timezone)).isoformat()}


def _limit() -> int:
    return page_limit() if "limit" in request.args else FIRES_DEFAULT


def _least_seconds() -> int:
    return int(current_app.config["CARILLON"].min_interval_seconds)
