"""Executing runs.

What is promised: every instant of a schedule is decided exactly once; a fired one has exactly one run; a recorded step
is never executed again; a step with an outside effect is attempted at least once, always with the same idempotency key.

A worker claims a chunk of ready runs, executes each, and ends the chunk in one transaction that proves the claims. It
checks no limits and keeps no state of its own: what it holds is on paper in the rows, and what it holds on paper but
not in hand (a commit whose answer was lost, a database that went away) is given back with a heartbeat.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
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


@dataclass
class Worker:
    """One worker process: the claims it has in hand, whatever the database thinks."""

    id: UUID
    run_deadline_seconds: int
    held: set[tuple[UUID, int]] = field(default_factory=set)
    strays: set[tuple[UUID, int]] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def work(self, lane: str) -> bool:
        """Claim a chunk and execute it; whether there may be more to do at once."""
        chunk = CHUNKS[lane]
        with transaction():
            claims = claim_runs(lane, self.id, chunk, None, self.run_deadline_seconds)
            read_at = clock.monotonic()
        hit("worker.after_claim")
        if not claims:
            return False
        mine = {(claim.run_id, claim.epoch) for claim in claims}
        with self.lock:
            self.held |= mine
        at_zero = max(claim.claimed_at for claim in claims) - timedelta(seconds=read_at)
        try:
            begun = _execute(claims, self.id, at_zero)
        finally:
            with self.lock:
                self.held -= mine
        admitted = _admit_next(claims, at_zero)
        _wake_parents(claims)
        found = claims[0].found
        return begun < found or found == chunk or admitted > 0


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


def _execute(claims: Sequence[Claim], worker_id: UUID, at_zero: datetime) -> int:
    """Execute them one after the other; how many were begun. `at_zero`: the database's time when this process's monotonic
    clock stood at zero."""
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
            now = at_zero + timedelta(seconds=clock.monotonic())
            done = _run(claim, versions[claim.run_id], records.get(claim.run_id, ()), now)
        if done is not None:
            ended.append(done)
    _finish(ended, worker_id, at_zero)
    if rest := [(claim.run_id, claim.epoch) for claim in claims[begun:]]:
        transacted(lambda: give_back(rest, worker_id))
    return begun


def _definition(claim: Claim) -> CompiledDefinition:
    if claim.workflow_id is None or claim.workflow_version is None:
        return compiled_call(claim.run_id)
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


def _finish(ended: list[tuple[Ending, list[Row]]], worker_id: UUID, at_zero: datetime) -> None:
    """End the chunk together. One that the database refuses is halved until the bad run stands alone and fails."""
    if not ended:
        return
    hit("worker.before_finish")
    try:
        transacted(lambda: _record(ended, worker_id, at_zero))
    except (DBAPIError, ValueError, TypeError) as error:
        if isinstance(error, DBAPIError) and not is_about_values(error):
            raise
        if len(ended) > 1:
            middle = len(ended) // 2
            _finish(ended[:middle], worker_id, at_zero)
            _finish(ended[middle:], worker_id, at_zero)
            return
        failed = _unrecordable(ended[0][0], error)
        transacted(lambda: _record([(failed, [])], worker_id, at_zero))
    hit("worker.after_finish")


def _record(ended: list[tuple[Ending, list[Row]]], worker_id: UUID, at_zero: datetime) -> None:
    """In one transaction: prove the claims, record the steps still pending, end the runs."""
    now = at_zero + timedelta(seconds=clock.monotonic())
    finished = finish_runs([ending for ending, _ in ended], worker_id, now)
    count(CLAIMS_LOST, len(ended) - len(finished))
    insert_steps([row for ending, rows in ended if ending.run_id in finished for row in rows])
    hit("worker.before_final_commit")


def _unrecordable(ending: Ending, error: Exception) -> Ending:
    log.error("A run's result could not be recorded", run_id=str(ending.run_id), error=str(error))
    message = "What this run did cannot be recorded: the database refused its values."
    return Ending(ending.run_id, ending.epoch, FAILED, error=_error("InternalError", "UNRECORDABLE", message))


def _admit_next(claims: Sequence[Claim], at_zero: datetime) -> int:
    """The slots that these runs held are free: let the next ones in, instead of waiting for the scheduler's tick."""
    workflow_ids = sorted({claim.workflow_id for claim in claims if claim.workflow_id and claim.holds_place})
    callers = sorted({claim.tenant_id for claim in claims if claim.install_id})
    if not workflow_ids and not callers:
        return 0

    def admit() -> int:
        now = at_zero + timedelta(seconds=clock.monotonic())
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
