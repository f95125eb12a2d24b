"""The rows of new schedules: each with its cursor and its line in the audit log, and ten thousand in as many statements as
one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from operator import itemgetter
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from domain.accounts.audit import Actor, AuditEntry, change_rows
from domain.firing.closing import next_of
from domain.kernel.ids import new_id, new_ids
from domain.kernel.inserting import insert_one, insert_rows
from domain.schedules.cursors import ScheduleCursor, spread_offset
from domain.schedules.schedules import ACTIVE, PAUSED, Schedule, named_apart, snapshot

_TIMING = ("trigger_type", "run_at", "cron", "timezone", "starts_at", "ends_at", "dst_gap", "dst_repeat")
_timing_of = itemgetter(*_TIMING)
# What nobody has said anything about yet.
_UNSAID = dict.fromkeys(column.key for column in Schedule.__table__.columns)


def write_schedule(
    actor: Actor, columns: Mapping[str, Any], now: datetime, enabled: bool = True
) -> tuple[Schedule, ScheduleCursor]:
    """A new schedule with these columns, which `checked_columns` and a target gave, and its cursor, as they are stored.

    The caller holds its target. Raises Refused when somebody has taken its name or its external key.
    """
    row = _row(actor, new_id(), columns, {"status": ACTIVE} if enabled else _paused(actor, now))
    cursor = _cursor(row, next_of(SimpleNamespace(**row), now))
    with named_apart(row["name"], row["external_key"]):
        schedule = insert_one(Schedule, row, (ScheduleCursor, [cursor]), (AuditEntry, _audited(actor, [row])))
    return schedule, ScheduleCursor(**cursor)


def create_paused_schedules(actor: Actor, wanted: Sequence[Mapping[str, Any]], now: datetime) -> list[UUID]:
    """Paused schedules with these columns, which `checked_columns` and a target gave; their ids, in this order.

    The caller holds their targets. Raises IntegrityError when somebody has taken a name or an external key meanwhile.
    """
    paused = _paused(actor, now)
    rows = [_row(actor, one, columns, paused) for one, columns in zip(new_ids(len(wanted)), wanted, strict=True)]
    if rows:
        first_of = cache(lambda *timing: next_of(SimpleNamespace(**dict(zip(_TIMING, timing, strict=True))), now))
        cursors = [_cursor(row, first_of(*_timing_of(row))) for row in rows]
        insert_rows((Schedule, rows), (ScheduleCursor, cursors), (AuditEntry, _audited(actor, rows)))
    return [row["id"] for row in rows]


def _row(actor: Actor, schedule_id: UUID, columns: Mapping[str, Any], standing: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": schedule_id, "tenant_id": actor.tenant_id, "created_by": actor.user_id, **standing, **columns}


def _paused(actor: Actor, now: datetime) -> dict[str, Any]:
    return {"status": PAUSED, "paused_at": now, "paused_by": actor.user_id}


def _cursor(row: Mapping[str, Any], due: datetime | None) -> dict[str, Any]:
    """There is nothing on record that it has to be behind of. That of a paused schedule knows what would be due, and is not
    looked at."""
    wake_at = due + spread_offset(row["id"], row["spread_seconds"]) if due and row["status"] == ACTIVE else None
    return {"schedule_id": row["id"], "tenant_id": row["tenant_id"], "next_fire_at": due, "wake_at": wake_at}


def _audited(actor: Actor, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    made = [(row["id"], row["name"], snapshot(SimpleNamespace(**{**_UNSAID, **row}))) for row in rows]
    return change_rows(actor, "schedule.created", Schedule, made)
