"""The dialog of a new schedule, filled in from another one."""

from __future__ import annotations

from uuid import UUID

from domain.accounts.tenants import load
from domain.schedules.choices import WorkflowChoice, workflow_choice
from domain.schedules.copies import copy_name
from domain.schedules.schedules import Schedule
from web.forms.schedules import ScheduleForm, stored_form
from web.schedules.frame import tenant_id
from web.schedules.payloads import bound_version, show_payload


def copied_form(schedule_id: UUID) -> tuple[ScheduleForm, WorkflowChoice | None]:
    """The form and its workflow. A copy starts paused; the secrets of its payload are masked and kept as they are."""
    source = load(tenant_id(), Schedule, schedule_id)
    choice = workflow_choice(tenant_id(), source.workflow_id)
    form = stored_form(source, choice.label if choice else "")
    form.like.data = str(source.id)
    form.name.data = copy_name(source)
    form.enabled.data = False
    form.revision.data = ""
    show_payload(form, bound_version(choice), source)
    return form, choice
