"""Skipping just the next occurrence of a schedule, and undoing that while it is still to come."""

from __future__ import annotations

from uuid import UUID

from flask import request, url_for
from flask.typing import ResponseReturnValue

from domain.accounts.permissions import CHANGE
from domain.firing.skipping import skip_next, unskip_next
from domain.kernel.db import transaction
from domain.kernel.errors import Refused
from domain.schedules.pages import schedule_detail
from domain.timing.words import absolute
from domain.timing.zones import parse_instant
from web.access import actor, request_now, requires_by_kind
from web.answers import show_dialog
from web.forms.steering import SkipForm
from web.schedules.frame import address_of, blueprint, changed, place, tenant_id


@blueprint.get("/<uuid:schedule_id>/skip-next")
@requires_by_kind(CHANGE)
def ask_skip(schedule_id: UUID) -> ResponseReturnValue:
    return _dialog(schedule_id, SkipForm())


@blueprint.post("/<uuid:schedule_id>/skip-next")
@requires_by_kind(CHANGE)
def skip(schedule_id: UUID) -> ResponseReturnValue:
    form = SkipForm(request.form)
    try:
        with transaction():
            instant = parse_instant(form.instant.data)
            schedule = skip_next(actor(), schedule_id, instant, request_now())
            said = f"{schedule.name} will skip {absolute(instant, schedule.timezone, request_now())}."
    except Refused as refusal:
        form.form_errors += [problem.message for problem in refusal.problems]
        return _dialog(schedule_id, form, 422)
    undo = {"url": url_for("schedules.unskip", schedule_id=schedule_id)}
    return changed(address_of(schedule_id), {"message": said, "undo": undo})


@blueprint.post("/<uuid:schedule_id>/skip-next/undo")
@requires_by_kind(CHANGE)
def unskip(schedule_id: UUID) -> ResponseReturnValue:
    with transaction():
        name = unskip_next(actor(), schedule_id, request_now()).name
    return changed(address_of(schedule_id), f"{name} skips nothing.")


def _dialog(schedule_id: UUID, form: SkipForm, status: int = 200) -> ResponseReturnValue:
    """Names the instant that is the next one now, also after another one was asked for."""
    row = schedule_detail(tenant_id(), schedule_id)
    is_offered = row.status == "active" and row.cron and row.next_fire_at and row.skip_next_at is None
    instant = row.next_fire_at if is_offered else None
    form.instant.data = f"{instant:%Y-%m-%dT%H:%M:%SZ}" if instant else ""
    after = row.timing.next_after(instant) if instant and row.timing else None
    title = f"Skip the next of {row.name}"
    values = {"row": row, "form": form, "instant": instant, "after": after, "place": place()}
    return show_dialog("schedules/_skip.html", title, status, **values)
