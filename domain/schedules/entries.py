"""The ledger as screens show it: each occurrence with what became of its run.

Runs stand to the right of schedules, so their table is read here by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Float, Uuid, and_, bindparam, case, cast, column, func, select, table, true, tuple_

from domain.kernel.db import db
from domain.schedules.occurrences import Occurrence
from domain.timing.outcomes import Outcome

BARS = 20
OUTCOMES = tuple(str(outcome) for outcome in Outcome)

_RUNS = table(
    "runs", column("id"), column("status"), column("error"), column("started_at"), column("finished_at"), schema=None
)


@dataclass(slots=True, unsafe_hash=True)
class LastEntry:
    """What lists show of a row of the ledger, with what became of its run; is not changed. `seconds`: how long the run took,
    None while it goes on."""

    scheduled_for: datetime
    outcome: str
    reason: str | None
    detail: str | None
    count: int
    run_id: UUID | None
    run_status: str | None
    seconds: float | None


@dataclass(slots=True)
class Entry(LastEntry):
    """All of one row of the ledger."""

    origin_key: str
    through: datetime | None
    decided_at: datetime
    run_error: str | None

    @property
    def is_by_hand(self) -> bool:
        return self.origin_key.startswith("run_now:")

    @property
    def is_backfilled(self) -> bool:
        return self.origin_key.startswith("backfill:")


def occurrences_page(
    tenant_id: UUID,
    schedule_id: UUID,
    outcome: str = "",
    before: tuple[datetime, str] | None = None,
    limit: int = 10,
) -> tuple[list[Entry], bool]:
    """The ledger of a schedule, newest instant first, and whether there is more.

    `before`: instant and origin of the last entry seen.
    """
    query = select(*_ENTRY).outerjoin(_RUNS, _has_run()).where(Occurrence.schedule_id == schedule_id)
    query = query.where(Occurrence.tenant_id == tenant_id)
    if outcome:
        query = query.where(Occurrence.outcome == outcome)
    if before is not None:
        query = query.where(tuple_(Occurrence.scheduled_for, Occurrence.origin_key) < tuple_(*before))
    query = query.order_by(Occurrence.scheduled_for.desc(), Occurrence.origin_key.desc()).limit(limit + 1)
    found = [Entry(*row) for row in db.session.execute(query)]
    return found[:limit], len(found) > limit


def last_entries(schedule_ids: Sequence[UUID]) -> dict[UUID, list[LastEntry]]:
    """The last BARS entries of each schedule, newest first, by walking the key of the ledger backwards for each."""
    if not schedule_ids:
        return {}
    found: dict[int, list[LastEntry]] = {}
    # Not as objects, and by their places: a list has a thousand of these rows.
    for place, *columns in db.session.connection().execute(_LAST_ENTRIES, {"ids": list(schedule_ids)}).all():
        found.setdefault(place, []).append(LastEntry(*columns))
    return {schedule_ids[place - 1]: entries for place, entries in found.items()}


def _last_entries() -> Any:
    ids = bindparam("ids", type_=ARRAY(Uuid))
    wanted = func.unnest(ids).table_valued(column("id", Uuid), with_ordinality="place", name="wanted").render_derived()
    ledger = Occurrence.__table__
    last = (
        select(ledger)
        .where(ledger.c.schedule_id == wanted.c.id)
        .order_by(ledger.c.scheduled_for.desc(), ledger.c.origin_key.desc())
        .limit(BARS)
        .lateral("last")
    )
    # Nothing is looked up for what did not fire.
    run = _RUNS.c.id == case((last.c.outcome == str(Outcome.FIRED), last.c.id))
    query = select(wanted.c.place, *_last_columns(last.c)).select_from(wanted).join(last, true())
    return query.outerjoin(_RUNS, run).order_by(last.c.scheduled_for.desc(), last.c.origin_key.desc())


def _has_run() -> Any:
    # A fired occurrence and its run share one id; asking only for those spares a look-up per gap.
    return and_(_RUNS.c.id == Occurrence.id, Occurrence.outcome == str(Outcome.FIRED))


def _last_columns(ledger: Any) -> tuple[Any, ...]:
    """What a LastEntry holds, in its order."""
    return (
        ledger.scheduled_for,
        ledger.outcome,
        ledger.reason,
        ledger.detail,
        ledger.count,
        _RUNS.c.id,
        _RUNS.c.status,
        cast(func.extract("epoch", _RUNS.c.finished_at - _RUNS.c.started_at), Float),
    )


_ENTRY = (
    *_last_columns(Occurrence),
    Occurrence.origin_key,
    Occurrence.through,
    Occurrence.decided_at,
    _RUNS.c.error.op("->>")("message"),
)
_LAST_ENTRIES = _last_entries()
