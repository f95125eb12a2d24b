"""What people do to a schedule: create, edit, pause, resume, delete.

Every command first settles the ledger: what has come due is decided under the old settings, and the instants that a
pause let pass become one gap row. Only then does it change anything, so no change is retroactive and none is lost.
Locks: the tenant's limits, then workflow or install, then cursor, then the schedule's row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm.attributes import flag_modified

from domain.accounts.audit import Actor, record_change
from domain.accounts.tenants import load, owned
from domain.firing.closing import aim_cursor, aim_cursors, close_held, close_ledger, forget_skip, set_wake, wake_cursor
from domain.firing.creating import write_schedule
from domain.firing.resuming import instants_to_make_up, make_up, parse_make_up
from domain.firing.tick import settle
from domain.kernel import strict_json
from domain.kernel.db import db
from domain.kernel.errors import Conflict, Refused, StaleTransition
from domain.kernel.names import parse_name
from domain.schedules.copies import payload_to_copy
from domain.schedules.cursors import ScheduleCursor, locked_cursor, locked_cursors, spread_offset
from domain.schedules.drafts import ScheduleDraft, checked_columns
from domain.schedules.limits import check_room, hold_limits
from domain.schedules.listing import ScheduleView, view_of
from domain.schedules.payloads import payload_refusals
from domain.schedules.schedules import ACTIVE, INVALID, PAUSED, WORKFLOW, Schedule, named_apart, snapshot
from domain.schedules.targets import EndpointTarget, Target, bound_target, current_target
from domain.timing.timing import check_run_at

TIMING_COLUMNS = ("trigger_type", "run_at", "cron", "timezone", "starts_at", "ends_at", "dst_gap", "dst_repeat")
REASON_MAX_CHARACTERS = 500
FITS_AGAIN = "Its payload fits again. Resume it when you are ready."


def create_schedule(
    actor: Actor, draft: ScheduleDraft, now: datetime, min_interval_seconds: int = 60, like_id: UUID | None = None
) -> Schedule:
    """A new schedule; raises Refused with every problem at its field.

    `like_id`: the schedule of which it is a copy, whose secrets the kept marks in the payload stand for.
    """
    return new_schedule(actor, draft, now, min_interval_seconds, like_id).schedule


def new_schedule(
    actor: Actor, draft: ScheduleDraft, now: datetime, min_interval_seconds: int = 60, like_id: UUID | None = None
) -> ScheduleView:
    """What `create_schedule` makes, with where it stands and what it runs."""
    if draft.is_endpoint:
        hold_limits(actor.tenant_id)
    target = bound_target(actor.tenant_id, draft)
    if isinstance(target, EndpointTarget):
        check_room(target.install)
    copied = payload_to_copy(target, like_id)
    columns = target.columns | checked_columns(draft, target, now, min_interval_seconds, copied)
    return view_of(*write_schedule(actor, columns, now, draft.enabled), target)


def edit_schedule(
    actor: Actor, schedule_id: UUID, revision: int, draft: ScheduleDraft, now: datetime, min_interval_seconds: int = 60
) -> Schedule:
    """Make the schedule what the draft says; `enabled` follows the rules of pause and resume.

    Raises Refused with every problem, Conflict when the schedule is not at `revision` any more.
    """
    target = bound_target(actor.tenant_id, draft, load(actor.tenant_id, Schedule, schedule_id))
    schedule = settled_schedule(actor, schedule_id, now, revision)
    columns = target.columns | checked_columns(draft, target, now, min_interval_seconds, schedule.payload_json)
    with named_apart(columns["name"], columns["external_key"]):
        edit_settled(actor, [Edit(schedule, columns, draft.enabled)], now)
    return schedule


@dataclass(frozen=True)
class Edit:
    """What a schedule is to be. `columns`: those that `checked_columns` and a target gave; `enabled` as in a draft."""

    schedule: Schedule
    columns: Mapping[str, Any]
    enabled: bool


def edit_settled(actor: Actor, edits: Sequence[Edit], now: datetime) -> None:
    """Make settled schedules what is wanted, thousands in about as many statements as one.

    Raises IntegrityError when a name or an external key is taken.
    """
    cursors = locked_cursors([one.schedule.id for one in edits])
    before = [snapshot(one.schedule) for one in edits]
    # Whatever is asked meanwhile is about others: what has changed is written once, at the end.
    with db.session.no_autoflush:
        retimed = [_change(actor, one, cursors[one.schedule.id], now) for one in edits]
    db.session.flush()
    held = [(one.schedule, cursors[one.schedule.id]) for one in edits]
    aim_cursors(
        [one for one, is_retimed in zip(held, retimed, strict=True) if is_retimed or one[1].next_fire_at is None], now
    )
    for (schedule, cursor), earlier in zip(held, before, strict=True):
        cursor.last_error = None
        set_wake(schedule, cursor)
        old, new = _difference(earlier, snapshot(schedule))
        record_change(actor, "schedule.edited", schedule, before=old, after=new)
    db.session.flush()


def _change(actor: Actor, edit: Edit, cursor: ScheduleCursor, now: datetime) -> bool:
    """Whether it is due at other times now."""
    schedule, columns = edit.schedule, edit.columns
    is_retimed = any(getattr(schedule, name) != columns[name] for name in TIMING_COLUMNS)
    close_held(schedule, cursor, now, is_retimed or _is_hurried(schedule, cursor, columns["spread_seconds"], now))
    for name, value in columns.items():
        setattr(schedule, name, value)
    # Python takes a payload in which 1 has become true for the same one, and SQLAlchemy would not write it.
    flag_modified(schedule, "payload_json")
    if schedule.skip_next_at and (schedule.cron is None or not schedule.timing.has(schedule.skip_next_at)):
        forget_skip(schedule)
    _apply_switch(schedule, actor, edit.enabled, now)
    schedule.revision += 1
    return is_retimed


def _is_hurried(schedule: Schedule, cursor: ScheduleCursor, spread_seconds: int, now: datetime) -> bool:
    """Whether what the spread holds back would be late under a smaller one: it would fire at once or be missed."""
    held_back = cursor.next_fire_at
    old, new = (spread_offset(schedule.id, spread) for spread in (schedule.spread_seconds, spread_seconds))
    return held_back is not None and new < old and held_back + new <= now


def pause_schedule(
    actor: Actor,
    schedule_id: UUID,
    reason: str,
    now: datetime,
    revision: int | None = None,
    until: datetime | None = None,
) -> Schedule:
    """Stop firing from `now` on, and with `until` let the tick end the pause then: it fires again from the next instant
    after `until`. What was due before `now` has been decided.

    Raises Refused at `reason` and at `until` unless that lies ahead, StaleTransition unless the schedule is active.
    """
    until = until.replace(microsecond=0) if until else None
    if until is not None and until <= now:
        raise Refused.at("until", "This time has passed. Choose one in the future.", "UNTIL_IN_PAST")
    schedule = settled_schedule(actor, schedule_id, now, revision)
    if schedule.status != ACTIVE:
        raise StaleTransition(f"{schedule.name} is {schedule.status}; only an active schedule can be paused.")
    text = parse_name(reason, "reason", max_characters=REASON_MAX_CHARACTERS) if reason.strip() else None
    before = snapshot(schedule)
    _set_paused(schedule, actor, text, now)
    schedule.paused_until = until
    schedule.revision += 1
    wake_cursor(schedule, locked_cursor(schedule.id))
    old, new = _difference(before, snapshot(schedule))
    record_change(actor, "schedule.paused", schedule, before=old, after=new, reason=text)
    return schedule


def resume_schedule(
    actor: Actor, schedule_id: UUID, now: datetime, revision: int | None = None, catch_up: str = "skip"
) -> Schedule:
    """Fire again from the next instant after `now`, on the published version, after checking everything anew.

    `catch_up`: which instants of the pause are made up at once, oldest first and as the overlap policy allows: none
    (skip), the latest, or all, of which the newest RESUME_LIMIT are. The others become one gap row. Raises Refused
    (payload, a one-time instant that has passed), Held (the workflow cannot be scheduled, or takes no runs to make up; the
    extension is disabled, or its installed version has no such endpoint),
    StaleTransition when it is active, Conflict when it was changed meanwhile.
    """
    choice = parse_make_up(catch_up)
    schedule = load(actor.tenant_id, Schedule, schedule_id)
    target = current_target(schedule)
    schedule = settled_schedule(actor, schedule_id, now, revision)
    target.check_bound(schedule)
    if schedule.status == ACTIVE:
        raise StaleTransition(f"{schedule.name} is active already.")
    _check_resumable(schedule, target, now)
    before = _standing(schedule)
    wanted = instants_to_make_up(schedule, choice, now)
    close_ledger(schedule, now, made_up_from=wanted[0] if wanted else None)
    _set_active(schedule)
    schedule.workflow_version = target.columns["workflow_version"]
    schedule.revision += 1
    db.session.flush()
    made_up = make_up(actor, schedule, wanted, now)
    cursor = locked_cursor(schedule.id)
    cursor.last_error = None
    if cursor.next_fire_at is None:
        aim_cursor(schedule, cursor, now)
    else:
        # It is ahead of `now`: a clock that was set back brings nothing again.
        wake_cursor(schedule, cursor)
    after = _standing(schedule)
    after |= {"catchUp": choice, "madeUp": made_up} if wanted else {}
    record_change(actor, "schedule.resumed", schedule, before=before, after=after)
    return schedule


def delete_schedule(actor: Actor, schedule_id: UUID, now: datetime, revision: int | None = None) -> Schedule:
    """End a schedule for good; its history stays."""
    schedule = settled_schedule(actor, schedule_id, now, revision)
    end_schedule(actor, schedule, "", now)
    return schedule


def end_schedule(actor: Actor, schedule: Schedule, reason: str, now: datetime) -> None:
    """Close the ledger of a settled schedule and mark it deleted; `reason` when its target goes."""
    close_ledger(schedule, now)
    cursor = locked_cursor(schedule.id)
    cursor.next_fire_at = cursor.wake_at = None
    forget_skip(schedule)
    schedule.deleted_at = now
    schedule.revision += 1
    db.session.flush()
    record_change(actor, "schedule.deleted", schedule, before=snapshot(schedule), reason=reason or None)


def settled_schedule(actor: Actor, schedule_id: UUID, now: datetime, revision: int | None) -> Schedule:
    """The schedule with its cursor locked and everything decided that has come due; raises Conflict when stale."""
    load(actor.tenant_id, Schedule, schedule_id)
    settle([schedule_id], now)
    schedule = load(actor.tenant_id, Schedule, schedule_id, lock="change")
    if revision is not None and schedule.revision != revision:
        raise Conflict
    return schedule


def settled_schedules(actor: Actor, schedule_ids: Sequence[UUID], now: datetime) -> dict[UUID, Schedule]:
    """What `settled_schedule` gives, of many, by id; without those that there are none of any more."""
    settle(schedule_ids, now)
    wanted = owned(actor.tenant_id, Schedule).where(Schedule.id.in_(schedule_ids)).order_by(Schedule.id)
    locked = wanted.with_for_update(key_share=True).execution_options(populate_existing=True)
    return {one.id: one for one in db.session.scalars(locked)}


def _standing(schedule: Schedule) -> dict[str, Any]:
    """What resuming changes."""
    if schedule.target_kind != WORKFLOW:
        return {"status": schedule.status}
    return {"status": schedule.status, "workflowVersion": schedule.workflow_version}


def _check_resumable(schedule: Schedule, target: Target, now: datetime) -> None:
    problems = payload_refusals(target, schedule.payload_json)
    if problems:
        raise Refused(problems)
    if schedule.run_at is not None:
        check_run_at(schedule.run_at, now)
    elif schedule.timing.next_after(now) is None:
        raise Refused.at("endsAt", "Nothing is due any more. Choose a later end or another pattern.", "WINDOW_EMPTY")


def _apply_switch(schedule: Schedule, actor: Actor, enabled: bool, now: datetime) -> None:
    """After an edit: on means active; off keeps a pause with who and why, and never wakes what was invalid."""
    if enabled:
        _set_active(schedule)
    elif schedule.status != PAUSED:
        note = FITS_AGAIN if schedule.status == INVALID else None
        _set_active(schedule)
        _set_paused(schedule, actor, note, now)


def _set_active(schedule: Schedule) -> None:
    schedule.status = ACTIVE
    schedule.paused_at = schedule.paused_by = schedule.pause_reason = schedule.paused_until = None
    schedule.invalid_reason = None


def _set_paused(schedule: Schedule, actor: Actor, reason: str | None, now: datetime) -> None:
    schedule.status = PAUSED
    schedule.paused_at, schedule.paused_by, schedule.pause_reason = now, actor.user_id, reason


def _difference(before: dict[str, Any], after: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    # As JSON: 1 and true are the same to Python.
    changed = [name for name in before if strict_json.dumps(before[name]) != strict_json.dumps(after[name])]
    return {name: before[name] for name in changed}, {name: after[name] for name in changed}
