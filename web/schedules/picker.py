"""Choosing the workflow in the dialog: a search whose results say what each one runs, or why it cannot be scheduled."""

from __future__ import annotations

from typing import Any

from flask import render_template
from flask.typing import ResponseReturnValue

from domain.accounts.permissions import CHANGE
from domain.schedules.choices import CHOICES, eligible_workflows
from web.access import requires_by_kind
from web.asked import asked_text
from web.forms.schedules import ScheduleForm
from web.schedules.frame import blueprint, tenant_id
from web.schedules.targets import Target, WorkflowTarget


@blueprint.get("/picker")
@requires_by_kind(CHANGE)
def picker_results() -> ResponseReturnValue:
    """The workflows that fit what has been typed so far."""
    return render_template("schedules/_results.html", **_found(asked_text("workflow")))


def results_for(form: ScheduleForm, target: Target) -> dict[str, Any]:
    """What the picker holds when the dialog is drawn: what fits a text that names no workflow, else any."""
    if not isinstance(target, WorkflowTarget):
        return {}
    typed = form.workflow.data or ""
    is_searching = bool(typed.strip()) and target.choice is None
    return _found(typed.strip().replace("\x00", "") if is_searching else "") | {"is_searching": is_searching}


def _found(typed: str) -> dict[str, Any]:
    found = eligible_workflows(tenant_id(), typed, CHOICES + 1)
    shown = found[:CHOICES]
    return {
        "ready": [choice for choice in shown if not choice.obstacle],
        "unready": [choice for choice in shown if choice.obstacle],
        "has_more": len(found) > CHOICES,
        "typed": typed,
    }
