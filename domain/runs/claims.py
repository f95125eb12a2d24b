"""Who may work on a run: claims, their proof, and the end of a run.

A claim raises the run's `claim_epoch` and names the worker process; the lease is that process's heartbeat row. Every
later transaction proves (worker, epoch) first. Whoever lost the claim gets LostClaim and can write nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from domain.kernel import strict_json
from domain.kernel.clock import database_now
from domain.kernel.db import db
from domain.kernel.errors import LostClaim
from domain.runs.called import CALLED
from domain.runs.counting import count_ended
from domain.runs.invoking import lose_invocations
from domain.runs.runs import FAILED, SUCCEEDED

# What the inputs of one chunk may take together, as stored: in memory they take several times as much.
CHUNK_BYTES = 2_000_000
# How many runs are claimed together that were lost once.
FEW = 20

_CLAIM = text(f"""
    WITH moment AS MATERIALIZED (
        SELECT coalesce(CAST(:now AS timestamptz), clock_timestamp()) AS now
    ), longest AS (
        SELECT id, losses, ready_at, pg_column_size(input_json) AS bytes FROM runs
        WHERE lane = :lane AND status = 'queued' AND ready_at IS NOT NULL
        ORDER BY ready_at, id LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
    ), placed AS (
        SELECT id, losses, row_number() OVER line AS place, first_value(losses) OVER line AS first_losses,
            sum(bytes) OVER line AS bytes, count(*) OVER () AS found
        FROM longest WINDOW line AS (ORDER BY ready_at, id)
    ), picked AS (
        SELECT id, found FROM placed
        WHERE place = 1 OR (losses = first_losses AND losses < 2 AND (losses = 0 OR place <= :few) AND bytes <= :most_bytes)
    )
    UPDATE runs r
    SET status = 'running', claimed_by = :worker_id, claim_epoch = r.claim_epoch + 1,
        started_at = coalesce(r.started_at, moment.now),
        deadline_at = coalesce(r.deadline_at, moment.now + CAST(:deadline AS interval))
    FROM picked, moment WHERE r.id = picked.id
    RETURNING r.id AS run_id, r.tenant_id, r.workflow_id, r.workflow_version, r.schedule_id,
        r.claimed_by AS worker_id, r.claim_epoch AS epoch, r.input_json, r.trigger_metadata, r.started_at,
        r.cancel_requested_at IS NOT NULL AS cancel_requested,
        coalesce(CAST(:now AS timestamptz), clock_timestamp()) AS claimed_at, r.losses, r.install_id, picked.found,
        r.backfill_id IS NOT NULL
        OR EXISTS (SELECT 1 FROM workflows w WHERE w.id = r.workflow_id AND w.concurrency_limit IS NOT NULL)
        OR EXISTS (SELECT 1 FROM schedules s WHERE s.id = r.schedule_id AND s.overlap = 'queue') AS holds_place,
        {CALLED} AS called
""")  # noqa: S608

_PROVE = text("""
    SELECT cancel_requested_at IS NOT NULL AS cancel_requested FROM runs
    WHERE id = :run_id AND claim_epoch = :epoch AND claimed_by = :worker_id AND status = 'running'
    FOR NO KEY UPDATE
""")

_NOTE_PROGRESS = text("UPDATE runs SET losses = 0 WHERE id = :run_id AND losses > 0")

_PROVE_ALL = text("""
    SELECT r.id FROM runs r
    JOIN unnest(CAST(:ids AS uuid[]), CAST(:epochs AS integer[])) AS mine(id, epoch)
      ON r.id = mine.id AND r.claim_epoch = mine.epoch
    WHERE r.claimed_by = :worker_id AND r.status = 'running'
    ORDER BY r.id FOR NO KEY UPDATE OF r
""")

_LOCK_CURSORS = text("""
    SELECT c.schedule_id FROM schedule_cursors c
    WHERE c.schedule_id IN (SELECT schedule_id FROM runs WHERE id = ANY(:run_ids) AND schedule_id IS NOT NULL)
    ORDER BY c.schedule_id FOR NO KEY UPDATE
""")

_END = text("""
    UPDATE runs r
    SET status = e.status, finished_at = :now, claimed_by = NULL, state = coalesce(e.state, r.state),
        output = CAST(e.output AS jsonb), error = CAST(e.error AS jsonb)
    FROM unnest(CAST(:ids AS uuid[]), CAST(:epochs AS integer[]), CAST(:statuses AS text[]), CAST(:states AS text[]),
                CAST(:outputs AS text[]), CAST(:errors AS text[])) AS e(id, epoch, status, state, output, error)
    WHERE r.id = e.id AND r.finished_at IS NULL AND (CAST(:worker_id AS uuid) IS NULL
        OR (r.claimed_by = :worker_id AND r.claim_epoch = e.epoch AND r.status = 'running'))
    RETURNING r.id, r.schedule_id, r.status, r.error ->> 'message' AS message,
        r.backfill_id IS NOT NULL OR r.is_rehearsal AS is_aside, r.target_kind,
        extract(epoch FROM r.finished_at - r.started_at) AS seconds
""")

_NOTE_ON_CURSORS = text("""
    UPDATE schedule_cursors c
    SET last_finished_at = :now, last_run_status = f.status,
        last_run_at = CASE WHEN f.succeeded THEN :now ELSE c.last_run_at END,
        last_error = CASE WHEN f.status = 'succeeded' THEN NULL ELSE coalesce(f.message, c.last_error) END
    FROM unnest(CAST(:ids AS uuid[]), CAST(:statuses AS text[]), CAST(:succeeded AS boolean[]),
                CAST(:messages AS text[])) AS f(schedule_id, status, succeeded, message)
    WHERE c.schedule_id = f.schedule_id
""")

_CLAIMS_OF = text("SELECT id, claim_epoch FROM runs WHERE claimed_by = :worker_id AND status = 'running'")

_RELEASE = text("""
    UPDATE runs SET status = 'queued', claimed_by = NULL, claim_epoch = claim_epoch + 1 WHERE id = ANY(:ids)
""")

_GIVE_BACK = text("""
    UPDATE runs
    SET status = 'queued', claimed_by = NULL, claim_epoch = claim_epoch + 1, deadline_at = NULL,
        started_at = CASE WHEN claim_epoch > 1 THEN started_at END
    WHERE id = ANY(:ids)
""")


@dataclass(frozen=True)
class Claim:
    """A run that this process may work on, with all that executing it needs. `workflow_id` and `workflow_version`: None
    when it calls an endpoint of `install_id`."""

    run_id: UUID
    tenant_id: UUID
    workflow_id: UUID | None
    workflow_version: int | None
    schedule_id: UUID | None
    worker_id: UUID
    epoch: int
    input_json: Any
    trigger_metadata: dict[str, Any] | None
    started_at: datetime
    cancel_requested: bool
    claimed_at: datetime
    losses: int = 0
    install_id: UUID | None = None
    # Of how many ready runs it was one when it was claimed, counted up to the size of a chunk.
    found: int = 1
    # Whether another run of its workflow may be waiting for the place that it takes.
    holds_place: bool = True
    # What it calls when it is one of an endpoint: extension (its id), method, path, attempts (None: as usual).
    called: dict[str, Any] | None = None

    @property
    def is_child(self) -> bool:
        """Whether a step of another run waits for this one."""
        return "parentRunId" in (self.trigger_metadata or {})


@dataclass(frozen=True)
class Ending:
    """How a run ended. `error`: {category, message, code, nodePath} of a failed one, else None. `has_schedule`: False
    when whoever ends it knows that no schedule waits to hear of it."""

    run_id: UUID
    epoch: int
    status: str
    output: Any = None
    state: str | None = None
    error: dict[str, Any] | None = None
    has_schedule: bool = True


def claim_runs(lane: str, worker_id: UUID, limit: int, now: datetime | None, run_deadline_seconds: int) -> list[Claim]:
    """Take up to `limit` ready runs of the lane for this process, the longest ready first; fewer with large inputs. Without
    `now` the database's clock is read by the same statement.

    Runs that were lost once are claimed in small chunks, and one that was lost twice alone: if it is what ends its
    workers, it takes no other run down with it.
    """
    rows = db.session.execute(
        _CLAIM,
        {
            "most_bytes": CHUNK_BYTES,
            "few": FEW,
            "lane": lane,
            "worker_id": worker_id,
            "limit": limit,
            "now": now,
            "deadline": timedelta(seconds=run_deadline_seconds),
        },
    )
    return sorted((Claim(*row) for row in rows), key=lambda claim: claim.run_id)


def prove_claim(run_id: UUID, worker_id: UUID, epoch: int) -> bool:
    """The first statement of every transaction that writes for a run: locks it, or raises LostClaim.

    Returns whether somebody asked to cancel the run.
    """
    asked = {"run_id": run_id, "epoch": epoch, "worker_id": worker_id}
    row = db.session.execute(_PROVE, asked).one_or_none()
    if row is None:
        raise LostClaim
    return bool(row.cancel_requested)


def note_progress(run_id: UUID) -> None:
    """A step is done: earlier losses of its run no longer count. The caller has proven the claim."""
    db.session.execute(_NOTE_PROGRESS, {"run_id": run_id})


def proven_claims(claims: Iterable[tuple[UUID, int]], worker_id: UUID) -> set[UUID]:
    """The runs among (run id, epoch) that this process still holds, locked in ascending order."""
    pairs = sorted(claims)
    rows = db.session.execute(
        _PROVE_ALL,
        {"ids": [run_id for run_id, _ in pairs], "epochs": [epoch for _, epoch in pairs], "worker_id": worker_id},
    )
    return {row.id for row in rows}


def finish_runs(endings: Sequence[Ending], worker_id: UUID, now: datetime) -> set[UUID]:
    """End the runs this process still holds and bring their schedules' cursors up to date; returns their ids."""
    if not endings:
        return set()
    if scheduled := [ending.run_id for ending in endings if ending.has_schedule]:
        lock_cursors_of(scheduled)
    if len(endings) > 1:
        # In the order that everybody keeps; what ends them proves each once more.
        proven_claims([(ending.run_id, ending.epoch) for ending in endings], worker_id)
    return end_runs(endings, now, worker_id)


def lock_cursors_of(run_ids: Sequence[UUID]) -> None:
    """Take the cursors of the runs' schedules before the runs themselves: the order that everybody keeps."""
    db.session.execute(_LOCK_CURSORS, {"run_ids": list(run_ids)}).all()


def end_runs(endings: Sequence[Ending], now: datetime, worker_id: UUID | None = None) -> set[UUID]:
    """End those of the runs that have not ended and that `worker_id` still holds; None: whoever holds them. The caller
    has locked them when they are more than one."""
    if not endings:
        return set()
    ended = db.session.execute(
        _END,
        {
            "now": now,
            "worker_id": worker_id,
            "ids": [ending.run_id for ending in endings],
            "epochs": [ending.epoch for ending in endings],
            "statuses": [ending.status for ending in endings],
            "states": [ending.state for ending in endings],
            "outputs": [_json(ending.output) for ending in endings],
            "errors": [_json(ending.error) for ending in endings],
        },
    ).all()
    count_ended(ended)
    # Backfills and rehearsals say nothing of how the schedule does today.
    _note_on_cursors([row for row in ended if row.schedule_id is not None and not row.is_aside], now)
    return {row.id for row in ended}


def _note_on_cursors(ended: Sequence[Any], now: datetime) -> None:
    """`last_run_at` is the last success; the other columns tell of the latest run of any outcome."""
    latest = {row.schedule_id: row for row in sorted(ended, key=lambda row: row.id)}
    succeeded = {row.schedule_id for row in ended if row.status == SUCCEEDED}
    if not latest:
        return
    rows = list(latest.values())
    db.session.execute(
        _NOTE_ON_CURSORS,
        {
            "now": now,
            "ids": [row.schedule_id for row in rows],
            "statuses": [row.status for row in rows],
            "succeeded": [row.schedule_id in succeeded for row in rows],
            "messages": [row.message if row.status == FAILED else None for row in rows],
        },
    )


def claims_of(worker_id: UUID) -> set[tuple[UUID, int]]:
    """(run id, epoch) of everything the database thinks this process is working on."""
    rows = db.session.execute(_CLAIMS_OF, {"worker_id": worker_id})
    return {(row.id, row.claim_epoch) for row in rows}


def release_claims(claims: Iterable[tuple[UUID, int]], worker_id: UUID) -> int:
    """Give runs back that this process holds on paper only; they are ready again and continue after their last record,
    and calls that were under way are on record as lost."""
    held = proven_claims(claims, worker_id)
    db.session.execute(_RELEASE, {"ids": sorted(held)})
    lose_invocations(held, database_now())
    return len(held)


def give_back(claims: Iterable[tuple[UUID, int]], worker_id: UUID) -> None:
    """Make runs ready again that this process claimed and did not begin, as if nobody had claimed them."""
    held = proven_claims(claims, worker_id)
    db.session.execute(_GIVE_BACK, {"ids": sorted(held)})


def _json(value: Any) -> str | None:
    return None if value is None else strict_json.dumps(value)
