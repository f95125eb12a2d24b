"""What each death would break if what guards against it were not there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from domain import execution
from domain.firing import tick
from domain.kernel import failpoints
from domain.kernel.db import db
from domain.runs import claims, reaping
from domain.runs.runs import EFFECT, PURE
from tests.faults.fleet import execute, scalar
from tests.faults.guards import GUARDED, drop_constraints, without_sql
from tests.faults.inside import Inside
from tests.faults.invariants import check_invariants, counts, violations
from tests.faults.seeds import counting_steps, seed_runs, seed_workflow
from workers import reaper
from workers import scheduler as scheduling


def mark_instead_of_locking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who takes a due schedule says so in a commit of its own."""

    def mark(name: str) -> None:
        if name == "tick.after_lock":
            db.session.execute(text("UPDATE schedule_cursors SET wake_at = NULL"))
            db.session.commit()
        failpoints.hit(name)

    monkeypatch.setattr(tick, "hit", mark)


def move_cursors_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cursors move in a commit of their own, before the ledger is written."""

    def apart(steps: Any, write: Callable[[Any], None], _put_back: Any) -> None:
        tick._advance(steps)
        db.session.commit()
        write(steps)

    monkeypatch.setattr(tick, "write_or_halve", apart)


@GUARDED
@pytest.mark.parametrize(
    ("failpoint", "unguard", "broken"),
    [
        ("tick.after_lock", mark_instead_of_locking, "an active schedule that nobody looks at"),
        ("tick.before_commit", move_cursors_first, "an instant that nobody decided"),
    ],
)
def test_what_a_scheduler_had_in_hand_when_it_died_is_decided_once_by_another(
    inside: Inside, failpoint: str, unguard: Any, broken: str, is_guarded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_guarded:
        unguard(monkeypatch)
    inside.seed_due(5)
    inside.dies(failpoint, inside.scheduler().tick)
    inside.go_on()
    if is_guarded:
        check_invariants(inside.app)
        assert inside.statuses() == {"succeeded": 5}
    else:
        assert broken in violations(inside.app)
        assert inside.statuses() == {}


@GUARDED
@pytest.mark.parametrize("failpoint", ["worker.after_claim", "engine.mid_step", "worker.before_final_commit"])
def test_what_a_worker_had_claimed_when_it_died_is_taken_from_it(
    inside: Inside, failpoint: str, is_guarded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_guarded:
        monkeypatch.setattr(reaper, "reap_lost", lambda _now: 0)
    inside.seed_ready()
    inside.dies(failpoint, lambda worker=inside.worker(): worker.work(EFFECT))
    assert inside.statuses() == {"running": 1}
    inside.forget_leases()
    inside.go_on()
    if is_guarded:
        assert inside.statuses() == {"succeeded": 1}
        assert counts(inside.app) == [1, 1, 1]
    else:
        assert inside.statuses() == {"running": 1}
        execute(inside.app, "UPDATE runs SET started_at = started_at - interval '1 hour'")
        execute(inside.app, "UPDATE heartbeats SET lease_until = lease_until - interval '1 hour'")
        assert violations(inside.app).keys() == {"a run whose process has been gone for ten minutes"}


@GUARDED
def test_the_steps_a_dead_worker_recorded_are_not_done_again(
    inside: Inside, is_guarded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_guarded:
        monkeypatch.setattr(execution, "recorded_steps", lambda _run_ids: {})
        drop_constraints(inside, "run_steps", ["pk_run_steps"])
    inside.seed_ready()
    inside.dies("engine.after_step_commit@2", lambda worker=inside.worker(): worker.work(EFFECT))
    inside.forget_leases()
    inside.go_on()
    assert inside.statuses() == {"succeeded": 1}
    if is_guarded:
        assert counts(inside.app) == [1, 1, 1]
        check_invariants(inside.app)
    else:
        assert counts(inside.app) == [2, 2, 1]
        assert "a step recorded as done twice" in violations(inside.app)


@GUARDED
def test_a_run_that_kills_its_workers_ends(inside: Inside, is_guarded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not is_guarded:
        monkeypatch.setattr(reaping, "LOSSES_LIMIT", 1_000_000)
    inside.seed_ready()
    deaths = 0
    while deaths < 8 and inside.statuses() == {"queued": 1}:
        inside.dies("engine.mid_step", lambda worker=inside.worker(): worker.work(EFFECT))
        inside.forget_leases()
        inside.scheduler().reap()
        deaths += 1
    assert deaths == (3 if is_guarded else 8)
    assert inside.statuses() == ({"failed": 1} if is_guarded else {"queued": 1})


@GUARDED
def test_a_run_that_kills_its_workers_takes_no_other_one_down(
    inside: Inside, is_guarded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_guarded:
        without_sql(monkeypatch, claims, "losses = first_losses AND losses < 2 AND (losses = 0 OR place <= :few) AND ")
    inside.seed_ready(4, is_pure=True)
    deadly = scalar(inside.app, "SELECT id FROM runs ORDER BY id LIMIT 1")
    carry_out = execution._run

    def run_or_die(claim: Any, *given: Any) -> Any:
        if claim.run_id == deadly:
            failpoints.hit("engine.mid_step")
        return carry_out(claim, *given)

    monkeypatch.setattr(execution, "_run", run_or_die)
    for _ in range(3):
        inside.dies("engine.mid_step", lambda worker=inside.worker(): worker.work(PURE))
        inside.forget_leases()
        inside.scheduler().reap()
    inside.go_on()
    assert inside.statuses() == ({"failed": 1, "succeeded": 3} if is_guarded else {"failed": 4})


@GUARDED
def test_the_place_of_a_run_is_taken_although_its_worker_died_before_it_let_the_next_one_in(
    inside: Inside, is_guarded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed_runs(inside.app, seed_workflow(inside.app, counting_steps(1), is_pure=False, limit=1), 2)
    inside.scheduler().dispatch()
    inside.dies("worker.after_finish", lambda worker=inside.worker(): worker.work(EFFECT))
    assert inside.statuses() == {"queued": 1, "succeeded": 1}
    if not is_guarded:
        monkeypatch.setattr(scheduling, "admit_waiting", lambda _now: 0)
    inside.go_on()
    assert inside.statuses() == ({"succeeded": 2} if is_guarded else {"queued": 1, "succeeded": 1})
