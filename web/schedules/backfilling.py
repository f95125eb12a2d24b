"""Making up for a past range of a schedule: a dry run first, then the start, and how far each backfill has come."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from flask import request, url_for
from flask.typing import ResponseReturnValue

from domain.accounts.permissions import CHANGE, READ
from domain.firing.backfilling import BackfillPlan, cancel_backfill, plan_backfill, start_backfill
from domain.kernel.db import transaction
from domain.kernel.errors import Refused
from domain.kernel.ids import new_id
from domain.schedules.backfills import CONCURRENCY_MAX, BackfillProgress, backfills_of
from domain.schedules.pages import ScheduleRow, schedule_detail
from web.access import actor, request_now, requires_by_kind
from web.answers import show_dialog
from web.asked import content_key, request_key
from web.forms.schedules import wall
from web.forms.steering import BackfillForm
from web.schedules.frame import address_of, blueprint, changed, place, tenant_id

RECENT = timedelta(days=1)
SHOWN = 5
_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)


@blueprint.get("/<uuid:schedule_id>/backfill")
@requires_by_kind(CHANGE)
def ask_backfill(schedule_id: UUID) -> ResponseReturnValue:
    row = schedule_detail(tenant_id(), schedule_id)
    last = _last_decided(row)
    typed = {"from_at": wall(last - _DAY, row.timezone), "until_at": wall(last, row.timezone)}
    return _dialog(row, BackfillForm(data=typed), None)


@blueprint.post("/<uuid:schedule_id>/backfill")
@requires_by_kind(CHANGE)
def backfill(schedule_id: UUID) -> ResponseReturnValue:
    """Starts what was looked at; a range that was not looked at yet, or was changed since, is looked at first."""
    form = BackfillForm(request.form)
    row = schedule_detail(tenant_id(), schedule_id)
    plan = None
    try:
        from_at, until_at = form.span(row.timezone)
        if not form.is_looked_at or "check" in request.form:
            plan = plan_backfill(tenant_id(), schedule_id, from_at, until_at, request_now())
            form.attach(plan.problems)
            return _dialog(row, form, plan, 422 if plan.problems else 200)
        key = content_key(beside=("seen", "place"))
        with transaction():
            started = start_backfill(actor(), schedule_id, from_at, until_at, form.concurrency.data, key, request_now())
            several = f"{started.count} {'run' if started.count == 1 else 'runs'}"
            said = f"A backfill of {row.name} starts {several}, {started.concurrency} at a time."
    except Refused as refusal:
        form.attach(refusal.problems)
        return _dialog(row, form, plan, 422)
    return changed(address_of(schedule_id), said)


@blueprint.get("/<uuid:schedule_id>/backfills")
@requires_by_kind(READ)
def progress(schedule_id: UUID) -> ResponseReturnValue:
    """How far the backfills have come: the part of the page that polls itself."""
    row = schedule_detail(tenant_id(), schedule_id)
    values: dict[str, Any] = {"row": row, "backfills": recent_backfills(schedule_id)}
    return show_dialog("schedules/_backfills.html", f"Backfills of {row.name}", **values)


@blueprint.post("/<uuid:schedule_id>/backfills/<uuid:backfill_id>/cancel")
@requires_by_kind(CHANGE)
def cancel(schedule_id: UUID, backfill_id: UUID) -> ResponseReturnValue:
    with transaction():
        canceled = cancel_backfill(actor(), schedule_id, backfill_id, request_now())
    several = "1 run that had not started is" if canceled == 1 else f"{canceled} runs that had not started are"
    said = f"{several} canceled." if canceled else "Everything of this backfill has started already."
    return changed(address_of(schedule_id), said)


def recent_backfills(schedule_id: UUID) -> list[BackfillProgress]:
    """The backfills that are going, and those that began a day ago or less."""
    found = backfills_of(tenant_id(), schedule_id, SHOWN)
    return [one for one in found if not one.is_over or one.created_at > request_now() - RECENT]


def _dialog(row: ScheduleRow, form: BackfillForm, plan: BackfillPlan | None, status: int = 200) -> ResponseReturnValue:
    is_ready = plan is not None and not plan.problems and not form.errors
    form.seen.data = form.typed_span if is_ready else ""
    for field, word in ((form.from_at, "From"), (form.until_at, "To")):
        field.label.text = f"{word}, in {row.timezone}"
    values: dict[str, Any] = {
        "row": row,
        "form": form,
        "plan": plan,
        "is_ready": is_ready,
        "request_key": request_key() if request.form else new_id(),
        "most": CONCURRENCY_MAX,
        "place": place(),
        "action": url_for("schedules.backfill", schedule_id=row.id),
    }
    return show_dialog("schedules/_backfill.html", f"Backfill {row.name}", status, **values)


def _last_decided(row: ScheduleRow) -> datetime:
    """A full minute up to which everything is decided: a pause or a spread may hold back what is due."""
    now = request_now().replace(second=0, microsecond=0)
    is_behind = row.next_fire_at is not None and row.next_fire_at <= now
    return row.next_fire_at - _MINUTE if is_behind else now
