"""`kill -9` and SIGSTOP of workers: every run ends, and what is on record is not done again."""

from __future__ import annotations

import os
import signal

import pytest

from domain.execution import CHUNKS
from domain.runs.runs import PURE
from tests.faults.fleet import Fleet, rows, scalar, wait_until
from tests.faults.invariants import check_invariants, counts, wait_for_all
from tests.faults.seeds import PURE_STEPS, counting_steps, seed_one_time_schedules, seed_workflow


@pytest.mark.parametrize(
    "failpoint",
    [
        "worker.after_message=kill9@2",
        "worker.after_claim=kill9@2",
        "engine.mid_step=kill9@4",
        "engine.before_step_commit=kill9@5",
        "engine.after_step_commit=kill9@5",
        "worker.before_finish=kill9@2",
        "worker.before_final_commit=kill9@2",
        "worker.after_finish=kill9@2",
    ],
)
def test_a_worker_killed_in_a_run_or_between_steps_repeats_nothing(fleet: Fleet, failpoint: str) -> None:
    workflow_id = seed_workflow(fleet.app, counting_steps(), is_pure=False)
    fleet.scheduler()
    doomed = fleet.worker(failpoint)
    fleet.await_processes(2)
    seed_one_time_schedules(fleet.app, workflow_id, 12, in_seconds=1)
    wait_until(lambda: doomed.poll() is not None, "the worker's death")
    fleet.worker()
    wait_for_all(fleet.app, 12)
    assert counts(fleet.app) == [12, 12, 12]
    assert scalar(fleet.app, "SELECT count(*) FROM run_steps") == 36
    check_invariants(fleet.app)


def test_a_worker_killed_in_a_chunk_of_pure_runs_leaves_all_of_them_to_the_next(fleet: Fleet) -> None:
    workflow_id = seed_workflow(fleet.app, PURE_STEPS, is_pure=True)
    fleet.scheduler()
    doomed = fleet.worker("worker.before_final_commit=kill9@2")
    fleet.await_processes(2)
    seed_one_time_schedules(fleet.app, workflow_id, 2 * CHUNKS[PURE], in_seconds=1)
    wait_until(lambda: doomed.poll() is not None, "the worker's death")
    fleet.worker()
    wait_for_all(fleet.app, 2 * CHUNKS[PURE])
    assert scalar(fleet.app, "SELECT count(*) FROM run_steps") == 6 * CHUNKS[PURE]
    check_invariants(fleet.app)


def test_a_worker_stopped_past_its_lease_and_continued_writes_nothing(fleet: Fleet) -> None:
    workflow_id = seed_workflow(fleet.app, counting_steps(), is_pure=False)
    fleet.scheduler()
    frozen = fleet.worker("engine.mid_step=stop@2")
    fleet.await_processes(2)
    seed_one_time_schedules(fleet.app, workflow_id, 1, in_seconds=0)
    wait_until(lambda: scalar(fleet.app, "SELECT claim_epoch FROM runs") == 2, "the reaper")
    fleet.be_patient()
    fleet.worker()
    wait_for_all(fleet.app, 1)
    recorded = rows(fleet.app, "SELECT step_path, claim_epoch FROM run_steps ORDER BY position")
    fleet.send(frozen, signal.SIGCONT)
    # It stood still in the middle of a transaction, which the database has ended.
    wait_until(lambda: fleet.said("what is claimed is given back"), "the late worker's end")
    assert rows(fleet.app, "SELECT step_path, claim_epoch FROM run_steps ORDER BY position") == recorded
    assert [row.claim_epoch for row in recorded] == [1, 3, 3]
    assert counts(fleet.app) == [1, 1, 1]
    check_invariants(fleet.app)


def test_workers_end_with_a_master_that_is_killed(fleet: Fleet) -> None:
    """Nobody could stop them any more, and beside those of the next master there would be twice as many as wanted."""
    workflow_id = seed_workflow(fleet.app, counting_steps(), is_pure=False)
    fleet.be_patient()
    fleet.scheduler()
    orphaned = fleet.worker("engine.mid_step=sleep:0.2")
    fleet.await_processes(2)
    seed_one_time_schedules(fleet.app, workflow_id, 12, in_seconds=0)
    wait_until(lambda: scalar(fleet.app, "SELECT count(*) FROM runs WHERE status = 'running'"), "a run under way")
    os.kill(orphaned.pid, signal.SIGKILL)
    assert orphaned.wait(60) == -9
    workers = "SELECT count(*) FROM heartbeats WHERE kind = 'worker'"
    wait_until(lambda: scalar(fleet.app, workers) == 0, "the end of the worker whose master was killed", 30)
    fleet.worker()
    wait_for_all(fleet.app, 12)
    wait_until(lambda: scalar(fleet.app, workers) == 1, "the worker that takes its place")
    assert scalar(fleet.app, "SELECT coalesce(max(losses), 0) FROM runs") == 0
    assert counts(fleet.app) == [12, 12, 12]
    check_invariants(fleet.app)


def test_a_run_whose_workers_die_three_times_without_progress_fails_visibly(fleet: Fleet) -> None:
    workflow_id = seed_workflow(fleet.app, counting_steps(), is_pure=False)
    fleet.scheduler()
    seed_one_time_schedules(fleet.app, workflow_id, 1, in_seconds=0)
    for _ in range(3):
        doomed = fleet.worker("engine.mid_step=kill9@1")
        wait_until(lambda doomed=doomed: doomed.poll() is not None, "the worker's death")
    wait_for_all(fleet.app, 1, "failed")
    assert scalar(fleet.app, "SELECT error ->> 'code' FROM runs") == "worker_lost"
    assert scalar(fleet.app, "SELECT last_run_status FROM schedule_cursors") == "failed"
    assert counts(fleet.app) == []


def test_a_worker_told_to_stop_finishes_what_it_holds(fleet: Fleet) -> None:
    workflow_id = seed_workflow(fleet.app, counting_steps(), is_pure=False)
    fleet.be_patient()
    fleet.scheduler()
    worker = fleet.worker("engine.mid_step=sleep:0.3")
    fleet.await_processes(2)
    seed_one_time_schedules(fleet.app, workflow_id, 30, in_seconds=0)
    wait_until(lambda: scalar(fleet.app, "SELECT count(*) FROM runs WHERE status = 'running'"), "a run under way")
    # Hosts signal every process, and the master forwards the signal: the second one must not mean "kill".
    fleet.send(worker, signal.SIGTERM)
    assert worker.wait(60) == 0
    assert scalar(fleet.app, "SELECT count(*) FROM runs WHERE status = 'running'") == 0
    assert scalar(fleet.app, "SELECT coalesce(max(losses), 0) FROM runs") == 0
    fleet.worker()
    wait_for_all(fleet.app, 30)
    assert counts(fleet.app) == [30, 30, 30]
