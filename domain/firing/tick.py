"""The tick: decide what is due, write it down, move the cursors. One transaction, set-based, bounded.

Several schedulers tick at once: each locks its own batch with SKIP LOCKED. The unique key of the ledger makes a second
decision about an instant impossible; runs are inserted only for the rows that were really written.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from domain.accounts.audit import Actor, record_change
from domain.firing.due import Entry, Step, due_steps, put_back
from domain.kernel.db import db, write_or_halve
from domain.kernel.failpoints import hit
from domain.kernel.log import logger
from domain.schedules.counting import count_written
from domain.schedules.cursors import ScheduleCursor
from domain.schedules.occurrences import TIMING
from domain.schedules.schedules import ACTIVE, PAUSED, Schedule
from domain.workflows.built_in_schemas import CLOCK_ALIAS, CLOCK_REF

log = logger(__name__)

BATCH = 1000

# A call is never ready at once: how many of an install go at a time is decided for all of them in one place.
_WRITE = text("""
    WITH decided AS (
        SELECT * FROM unnest(
            CAST(:ids AS uuid[]), CAST(:schedule_ids AS uuid[]), CAST(:tenant_ids AS uuid[]),
            CAST(:instants AS timestamptz[]), CAST(:outcomes AS text[]), CAST(:reasons AS text[]),
            CAST(:details AS text[]), CAST(:throughs AS timestamptz[]), CAST(:counts AS integer[]),
            CAST(:readies AS boolean[]), CAST(:actor_ids AS uuid[])
        ) AS d(id, schedule_id, tenant_id, scheduled_for, outcome, reason, detail, through, count, is_ready, actor_id)
    ), written AS (
        INSERT INTO occurrences (id, schedule_id, tenant_id, scheduled_for, origin_key, outcome, reason, detail,
            through, count, decided_at, actor_id)
        SELECT id, schedule_id, tenant_id, scheduled_for, :origin, outcome, reason, detail, through, count, :now,
            actor_id
        FROM decided
        ON CONFLICT DO NOTHING
        RETURNING id, schedule_id, outcome
    ), fired AS (
        SELECT d.id, d.is_ready, d.actor_id, s.tenant_id, s.id AS schedule_id, s.trigger_type, s.payload_json,
            s.target_kind, s.workflow_id, s.workflow_version, s.install_id, i.version_id AS extension_version_id,
            s.endpoint_id, v.is_pure, v.payload_schema_ref = ANY(:clock_refs) AS is_clock, w.concurrency_limit,
            jsonb_build_object(
                'triggerType', s.trigger_type, 'scheduleId', s.id,
                'scheduledFor', to_char(d.scheduled_for, 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
                'firedAt', to_char(CAST(:now AS timestamptz), 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
                'timezone', s.timezone
            ) || CASE WHEN s.cron IS NULL THEN '{}' ELSE jsonb_build_object('cron', s.cron) END
            || CASE s.target_kind WHEN 'workflow' THEN
                jsonb_build_object('workflowId', s.workflow_id, 'workflowVersion', s.workflow_version)
            ELSE jsonb_build_object('extensionId', i.extension_id, 'extension', x.name, 'installId', s.install_id,
                'endpointId', s.endpoint_id, 'method', e.method, 'path', e.path, 'maxAttempts', s.max_attempts)
            END AS clock,
            s.name AS schedule_name
        FROM written o
        JOIN decided d ON d.id = o.id
        JOIN schedules s ON s.id = d.schedule_id
        LEFT JOIN workflows w ON w.id = s.workflow_id
        LEFT JOIN workflow_versions v ON v.tenant_id = s.tenant_id AND v.workflow_id = s.workflow_id
            AND v.version = s.workflow_version
        LEFT JOIN installs i ON i.id = s.install_id
        LEFT JOIN extensions x ON x.id = i.extension_id
        LEFT JOIN extension_endpoints e ON e.id = s.endpoint_id
        WHERE o.outcome = 'fired'
    ), started AS (
    INSERT INTO runs (id, tenant_id, target_kind, workflow_id, workflow_version, install_id, extension_version_id,
        endpoint_id, schedule_id, started_by, actor_id, backfill_id, trigger_metadata, input_json, lane, ready_at)
    SELECT id, tenant_id, target_kind, workflow_id, workflow_version, install_id, extension_version_id,
        endpoint_id, schedule_id, trigger_type, actor_id,
        CAST(:backfill_id AS uuid), jsonb_strip_nulls(clock || jsonb_build_object(
            'scheduleName', schedule_name, 'backfillId', CAST(:backfill_id AS uuid))),
        CASE WHEN is_clock THEN clock ELSE payload_json END,
        CASE WHEN target_kind = 'endpoint' THEN 'call' WHEN is_pure THEN 'pure' ELSE 'effect' END,
        CASE WHEN target_kind = 'workflow' AND concurrency_limit IS NULL AND is_ready THEN CAST(:now AS timestamptz) END
    FROM fired
    )
    SELECT o.id, s.target_kind FROM written o JOIN schedules s ON s.id = o.schedule_id
""")

_ADVANCE = text("""
    UPDATE schedule_cursors c
    SET next_fire_at = m.next_fire_at, wake_at = m.wake_at, last_fire_at = coalesce(m.last_fire_at, c.last_fire_at),
        last_error = coalesce(m.last_error, c.last_error)
    FROM unnest(CAST(:ids AS uuid[]), CAST(:nexts AS timestamptz[]), CAST(:wakes AS timestamptz[]),
                CAST(:fires AS timestamptz[]), CAST(:errors AS text[]))
        AS m(schedule_id, next_fire_at, wake_at, last_fire_at, last_error)
    WHERE c.schedule_id = m.schedule_id
""")

_END_PAUSES = text("""
    UPDATE schedules SET status = 'active', paused_at = NULL, paused_by = NULL, pause_reason = NULL,
        paused_until = NULL, revision = revision + 1, updated_at = :now
    WHERE id = ANY(:ids) AND status = 'paused'
""")

_PASS_SKIPS = text("UPDATE schedules SET skip_next_at = NULL, skip_next_by = NULL WHERE id = ANY(:ids)")

_COMPLETE = text("UPDATE schedules SET status = 'completed' WHERE id = ANY(:ids) AND status = 'active'")

_NEXT_WAKE = text("""
    SELECT clock_timestamp() AS now, (SELECT min(wake_at) FROM schedule_cursors WHERE wake_at IS NOT NULL) AS wake_at
""")


def next_wake() -> tuple[datetime, datetime | None]:
    """The database's time, and when the first cursor wants to be looked at: all that an idle tick asks."""
    row = db.session.execute(_NEXT_WAKE).one()
    return row.now, row.wake_at


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
    first = min((entry.scheduled_for for entry in step.entries), default=step.next_fire_at)
    reason = f"Its occurrence could not be recorded: {str(error.orig).splitlines()[0]}"
    _write([put_back(step, first, now, reason)], now)


def _write(steps: Sequence[Step], now: datetime) -> None:
    write_entries([entry for step in steps for entry in step.entries], now)
    db.session.execute(
        _ADVANCE,
        {
            "ids": [step.schedule_id for step in steps],
            "nexts": [step.next_fire_at for step in steps],
            "wakes": [step.wake_at for step in steps],
            "fires": [step.last_fire_at for step in steps],
            "errors": [step.last_error for step in steps],
        },
    )
    _end_pauses([step for step in steps if step.ends_pause], now)
    passing = [step.schedule_id for step in steps if step.passes_skip]
    if passing:
        db.session.execute(_PASS_SKIPS, {"ids": passing})
    exhausted = [step.schedule_id for step in steps if step.is_exhausted]
    if exhausted:
        db.session.execute(_COMPLETE, {"ids": exhausted})


def write_entries(
    entries: Sequence[Entry], now: datetime, origin: str = TIMING, backfill_id: UUID | None = None
) -> None:
    """Put rows into the ledger, and a run beside each that fired and was not there yet. The caller holds the cursors."""
    if not entries:
        return
    settings = {"origin": origin, "now": now, "clock_refs": [CLOCK_REF, CLOCK_ALIAS], "backfill_id": backfill_id}
    written = db.session.execute(_WRITE, _columns(entries) | settings)
    count_written(entries, {row.id: row.target_kind for row in written}, origin, now)


def _end_pauses(steps: Sequence[Step], now: datetime) -> None:
    """Pauses that were to last until now: each schedule fires again, and the audit log says that nobody did that."""
    if not steps:
        return
    db.session.execute(_END_PAUSES, {"ids": [step.schedule_id for step in steps], "now": now})
    for step in steps:
        # Never added to the session: the audit row only needs to know which schedule it is about.
        subject, reason = Schedule(id=step.schedule_id, name=step.name), "The pause was to last until now."
        before, after = {"status": PAUSED}, {"status": ACTIVE}
        record_change(Actor(step.tenant_id), "schedule.resumed", subject, before=before, after=after, reason=reason)


def _columns(entries: Sequence[Entry]) -> dict[str, list[object]]:
    return {
        "ids": [entry.id for entry in entries],
        "schedule_ids": [entry.schedule_id for entry in entries],
        "tenant_ids": [entry.tenant_id for entry in entries],
        "instants": [entry.scheduled_for for entry in entries],
        "outcomes": [entry.outcome for entry in entries],
        "reasons": [entry.reason for entry in entries],
        "details": [entry.detail for entry in entries],
        "throughs": [entry.through for entry in entries],
        "counts": [entry.count for entry in entries],
        "readies": [entry.ready for entry in entries],
        "actor_ids": [entry.actor_id for entry in entries],
    }
