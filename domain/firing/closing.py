"""Where a cursor stands after a person changed its schedule, and what becomes of instants nobody will decide any more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from domain.kernel.db import db
from domain.kernel.errors import Refused
from domain.kernel.ids import new_id
from domain.schedules.counting import count_decided
from domain.schedules.cursors import ScheduleCursor, locked_cursor, locked_cursors, spread_offset
from domain.schedules.occurrences import TIMING, Occurrence
from domain.schedules.schedules import ACTIVE, INVALID, PAUSED, Schedule, timing_of
from domain.timing.decisions import Row, gap_row
from domain.timing.outcomes import REASON_WORDS, Outcome, Reason

_SECOND = timedelta(seconds=1)

# Along the ledger's key. A row of a backfill may stand inside a gap row and beyond its start, so the two are asked apart.
_RECORDED = text("""
    SELECT s.id, greatest(
        (SELECT coalesce(through, scheduled_for) FROM occurrences
        WHERE schedule_id = s.id AND origin_key = 'timing'
        ORDER BY scheduled_for DESC LIMIT 1),
        (SELECT max(until_at) FROM backfills WHERE schedule_id = s.id)) AS until
    FROM unnest(CAST(:ids AS uuid[])) AS s(id)
""")


def close_ledger(
    schedule: Schedule, now: datetime, is_ending: bool = True, made_up_from: datetime | None = None
) -> None:
    """Account for the instants up to `now` of a settled schedule that nobody will decide: those of a pause, and, when
    its timing changes or ends, those that a spread or a failed try still holds back. They become one gap row, which
    ends before `made_up_from` if given: what comes from then on is the caller's to record."""
    close_held(schedule, locked_cursor(schedule.id), now, is_ending, made_up_from)
    db.session.flush()


def close_held(
    schedule: Schedule, cursor: ScheduleCursor, now: datetime, is_ending: bool, made_up_from: datetime | None = None
) -> None:
    """What `close_ledger` does, for a schedule whose cursor is locked already; the caller flushes."""
    if cursor.next_fire_at is None or cursor.next_fire_at > now:
        return
    until = min(now, made_up_from - _SECOND) if made_up_from else now
    if schedule.status == PAUSED:
        _record_pause(schedule, cursor.next_fire_at, until, now)
    elif is_ending:
        detail = "The schedule was changed or deleted before this instant was looked at."
        _record_gap(schedule, cursor.next_fire_at, until, Reason.SUPERSEDED, detail, now)
    else:
        return
    cursor.next_fire_at = None


def end_pauses(schedules: Sequence[Schedule], now: datetime) -> None:
    """What `close_ledger` and `aim_cursor` do for a settled, paused schedule that is ticked from now on, for many at
    once: ten thousand cost as many statements as one. Their status is still PAUSED."""
    cursors = locked_cursors([one.id for one in schedules])
    for schedule in schedules:
        cursor = cursors[schedule.id]
        if cursor.next_fire_at is not None and cursor.next_fire_at <= now:
            _record_pause(schedule, cursor.next_fire_at, now, now)
            cursor.next_fire_at = None
        if schedule.skip_next_at is not None and schedule.skip_next_at <= now:
            forget_skip(schedule)
    db.session.flush()
    aim_cursors([(one, cursors[one.id]) for one in schedules if cursors[one.id].next_fire_at is None], now)
    for schedule in schedules:
        cursor = cursors[schedule.id]
        offset = spread_offset(schedule.id, schedule.spread_seconds)
        cursor.wake_at = cursor.next_fire_at + offset if cursor.next_fire_at else None
    db.session.flush()


def aim_cursor(schedule: Schedule, cursor: ScheduleCursor, now: datetime) -> None:
    """What `aim_cursors` and `wake_cursor` do for one."""
    aim_cursors([(schedule, cursor)], now)
    wake_cursor(schedule, cursor)


def aim_cursors(aimless: Sequence[tuple[Schedule, ScheduleCursor]], now: datetime) -> None:
    """Point each cursor at the first instant after `now` and after all that is on record: no change makes anything fire
    in the past or a second time, not even one whose `now` was read before it waited for another's locks."""
    recorded = _recorded_until([schedule.id for schedule, _ in aimless])
    for schedule, cursor in aimless:
        cursor.next_fire_at = next_of(schedule, max(now, recorded.get(schedule.id) or now))


def wake_cursor(schedule: Schedule, cursor: ScheduleCursor) -> None:
    """Say when the tick looks: at the instant plus the schedule's spread; while paused when the pause ends by itself,
    or never; and never when completed. An instant that was to be skipped and lies behind the cursor is forgotten."""
    set_wake(schedule, cursor)
    db.session.flush()


def set_wake(schedule: Schedule, cursor: ScheduleCursor) -> None:
    """What `wake_cursor` says; the caller flushes."""
    if schedule.skip_next_at and (cursor.next_fire_at is None or schedule.skip_next_at < cursor.next_fire_at):
        forget_skip(schedule)
    offset = spread_offset(schedule.id, schedule.spread_seconds)
    if schedule.status in (ACTIVE, INVALID):
        cursor.wake_at = cursor.next_fire_at + offset if cursor.next_fire_at else None
    else:
        cursor.wake_at = schedule.paused_until


def forget_skip(schedule: Schedule) -> None:
    """No instant is to be skipped any more."""
    schedule.skip_next_at = schedule.skip_next_by = None


def pause_in_words(reason: str | None) -> str:
    """What a row says of the instants of a pause."""
    return f"The schedule was paused: {reason}" if reason else "The schedule was paused."


def skip_in_words(name: str | None) -> str:
    """What a row says of an instant that somebody wanted skipped."""
    return f"Skipped by {name}." if name else REASON_WORDS[Reason.SKIP_NEXT]


def next_of(timed: Any, after: datetime) -> datetime | None:
    """The first instant after `after` of anything that has a schedule's timing columns; None when the stored timing cannot be
    computed any more, for want of its zone for one. So it keeps nothing that is done to many at once from happening; whoever
    resumes or edits it is told."""
    try:
        return timing_of(timed).next_after(after)
    except Refused:
        return None


def _recorded_until(schedule_ids: Sequence[UUID]) -> dict[UUID, datetime | None]:
    """Up to when the ledger of each knows what was decided or made up for; None when nothing was."""
    if not schedule_ids:
        return {}
    return {row.id: row.until for row in db.session.execute(_RECORDED, {"ids": list(schedule_ids)})}


def _record_pause(schedule: Schedule, first: datetime, until: datetime, now: datetime) -> None:
    _record_gap(schedule, first, until, Reason.PAUSED, pause_in_words(schedule.pause_reason), now)


def _record_gap(
    schedule: Schedule, first: datetime, until: datetime, reason: Reason, detail: str, now: datetime
) -> None:
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
            decided_at=now,
            actor_id=schedule.paused_by,
        )
    )
    count_decided(schedule.target_kind, Outcome.SKIPPED, reason, row.count)


def _gap(schedule: Schedule, first: datetime, until: datetime, reason: Reason) -> Row | None:
    """The instants in [first, until]; just the first when the stored timing cannot be computed any more."""
    try:
        return gap_row(schedule.timing, first, until, reason)
    except Exception:
        return Row(first, Outcome.SKIPPED, reason)
