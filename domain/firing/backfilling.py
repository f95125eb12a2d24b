"""Making up for a past range of a schedule: only instants that have no run, as many at a time as the person says.

A backfill is a person's decision about instants that are decided already: it lies before the cursor, adds rows of its
own origin to the ledger and rewrites none. Its runs stand outside the schedule's overlap and tell its cursor nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text

from domain.accounts.audit import Actor, record_change
from domain.accounts.request_keys import answer_request, claim_request
from domain.accounts.tenants import load
from domain.firing.ledger import Entry, Mark, write_entries
from domain.firing.lifecycle import settled_schedule
from domain.firing.starting import check_valid, held_reason, startable_target
from domain.kernel.db import db
from domain.kernel.errors import Held, NotFound, Problem, Refused
from domain.kernel.failpoints import hit
from domain.kernel.ids import new_id, new_ids
from domain.runs.announcing import announce_work
from domain.runs.canceling import cancel_unstarted
from domain.schedules.backfills import BACKFILL_LIMIT, RANGE_MAX, Backfill, parse_concurrency
from domain.schedules.cursors import ScheduleCursor, spread_offset
from domain.schedules.occurrences import backfill_origin
from domain.schedules.schedules import PAUSED, Schedule
from domain.timing.outcomes import Outcome

_SECOND = timedelta(seconds=1)
_ISO = "%Y-%m-%dT%H:%M:%SZ"

# Along the ledger's key. What a canceled backfill never began is made up for by the next one.
_HAVE_A_RUN = text("""
    SELECT DISTINCT o.scheduled_for FROM occurrences o LEFT JOIN runs r ON r.id = o.id
    WHERE o.schedule_id = :schedule_id AND o.scheduled_for BETWEEN :first AND :last AND o.outcome = 'fired'
      AND (r.backfill_id IS NULL OR r.status <> 'canceled' OR r.started_at IS NOT NULL)
""")


@dataclass(frozen=True)
class BackfillPlan:
    """`instants`: those that would get a run, ascending; `already`: how many of the `total` in the range have one.

    `problems`: why it could not be started now; empty when it can.
    """

    instants: tuple[datetime, ...]
    already: int
    total: int
    problems: tuple[Problem, ...] = ()


def plan_backfill(
    tenant_id: UUID, schedule_id: UUID, from_at: datetime, until_at: datetime, now: datetime
) -> BackfillPlan:
    """What a backfill of [from_at, until_at] would do. Raises Refused at `from` and `until`."""
    schedule = load(tenant_id, Schedule, schedule_id)
    cursor = db.session.get_one(ScheduleCursor, schedule.id)
    undecided_from = cursor.next_fire_at
    if schedule.status != PAUSED:
        # What the tick would leave undecided now: it may be a moment behind.
        undecided_from = schedule.timing.next_after(now - spread_offset(schedule.id, schedule.spread_seconds))
    found = _instants(schedule, from_at, until_at, undecided_from, now)
    plan = _plan(schedule, found)
    return BackfillPlan(plan.instants, plan.already, plan.total, (*_held_by(schedule), *plan.problems))


def start_backfill(
    actor: Actor,
    schedule_id: UUID,
    from_at: datetime,
    until_at: datetime,
    concurrency: object,
    request_key: str,
    now: datetime,
) -> Backfill:
    """Give every instant of [from_at, until_at] a run that has none, at most `concurrency` of them at a time; repeating
    the request gives the backfill it started.

    Raises Refused at `from`, `until` and `concurrency`, Held with the reason (invalid, workflow paused or unpublished,
    extension disabled), Conflict when somebody gave the schedule another target meanwhile.
    """
    if earlier := claim_request(actor.tenant_id, request_key, "schedules.backfill"):
        return load(actor.tenant_id, Backfill, UUID(str((earlier.answer or {}).get("backfillId"))))
    at_a_time = parse_concurrency(concurrency)
    schedule = load(actor.tenant_id, Schedule, schedule_id)
    target = startable_target(schedule)
    schedule = settled_schedule(actor, schedule_id, now, None)
    target.check_bound(schedule)
    check_valid(schedule)
    undecided_from = db.session.get_one(ScheduleCursor, schedule.id).next_fire_at
    plan = _plan(schedule, _instants(schedule, from_at, until_at, undecided_from, now))
    if plan.problems:
        raise Refused(plan.problems)
    hit("backfill.before_write")
    backfill = _record(actor, schedule, plan, (from_at, until_at), at_a_time, now)
    answer_request(actor.tenant_id, request_key, {"backfillId": str(backfill.id)})
    announce_work()
    return backfill


def cancel_backfill(actor: Actor, schedule_id: UUID, backfill_id: UUID, now: datetime) -> int:
    """Cancel those of its runs that have not started; how many. Runs that are going go on, also of a deleted schedule."""
    backfill = load(actor.tenant_id, Backfill, backfill_id)
    if backfill.schedule_id != schedule_id:
        raise NotFound
    canceled = cancel_unstarted(schedule_id, backfill_id, now, "Its backfill was canceled.")
    if canceled:
        after = {"backfillId": str(backfill_id), "canceled": canceled}
        record_change(actor, "schedule.cancel_backfill", db.session.get_one(Schedule, schedule_id), after=after)
        announce_work()
    return canceled


def _instants(
    schedule: Schedule, from_at: datetime, until_at: datetime, undecided_from: datetime | None, now: datetime
) -> list[datetime]:
    """The instants of the range, all of them decided. Raises Refused at `from` and `until`."""
    if from_at > until_at:
        raise Refused.at("until", "The end lies before the start. Choose a later end.", "RANGE_BACKWARDS")
    if until_at > now:
        raise Refused.at("until", "A backfill is for the past. Choose an end before now.", "UNTIL_IN_FUTURE")
    if until_at - from_at > RANGE_MAX:
        message = f"At most {RANGE_MAX.days} days can be made up for at once. Choose a later start."
        raise Refused.at("from", message, "RANGE_TOO_LONG")
    if undecided_from is not None and until_at >= undecided_from:
        raise Refused.at("until", _undecided(schedule, undecided_from), "NOT_DECIDED")
    count = schedule.timing.count(from_at - _SECOND, until_at)
    if count > BACKFILL_LIMIT:
        message = f"This range has {count:,} instants, and at most {BACKFILL_LIMIT} can be made up for at once."
        raise Refused.at("from", f"{message} Choose a shorter one.", "TOO_MANY_INSTANTS")
    return list(schedule.timing.instants(from_at - _SECOND, until_at))


def _undecided(schedule: Schedule, undecided_from: datetime) -> str:
    first = undecided_from.strftime("%Y-%m-%d %H:%M UTC")
    if schedule.status == PAUSED:
        return f"From {first} on it is paused: resuming it asks what to make up. Choose an end before that."
    return f"From {first} on nothing is decided yet. Choose an end before that."


def _plan(schedule: Schedule, found: list[datetime]) -> BackfillPlan:
    if not found:
        return BackfillPlan((), 0, 0, (Problem("from", "Nothing was due in this range.", "NOTHING_DUE"),))
    span = {"schedule_id": schedule.id, "first": found[0], "last": found[-1]}
    have_a_run = set(db.session.scalars(_HAVE_A_RUN, span))
    missing = tuple(instant for instant in found if instant not in have_a_run)
    problem = Problem("from", "Every instant of this range has a run already.", "NOTHING_MISSING")
    return BackfillPlan(missing, len(found) - len(missing), len(found), () if missing else (problem,))


def _held_by(schedule: Schedule) -> list[Problem]:
    try:
        check_valid(schedule)
    except Held as held:
        return [Problem("", held.message, held.code)]
    held_by_target = held_reason(schedule)
    return [Problem("", held_by_target.message, held_by_target.code)] if held_by_target else []


def _record(
    actor: Actor,
    schedule: Schedule,
    plan: BackfillPlan,
    span: tuple[datetime, datetime],
    concurrency: int,
    now: datetime,
) -> Backfill:
    from_at, until_at = span
    backfill = Backfill(
        id=new_id(),
        tenant_id=schedule.tenant_id,
        schedule_id=schedule.id,
        from_at=from_at,
        until_at=until_at,
        count=len(plan.instants),
        concurrency=concurrency,
        created_by=actor.user_id,
    )
    db.session.add(backfill)
    db.session.flush()
    marks = [Mark(instant, str(Outcome.FIRED), actor_id=actor.user_id) for instant in plan.instants]
    entries = [Entry(new, schedule.id, mark) for new, mark in zip(new_ids(len(marks)), marks, strict=True)]
    write_entries(entries, now, backfill_origin(backfill.id), backfill.id)
    told = {"from": from_at.strftime(_ISO), "until": until_at.strftime(_ISO), "count": len(entries)}
    after = {"backfillId": str(backfill.id), **told, "concurrency": concurrency}
    record_change(actor, "schedule.backfill", schedule, after=after)
    return backfill
