"""Writing down calls of extensions: before each is sent, when it has ended, and when nobody will know how."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, func, insert, text, update

from domain.kernel.db import db
from domain.kernel.log import logger
from domain.runs.counting import count_call
from domain.runs.invocations import LOST, STARTED, Invocation

log = logger(__name__)

LOST_CODE = "WORKER_LOST"


@dataclass(frozen=True)
class Outcome:
    """How a call ended: columns of `Invocation`. What is text in it is redacted."""

    status: str
    error_code: str | None = None
    error: str | None = None
    http_status: int | None = None
    endpoint_status: int | None = None
    duration_ms: int | None = None
    response_excerpt: str | None = None


_HELD = text("""
    SELECT r.install_id, r.schedule_id, r.actor_id, r.trigger_metadata, clock_timestamp() AS now FROM runs r
    JOIN run_steps s ON s.run_id = r.id AND s.step_path = :step_path AND s.iteration = :iteration
        AND s.attempt = :attempt AND s.status = 'started' AND s.claim_epoch = r.claim_epoch
    WHERE r.id = :run_id AND r.status = 'running'
    FOR NO KEY UPDATE OF r
""")
# Of the table and not of the class: the session is not asked to keep objects up to date that nobody has.
_TABLE: Any = Invocation.__table__
_BEGIN = insert(_TABLE)
_END = (
    update(_TABLE)
    .where(_TABLE.c.id == bindparam("invocation_id"), _TABLE.c.status == STARTED)
    .values(finished_at=func.clock_timestamp())
    .returning(_TABLE.c.finished_at)
)
_LOSE = text("""
    UPDATE invocations SET status = :lost, error_code = :code, error = :error, finished_at = :now
    WHERE run_id = ANY(:run_ids) AND status = 'started'
    RETURNING id, run_id, schedule_id, install_id, extension_id, version_id, content_hash, started_at
""")


def held_run(run_id: UUID, step_path: str, iteration: str, attempt: int) -> Any | None:
    """The run of a call (install_id, schedule_id, actor_id, trigger_metadata), locked, and the time (now); None when
    whoever began this attempt does not hold it any more. So nobody begins a call after the run was taken from him."""
    place = {"run_id": run_id, "step_path": step_path, "iteration": iteration, "attempt": attempt}
    return db.session.execute(_HELD, place).one_or_none()


def begin_invocation(columns: dict[str, Any], now: datetime, outcome: Outcome | None = None) -> None:
    """Write a call down, as sent from `now` on, or with the `outcome` that kept it from being sent."""
    ended: dict[str, Any] = {"status": STARTED} if outcome is None else asdict(outcome) | {"finished_at": now}
    db.session.execute(_BEGIN, columns | {"started_at": now} | ended)
    if outcome:
        count_call(outcome.error_code or outcome.status, outcome.duration_ms)


def end_invocation(invocation_id: UUID, outcome: Outcome) -> datetime | None:
    """Give a started call its outcome; when it ended, None when its run was taken away meanwhile, and the call is on record
    as lost."""
    ended: datetime | None = db.session.execute(_END, asdict(outcome) | {"invocation_id": invocation_id}).scalar()
    if ended:
        count_call(outcome.error_code or outcome.status, outcome.duration_ms)
    return ended


def lose_invocations(run_ids: Collection[UUID], now: datetime) -> int:
    """The calls that a worker had begun for these runs when it was lost: nobody knows what they did. How many."""
    if not run_ids:
        return 0
    message = "The worker was lost before the answer was on record. It may have had its effect."
    values = {"run_ids": list(run_ids), "now": now, "lost": LOST, "code": LOST_CODE, "error": message}
    lost = db.session.execute(_LOSE, values).all()
    for row in lost:
        count_call(LOST)
        log.warning(
            "A call of an extension was lost with its worker",
            status=LOST,
            error=message,
            invocation_id=str(row.id),
            run_id=str(row.run_id),
            schedule_id=str(row.schedule_id) if row.schedule_id else None,
            install_id=str(row.install_id),
            registry_id=str(row.extension_id),
            version_id=str(row.version_id),
            content_hash=row.content_hash,
            started_at=row.started_at.isoformat(),
            finished_at=now.isoformat(),
        )
    return len(lost)
