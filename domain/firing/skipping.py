"""Skipping just the next instant of a schedule: kept on its row until the tick gets there."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from domain.accounts.audit import Actor, record_change
from domain.firing.closing import forget_skip
from domain.firing.lifecycle import settled_schedule
from domain.kernel.db import db
from domain.kernel.errors import Refused, StaleTransition
from domain.schedules.cursors import locked_cursor
from domain.schedules.schedules import ACTIVE, Schedule, snapshot


def skip_next(
    actor: Actor, schedule_id: UUID, instant: datetime, now: datetime, revision: int | None = None
) -> Schedule:
    """Let the tick skip `instant`, which is the next of an active, recurring schedule.

    Raises Refused at `instant` when it is not, StaleTransition when the schedule is not active or skips one already.
    """
    schedule = settled_schedule(actor, schedule_id, now, revision)
    if schedule.status != ACTIVE:
        raise StaleTransition(f"{schedule.name} is {schedule.status}; only of an active schedule the next is skipped.")
    if schedule.cron is None:
        message = "It has this one time only. Pause or delete the schedule instead."
        raise Refused.at("instant", message, "SKIP_ONE_TIME")
    if schedule.skip_next_at is not None:
        raise StaleTransition(f"{schedule.name} skips an occurrence already. Undo that first.")
    if instant != locked_cursor(schedule.id).next_fire_at:
        message = "Another occurrence is the next one by now. Look at it and decide again."
        raise Refused.at("instant", message, "NOT_NEXT")
    schedule.skip_next_at, schedule.skip_next_by = instant, actor.user_id
    _record(actor, "schedule.skip_next", schedule, None)
    return schedule


def unskip_next(actor: Actor, schedule_id: UUID, now: datetime, revision: int | None = None) -> Schedule:
    """Let it fire after all. Raises StaleTransition when nothing is to be skipped any more."""
    schedule = settled_schedule(actor, schedule_id, now, revision)
    if schedule.skip_next_at is None:
        raise StaleTransition(f"{schedule.name} skips nothing: that occurrence was decided, or its skip undone.")
    before = snapshot(schedule)["skipNextAt"]
    forget_skip(schedule)
    _record(actor, "schedule.unskip_next", schedule, before)
    return schedule


def _record(actor: Actor, action: str, schedule: Schedule, before: str | None) -> None:
    schedule.revision += 1
    db.session.flush()
    after = snapshot(schedule)["skipNextAt"]
    record_change(actor, action, schedule, before={"skipNextAt": before}, after={"skipNextAt": after})
