"""What a change of version does to one schedule. The caller holds its install, its cursor and its row, all settled."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from domain.accounts.audit import Actor, record_change
from domain.extensions.endpoints import ExtensionEndpoint
from domain.firing.closing import aim_cursor, close_ledger, end_pauses, wake_cursor
from domain.kernel.db import db
from domain.schedules.cursors import locked_cursor
from domain.schedules.schedules import INVALID, PAUSED, Schedule
from domain.upgrades.remapping import Missing, Plan, Remapped
from domain.workflows.payload_secrets import sealed


def move_schedule(actor: Actor, schedule: Schedule, found: Remapped, plan: Plan, now: datetime) -> None:
    """Let it call the same method and path of the new version; who does not fit there becomes invalid, who fits again
    becomes paused."""
    endpoint = db.session.get_one(ExtensionEndpoint, found.endpoint_id)
    before = _standing(schedule, plan.from_version)
    _bind(schedule, endpoint, now)
    if found.reason is not None:
        _invalidate(schedule, found.reason, now)
    elif schedule.status == INVALID:
        _recover(schedule, plan, now)
    db.session.flush()
    action = _action(before["status"], schedule.status)
    reason = found.reason if schedule.status == INVALID else None
    record_change(actor, action, schedule, before=before, after=_standing(schedule, plan.to_version), reason=reason)


def call_instead(
    actor: Actor, schedule: Schedule, missing: Missing, endpoint: ExtensionEndpoint, plan: Plan, now: datetime
) -> None:
    """Let it call another endpoint of the new version, which takes its payload. It stays paused if it was."""
    before = _standing(schedule, plan.from_version) | {"calls": missing.called}
    _bind(schedule, endpoint, now)
    if schedule.status == INVALID:
        _recover(schedule, plan, now)
    schedule.revision += 1
    db.session.flush()
    after = _standing(schedule, plan.to_version) | {"calls": endpoint.called}
    record_change(actor, "schedule.remapped", schedule, before=before, after=after)


def disable_schedule(actor: Actor, schedule: Schedule, missing: Missing, plan: Plan, now: datetime) -> None:
    """Pause it for want of an endpoint, until somebody chooses another or the install goes back. What a pause before
    this one covered goes on record with the reason of that one."""
    before = _standing(schedule, plan.from_version) | {"calls": missing.called, "reason": schedule.pause_reason}
    close_ledger(schedule, now, is_ending=False)
    reason = f"Version {plan.to_version} has no {missing.called}. Choose another endpoint."
    _pause(schedule, actor, reason, now)
    schedule.revision += 1
    schedule.updated_at = now
    cursor = locked_cursor(schedule.id)
    if cursor.next_fire_at is None and before["status"] == PAUSED:
        aim_cursor(schedule, cursor, now)
    else:
        wake_cursor(schedule, cursor)
    after = _standing(schedule, plan.to_version)
    record_change(actor, "schedule.disabled", schedule, before=before, after=after, reason=reason)


def _bind(schedule: Schedule, endpoint: ExtensionEndpoint, now: datetime) -> None:
    schedule.endpoint_id = endpoint.id
    if not schedule.is_named:
        schedule.name = endpoint.called
    if endpoint.request_schema is not None:
        # The schema may mark more fields as secret than the one before.
        schedule.payload_json = sealed(schedule.tenant_id, endpoint.request_schema, schedule.payload_json)
    schedule.updated_at = now


def _invalidate(schedule: Schedule, reason: str, now: datetime) -> None:
    if schedule.status == PAUSED:
        # The instants of the pause go on record as paused before the tick, which looks at invalid ones, refuses more.
        end_pauses([schedule], now)
    if schedule.status != INVALID:
        schedule.revision += 1
    schedule.status, schedule.invalid_reason = INVALID, reason
    schedule.paused_at = schedule.paused_by = schedule.pause_reason = schedule.paused_until = None


def _recover(schedule: Schedule, plan: Plan, now: datetime) -> None:
    note = f"Fits again since version {plan.to_version}: resume it when you are ready"
    _pause(schedule, None, note, now)
    schedule.revision += 1
    cursor = locked_cursor(schedule.id)
    cursor.wake_at = cursor.last_error = None


def _pause(schedule: Schedule, actor: Actor | None, reason: str, now: datetime) -> None:
    schedule.status, schedule.invalid_reason, schedule.paused_until = PAUSED, None, None
    schedule.paused_at, schedule.paused_by, schedule.pause_reason = now, actor.user_id if actor else None, reason


def _standing(schedule: Schedule, version: str) -> dict[str, Any]:
    return {"version": version, "endpointId": str(schedule.endpoint_id), "status": schedule.status}


def _action(before: str, after: str) -> str:
    if after == INVALID and before != INVALID:
        return "schedule.invalidated"
    if before == INVALID and after != INVALID:
        return "schedule.recovered"
    return "schedule.remapped"
