"""What lets waiting runs go on. Each way is one compare-and-set on the wait, under the lock of its run.

In one transaction: lock the run, close its wait, complete the waiting step, make the run ready. The order of locks is
run, wait, task; whoever wants several runs takes them with ascending ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from domain.kernel import strict_json
from domain.kernel.clock import database_now
from domain.kernel.db import db, write_or_halve
from domain.kernel.failpoints import hit
from domain.kernel.log import logger
from domain.runs.announcing import announce_work
from domain.runs.filters import matches
from domain.runs.runs import SUCCEEDED, Run
from domain.runs.steps import FAILED as STEP_FAILED
from domain.runs.steps import SUCCEEDED as STEP_SUCCEEDED
from domain.runs.waits import CANCELED, OPEN, RESOLVED, RETRY, TIME, TIMED_OUT, Wait

log = logger(__name__)

BATCH = 500
# When to try a wait again that could not be closed.
PUT_BACK = timedelta(minutes=5)


@dataclass(frozen=True)
class _Closing:
    """How one wait ends: `output` or `error` of its step; neither for a retry, whose failed attempt stays as it is."""

    wait_id: UUID
    run_id: UUID
    status: str = RESOLVED
    output: Any = None
    error: dict[str, Any] | None = None
    event_id: UUID | None = None


# What is open or not finished is in small indexes of its own; in their order, whatever statistics say of how much there is.
_WAITING_NOW = text("""
    SELECT clock_timestamp() AS now,
        (SELECT min(due_at) FROM waits WHERE status = 'open' AND due_at IS NOT NULL) AS next_due_at,
        EXISTS (SELECT 1 FROM (
            SELECT 1 FROM waits WHERE status = 'open' AND kind = 'child' ORDER BY child_run_id LIMIT 1
        ) first) AS for_children,
        EXISTS (SELECT 1 FROM (
            SELECT 1 FROM runs WHERE finished_at IS NULL AND parent_run_id IS NOT NULL ORDER BY parent_run_id LIMIT 1
        ) first) AS has_children
""")
_DUE = text("""
    SELECT w.id, w.run_id, w.kind, w.event_name, w.due_at, s.step_path, s.input FROM waits w
    LEFT JOIN run_steps s ON s.run_id = w.run_id AND s.step_path = w.step_path AND s.iteration = w.iteration
        AND s.attempt = w.attempt
    WHERE w.status = 'open' AND w.due_at <= :now AND w.kind <> 'child' ORDER BY w.due_at, w.id LIMIT :limit
""")
_ENDED_CHILDREN = text("""
    SELECT w.id, w.run_id, w.step_path, c.id AS child_id, c.status, c.output, c.state, c.error, f.name
    FROM waits w JOIN runs c ON c.id = w.child_run_id JOIN workflows f ON f.id = c.workflow_id
    WHERE w.status = 'open' AND w.kind = 'child' AND c.finished_at IS NOT NULL AND coalesce(w.due_at <= :now, true)
    ORDER BY w.run_id LIMIT :limit
""")
_LOCK = text("SELECT id FROM runs WHERE id = ANY(:ids) AND status = 'waiting' ORDER BY id FOR NO KEY UPDATE")
_LOCK_FREE = text(f"{_LOCK.text} SKIP LOCKED")
_CLOSE = text("""
    UPDATE waits w SET status = c.status, closed_at = :now, event_id = coalesce(c.event_id, w.event_id)
    FROM unnest(CAST(:ids AS uuid[]), CAST(:statuses AS text[]), CAST(:event_ids AS uuid[])) AS c(id, status, event_id)
    WHERE w.id = c.id AND w.status = 'open'
    RETURNING w.id
""")
_COMPLETE = text("""
    UPDATE run_steps s SET status = c.status, output = CAST(c.output AS jsonb), error = CAST(c.error AS jsonb),
        finished_at = :now
    FROM unnest(CAST(:ids AS uuid[]), CAST(:statuses AS text[]), CAST(:outputs AS text[]), CAST(:errors AS text[]))
        AS c(id, status, output, error)
    JOIN waits w ON w.id = c.id
    WHERE s.run_id = w.run_id AND s.step_path = w.step_path AND s.iteration = w.iteration AND s.attempt = w.attempt
        AND s.status = 'waiting'
""")
_EXPIRE_TASKS = text("""
    UPDATE tasks SET status = :status, closed_at = :now, updated_at = :now
    WHERE wait_id = ANY(:ids) AND status = 'open'
""")
# A call gave its slot up when it began to wait: whether it may go on is admission's to say.
_MAKE_READY = text("""
    UPDATE runs SET status = 'queued', ready_at = CASE WHEN lane <> 'call' THEN CAST(:now AS timestamptz) END
    WHERE id = ANY(:ids) AND status = 'waiting'
""")
_PUT_BACK = text("UPDATE waits SET due_at = :later WHERE id = :id AND status = 'open'")


def resolve_wait(wait_id: UUID, output: Any, now: datetime, event_id: UUID | None = None) -> bool:
    """What was waited for is there: `output` becomes that of the step, and the run goes on. False when it was closed."""
    run_id = db.session.scalar(select(Wait.run_id).where(Wait.id == wait_id))
    return run_id is not None and bool(_close([_Closing(wait_id, run_id, output=output, event_id=event_id)], now))


def lock_correlation(tenant_id: UUID, name: str, correlation_key: str) -> None:
    """Until the transaction ends nobody else ingests an event of this name and correlation, or opens a wait for one.

    Taken before any run is locked.
    """
    key = func.hashtextextended(f"event {tenant_id} {name} {correlation_key}", 0)
    db.session.execute(select(func.pg_advisory_xact_lock(key)))


def resume_event_waits(
    tenant_id: UUID, event_id: UUID, name: str, correlation_key: str, payload: Any, now: datetime
) -> list[tuple[UUID, UUID]]:
    """Give an event to every run that waits for it; (workflow id, run id) of those that go on. The caller holds the
    correlation (`lock_correlation`)."""
    waits = db.session.execute(
        select(Wait.id, Wait.run_id, Wait.filters, Run.workflow_id)
        .join(Run, Run.id == Wait.run_id)
        .where(
            Wait.tenant_id == tenant_id,
            Wait.event_name == name,
            Wait.correlation_key == correlation_key,
            Wait.status == OPEN,
            Wait.kind == "event",
        )
    ).all()
    told = event_output(event_id, name, correlation_key, payload, now)
    fitting = {wait.id: wait for wait in waits if matches(wait.filters, payload)}
    closings = [_Closing(wait.id, wait.run_id, output=told, event_id=event_id) for wait in fitting.values()]
    closed = _close(closings, now)
    return [(fitting[wait_id].workflow_id, fitting[wait_id].run_id) for wait_id in closed]


def event_output(
    event_id: UUID, name: str, correlation_key: str, payload: Any, received_at: datetime
) -> dict[str, Any]:
    """What `event.wait` gives for an event."""
    return {
        "event": {
            "id": str(event_id),
            "name": name,
            "correlationKey": correlation_key,
            "payload": payload,
            "receivedAt": received_at.isoformat(),
        }
    }


@dataclass(frozen=True)
class Waiting:
    """What is waited for, by the database's clock: when the next wait ends by itself, whether any run waits `for_children`,
    and whether there are children that have not ended."""

    now: datetime
    next_due_at: datetime | None
    for_children: bool
    has_children: bool

    @property
    def is_due(self) -> bool:
        return self.next_due_at is not None and self.next_due_at <= self.now


def waiting_now() -> Waiting:
    """One statement: all that is asked while nothing is to be done."""
    return Waiting(*db.session.execute(_WAITING_NOW).one())


def wake_due(now: datetime) -> int:
    """End the waits whose time has come: a moment and a retry go on, everything else has timed out. How many."""
    due = db.session.execute(_DUE, {"now": now, "limit": BATCH}).all()
    return _close_each([_due_closing(row, now) for row in due], now)


def _due_closing(row: Any, now: datetime) -> _Closing:
    if row.kind == RETRY:
        return _Closing(row.id, row.run_id)
    if row.kind == TIME:
        return _Closing(row.id, row.run_id, output={**(row.input or {}), "resumedAt": now.isoformat()})
    message = f"No event {row.event_name} came in time." if row.event_name else "Nobody answered in time."
    return _Closing(row.id, row.run_id, TIMED_OUT, error=_error("TimeoutError", "WAIT_TIMED_OUT", message, row))


def wake_parents() -> int:
    """Let runs go on whose child run has ended; how many. A child that failed or was canceled fails the step."""
    now = database_now()
    ended = db.session.execute(_ENDED_CHILDREN, {"now": now, "limit": BATCH}).all()
    return _close_each([_child_closing(row) for row in ended], now)


def _child_closing(row: Any) -> _Closing:
    if row.status == SUCCEEDED:
        output = {"runId": str(row.child_id), "status": row.status, "output": row.output, "state": row.state}
        return _Closing(row.id, row.run_id, output=output)
    reason = (row.error or {}).get("message") or "it gives no reason"
    message, code = f"The run of {row.name} {row.status}: {reason}", f"CHILD_{row.status.upper()}"
    return _Closing(row.id, row.run_id, error=_error("ChildWorkflowError", code, message, row))


def cancel_wait_of(run_id: UUID, now: datetime) -> None:
    """Close what a run waits for because the run is canceled; the caller holds the run, and ends it."""
    wait_id = db.session.scalar(select(Wait.id).where(Wait.run_id == run_id, Wait.status == OPEN))
    if wait_id is None:
        return
    row = db.session.execute(select(Wait.step_path).where(Wait.id == wait_id)).one()
    error = _error("Canceled", "CANCELED", "Canceled while it waited.", row)
    _record_closings([_Closing(wait_id, run_id, CANCELED, error=error)], now)


def _close_each(closings: Sequence[_Closing], now: datetime) -> int:
    """Close those whose run is free, how many; one that the database refuses is put back and stops no other."""
    closed: list[UUID] = []

    def put_back(closing: _Closing, error: DBAPIError) -> None:
        log.error("A wait could not be closed and is put back", run_id=str(closing.run_id), error=str(error))
        db.session.execute(_PUT_BACK, {"id": closing.wait_id, "later": now + PUT_BACK})

    if closings:
        write_or_halve(closings, lambda some: closed.extend(_close(some, now, skip_locked=True)), put_back)
    return len(closed)


def _close(closings: Sequence[_Closing], now: datetime, *, skip_locked: bool = False) -> list[UUID]:
    """The ids of the waits that this call closed; their runs are ready."""
    if not closings:
        return []
    ids = sorted({closing.run_id for closing in closings})
    locked = set(db.session.scalars(_LOCK_FREE if skip_locked else _LOCK, {"ids": ids}))
    closed = _record_closings([closing for closing in closings if closing.run_id in locked], now)
    runs = [closing.run_id for closing in closings if closing.wait_id in closed]
    if runs:
        db.session.execute(_MAKE_READY, {"ids": runs, "now": now})
        announce_work()
        hit("wake.before_commit")
    return sorted(closed)


def _record_closings(closings: Sequence[_Closing], now: datetime) -> set[UUID]:
    if not closings:
        return set()
    closed = set(
        db.session.scalars(
            _CLOSE,
            {
                "now": now,
                "ids": [closing.wait_id for closing in closings],
                "statuses": [closing.status for closing in closings],
                "event_ids": [closing.event_id for closing in closings],
            },
        )
    )
    ended = [closing for closing in closings if closing.wait_id in closed]
    db.session.execute(
        _COMPLETE,
        {
            "now": now,
            "ids": [closing.wait_id for closing in ended],
            "statuses": [STEP_FAILED if closing.error else STEP_SUCCEEDED for closing in ended],
            "outputs": [strict_json.dumps(closing.output) for closing in ended],
            "errors": [strict_json.dumps(closing.error) if closing.error else None for closing in ended],
        },
    )
    for status, expired in ((TIMED_OUT, "expired"), (CANCELED, "canceled")):
        if ids := [closing.wait_id for closing in ended if closing.status == status]:
            db.session.execute(_EXPIRE_TASKS, {"ids": ids, "now": now, "status": expired})
    return closed


def _error(category: str, code: str, message: str, row: Any) -> dict[str, Any]:
    return {"category": category, "code": code, "message": message[:2_000], "nodePath": row.step_path}
