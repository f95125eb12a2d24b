"""The dialog of a new schedule, filled in from another one."""

from __future__ import annotations

from uuid import UUID

from domain.accounts.tenants import load
from domain.schedules.copies import copy_name
from domain.schedules.schedules import Schedule
from web.forms.schedules import ScheduleForm, stored_form
from web.kinds import require_change
from web.schedules.frame import tenant_id
from web.schedules.payloads import show_payload
from web.schedules.targets import Target, stored_target


def copied_form(schedule_id: UUID) -> tuple[ScheduleForm, Target]:
    """The form and what it runs. A copy starts paused; the secrets of its payload are masked and kept as they are."""
    source = load(tenant_id(), Schedule, schedule_id)
    require_change(source.target_kind)
    target = stored_target(source)
    form = stored_form(source, target.fields)
    form.like.data = str(source.id)
    form.name.data = copy_name(source) if source.is_named else ""
    form.enabled.data = False
    form.revision.data = ""
    show_payload(form, target, source)
    return form, target
