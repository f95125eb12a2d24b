"""The part of the dialog that says when: it follows what is being typed."""

from __future__ import annotations

from typing import Any

from flask import render_template, request
from flask.typing import ResponseReturnValue

from domain.schedules.previews import timing_preview
from web.access import request_now, requires
from web.forms.schedules import ScheduleForm
from web.schedules.frame import blueprint, min_interval_seconds
from web.schedules.rows import fire_lines

PRESETS = (
    ("Hourly", "0 * * * *"),
    ("Daily at 09:00", "0 9 * * *"),
    ("Weekdays at 09:00", "0 9 * * 1-5"),
    ("Weekly on Monday", "0 9 * * 1"),
    ("Monthly on the 1st", "0 9 1 * *"),
)


@blueprint.post("/preview")
@requires("workflow:manage")
def preview() -> ResponseReturnValue:
    return render_template("schedules/_preview.html", **looked_ahead(ScheduleForm(request.form)))


@blueprint.post("/when")
@requires("workflow:manage")
def when() -> ResponseReturnValue:
    """The timing part with the pattern of a preset in it."""
    form = ScheduleForm(request.form)
    fill_in(form)
    return render_template("schedules/_when.html", form=form, presets=PRESETS, **looked_ahead(form))


def fill_in(form: ScheduleForm) -> bool:
    """Write what a preset button stands for into the form; whether one was pressed."""
    if request.form.get("preset"):
        form.cron.data, form.trigger_type.data = request.form["preset"], "recurring"
    return "preset" in request.form


def looked_ahead(form: ScheduleForm) -> dict[str, Any]:
    """What the timing would do, for the fragment `_preview.html`; no preview while nothing has been typed."""
    typed = form.cron.data if form.trigger_type.data == "recurring" else form.run_at.data
    if not typed:
        return {"preview": None}
    preview = timing_preview(form.draft(None), request_now(), min_interval_seconds())
    return {"preview": preview, "fires": fire_lines(preview.fires, preview.timezone, request_now())}
