"""Executing runs.

What is promised: every instant of a schedule is decided exactly once; a fired one has exactly one run; a recorded step
is never executed again; a step with an outside effect is attempted at least once, always with the same idempotency key.

A worker claims a chunk of ready runs, executes each, and ends the chunk in one transaction that proves the claims. It
checks no limits and keeps no state of its own: what it holds is on paper in the rows, and what it holds on paper but
not in hand (a commit whose answer was lost, a database that went away) is given back with a heartbeat.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from domain.engine.compiled import CompiledDefinition, compiled_version
from domain.engine.endpoint_calls import compiled_call
from domain.engine.failures import Canceled
from domain.engine.interpreter import interpret
from domain.engine.step_log import StepLog
from domain.engine.step_store import Record, Row, insert_steps, recorded_steps
from domain.kernel import clock
from domain.kernel.db import is_about_values, transacted, transaction
from domain.kernel.errors import LostClaim
from domain.kernel.failpoints import hit
from domain.kernel.log import log_context, logger
from domain.kernel.metrics import CLAIMS_LOST, count
from domain.runs.admission import admit_waiting, workflows_with_waiting
from domain.runs.call_admission import admit_calls
from domain.runs.claims import Claim, Ending, claim_runs, claims_of, finish_runs, give_back, release_claims
from domain.runs.runs import CALL, CANCELED, EFFECT, FAILED, PURE, WAITING
from domain.runs.waking import wake_parents

log = logger(__name__)

# Runs per claim. Pure ones are short and end together; one with an effect may take long and stands alone.
CHUNKS = {PURE: 200, EFFECT: 1, CALL: 1}
# A chunk that takes longer ends what is done so far, and gives back what was not begun.
END_AFTER_SECONDS = 2.0


@dataclass(frozen=True)
class Chunk:
    """Runs that were claimed together, at most `size`; none when nothing was ready. `claimed_at`: by the monotonic clock of
    this process."""

    claims: Sequence[Claim]
    claimed_at: float
    size: int

    @property
    def now(self) -> datetime:
        """The database's time."""
        return self.claims[-1].claimed_at + timedelta(seconds=clock.monotonic() - self.claimed_at)

    @property
    def is_full(self) -> bool:
        """Whether there may have been more that were ready."""
        return self.claims[0].found == self.size


@dataclass
class Worker:
    """One worker process: the claims it has in hand, whatever the database thinks."""

    id: UUID
    run_deadline_seconds: int
    held: set[tuple[UUID, int]] = field(default_factory=set)
    strays: set[tuple[UUID, int]] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def work(self, lane: str, goes_on: Callable[[], bool] = lambda: False) -> bool:
        """Claim a chunk and execute it, and the next while `goes_on()`; whether there may be more to do at once.

        A full chunk ends in the transaction that claims the next: of the three of a run with an effect two remain.
        """
        chunk: Chunk | None = self._claim(lane)
        has_more = False
        while chunk and chunk.claims:
            chunk, has_more = self._done(chunk, lambda: self._claim(lane) if goes_on() else None)
            if has_more and goes_on():
                chunk = self._claim(lane)
                has_more = bool(chunk.claims)
        return has_more

    def _claim(self, lane: str) -> Chunk:
        with transaction():
            claims = claim_runs(lane, self.id, CHUNKS[lane], None, self.run_deadline_seconds)
            return Chunk(claims, clock.monotonic(), CHUNKS[lane])

    @contextmanager
    def _holding(self, chunk: Chunk | None) -> Iterator[None]:
        mine = {(claim.run_id, claim.epoch) for claim in chunk.claims} if chunk else set()
        with self.lock:
            self.held |= mine
        try:
            yield
        finally:
            with self.lock:
                self.held -= mine

    def _done(self, chunk: Chunk, claim_next: Callable[[], Chunk | None]) -> tuple[Chunk | None, bool]:
        """Execute a chunk. The next one if it was claimed with its end, else None and whether there may be one."""
        hit("worker.after_claim")
        with self._holding(chunk):
            begun, following = _execute(chunk, self.id, claim_next)
        with self._holding(following):
            admitted = _admit_next(chunk, following)
            _wake_parents(chunk.claims)
        if following and (following.claims or not admitted):
            return following, False
        return None, begun < chunk.claims[0].found or chunk.is_full or admitted > 0


def give_back_strays(worker: Worker) -> int:
    """Make runs ready again that are claimed for this process on paper but not in its hands for two beats in a row."""
    on_paper = claims_of(worker.id)
    with worker.lock:
        strays = on_paper - worker.held
        lasting, worker.strays = strays & worker.strays, strays
    if not lasting:
        return 0
    log.warning("Claims without a holder are given back", runs=len(lasting))
    return release_claims(lasting, worker.id)


def _execute(chunk: Chunk, worker_id: UUID, claim_next: Callable[[], Chunk | None]) -> tuple[int, Chunk | None]:
    """Execute its runs one after the other; how many were begun, and the next chunk if it was claimed with their end."""
    claims = chunk.claims
    with transaction():
        versions = {claim.run_id: _definition(claim) for claim in claims}
        records = recorded_steps([claim.run_id for claim in claims if claim.epoch > 1])
    ended: list[tuple[Ending, list[Row]]] = []
    until = clock.monotonic() + END_AFTER_SECONDS
    begun = 0
    while begun < len(claims) and (begun == 0 or clock.monotonic() < until):
        claim = claims[begun]
        begun += 1
        with log_context(run_id=claim.run_id, tenant_id=claim.tenant_id, workflow_id=claim.workflow_id,
                         schedule_id=claim.schedule_id):  # fmt: skip
            done = _run(claim, versions[claim.run_id], records.get(claim.run_id, ()), chunk.now)
        if done is not None:
            ended.append(done)
    rest = [(claim.run_id, claim.epoch) for claim in claims[begun:]]
    following = _finish(ended, worker_id, chunk, claim_next if chunk.is_full and not rest else None)
    if rest:
        transacted(lambda: give_back(rest, worker_id))
    return begun, following


def _definition(claim: Claim) -> CompiledDefinition:
    if claim.workflow_id is None or claim.workflow_version is None:
        assert claim.called is not None, "what runs no workflow calls an endpoint"  # noqa: S101
        return compiled_call(claim.called)
    return compiled_version(claim.workflow_id, claim.workflow_version)


def _run(
    claim: Claim, version: CompiledDefinition, records: Iterable[Record], now: datetime
) -> tuple[Ending, list[Row]] | None:
    """How the run ended and the steps not yet recorded; None when it waits, or another process has taken it over."""
    step_log = StepLog(claim, records, now, is_pure=version.is_pure)
    try:
        if claim.cancel_requested:
            raise Canceled
        result = interpret(version, claim, step_log)
        if result.status == WAITING:
            return None
        ending = Ending(claim.run_id, claim.epoch, result.status, result.output, result.state, result.error)
    except Canceled:
        ending = Ending(claim.run_id, claim.epoch, CANCELED, error=_error("Canceled", "CANCELED", "Canceled as asked."))
    except LostClaim:
        count(CLAIMS_LOST)
        log.warning("The claim was lost; another worker goes on with this run")
        return None
    except Exception as error:
        if isinstance(error, SQLAlchemyError) and not is_about_values(error):
            raise
        log.exception("A run broke the engine")
        message = f"The engine broke: {type(error).__name__}: {error}"
        ending = Ending(claim.run_id, claim.epoch, FAILED, error=_error("InternalError", "INTERNAL", message))
    if ending.status == FAILED:
        log.warning("A run failed", error=(ending.error or {}).get("message"))
    return replace(ending, has_schedule=claim.schedule_id is not None), step_log.pending_rows()


def _finish(
    ended: list[tuple[Ending, list[Row]]], worker_id: UUID, chunk: Chunk, claim_next: Callable[[], Chunk | None] | None
) -> Chunk | None:
    """End the chunk together, and claim the next one with it. One that the database refuses is halved until the bad run
    stands alone and fails."""
    if not ended:
        return None
    hit("worker.before_finish")

    def end() -> Chunk | None:
        _record(ended, worker_id, chunk.now)
        following = claim_next() if claim_next else None
        hit("worker.before_final_commit")
        return following

    following = None
    try:
        following = transacted(end)
    except (DBAPIError, ValueError, TypeError) as error:
        if isinstance(error, DBAPIError) and not is_about_values(error):
            raise
        if len(ended) > 1:
            middle = len(ended) // 2
            _finish(ended[:middle], worker_id, chunk, None)
            _finish(ended[middle:], worker_id, chunk, None)
            return None
        failed = _unrecordable(ended[0][0], error)
        transacted(lambda: _record([(failed, [])], worker_id, chunk.now))
    hit("worker.after_finish")
    return following


def _record(ended: list[tuple[Ending, list[Row]]], worker_id: UUID, now: datetime) -> None:
    """In one transaction: prove the claims, record the steps still pending, end the runs."""
    finished = finish_runs([ending for ending, _ in ended], worker_id, now)
    count(CLAIMS_LOST, len(ended) - len(finished))
    insert_steps([row for ending, rows in ended if ending.run_id in finished for row in rows])


def _unrecordable(ending: Ending, error: Exception) -> Ending:
    log.error("A run's result could not be recorded", run_id=str(ending.run_id), error=str(error))
    message = "What this run did cannot be recorded: the database refused its values."
    return Ending(ending.run_id, ending.epoch, FAILED, error=_error("InternalError", "UNRECORDABLE", message))


def _admit_next(chunk: Chunk, following: Chunk | None) -> int:
    """The slots that these runs held are free: let the next ones in, instead of waiting for the scheduler's tick.

    While calls of the same install are ready that were admitted before, none of it waits for a slot but for a thread.
    """
    ready = {claim.install_id for claim in following.claims} if following else set()
    workflow_ids = sorted({claim.workflow_id for claim in chunk.claims if claim.workflow_id and claim.holds_place})
    callers = sorted({claim.tenant_id for claim in chunk.claims if claim.install_id and claim.install_id not in ready})
    if not workflow_ids and not callers:
        return 0

    def admit() -> int:
        now = chunk.now
        admitted = admit_calls(now, callers) if callers else 0
        waiting = workflows_with_waiting(workflow_ids) if workflow_ids else []
        return admitted + (admit_waiting(now, waiting) if waiting else 0)

    return transacted(admit)


def _wake_parents(claims: Sequence[Claim]) -> None:
    """Runs that waited for these go on at once, instead of at the scheduler's next look."""
    if any(claim.is_child for claim in claims):
        transacted(wake_parents)


def _error(category: str, code: str, message: str) -> dict[str, Any]:
    return {"category": category, "code": code, "message": message, "nodePath": None}
