"""The part of the dialog that says when: it follows what is being typed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import render_template, request
from flask.typing import ResponseReturnValue

from domain.accounts.permissions import CHANGE
from domain.accounts.tenants import load
from domain.kernel.ids import parse_id
from domain.schedules.previews import TimingPreview, spread_words, timing_preview
from domain.schedules.schedules import Schedule
from domain.timing.zone_names import zone_choices
from web.access import request_now, requires_by_kind
from web.forms.schedules import ScheduleForm
from web.schedules.frame import access, blueprint, min_interval_seconds, tenant_id
from web.schedules.rows import fire_lines
from web.schedules.targets import posted_form

CHANGES_SHOWN = 4


@blueprint.post("/preview")
@requires_by_kind(CHANGE)
def preview() -> ResponseReturnValue:
    """What the timing would do; `?schedule=` names the schedule that is being edited."""
    stored = _edited()
    values = looked_ahead(posted_form(stored), stored)
    return render_template("schedules/_preview_swap.html", is_swap=True, **values)


@blueprint.post("/when")
@requires_by_kind(CHANGE)
def when() -> ResponseReturnValue:
    """The fields of the timing part after another way to say it was chosen."""
    stored = _edited()
    form = posted_form(stored)
    form.follow_choice()
    values = looked_ahead(form, stored)
    return render_template("schedules/_when_swap.html", is_swap=True, stored=stored, **values)


def looked_ahead(form: ScheduleForm, stored: Schedule | None = None) -> dict[str, Any]:
    """What the timing would do, for the fragment `_preview.html`, and the zones to choose from.

    No preview while nothing has been typed. `stored` is the schedule that is being edited.
    """
    now = request_now()
    values: dict[str, Any] = {"preview": None, "zones": zone_choices(access().tenant.timezone, now), "form": form}
    typed = form.run_at.data if form.trigger_type.data == "schedule" else form.cron.data or form.is_built
    if typed:
        told = timing_preview(form.draft(None, stored), now, min_interval_seconds())
        if told.problems:
            told = TimingPreview(problems=tuple(form.at_its_fields(told.problems)))
        values |= {"preview": told, "fires": fire_lines(told.fires, told.timezone, now)}
        values |= _marks(told, now) | {"spread": _spread(form, stored) if told.fires else ""}
    return values


def _marks(told: TimingPreview, now: datetime) -> dict[str, Any]:
    """The fires that a clock change touches, the clock changes to list, and the day of the next one if none is listed."""
    touched = {fire for change in told.clock_changes for fire in change.fires}
    untouching = [told.next_clock_change] if told.next_clock_change and not told.clock_changes else []
    calm = [line.day for line in fire_lines(untouching, told.timezone, now)]
    return {"touched": touched, "clock_changes": told.clock_changes[:CHANGES_SHOWN], "calm_change": calm}


def _spread(form: ScheduleForm, stored: Schedule | None) -> str:
    text = (form.spread_seconds.data or "").strip()
    seconds = int(text) if text.isascii() and text.isdigit() and len(text) <= 4 else 0
    return spread_words(seconds, stored.id if stored else None)


def _edited() -> Schedule | None:
    schedule_id = parse_id(request.args.get("schedule", ""))
    return load(tenant_id(), Schedule, schedule_id) if schedule_id else None
