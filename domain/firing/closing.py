"""Where a cursor stands after a person changed its schedule, and what becomes of instants nobody will decide any more."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select

from domain.kernel.db import db
from domain.kernel.ids import new_id
from domain.schedules.cursors import ScheduleCursor, locked_cursor, spread_offset
from domain.schedules.occurrences import TIMING, Occurrence
from domain.schedules.schedules import ACTIVE, INVALID, PAUSED, Schedule
from domain.timing.decisions import Row, gap_row
from domain.timing.outcomes import Outcome, Reason


def close_ledger(schedule: Schedule, now: datetime, is_ending: bool = True) -> None:
    """Account for the instants up to `now` of a settled schedule that nobody will decide: those of a pause, and, when
    its timing changes or ends, those that a spread or a failed try still holds back. They become one gap row."""
    cursor = locked_cursor(schedule.id)
    if cursor.next_fire_at is None or cursor.next_fire_at > now:
        return
    if schedule.status == PAUSED:
        because = f": {schedule.pause_reason}" if schedule.pause_reason else "."
        _record_gap(schedule, cursor.next_fire_at, now, Reason.PAUSED, f"The schedule was paused{because}")
    elif is_ending:
        detail = "The schedule was changed or deleted before this instant was looked at."
        _record_gap(schedule, cursor.next_fire_at, now, Reason.SUPERSEDED, detail)
    else:
        return
    cursor.next_fire_at = None
    db.session.flush()


def aim_cursor(schedule: Schedule, cursor: ScheduleCursor, now: datetime) -> None:
    """Point the cursor at the first instant after `now` and after all that is on record: no change makes anything fire
    in the past or a second time, not even one whose `now` was read before it waited for another's locks."""
    recorded = _recorded_until(schedule)
    cursor.next_fire_at = schedule.timing.next_after(max(now, recorded) if recorded else now)
    wake_cursor(schedule, cursor)


def wake_cursor(schedule: Schedule, cursor: ScheduleCursor) -> None:
    """Say when the tick looks: at the instant plus the schedule's spread, never while paused or completed."""
    offset = spread_offset(schedule.id, schedule.spread_seconds)
    is_ticked = schedule.status in (ACTIVE, INVALID)
    cursor.wake_at = cursor.next_fire_at + offset if is_ticked and cursor.next_fire_at else None
    db.session.flush()


def _recorded_until(schedule: Schedule) -> datetime | None:
    """The last instant of the timing that the ledger knows; read along its primary key."""
    last = (
        select(func.coalesce(Occurrence.through, Occurrence.scheduled_for))
        .where(Occurrence.schedule_id == schedule.id, Occurrence.origin_key == TIMING)
        .order_by(Occurrence.scheduled_for.desc())
        .limit(1)
    )
    return db.session.scalars(last).one_or_none()


def _record_gap(schedule: Schedule, first: datetime, until: datetime, reason: Reason, detail: str) -> None:
    row = _gap(schedule, first, until, reason)
    if row is None:
        return
    db.session.add(
        Occurrence(
            id=new_id(),
            schedule_id=schedule.id,
            tenant_id=schedule.tenant_id,
            scheduled_for=row.scheduled_for,
            origin_key=TIMING,
            outcome=str(Outcome.SKIPPED),
            reason=str(reason),
            detail=detail,
            through=row.through,
            count=row.count,
            decided_at=until,
            actor_id=schedule.paused_by,
        )
    )


def _gap(schedule: Schedule, first: datetime, until: datetime, reason: Reason) -> Row | None:
    """The instants in [first, until]; just the first when the stored timing cannot be computed any more."""
    try:
        return gap_row(schedule.timing, first, until, reason)
    except Exception:
        return Row(first, Outcome.SKIPPED, reason)
