"""What is to be decided for locked cursors, computed in memory: rows of the ledger and where each cursor goes next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from domain.firing.holds import hold_of
from domain.kernel.db import db
from domain.kernel.ids import new_id
from domain.kernel.log import logger
from domain.schedules.cursors import spread_offset
from domain.schedules.schedules import timing_of
from domain.timing.decisions import Decision, Policy, decide
from domain.timing.outcomes import REASON_WORDS, Outcome

log = logger(__name__)

# Ledger rows that one transaction writes: about half a second's worth, also after an outage with much to make up.
ROWS_LIMIT = 10_000
# How long a schedule that cannot be decided is left alone.
PUT_BACK = timedelta(minutes=5)


@dataclass(frozen=True)
class Entry:
    """One row for the ledger; `ready` says that its run may start at once if its workflow has no limit."""

    id: UUID
    schedule_id: UUID
    tenant_id: UUID
    scheduled_for: datetime
    outcome: str
    reason: str | None
    detail: str | None
    through: datetime | None
    count: int
    ready: bool


@dataclass(frozen=True)
class Step:
    """What one schedule's batch does: ledger entries, then the cursor. `error` only for one that was put back."""

    schedule_id: UUID
    entries: tuple[Entry, ...]
    next_fire_at: datetime | None
    wake_at: datetime | None
    last_fire_at: datetime | None
    last_error: str | None
    is_exhausted: bool = False
    is_poisoned: bool = False


# Read after the cursors are locked, in a statement of its own: only then is what it sees true until the commit.
# Deciding in the locking statement broke `skip` in 82 of 2,000 tries.
_DUE = text("""
    SELECT c.schedule_id, c.tenant_id, c.next_fire_at, s.trigger_type, s.run_at, s.cron, s.timezone, s.starts_at,
        s.ends_at, s.dst_gap, s.dst_repeat, s.overlap, s.catch_up, s.max_lateness_seconds, s.spread_seconds, s.status,
        s.invalid_reason, w.name AS workflow_name, w.deleted_at IS NOT NULL AS workflow_deleted,
        w.paused_at IS NOT NULL AS workflow_paused, w.pause_reason AS workflow_pause_reason, w.published_version,
        t.edition, CASE WHEN s.overlap = 'allow' THEN 0 ELSE (
            SELECT count(*) FROM runs r WHERE r.schedule_id = c.schedule_id AND r.finished_at IS NULL
        ) END AS unfinished
    FROM schedule_cursors c
    JOIN schedules s ON s.id = c.schedule_id
    JOIN workflows w ON w.id = s.workflow_id
    JOIN tenants t ON t.id = c.tenant_id
    WHERE c.schedule_id = ANY(:ids)
    ORDER BY c.next_fire_at, c.schedule_id
""")


def due_steps(schedule_ids: Sequence[UUID], now: datetime, rows_limit: int = ROWS_LIMIT) -> list[Step]:
    """What becomes of these schedules, whose cursors the caller holds; of as many as fill `rows_limit` ledger rows, the
    most overdue first. One that cannot be computed is put back."""
    # Schedules that are due together share few patterns, and deciding is pure.
    decide_once = cache(decide)
    steps: list[Step] = []
    rows = 0
    for row in db.session.execute(_DUE, {"ids": list(schedule_ids)}).all():
        steps.append(_step(row, now, decide_once))
        rows += len(steps[-1].entries)
        if rows >= rows_limit:
            break
    return steps


def put_back(schedule_id: UUID, next_fire_at: datetime | None, now: datetime, error: str) -> Step:
    """Leave the schedule undecided and look again later, with the reason on its own record."""
    return Step(schedule_id, (), next_fire_at, now + PUT_BACK, None, error, is_poisoned=True)


def _step(row: Row[Any], now: datetime, decide_once: Callable[..., Decision]) -> Step:
    try:
        return _decided(row, now, decide_once)
    except Exception as error:
        log.exception("A schedule could not be decided and is put back", schedule_id=str(row.schedule_id))
        return put_back(row.schedule_id, row.next_fire_at, now, f"Its timing could not be computed: {error}")


def _decided(row: Row[Any], now: datetime, decide_once: Callable[..., Decision]) -> Step:
    if row.status in ("paused", "completed") or row.next_fire_at is None:
        return Step(row.schedule_id, (), row.next_fire_at, None, None, None)
    offset = spread_offset(row.schedule_id, row.spread_seconds)
    looked_at = now - offset
    policy = Policy(row.overlap, row.catch_up, row.max_lateness_seconds)
    decision = decide_once(timing_of(row), row.next_fire_at, looked_at, looked_at, policy, row.unfinished)
    hold = hold_of(row)
    entries: list[Entry] = []
    is_free = row.unfinished == 0
    for ledger_row in decision.rows:
        outcome, reason = ledger_row.outcome, ledger_row.reason
        detail = REASON_WORDS[reason] if reason else None
        if hold and outcome in (Outcome.FIRED, Outcome.SKIPPED):
            outcome, reason, detail = Outcome.REFUSED, hold.reason, hold.detail  # type: ignore[assignment]
        is_fired = outcome == Outcome.FIRED
        entries.append(
            Entry(
                new_id(), row.schedule_id, row.tenant_id, ledger_row.scheduled_for, str(outcome),
                str(reason) if reason else None, detail, ledger_row.through, ledger_row.count,
                is_fired and (row.overlap == "allow" or is_free),
            )
        )  # fmt: skip
        is_free = is_free and not is_fired
    return Step(
        row.schedule_id,
        tuple(entries),
        decision.next_fire_at,
        decision.next_fire_at + offset if decision.next_fire_at else None,
        max((entry.scheduled_for for entry in entries if entry.outcome == Outcome.FIRED), default=None),
        hold.detail if hold and entries else None,
        is_exhausted=decision.next_fire_at is None and row.status == "active",
    )
