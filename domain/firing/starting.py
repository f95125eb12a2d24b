"""Whether something of a schedule may be started now by hand, and what that would be."""

from __future__ import annotations

from domain.accounts.tenants import Tenant, includes_schedules, load
from domain.firing.holds import EDITION_REQUIRED
from domain.kernel.db import db
from domain.kernel.errors import Held
from domain.runs.launch import launchable_version
from domain.schedules.bindings import BoundVersion
from domain.schedules.schedules import ENDPOINT, INVALID, Schedule
from domain.schedules.targets import Target, WorkflowTarget, check_runnable, endpoint_target
from domain.workflows.workflows import Workflow


def startable_target(schedule: Schedule, *, is_locked: bool = True) -> Target:
    """What the schedule runs, of a workflow its published version, held with FOR SHARE unless `is_locked` is False.

    Raises Held with the reason when nothing of it may be started now.
    """
    if not includes_schedules(db.session.get_one(Tenant, schedule.tenant_id, populate_existing=True).edition):
        raise Held(EDITION_REQUIRED, code="EDITION_REQUIRED")
    if schedule.target_kind == ENDPOINT:
        target = endpoint_target(schedule, is_locked=is_locked)
        check_runnable(target)
        return target
    workflow = load(schedule.tenant_id, Workflow, schedule.workflow_id, lock="share" if is_locked else None)
    return WorkflowTarget(BoundVersion.of(workflow, launchable_version(workflow)))


def held_reason(schedule: Schedule) -> Held | None:
    """Why nothing of the schedule may be started now, apart from its own payload; None when it may."""
    try:
        startable_target(schedule, is_locked=False)
    except Held as held:
        return held
    return None


def check_valid(schedule: Schedule) -> None:
    """Raises Held when its payload does not fit what it is bound to."""
    if schedule.status == INVALID:
        message = f"{schedule.name} cannot run: {schedule.invalid_reason}. Mend its payload first."
        raise Held(message, code="SCHEDULE_INVALID")
