"""What is to be decided for locked cursors, computed in memory: rows of the ledger and where each cursor goes next."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from itertools import chain
from types import SimpleNamespace
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, text

from domain.firing.closing import pause_in_words, skip_in_words
from domain.firing.holds import Hold, hold_of
from domain.firing.ledger import Mark
from domain.kernel.db import db
from domain.kernel.log import logger
from domain.schedules.cursors import spread_offset
from domain.schedules.schedules import ACTIVE, INVALID, PAUSED, timing_of
from domain.timing.decisions import Decision, Policy, decide, gap_row
from domain.timing.decisions import Row as LedgerRow
from domain.timing.outcomes import REASON_WORDS, Outcome, Reason
from domain.timing.timing import Timing

log = logger(__name__)

# Ledger rows that one transaction writes: about half a second's worth, also after an outage with much to make up.
ROWS_LIMIT = 10_000
# How long a schedule that cannot be decided is left alone.
PUT_BACK = timedelta(minutes=5)


@dataclass(frozen=True, eq=False)
class Verdict:
    """What becomes of a schedule, and of all that are alike: rows of the ledger, then the cursor. `last_error` only for
    what is refused or put back.

    `ends_pause`: the schedule is active again, because its pause was to last until now. `passes_skip`: the instant that
    somebody wanted skipped is decided.
    """

    marks: tuple[Mark, ...]
    next_fire_at: datetime | None
    wake_at: datetime | None
    last_fire_at: datetime | None = None
    last_error: str | None = None
    is_exhausted: bool = False
    ends_pause: bool = False
    passes_skip: bool = False


class Step(NamedTuple):
    """What one schedule's batch does."""

    schedule_id: UUID
    verdict: Verdict


# All that a verdict depends on. Schedules that have it in common are decided together.
_ALIKE = """
    c.tenant_id, c.next_fire_at, s.target_kind, s.workflow_id, s.install_id, s.endpoint_id, s.trigger_type, s.run_at,
    s.cron, s.timezone, s.starts_at, s.ends_at, s.dst_gap, s.dst_repeat, s.overlap, s.catch_up, s.max_lateness_seconds,
    s.spread_seconds, s.status, s.invalid_reason, s.paused_by, s.pause_reason, s.paused_until, s.skip_next_at,
    s.skip_next_by
"""
# Read after the cursors are locked, in a statement of its own: only then is what it sees true until the commit.
# Deciding in the locking statement broke `skip` in 82 of 2,000 tries. Unfinished runs are counted in one pass for all:
# asked for each schedule, a planner that has only ever seen finished runs may read all unfinished ones each time.
# The ids of a group come in no order: for one, all that is due would be sorted by all that it depends on.
_DUE = text(f"""
    WITH unfinished AS MATERIALIZED (
        SELECT schedule_id, count(*) AS number FROM runs
        WHERE schedule_id = ANY(:ids) AND finished_at IS NULL AND backfill_id IS NULL AND NOT is_rehearsal
        GROUP BY schedule_id
    ), alike AS (
        SELECT array_agg(s.id) AS schedule_ids, {_ALIKE},
            CASE WHEN s.overlap = 'allow' THEN 0 ELSE coalesce(u.number, 0) END AS unfinished_runs,
            CASE WHEN s.spread_seconds > 0 THEN s.id END AS spread_by
        FROM schedule_cursors c
        JOIN schedules s ON s.id = c.schedule_id
        LEFT JOIN unfinished u ON u.schedule_id = c.schedule_id
        WHERE c.schedule_id = ANY(:ids)
        GROUP BY {_ALIKE}, unfinished_runs, spread_by
    )
    SELECT a.*, (SELECT u.name FROM users u WHERE u.id = a.skip_next_by) AS skip_next_by_name,
        w.name AS workflow_name, w.deleted_at IS NOT NULL AS workflow_deleted,
        w.paused_at IS NOT NULL AS workflow_paused, w.pause_reason AS workflow_pause_reason, w.published_version,
        x.name AS extension_name, e.method AS endpoint_method, e.path AS endpoint_path,
        e.version_id IS DISTINCT FROM i.version_id AS endpoint_stale, i.disabled_at IS NOT NULL AS install_disabled,
        i.disable_reason AS install_disable_reason, t.edition
    FROM alike a
    LEFT JOIN workflows w ON w.id = a.workflow_id
    LEFT JOIN installs i ON i.id = a.install_id
    LEFT JOIN extensions x ON x.id = i.extension_id
    LEFT JOIN extension_endpoints e ON e.id = a.endpoint_id
    JOIN tenants t ON t.id = a.tenant_id
    ORDER BY a.next_fire_at, a.schedule_ids
""")  # noqa: S608

# What lies before a schedule was made or changed is not owed.
_ACCOUNTED = text("""
    SELECT s.id, greatest(s.updated_at, (
        SELECT max(coalesce(o.through, o.scheduled_for)) FROM occurrences o
        WHERE o.schedule_id = s.id AND o.origin_key = 'timing'
    )) FROM schedules s WHERE s.id = ANY(:ids) ORDER BY s.id
""")


def due_steps(schedule_ids: Sequence[UUID], now: datetime, rows_limit: int = ROWS_LIMIT) -> list[Step]:
    """What becomes of these schedules, whose cursors the caller holds; of as many as fill `rows_limit` ledger rows, the
    most overdue first. One that cannot be computed is put back."""
    # Schedules that are due together share few patterns, and deciding is pure.
    decide_once = cache(decide)
    steps: list[Step] = []
    room = rows_limit
    found = db.session.execute(_DUE, {"ids": list(schedule_ids)}).all()
    for row in chain.from_iterable(map(_by_one_start, found)):
        verdict = _verdict(row, now, decide_once)
        rows = max(len(verdict.marks), 1)
        fitting = row.schedule_ids[: math.ceil(room / rows)] if verdict.marks else row.schedule_ids
        steps += [Step(schedule_id, verdict) for schedule_id in fitting]
        room -= len(fitting) * len(verdict.marks)
        if room <= 0:
            break
    return steps


def _by_one_start(row: Row[Any]) -> Sequence[Any]:
    """The schedules of a row, which all begin where their cursor stands.

    Unless that is no instant of theirs, because the rules of their zone have changed since it was set. Then each begins
    behind what it has accounted for: an instant that has moved before the cursor is not passed over.
    """
    try:
        timing = timing_of(row)
        if row.next_fire_at is None or timing.cron is None or timing.has(row.next_fire_at):
            return [row]
    except Exception:
        # Deciding meets it again, and puts the schedule back.
        return [row]
    apart = []
    for schedule_id, accounted_until in db.session.execute(_ACCOUNTED, {"ids": row.schedule_ids}).all():
        first = timing.next_after(accounted_until) or row.next_fire_at
        start = {"schedule_ids": [schedule_id], "next_fire_at": min(first, row.next_fire_at)}
        apart.append(SimpleNamespace(**{**row._mapping, **start}))
    return apart


def put_back(next_fire_at: datetime | None, now: datetime, error: str) -> Verdict:
    """Leave the schedule undecided and look again later, with the reason on its own record."""
    return Verdict((), next_fire_at, now + PUT_BACK, last_error=error)


def _verdict(row: Row[Any], now: datetime, decide_once: Callable[..., Decision]) -> Verdict:
    try:
        return _decided(row, now, decide_once)
    except Exception as error:
        ids = [str(schedule_id) for schedule_id in row.schedule_ids]
        log.exception("Schedules could not be decided and are put back", schedule_ids=ids)
        return put_back(row.next_fire_at, now, f"Its timing could not be computed: {error}")


def _decided(row: Row[Any], now: datetime, decide_once: Callable[..., Decision]) -> Verdict:
    ends_pause = row.status == PAUSED and row.paused_until is not None and row.paused_until <= now
    if not ends_pause and (row.status not in (ACTIVE, INVALID) or row.next_fire_at is None):
        return Verdict((), row.next_fire_at, row.paused_until)
    timing, first, marks = timing_of(row), row.next_fire_at, []
    if ends_pause and first is not None and first <= row.paused_until:
        marks += _pause(row, timing)
        first = timing.next_after(row.paused_until)
    offset = spread_offset(row.schedule_ids[0], row.spread_seconds)
    looked_at = now - offset
    policy = Policy(row.overlap, row.catch_up, row.max_lateness_seconds)
    decision = Decision((), None)
    if first is not None:
        asked = {"skip_at": row.skip_next_at}
        decision = decide_once(timing, first, looked_at, looked_at, policy, row.unfinished_runs, **asked)
    hold = hold_of(row)
    marks += _marks(row, decision.rows, hold)
    next_fire_at = decision.next_fire_at
    return Verdict(
        tuple(marks),
        next_fire_at,
        next_fire_at + offset if next_fire_at else None,
        max((mark.scheduled_for for mark in marks if mark.outcome == Outcome.FIRED), default=None),
        hold.detail if hold and decision.rows else None,
        is_exhausted=next_fire_at is None and (row.status == ACTIVE or ends_pause),
        ends_pause=ends_pause,
        passes_skip=row.skip_next_at is not None and (next_fire_at is None or row.skip_next_at < next_fire_at),
    )


def _pause(row: Row[Any], timing: Timing) -> list[Mark]:
    """The gap row of a pause that ends by itself: the instants up to its end, that one included."""
    gap = gap_row(timing, row.next_fire_at, row.paused_until, Reason.PAUSED)
    detail = pause_in_words(row.pause_reason)
    return [_mark(gap, gap.outcome, gap.reason, detail, actor_id=row.paused_by)] if gap else []


def _marks(row: Row[Any], ledger_rows: Sequence[LedgerRow], hold: Hold | None) -> list[Mark]:
    marks: list[Mark] = []
    is_free = row.unfinished_runs == 0
    for ledger_row in ledger_rows:
        outcome, reason = ledger_row.outcome, ledger_row.reason
        if reason == Reason.SKIP_NEXT:
            skipped_by = skip_in_words(row.skip_next_by_name)
            marks.append(_mark(ledger_row, outcome, reason, skipped_by, actor_id=row.skip_next_by))
            continue
        if hold and outcome in (Outcome.FIRED, Outcome.SKIPPED):
            marks.append(_mark(ledger_row, Outcome.REFUSED, hold.reason, hold.detail))
            continue
        is_fired = outcome == Outcome.FIRED
        is_ready = is_fired and (row.overlap == "allow" or is_free)
        detail = REASON_WORDS[reason] if reason else None
        marks.append(_mark(ledger_row, outcome, reason, detail, is_ready))
        is_free = is_free and not is_fired
    return marks


def _mark(
    ledger_row: LedgerRow,
    outcome: Outcome,
    reason: StrEnum | None,
    detail: str | None,
    is_ready: bool = False,
    actor_id: UUID | None = None,
) -> Mark:
    through, number = ledger_row.through, ledger_row.count
    why = str(reason) if reason else None
    return Mark(ledger_row.scheduled_for, str(outcome), why, detail, through, number, is_ready, actor_id)
