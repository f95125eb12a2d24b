"""What a new version means for the schedules of its workflow: who keeps running, who no longer fits, who fits again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import func, select, text

from domain.accounts.audit import Actor, record_change
from domain.firing.closing import end_pauses
from domain.kernel.db import db
from domain.kernel.errors import Problem, Refused
from domain.schedules.schedules import INVALID, PAUSED, Schedule
from domain.workflows.draft_fields import INFERRED, PINNED
from domain.workflows.payload_schemas import is_clock_ref
from domain.workflows.payload_secrets import stored_problems

REASONS_SHOWN = 5
REASON_MAX_CHARACTERS = 1_000
INFERRED_REASON = "The workflow takes the payload of its event: only with a pinned payload schema can it be scheduled"
_DISTINCT_PAYLOADS_AT_ONCE = 100


class _Bound(NamedTuple):
    id: UUID
    name: str
    status: str


@dataclass(frozen=True)
class Misfit:
    """A schedule whose payload the new version refuses. `reason` is for the operator and holds no value of the payload."""

    id: UUID
    name: str
    status: str
    reason: str


@dataclass(frozen=True)
class Fitting:
    """Living schedules by what the new version does with them: go on, come back from invalid (paused), become invalid."""

    going_on: tuple[_Bound, ...]
    recovering: tuple[_Bound, ...]
    misfits: tuple[Misfit, ...]

    @property
    def newly_invalid(self) -> tuple[Misfit, ...]:
        return tuple(misfit for misfit in self.misfits if misfit.status != INVALID)

    @property
    def still_invalid(self) -> tuple[Misfit, ...]:
        return tuple(misfit for misfit in self.misfits if misfit.status == INVALID)


# Each takes all schedules at once: ten thousand cost as many statements as one.
_GO_ON = text("UPDATE schedules SET workflow_version = :version, updated_at = :now WHERE id = ANY(:ids)")
_RECOVER = text("""
    UPDATE schedules SET workflow_version = :version, status = 'paused', invalid_reason = NULL, paused_at = :now,
        paused_by = NULL, pause_reason = :note, paused_until = NULL, revision = revision + 1, updated_at = :now
    WHERE id = ANY(:ids)
""")
_INVALIDATE = text("""
    UPDATE schedules s SET status = 'invalid', invalid_reason = m.reason, updated_at = :now,
        paused_at = NULL, paused_by = NULL, pause_reason = NULL, paused_until = NULL,
        revision = s.revision + CASE WHEN s.status = 'invalid' THEN 0 ELSE 1 END
    FROM unnest(CAST(:ids AS uuid[]), CAST(:reasons AS text[])) AS m(id, reason)
    WHERE s.id = m.id
""")
_SLEEP = text("UPDATE schedule_cursors SET wake_at = NULL, last_error = NULL WHERE schedule_id = ANY(:ids)")


def schedule_ids(tenant_id: UUID, workflow_id: UUID) -> list[UUID]:
    """The living schedules of a workflow, in the order in which cursors are locked."""
    return list(db.session.scalars(select(Schedule.id).where(*_living(tenant_id, workflow_id)).order_by(Schedule.id)))


def fitting(
    tenant_id: UUID, workflow_id: UUID, schema_ref: str | None, schema: dict[str, Any], schema_mode: str = PINNED
) -> Fitting:
    """How the living schedules of a workflow fit `schema`. Each distinct payload is checked once; as many
    queries for ten thousand as for one.

    Payloads for the clock contract are made when a schedule fires, so under it every schedule fits; where the schema is
    inferred from an event none does. Nor does one whose timing cannot be computed.
    """
    columns = (Schedule.id, Schedule.name, Schedule.status)
    rows = db.session.execute(select(*columns).where(*_living(tenant_id, workflow_id)).order_by(Schedule.id))
    bound = [_Bound(*row) for row in rows]
    if schema_mode == INFERRED:
        reasons = dict.fromkeys((schedule.id for schedule in bound), INFERRED_REASON)
    else:
        reasons = {} if is_clock_ref(schema_ref) else _misfit_reasons(tenant_id, workflow_id, schema)
        invalid = [schedule.id for schedule in bound if schedule.status == INVALID and schedule.id not in reasons]
        reasons |= _timing_reasons(invalid)
    fits = [schedule for schedule in bound if schedule.id not in reasons]
    misfits = [schedule for schedule in bound if schedule.id in reasons]
    return Fitting(
        going_on=tuple(schedule for schedule in fits if schedule.status != INVALID),
        recovering=tuple(schedule for schedule in fits if schedule.status == INVALID),
        misfits=tuple(Misfit(one.id, one.name, one.status, reasons[one.id]) for one in misfits),
    )


def rebind(actor: Actor, fit: Fitting, version: int, now: datetime) -> None:
    """Write what `fitting` found. The caller holds the workflow and the cursors, and everything due is decided."""
    _run(_GO_ON, [one.id for one in fit.going_on], version=version, now=now)
    note = f"Fits again since version {version}: resume it when you are ready"
    recovering = [one.id for one in fit.recovering]
    _run(_RECOVER, recovering, version=version, now=now, note=note)
    _run(_SLEEP, recovering)
    paused = [misfit for misfit in fit.misfits if misfit.status == PAUSED]
    others = [misfit for misfit in fit.misfits if misfit.status != PAUSED]
    _run(_INVALIDATE, [one.id for one in others], reasons=[one.reason for one in others], now=now)
    _invalidate_paused(paused, now)
    for misfit in fit.newly_invalid:
        _record(actor, "schedule.invalidated", misfit.id, misfit.name, misfit.status, INVALID, misfit.reason)
    for one in fit.recovering:
        _record(actor, "schedule.recovered", one.id, one.name, INVALID, PAUSED, note)
    db.session.flush()
    db.session.expire_all()


def _invalidate_paused(misfits: Sequence[Misfit], now: datetime) -> None:
    """The instants of the pause go on record as paused before the tick, which looks at invalid schedules, refuses more."""
    if not misfits:
        return
    ids = [misfit.id for misfit in misfits]
    end_pauses(db.session.scalars(select(Schedule).where(Schedule.id.in_(ids)).order_by(Schedule.id)).all(), now)
    _run(_INVALIDATE, ids, reasons=[misfit.reason for misfit in misfits], now=now)


def _timing_reasons(ids: Sequence[UUID]) -> dict[UUID, str]:
    """Why the stored timing of some of these cannot be computed: it was taken over from elsewhere as it stood."""
    if not ids:
        return {}
    reasons = {}
    for schedule in db.session.scalars(select(Schedule).where(Schedule.id.in_(ids))):
        try:
            _ = schedule.timing
        except Refused as refused:
            reasons[schedule.id] = misfit_reason(refused.problems)
    return reasons


def misfit_reason(problems: Sequence[Problem]) -> str:
    """Why a payload is refused, for the operator: where and what, and no value of the payload."""
    parts = (f"{p.path}: {p.message}" if p.path else p.message for p in problems[:REASONS_SHOWN])
    return "; ".join(parts)[:REASON_MAX_CHARACTERS]


def _living(tenant_id: UUID, workflow_id: UUID) -> tuple[Any, ...]:
    return (Schedule.tenant_id == tenant_id, Schedule.workflow_id == workflow_id, Schedule.deleted_at.is_(None))


def _misfit_reasons(tenant_id: UUID, workflow_id: UUID, schema: dict[str, Any]) -> dict[UUID, str]:
    distinct = (
        select(Schedule.payload_json, func.array_agg(Schedule.id))
        .where(*_living(tenant_id, workflow_id))
        .group_by(Schedule.payload_json)
        .execution_options(yield_per=_DISTINCT_PAYLOADS_AT_ONCE)
    )
    reasons: dict[UUID, str] = {}
    for payload, ids in db.session.execute(distinct):
        if problems := stored_problems(tenant_id, schema, payload):
            reasons |= dict.fromkeys(ids, misfit_reason(problems))
    return reasons


def _run(statement: Any, ids: Sequence[UUID], **values: Any) -> None:
    if ids:
        db.session.execute(statement, {"ids": list(ids), **values})


def _record(actor: Actor, action: str, schedule_id: UUID, name: str, before: str, after: str, reason: str) -> None:
    # Never added to the session: the audit row only needs to know which schedule it is about.
    subject = Schedule(id=schedule_id, name=name)
    record_change(actor, action, subject, before={"status": before}, after={"status": after}, reason=reason)
