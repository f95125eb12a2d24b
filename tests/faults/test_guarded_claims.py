"""A run is its claimant's and nobody else's, for as long as it lives; and what would happen if that were not so."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial, partialmethod
from threading import Event
from uuid import UUID, uuid5

import pytest
from sqlalchemy import TextClause, text

from domain.kernel import clock, failpoints
from domain.kernel.db import transaction
from domain.runs import claims, heartbeats, reaping
from domain.runs.runs import EFFECT
from tests.faults.fleet import execute, scalar, wait_until
from tests.faults.guards import GUARDED, claim_without_looking, drop_constraints, without_sql
from tests.faults.inside import Inside
from tests.faults.invariants import check_invariants, counts, violations
from tests.races.together import WAITING_FOR_A_LOCK
from workers import process
from workers.process import Life
from workers.worker import WorkerLife


@GUARDED
def test_a_message_that_comes_again_after_the_end_finds_nothing_to_do(
    inside: Inside, is_guarded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_guarded:
        claim_without_looking(inside, monkeypatch)
    inside.seed_ready()
    worker = inside.worker()
    inside.dies("worker.after_finish", lambda: worker.work(EFFECT))
    assert inside.statuses() == {"succeeded": 1}
    inside.act(lambda: inside.worker().work(EFFECT))
    assert scalar(inside.app, "SELECT claim_epoch FROM runs") == (1 if is_guarded else 2)
    assert counts(inside.app) == [1, 1, 1]


@GUARDED
def test_of_two_workers_that_reach_for_a_run_at_the_same_moment_one_gets_it(
    inside: Inside, is_guarded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_guarded:
        without_sql(monkeypatch, claims, "FOR NO KEY UPDATE SKIP LOCKED")
    inside.seed_ready()
    workers = [inside.worker(), inside.worker()]
    has_claimed, may_commit = Event(), Event()

    def claim(worker: WorkerLife, *, is_first: bool) -> int:
        with inside.app.app_context(), transaction():
            found = claims.claim_runs(EFFECT, worker.life.id, 1, clock.database_now(), 600)
            if is_first:
                has_claimed.set()
                assert may_commit.wait(60)
            return len(found)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(claim, workers[0], is_first=True)
        assert has_claimed.wait(60)
        second = pool.submit(claim, workers[1], is_first=False)
        wait_until(lambda: second.done() or scalar(inside.app, WAITING_FOR_A_LOCK), "what the second one gets")
        may_commit.set()
        assert (first.result(60), second.result(60)) == (1, 0 if is_guarded else 1)
    assert scalar(inside.app, "SELECT claim_epoch FROM runs") == (1 if is_guarded else 2)


def hold_only(worker: WorkerLife) -> None:
    """The run is claimed, and its step has not come back when the time to stop is over."""
    with transaction():
        assert claims.claim_runs(EFFECT, worker.life.id, 1, clock.database_now(), 600)


@GUARDED
def test_a_worker_that_comes_back_after_its_lease_writes_nothing(
    inside: Inside, is_guarded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside.seed_ready()
    late, has_slept = inside.worker(), []

    def sleep(_action: str, _name: str) -> None:
        """The first one stands still between two steps until another one has ended its run."""
        if not has_slept:
            has_slept.append(True)
            inside.forget_leases()
            inside.go_on()
            assert inside.statuses() == {"succeeded": 1}

    monkeypatch.setattr(failpoints, "_act", sleep)
    failpoints.arm_failpoints("engine.after_step_commit=stop@1")
    if not is_guarded:
        proof = "AND claim_epoch = :epoch AND claimed_by = :worker_id AND status = 'running'"
        without_sql(monkeypatch, claims, proof)
        drop_constraints(inside, "run_steps", ["pk_run_steps"])
    inside.act(lambda: late.work(EFFECT))
    assert has_slept
    assert inside.statuses() == {"succeeded": 1}
    if is_guarded:
        assert counts(inside.app) == [1, 1, 1]
        check_invariants(inside.app)
    else:
        assert counts(inside.app) == [1, 2, 2]
        assert "a step recorded as done twice" in violations(inside.app)


@GUARDED
def test_a_worker_that_ends_says_so_and_what_it_holds_is_free_at_once(
    inside: Inside, is_guarded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_guarded:
        monkeypatch.setattr(process, "end_heartbeat", lambda _id: None)
    inside.seed_ready()
    worker = inside.worker()
    inside.act(partial(hold_only, worker))
    worker.life.end()
    inside.go_on()
    assert inside.statuses() == ({"succeeded": 1} if is_guarded else {"running": 1})


@GUARDED
def test_what_a_living_worker_holds_on_paper_only_is_given_back(
    inside: Inside, is_guarded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread broke, or Redis went away and what was to be tried again is nowhere: no message is needed."""
    if not is_guarded:
        monkeypatch.setattr("workers.worker.give_back_strays", lambda _worker: 0)
    inside.seed_ready()
    worker = inside.worker()
    inside.dies("worker.after_claim", lambda: worker.work(EFFECT))
    for _ in range(2):
        worker.life.beat()
        worker._give_back_strays()
    inside.go_on()
    assert inside.statuses() == ({"succeeded": 1} if is_guarded else {"running": 1})
    assert scalar(inside.app, "SELECT losses FROM runs") == 0


@GUARDED
def test_who_starts_in_place_of_a_dead_one_does_not_inherit_its_lease(
    inside: Inside, is_guarded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container is started again: the same host, and the same process id."""
    if not is_guarded:
        by_host = uuid5(UUID(int=0), "this host, process 1")
        monkeypatch.setattr(Life, "__init__", partialmethod(Life.__init__, id=by_host))
    inside.seed_ready()
    first = inside.worker()
    inside.dies("worker.after_claim", lambda: first.work(EFFECT))
    inside.forget_leases()
    second = inside.worker()
    assert (second.life.id == first.life.id) is not is_guarded
    inside.go_on()
    assert inside.statuses() == ({"succeeded": 1} if is_guarded else {"running": 1})


def beat_by_own_clock(seconds: int) -> TextClause:
    """A heartbeat of a process that counts by what it thinks it is, `seconds` beside the truth."""
    own = f"clock_timestamp() + interval '{seconds} s'"
    return text(heartbeats._BEAT.text.replace("clock_timestamp()", own))


@GUARDED
@pytest.mark.parametrize("seconds", [-120, 120])
def test_a_worker_whose_clock_is_wrong_holds_its_runs_as_long_as_the_others(
    inside: Inside, seconds: int, is_guarded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Leases are set and judged by the clock of the database; without that, who is slow would lose what it works on, and
    who is fast would keep what it has left."""
    inside.seed_ready()
    real = clock.now()
    monkeypatch.setattr(clock, "now", lambda: datetime.fromtimestamp(real.timestamp() + seconds, real.tzinfo))
    if not is_guarded:
        monkeypatch.setattr(heartbeats, "_BEAT", beat_by_own_clock(seconds))
    worker = inside.worker()
    inside.act(partial(hold_only, worker))
    lasts = "SELECT lease_until - clock_timestamp() BETWEEN interval '0' AND interval '1 minute' FROM heartbeats WHERE id = :id"
    assert scalar(inside.app, lasts, id=worker.life.id) is is_guarded
    inside.scheduler().reap()
    assert inside.statuses() == ({"running": 1} if is_guarded or seconds > 0 else {"queued": 1})


@GUARDED
def test_a_step_that_never_comes_back_does_not_keep_its_run_for_ever(
    inside: Inside, is_guarded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing can interrupt a call into C. The thread is gone for as long as it lasts; its run is not."""
    if not is_guarded:
        without_sql(monkeypatch, reaping, "r.deadline_at < :now OR")
    inside.seed_ready()
    worker = inside.worker()

    def never_return(_action: str, _name: str) -> None:
        execute(inside.app, "UPDATE runs SET deadline_at = clock_timestamp() - interval '1 s'")
        worker.life.beat()
        inside.scheduler().reap()
        assert inside.statuses() == ({"failed": 1} if is_guarded else {"running": 1})

    monkeypatch.setattr(failpoints, "_act", never_return)
    failpoints.arm_failpoints("engine.after_step_commit=stop@1")
    inside.act(lambda: worker.work(EFFECT))
    assert inside.statuses() == ({"failed": 1} if is_guarded else {"succeeded": 1})
    assert counts(inside.app) == ([1] if is_guarded else [1, 1, 1])
    if is_guarded:
        assert scalar(inside.app, "SELECT error ->> 'code' FROM runs") == "timed_out"
