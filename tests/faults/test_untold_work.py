"""Ready work that nobody announces, because no scheduler is left or Redis is away: a worker finds it by itself."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from domain.kernel.db import db, transaction
from domain.runs import admission
from domain.runs.runs import EFFECT, PURE
from tests.faults.fleet import execute, wait_until
from tests.faults.guards import GUARDED
from tests.faults.inside import Inside
from tests.faults.invariants import check_invariants, counts
from workers.worker import FINDERS, UNTOLD_SECONDS

RUNS = 12


@GUARDED
def test_what_a_dead_scheduler_has_not_announced_is_found(inside_alone: Inside, is_guarded: bool) -> None:
    inside_alone.seed_due(RUNS)
    inside_alone.dies("tick.after_commit", inside_alone.scheduler().tick)
    worker = inside_alone.worker()
    if is_guarded:
        worker.finders.start()
        wait_until(lambda: inside_alone.statuses() == {"succeeded": RUNS}, "runs that nobody announced")
        assert worker.finders.drain(30) == 0
        assert counts(inside_alone.app) == [RUNS, RUNS, RUNS]
        check_invariants(inside_alone.app)
    else:
        time.sleep(UNTOLD_SECONDS + 2)
        assert inside_alone.statuses() == {"queued": RUNS}


def test_pure_runs_are_found_in_chunks(inside_alone: Inside) -> None:
    inside_alone.seed_ready(RUNS, is_pure=True)
    worker = inside_alone.worker()
    execute(inside_alone.app, "UPDATE runs SET ready_at = ready_at - interval '1 minute'")
    assert worker._untold() == 1
    worker._work_untold()
    assert inside_alone.statuses() == {"succeeded": RUNS}


def test_one_thread_takes_what_is_pure_and_the_others_leave_it(inside_alone: Inside) -> None:
    inside_alone.seed_ready(RUNS, is_pure=True)
    worker = inside_alone.worker()
    with worker._pure_turn:
        worker._work_untold()
        assert inside_alone.statuses() == {"queued": RUNS}
    worker._work_untold()
    assert inside_alone.statuses() == {"succeeded": RUNS}


def test_what_may_still_be_announced_is_left_to_who_is_told(
    inside_alone: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside_alone.seed_ready(RUNS)
    worker = inside_alone.worker()
    execute(inside_alone.app, "UPDATE runs SET ready_at = clock_timestamp() - interval '1 minute'")
    for lane, found in ((EFFECT, FINDERS), (PURE, 1)):
        execute(inside_alone.app, f"UPDATE runs SET lane = '{lane}'")
        monkeypatch.setattr("workers.worker.UNTOLD_SECONDS", 3600)
        assert worker._untold() == 0
        monkeypatch.setattr("workers.worker.UNTOLD_SECONDS", 30)
        assert worker._untold() == found


@pytest.mark.parametrize(("threads", "found"), [(1, 0), (2, 2)], ids=["all are busy", "one is free"])
def test_nobody_looks_while_all_threads_were_told(inside_alone: Inside, threads: int, found: int) -> None:
    """A long run in one thread does not keep the others' work from being found."""
    inside_alone.seed_ready(2)
    execute(inside_alone.app, "UPDATE runs SET ready_at = ready_at - interval '1 minute'")
    worker = inside_alone.worker()
    worker.config = replace(worker.config, worker_threads=threads)
    seen: list[int] = []
    claim = worker.worker.work

    def look_and_claim(lane: str, goes_on: Any) -> bool:
        seen.append(worker._untold())
        return claim(lane, goes_on)

    worker.worker.work = look_and_claim  # type: ignore[method-assign]
    inside_alone.act(lambda: worker.work(EFFECT))
    assert seen[0] == found
    assert worker._told == 0 and inside_alone.statuses() == {"succeeded": 2}


def test_what_is_ready_but_fresh_is_not_read(inside_alone: Inside) -> None:
    """A herd has thousands of those. An instant that changes while a statement runs would be no condition of an index."""
    with inside_alone.app.app_context(), transaction():
        asked = {"lane": PURE, "most": 1, "seconds": UNTOLD_SECONDS}
        db.session.execute(text("SET LOCAL enable_seqscan = off"))
        plan = "\n".join(db.session.scalars(text(f"EXPLAIN {admission._READY_IN.text}"), asked))
    conditions = [line for line in plan.splitlines() if "Index Cond:" in line]
    assert "ix_runs_ready" in plan and any("ready_at <=" in line for line in conditions), plan
