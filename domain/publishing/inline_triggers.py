"""Time triggers inside workflows, as older drafts and bundles have them: each becomes a schedule of its own.

Published versions keep theirs, which nothing reads. What the trigger said is taken over as it stands: a schedule that
cannot fire is marked with the reason, never left out. Only what no schedule can hold stays where it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeGuard
from uuid import UUID

from sqlalchemy import or_, select

from domain.accounts.audit import Actor, record_change
from domain.accounts.tenants import Tenant, load, owned
from domain.firing.closing import aim_cursor
from domain.kernel.db import db
from domain.kernel.errors import Held, Problem, Refused
from domain.kernel.ids import new_id
from domain.kernel.names import MAX_CHARACTERS
from domain.publishing.rebinding import misfit_reason
from domain.schedules.bindings import bindable_version
from domain.schedules.counting import count_decided
from domain.schedules.cursors import ScheduleCursor
from domain.schedules.occurrences import TIMING, Occurrence
from domain.schedules.payloads import payload_refusals
from domain.schedules.schedules import ACTIVE, COMPLETED, INVALID, Schedule, snapshot
from domain.schedules.targets import WorkflowTarget
from domain.timing.cron import check_frequency
from domain.timing.fields import MAX_LENGTH, parse_cron
from domain.timing.outcomes import Outcome, Reason
from domain.timing.zones import parse_instant, parse_local, parse_zone
from domain.workflows.definitions import TIME_TRIGGERS
from domain.workflows.workflows import Workflow

CORRECT_IT = "Correct it in the definition, then migrate again."
PAST = "This time had passed when the schedule was made from the workflow's time trigger."
_ENDINGS_CHARACTERS = 8  # room for a number behind a name


@dataclass(frozen=True)
class AdoptedTrigger:
    """What became of one time trigger. `reason`: why its schedule does not fire; None when it does.

    `schedule` is None when no schedule can hold the trigger; it is left where it was, and `reason` says what to do.
    """

    trigger: dict[str, Any]
    schedule: Schedule | None
    reason: str | None = None


@dataclass(frozen=True)
class MigratedWorkflow:
    """The time triggers that the draft of one workflow had, and what became of them."""

    workflow: Workflow
    adopted: tuple[AdoptedTrigger, ...]

    @property
    def left(self) -> tuple[AdoptedTrigger, ...]:
        """Those that are still in the draft."""
        return tuple(one for one in self.adopted if one.schedule is None)


@dataclass
class _Timing:
    """The columns of a timing as they will be stored, and what is wrong with them."""

    columns: dict[str, Any] = field(default_factory=lambda: {"run_at": None, "cron": None})
    problems: list[Problem] = field(default_factory=list)


class _Unholdable(Exception):
    """No schedule can hold this trigger; the message says why."""


def is_time_trigger(trigger: Any) -> TypeGuard[dict[str, Any]]:
    """Whether this is a trigger that says when, which a workflow does not."""
    return isinstance(trigger, dict) and trigger.get("type") in TIME_TRIGGERS


def time_triggers(workflow: Workflow) -> list[dict[str, Any]]:
    """The time triggers of the draft, in its settings and in its definition; one that is in both counts once."""
    definition = workflow.draft_definition
    inside = definition.get("trigger") if isinstance(definition, dict) else None
    return distinct_triggers(
        workflow.tenant_id, [one for one in (workflow.draft_trigger, inside) if is_time_trigger(one)]
    )


def distinct_triggers(tenant_id: UUID, triggers: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """These time triggers without those that say the same as one before them."""
    tenant_zone = db.session.get_one(Tenant, tenant_id).timezone
    found: list[dict[str, Any]] = []
    for trigger in triggers:
        if all(not _is_same(trigger, other, tenant_zone) for other in found):
            found.append(trigger)
    return found


def is_scheduled(workflow: Workflow, trigger: dict[str, Any], now: datetime) -> bool:
    """Whether a living schedule of the workflow has the timing that the time trigger says."""
    try:
        timing = _taken_timing(trigger, db.session.get_one(Tenant, workflow.tenant_id).timezone, now, 0)
    except _Unholdable:
        return False
    alike = owned(workflow.tenant_id, Schedule).filter_by(workflow_id=workflow.id, **timing.columns)
    return db.session.scalars(alike.limit(1)).first() is not None


def workflows_with_time_triggers(tenant_ids: Iterable[UUID]) -> list[tuple[UUID, UUID]]:
    """(tenant, workflow) of the living workflows whose draft says when it runs, in the order of their ids."""
    kinds = [
        Workflow.draft_trigger["type"].astext.in_(TIME_TRIGGERS),
        Workflow.draft_definition["trigger"]["type"].astext.in_(TIME_TRIGGERS),
    ]
    found = select(Workflow.tenant_id, Workflow.id).where(
        Workflow.tenant_id.in_(list(tenant_ids)), Workflow.deleted_at.is_(None), or_(*kinds)
    )
    return [(row.tenant_id, row.id) for row in db.session.execute(found.order_by(Workflow.tenant_id, Workflow.id))]


def migrate_time_triggers(
    actor: Actor, workflow_id: UUID, now: datetime, min_interval_seconds: int = 60
) -> MigratedWorkflow:
    """Make schedules of the time triggers of a draft and take them out of it. Done again it changes nothing.

    Two at the same time take turns on the workflow's row. Raises NotFound.
    """
    workflow = load(actor.tenant_id, Workflow, workflow_id, lock="change")
    adopted = tuple(
        adopt_time_trigger(actor, workflow, trigger, now, min_interval_seconds) for trigger in time_triggers(workflow)
    )
    if gone := [one for one in adopted if one.schedule is not None]:
        _strip(actor, workflow, gone, now)
    return MigratedWorkflow(workflow, adopted)


def adopt_time_trigger(
    actor: Actor, workflow: Workflow, trigger: dict[str, Any], now: datetime, min_interval_seconds: int = 60
) -> AdoptedTrigger:
    """The schedule that a time trigger stands for: named after the workflow, with an empty payload.

    It is active when everything fits; completed when its one time has passed, which is on record as missed; else
    invalid. The caller holds the workflow with lock="change", and takes the trigger away where it came from.
    """
    try:
        timing = _taken_timing(trigger, db.session.get_one(Tenant, actor.tenant_id).timezone, now, min_interval_seconds)
    except _Unholdable as unholdable:
        return AdoptedTrigger(trigger, None, str(unholdable))
    is_past = timing.columns["run_at"] is not None and timing.columns["run_at"] <= now
    reason = PAST if is_past else _reason(workflow, timing)
    schedule = Schedule(
        id=new_id(),
        tenant_id=actor.tenant_id,
        workflow_id=workflow.id,
        workflow_version=workflow.published_version,
        name=_free_name(workflow),
        trigger_type=trigger["type"],
        payload_json={},
        status=COMPLETED if is_past else INVALID if reason else ACTIVE,
        invalid_reason=None if is_past else reason,
        created_by=actor.user_id,
        **timing.columns,
    )
    _write(schedule, is_past, bool(timing.problems), now)
    record_change(actor, "schedule.created", schedule, after=snapshot(schedule), reason="It was a time trigger")
    return AdoptedTrigger(trigger, schedule, reason)


def _reason(workflow: Workflow, timing: _Timing) -> str | None:
    if timing.problems:
        return misfit_reason(timing.problems)
    try:
        target = WorkflowTarget(bindable_version(workflow))
    except Held as held:
        return held.message
    problems = payload_refusals(target, {})
    return misfit_reason(problems) if problems else None


def _taken_timing(trigger: dict[str, Any], tenant_zone: str, now: datetime, least: int) -> _Timing:
    taken = _Timing()
    try:
        # No screen could show the times of a schedule in a zone that does not exist.
        timezone = parse_zone(trigger.get("timezone") or tenant_zone)
    except Refused as refused:
        raise _Unholdable(f"{refused} {CORRECT_IT}") from refused
    taken.columns["timezone"] = timezone
    if trigger["type"] == "schedule":
        taken.columns["run_at"] = _run_at(trigger.get("runAt"), timezone)
    else:
        taken.columns["cron"] = _cron(trigger.get("cron"), timezone, now, least, taken.problems)
    return taken


def _run_at(written: Any, timezone: str) -> datetime:
    """The instant; a wall time without an offset is one in the trigger's zone."""
    try:
        return parse_instant(written)
    except Refused as refused:
        try:
            return parse_local(written, timezone)
        except Refused:
            raise _Unholdable(f"{refused} {CORRECT_IT}") from refused


def _cron(written: Any, timezone: str, now: datetime, least: int, problems: list[Problem]) -> str:
    """The pattern as it will be stored: five fields, or what was written when it cannot be read."""
    if not isinstance(written, str) or not written.strip() or len(written) > MAX_LENGTH or not written.isprintable():
        raise _Unholdable(f"cron: This is not a pattern of at most {MAX_LENGTH} characters. {CORRECT_IT}")
    try:
        cron = parse_cron(written)
        check_frequency(cron, timezone, now, least)
    except Refused as refused:
        problems += refused.problems
        return written
    return cron.text


def _write(schedule: Schedule, is_past: bool, is_unreadable: bool, now: datetime) -> None:
    cursor = ScheduleCursor(schedule_id=schedule.id, tenant_id=schedule.tenant_id)
    db.session.add(schedule)
    db.session.flush()
    db.session.add(cursor)
    db.session.flush()
    if not is_past and not is_unreadable:
        aim_cursor(schedule, cursor, now)
    if is_past:
        db.session.add(_missed(schedule, now))
        db.session.flush()
        count_decided(schedule.target_kind, Outcome.MISSED, Reason.TOO_LATE)


def _missed(schedule: Schedule, now: datetime) -> Occurrence:
    return Occurrence(
        id=new_id(),
        schedule_id=schedule.id,
        tenant_id=schedule.tenant_id,
        scheduled_for=schedule.run_at,
        origin_key=TIMING,
        outcome=str(Outcome.MISSED),
        reason=str(Reason.TOO_LATE),
        detail=PAST,
        decided_at=now,
    )


def _free_name(workflow: Workflow) -> str:
    """The workflow's name, numbered when one of its living schedules has it."""
    wanted = workflow.name[: MAX_CHARACTERS - _ENDINGS_CHARACTERS].strip()
    alike = owned(workflow.tenant_id, Schedule).where(Schedule.workflow_id == workflow.id)
    taken = set(db.session.scalars(alike.with_only_columns(Schedule.name)))
    if wanted not in taken:
        return wanted
    return next(name for number in range(2, len(taken) + 3) if (name := f"{wanted} ({number})") not in taken)


def _strip(actor: Actor, workflow: Workflow, gone: list[AdoptedTrigger], now: datetime) -> None:
    tenant_zone = db.session.get_one(Tenant, workflow.tenant_id).timezone

    def is_gone(trigger: dict[str, Any]) -> bool:
        return any(_is_same(trigger, one.trigger, tenant_zone) for one in gone)

    before: dict[str, Any] = {}
    if is_time_trigger(workflow.draft_trigger) and is_gone(workflow.draft_trigger):
        before["draft_trigger"] = workflow.draft_trigger
        workflow.draft_trigger = None
    definition = workflow.draft_definition
    inside = definition.get("trigger") if isinstance(definition, dict) else None
    if is_time_trigger(inside) and is_gone(inside):
        before["draft_definition"] = {"trigger": inside}
        workflow.draft_definition = {key: value for key, value in definition.items() if key != "trigger"}
    workflow.revision += 1
    workflow.content_changed_at = workflow.updated_at = now
    db.session.flush()
    names = ", ".join(one.schedule.name for one in gone if one.schedule)
    reason = f"Its time trigger became a schedule: {names}"
    record_change(actor, "workflow.saved", workflow, before=before, after=dict.fromkeys(before), reason=reason)


def _is_same(one: dict[str, Any], other: dict[str, Any], tenant_zone: str) -> bool:
    """Whether two time triggers say the same, if not in the same words: both would fire at the same instants."""
    return _said(one, tenant_zone) == _said(other, tenant_zone)


def _said(trigger: dict[str, Any], tenant_zone: str) -> tuple[str, ...]:
    at = trigger.get("runAt" if trigger["type"] == "schedule" else "cron")
    words = " ".join(at.split()) if isinstance(at, str) else repr(at)
    return trigger["type"], words, repr(trigger.get("timezone") or tenant_zone)
