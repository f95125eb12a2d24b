"""Ending a run, with a reason."""

from __future__ import annotations

from uuid import UUID

from flask import request, url_for
from flask.typing import ResponseReturnValue

from domain.accounts.permissions import CHANGE
from domain.accounts.tenants import load
from domain.kernel.db import transaction
from domain.kernel.errors import Refused
from domain.runs.launch import cancel_run
from domain.runs.runs import FINISHED, Run
from web.access import actor, request_now, requires_by_kind
from web.answers import done, show_dialog
from web.forms.runs import CancelForm
from web.runs.frame import blueprint, tenant_id


@blueprint.get("/<uuid:run_id>/cancel")
@requires_by_kind(CHANGE)
def ask_cancel(run_id: UUID) -> ResponseReturnValue:
    return _dialog(run_id, CancelForm())


@blueprint.post("/<uuid:run_id>/cancel")
@requires_by_kind(CHANGE)
def cancel(run_id: UUID) -> ResponseReturnValue:
    form = CancelForm(request.form)
    try:
        with transaction():
            result = cancel_run(actor(), run_id, request_now(), form.reason.data or "")
    except Refused as refusal:
        form.attach(refusal.problems)
        return _dialog(run_id, form, 422)
    said = "The run is canceled." if result == "canceled" else "The run ends at its next step."
    return done(url_for("runs.show", run_id=run_id), said)


def _dialog(run_id: UUID, form: CancelForm, status: int = 200) -> ResponseReturnValue:
    run = load(tenant_id(), Run, run_id)
    is_over = run.status in FINISHED
    return show_dialog("runs/_cancel.html", "Cancel this run", status, run=run, form=form, is_over=is_over)
