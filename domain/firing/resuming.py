"""What a pause let pass, and which of it a person who resumes may still have made up for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from domain.accounts.audit import Actor
from domain.accounts.tenants import load
from domain.accounts.users import User
from domain.firing.closing import skip_in_words
from domain.firing.ledger import Entry, Mark, write_entries
from domain.firing.starting import held_reason, startable_target
from domain.kernel.db import db
from domain.kernel.errors import Refused
from domain.kernel.ids import new_id
from domain.runs.admission import unfinished_runs
from domain.schedules.cursors import ScheduleCursor, locked_cursor
from domain.schedules.schedules import PAUSED, Schedule
from domain.timing.decisions import Row, due_rows
from domain.timing.outcomes import REASON_WORDS, Outcome, Reason

RESUME_LIMIT = 100
MakeUp = Literal["skip", "latest", "all"]
CHOICES: tuple[MakeUp, ...] = ("skip", "latest", "all")

_SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class PauseBacklog:
    """What came due since `since`, the start of a pause: `count` instants, of which `latest` is the newest that may run.

    `runnable`: how many of them get a run when all are made up: at most RESUME_LIMIT, and as the overlap policy allows.
    `held`: why none can be made up now, though the schedule can be resumed; None when nothing is in the way.
    """

    since: datetime
    count: int
    is_count_exact: bool
    latest: datetime
    runnable: int
    held: str | None = None


def pause_backlog(tenant_id: UUID, schedule_id: UUID, now: datetime) -> PauseBacklog | None:
    """What resuming at `now` would have to skip or make up; None when it is not paused or nothing came due."""
    schedule = load(tenant_id, Schedule, schedule_id)
    first = db.session.get_one(ScheduleCursor, schedule.id).next_fire_at
    if schedule.status != PAUSED or schedule.paused_at is None or first is None:
        return None
    count = schedule.timing.count(first - _SECOND, now)
    if count == 0:
        return None
    newest = _newest(schedule, RESUME_LIMIT, first, now)
    rows = due_rows(newest, schedule.overlap, unfinished_runs(schedule.id), schedule.skip_next_at)
    held = held_reason(schedule)
    runnable = 0 if held else [row.outcome for row in rows].count(Outcome.FIRED)
    latest = next((at for at in reversed(newest) if at != schedule.skip_next_at), None)
    return PauseBacklog(
        schedule.paused_at,
        count,
        True,
        latest or schedule.timing.last(now, 1)[0],
        runnable,
        held.message if held else None,
    )


def parse_make_up(choice: object) -> MakeUp:
    """Raises Refused at `catchUp` unless it is one of CHOICES."""
    for known in CHOICES:
        if choice == known:
            return known
    raise Refused.at("catchUp", f"Choose one of {', '.join(CHOICES)}.", "CHOICE_INVALID")


def instants_to_make_up(schedule: Schedule, choice: MakeUp, now: datetime) -> list[datetime]:
    """Those of a settled schedule's pause that the choice wants, ascending; the caller holds its cursor."""
    first = locked_cursor(schedule.id).next_fire_at
    if choice == "skip" or schedule.status != PAUSED or first is None:
        return []
    return _newest(schedule, 1 if choice == "latest" else RESUME_LIMIT, first, now)


def _newest(schedule: Schedule, limit: int, first: datetime, now: datetime) -> list[datetime]:
    """From the `limit`th newest instant in [first, now] that may run: ascending, one that is to be skipped among them."""
    found = schedule.timing.last(now, limit + 1, first)
    runnable = [instant for instant in found if instant != schedule.skip_next_at][:limit]
    return [instant for instant in reversed(found) if runnable and instant >= runnable[-1]]


def make_up(actor: Actor, schedule: Schedule, instants: list[datetime], now: datetime) -> int:
    """Fire these instants of a schedule that is active again, oldest first, as its overlap policy allows; how many got
    a run. The caller holds its target and its cursor; raises Held when nothing may be started there now."""
    if not instants:
        return 0
    startable_target(schedule, is_locked=False)
    unfinished = unfinished_runs(schedule.id)
    rows = due_rows(instants, schedule.overlap, unfinished, schedule.skip_next_at)
    entries = _entries(actor, schedule, rows, unfinished == 0)
    write_entries(entries, now)
    fired = [entry.mark.scheduled_for for entry in entries if entry.mark.outcome == Outcome.FIRED]
    if fired:
        locked_cursor(schedule.id).last_fire_at = fired[-1]
    return len(fired)


def _entries(actor: Actor, schedule: Schedule, rows: list[Row], is_free: bool) -> list[Entry]:
    """`is_free`: no run of the schedule is unfinished."""
    skipper = db.session.get(User, schedule.skip_next_by) if schedule.skip_next_by else None
    entries = []
    for row in rows:
        is_skip, is_fired = row.reason == Reason.SKIP_NEXT, row.outcome == Outcome.FIRED
        detail = REASON_WORDS[row.reason] if row.reason else None
        mark = Mark(
            row.scheduled_for,
            str(row.outcome),
            str(row.reason) if row.reason else None,
            skip_in_words(skipper.name if skipper else None) if is_skip else detail,
            ready=is_fired and (schedule.overlap == "allow" or is_free),
            actor_id=schedule.skip_next_by if is_skip else actor.user_id,
        )
        entries.append(Entry(new_id(), schedule.id, mark))
        is_free = is_free and not is_fired
    return entries
