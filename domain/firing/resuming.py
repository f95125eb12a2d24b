"""What a pause let pass, and which of it a person who resumes may still have made up for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from domain.accounts.audit import Actor
from domain.accounts.tenants import load
from domain.firing.due import Entry
from domain.firing.run_now import startable_version
from domain.firing.tick import write_entries
from domain.kernel.db import db
from domain.kernel.errors import Held, Refused
from domain.kernel.ids import new_id
from domain.runs.admission import unfinished_runs
from domain.schedules.cursors import ScheduleCursor, locked_cursor
from domain.schedules.schedules import PAUSED, Schedule
from domain.timing.decisions import after_overlap
from domain.timing.outcomes import REASON_WORDS, Outcome
from domain.workflows.workflows import Workflow

RESUME_LIMIT = 100
MakeUp = Literal["skip", "latest", "all"]
CHOICES: tuple[MakeUp, ...] = ("skip", "latest", "all")

_SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class PauseBacklog:
    """What came due since `since`, the start of a pause: `count` instants, of which `latest` is the newest.

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
    newest = schedule.timing.last(now, RESUME_LIMIT, first)
    outcomes = [row.outcome for row in after_overlap(newest, schedule.overlap, unfinished_runs(schedule.id))]
    held = held_reason(load(tenant_id, Workflow, schedule.workflow_id))
    runnable = 0 if held else outcomes.count(Outcome.FIRED)
    return PauseBacklog(schedule.paused_at, count, True, newest[0], runnable, held)


def held_reason(workflow: Workflow) -> str | None:
    """Why nothing may be started in the workflow now; None when it may."""
    try:
        startable_version(workflow)
    except Held as held:
        return held.message
    return None


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
    return schedule.timing.last(now, 1 if choice == "latest" else RESUME_LIMIT, first)[::-1]


def make_up(actor: Actor, schedule: Schedule, instants: list[datetime], now: datetime) -> None:
    """Fire these instants of a schedule that is active again, oldest first, as its overlap policy allows. The caller
    holds its workflow and its cursor; raises Held when the workflow takes no runs now."""
    if not instants:
        return
    startable_version(load(schedule.tenant_id, Workflow, schedule.workflow_id))
    unfinished = unfinished_runs(schedule.id)
    entries = [
        Entry(
            new_id(),
            schedule.id,
            schedule.tenant_id,
            row.scheduled_for,
            str(row.outcome),
            str(row.reason) if row.reason else None,
            REASON_WORDS[row.reason] if row.reason else None,
            None,
            1,
            row.outcome == Outcome.FIRED and (schedule.overlap == "allow" or (unfinished == 0 and index == 0)),
            actor.user_id,
        )
        for index, row in enumerate(after_overlap(instants, schedule.overlap, unfinished))
    ]
    write_entries(entries, now)
    fired = [entry.scheduled_for for entry in entries if entry.outcome == Outcome.FIRED]
    if fired:
        locked_cursor(schedule.id).last_fire_at = fired[-1]
