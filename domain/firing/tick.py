"""The tick: decide what is due, write it down, move the cursors. One transaction, set-based, bounded.

Several schedulers tick at once: each locks its own batch with SKIP LOCKED.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from domain.accounts.audit import Actor, record_change
from domain.firing.due import Step, Verdict, due_steps, put_back
from domain.firing.ledger import Entry, write_entries
from domain.kernel.db import db, write_or_halve
from domain.kernel.failpoints import hit
from domain.kernel.ids import new_ids
from domain.kernel.log import logger
from domain.schedules.cursors import ScheduleCursor
from domain.schedules.schedules import ACTIVE, PAUSED, Schedule

log = logger(__name__)

BATCH = 2500

_ADVANCE = text("""
    UPDATE schedule_cursors c
    SET next_fire_at = v.next_fire_at, wake_at = v.wake_at, last_fire_at = coalesce(v.last_fire_at, c.last_fire_at),
        last_error = coalesce(v.last_error, c.last_error)
    FROM unnest(CAST(:ids AS uuid[]), CAST(:verdicts AS integer[])) AS d(schedule_id, verdict)
    JOIN unnest(CAST(:nexts AS timestamptz[]), CAST(:wakes AS timestamptz[]), CAST(:fires AS timestamptz[]),
                CAST(:errors AS text[]))
        WITH ORDINALITY AS v(next_fire_at, wake_at, last_fire_at, last_error, verdict) ON v.verdict = d.verdict
    WHERE c.schedule_id = d.schedule_id
""")

_END_PAUSES = text("""
    UPDATE schedules SET status = 'active', paused_at = NULL, paused_by = NULL, pause_reason = NULL,
        paused_until = NULL, revision = revision + 1, updated_at = :now
    WHERE id = ANY(:ids) AND status = 'paused'
    RETURNING id, tenant_id, name
""")

_PASS_SKIPS = text("UPDATE schedules SET skip_next_at = NULL, skip_next_by = NULL WHERE id = ANY(:ids)")

_COMPLETE = text("UPDATE schedules SET status = 'completed' WHERE id = ANY(:ids) AND status = 'active'")

_NEXT_WAKE = text("""
    SELECT clock_timestamp() AS now, (SELECT min(wake_at) FROM schedule_cursors WHERE wake_at IS NOT NULL) AS wake_at
""")

# Along the index of the tick, whatever statistics say of how much is due.
_ARE_DUE = text("""
    SELECT count(*) FROM (
        SELECT 1 FROM schedule_cursors WHERE wake_at <= statement_timestamp() ORDER BY wake_at LIMIT :number
    ) due
""")


def next_wake() -> tuple[datetime, datetime | None]:
    """The database's time, and when the first cursor wants to be looked at: all that an idle tick asks."""
    row = db.session.execute(_NEXT_WAKE).one()
    return row.now, row.wake_at


def are_due(number: int) -> bool:
    """Whether so many cursors want to be looked at now, those in other hands included."""
    return db.session.scalar(_ARE_DUE, {"number": number}) == number


def fire_due(now: datetime, batch: int = BATCH) -> int:
    """Decide up to `batch` due schedules; how many were looked at (0: nothing is due that is not in other hands)."""
    due = (
        select(ScheduleCursor.schedule_id)
        .where(ScheduleCursor.wake_at <= now)
        .order_by(ScheduleCursor.wake_at)
        .limit(batch)
        .with_for_update(key_share=True, skip_locked=True)
    )
    return _decide(db.session.scalars(due).all(), now)


def settle(schedule_ids: Sequence[UUID], now: datetime) -> None:
    """Decide everything of these schedules that has come due, before something about them changes.

    Takes their cursors in ascending order, waiting for a tick that holds one, and keeps them until the commit.
    """
    mine = select(ScheduleCursor.schedule_id).where(ScheduleCursor.schedule_id.in_(list(schedule_ids)))
    db.session.execute(mine.order_by(ScheduleCursor.schedule_id).with_for_update(key_share=True)).all()
    due = mine.where(ScheduleCursor.wake_at <= now)
    while _decide(db.session.scalars(due).all(), now):
        pass
    db.session.expire_all()


def _decide(schedule_ids: Sequence[UUID], now: datetime) -> int:
    if not schedule_ids:
        return 0
    hit("tick.after_lock")
    steps = due_steps(schedule_ids, now)
    write_or_halve(steps, partial(_write, now=now), lambda step, error: _put_back(step, now, error))
    hit("tick.before_commit")
    return len(steps)


def _put_back(step: Step, now: datetime, error: DBAPIError) -> None:
    log.error("A schedule could not be written and is put back", schedule_id=str(step.schedule_id), error=str(error))
    first = min((mark.scheduled_for for mark in step.verdict.marks), default=step.verdict.next_fire_at)
    reason = f"Its occurrence could not be recorded: {str(error.orig).splitlines()[0]}"
    _write([Step(step.schedule_id, put_back(first, now, reason))], now)


def _write(steps: Sequence[Step], now: datetime) -> None:
    marks = [(step.schedule_id, mark) for step in steps for mark in step.verdict.marks]
    ids = new_ids(len(marks))
    write_entries([Entry(new, *written) for new, written in zip(ids, marks, strict=True)], now)
    _advance(steps)
    _end_pauses([step.schedule_id for step in steps if step.verdict.ends_pause], now)
    passing = [step.schedule_id for step in steps if step.verdict.passes_skip]
    if passing:
        db.session.execute(_PASS_SKIPS, {"ids": passing})
    exhausted = [step.schedule_id for step in steps if step.verdict.is_exhausted]
    if exhausted:
        db.session.execute(_COMPLETE, {"ids": exhausted})


def _advance(steps: Sequence[Step]) -> None:
    places: dict[Verdict, int] = {}
    numbers = [places.setdefault(step.verdict, len(places) + 1) for step in steps]
    values = {
        "ids": [step.schedule_id for step in steps],
        "verdicts": numbers,
        "nexts": [verdict.next_fire_at for verdict in places],
        "wakes": [verdict.wake_at for verdict in places],
        "fires": [verdict.last_fire_at for verdict in places],
        "errors": [verdict.last_error for verdict in places],
    }
    db.session.execute(_ADVANCE, values)


def _end_pauses(schedule_ids: Sequence[UUID], now: datetime) -> None:
    """Pauses that were to last until now: each schedule fires again, and the audit log says that nobody did that."""
    if not schedule_ids:
        return
    for row in db.session.execute(_END_PAUSES, {"ids": list(schedule_ids), "now": now}).all():
        # Never added to the session: the audit row only needs to know which schedule it is about.
        subject, reason = Schedule(id=row.id, name=row.name), "The pause was to last until now."
        before, after = {"status": PAUSED}, {"status": ACTIVE}
        record_change(Actor(row.tenant_id), "schedule.resumed", subject, before=before, after=after, reason=reason)
