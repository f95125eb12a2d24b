"""Rehearsing from the dialog: what was typed runs now as a marked test run, and its state stands beside the form."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import render_template, request
from flask.typing import ResponseReturnValue

from domain.accounts.permissions import CHANGE
from domain.firing.rehearsing import rehearsal, rehearse
from domain.kernel.db import transaction
from domain.kernel.errors import NotFound
from domain.kernel.ids import new_id, parse_id
from domain.runs.runs import FINISHED, Run
from domain.schedules.schedules import Schedule
from web.access import actor, request_now, requires_by_kind
from web.asked import content_key, request_key
from web.forms.schedules import ScheduleForm
from web.schedules.frame import access, blueprint, tenant_id
from web.schedules.targets import Target

# What stands in the form beside what is rehearsed.
NOT_REHEARSED = ("request_key", "rehearsed", "payload_start", "revision", "place")


@blueprint.get("/rehearsals/<uuid:rehearsal_id>")
@requires_by_kind(CHANGE)
def rehearsal_state(rehearsal_id: UUID) -> ResponseReturnValue:
    """How a rehearsal gets on; the fragment asks again until it is over."""
    run = rehearsal(tenant_id(), rehearsal_id)
    return render_template("schedules/_rehearsal.html", **shown_rehearsal(run, request.args.get("key", "")))


def is_rehearsing() -> bool:
    return "rehearse" in request.form


def started_rehearsal(form: ScheduleForm, stored: Schedule | None, target: Target) -> dict[str, Any]:
    """Start what was typed, and what there is to show of it. Raises Refused with each problem at its field."""
    key = f"rehearsal:{content_key('rehearsal_key', NOT_REHEARSED)}"
    with transaction():
        form.check_payload()
        draft = form.draft(target.draft, stored)
        scheduled_for = form.rehearse_for.data or ""
        like_id = parse_id(request.form.get("like", ""))
        run = rehearse(actor(), draft, scheduled_for, key, request_now(), stored.id if stored else None, like_id)
        return shown_rehearsal(run, request_key("rehearsal_key"))


def kept_rehearsal() -> dict[str, Any]:
    """What the form shows of the rehearsal that it was sent with, if any; else the key of the first."""
    run_id = parse_id(request.form.get("rehearsed", ""))
    try:
        run = rehearsal(tenant_id(), run_id) if run_id else None
    except NotFound:
        run = None
    return shown_rehearsal(run, request_key("rehearsal_key"))


def shown_rehearsal(run: Run | None, key: str) -> dict[str, Any]:
    """While one is going, pressing again answers with it; after it, with another."""
    is_over = run is None or run.status in FINISHED
    return {
        "run": run,
        "rehearsal_key": new_id() if is_over or not key else key,
        "is_over": is_over,
        "zone": access().tenant.timezone,
    }
