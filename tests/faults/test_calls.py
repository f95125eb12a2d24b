"""Calls of extensions by real processes through a real runner: killed, slowed down and lied to."""

from __future__ import annotations

import signal
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from domain.kernel.clock import database_now
from domain.kernel.db import transaction
from domain.runs.call_admission import admit_calls
from tests.faults.calls import know_runner, outcomes, seed_calls, seed_fires, seed_install
from tests.faults.fleet import Fleet, Process, execute, rows, scalar, wait_until
from tests.faults.invariants import check_invariants, wait_for_all
from tests.faults.seeds import PURE_STEPS, seed_runs, seed_workflow
from tests.runners import LocalRunner

TIMEOUT_SECONDS = 10
PATIENT_TIMEOUT_SECONDS = 60
# How much longer than its timeout a call may take on a machine that is busy; what dawdles does so for much longer.
BUSY_SECONDS = 20
# Until it is told to go on.
DAWDLING = {"do": "delay", "seconds": 3_600}
MOST_GROWTH_KB = 50_000


@pytest.fixture
def calling(fleet: Fleet, runner: LocalRunner) -> Fleet:
    """A fleet that knows the runner, and does not give it up because the machine is slow."""
    know_runner(fleet, runner, CARILLON_RUNNER_TIMEOUT_SECONDS=PATIENT_TIMEOUT_SECONDS)
    return fleet


def call_count(fleet: Fleet, status: str) -> int:
    found: int = scalar(fleet.app, "SELECT count(*) FROM invocations WHERE status = :status", status=status)
    return found


def test_a_fire_reaches_the_runner_from_end_to_end(calling: Fleet, runner: LocalRunner) -> None:
    calling.be_patient()
    calling.scheduler()
    calling.worker()
    [schedule_id] = seed_fires(calling.app, seed_install(calling.app), 1, {"full": True})
    wait_for_all(calling.app, 1)
    [call] = runner.calls()
    context = call["body"]["context"]
    assert call["executed"] and (context["trigger"], context["schedule_id"]) == ("schedule", str(schedule_id))
    [fired] = rows(calling.app, "SELECT id, scheduled_for FROM occurrences WHERE outcome = 'fired'")
    assert context["invocation_id"] == str(fired.id)
    assert datetime.fromisoformat(context["scheduled_for"]) == fired.scheduled_for
    assert outcomes(calling.app) == [("succeeded", None)]
    last = rows(calling.app, "SELECT last_run_status, last_error FROM schedule_cursors")
    assert [tuple(row) for row in last] == [("succeeded", None)]
    check_invariants(calling.app)


@pytest.mark.parametrize(
    "failpoint",
    [
        "engine.mid_step=kill9@1",
        "call.before_send=kill9@1",
        "call.after_answer=kill9@1",
        "engine.after_effect=kill9@1",
        "engine.before_step_commit=kill9@2",
        "worker.before_final_commit=kill9@1",
    ],
)
def test_a_worker_killed_in_a_call_leaves_one_effect(calling: Fleet, runner: LocalRunner, failpoint: str) -> None:
    calling.scheduler()
    doomed = calling.worker(failpoint)
    seed_fires(calling.app, seed_install(calling.app), 1, {"n": 1}, max_attempts=1)
    wait_until(lambda: doomed.poll() is not None, "the worker's death")
    calling.be_patient()
    calling.worker()
    wait_for_all(calling.app, 1)
    assert len(runner.effects()) == 1
    assert len({call["headers"]["x-idempotency-key"] for call in runner.calls()}) == 1
    assert call_count(calling, "started") == 0 and call_count(calling, "succeeded") >= 1
    check_invariants(calling.app)


def test_a_worker_killed_while_the_runner_works_leaves_one_effect(calling: Fleet, runner: LocalRunner) -> None:
    runner.script(DAWDLING | {"times": 1})
    calling.scheduler()
    doomed = calling.worker()
    seed_calls(calling.app, seed_install(calling.app), 1)
    wait_until(runner.effects, "the effect")
    calling.kill(doomed)
    calling.be_patient()
    calling.worker()
    wait_until(lambda: len(runner.calls()) == 2, "the same call again, while the first is still going")
    runner.script()
    wait_for_all(calling.app, 1)
    assert len(runner.effects()) == 1
    made = outcomes(calling.app)
    assert (made[0], made[-1]) == (("lost", "WORKER_LOST"), ("succeeded", None))
    check_invariants(calling.app)


def test_a_worker_stopped_past_its_lease_does_not_overwrite_what_the_next_one_recorded(
    calling: Fleet, runner: LocalRunner
) -> None:
    calling.scheduler()
    frozen = calling.worker("call.after_answer=stop@1")
    seed_calls(calling.app, seed_install(calling.app), 1)
    wait_until(lambda: call_count(calling, "lost"), "the reaper")
    calling.be_patient()
    calling.worker()
    wait_for_all(calling.app, 1)
    before = rows(calling.app, "SELECT * FROM invocations ORDER BY id")
    calling.send(frozen, signal.SIGCONT)
    wait_until(lambda: calling.said("claim was lost"), "the late worker's end")
    assert rows(calling.app, "SELECT * FROM invocations ORDER BY id") == before
    assert len(runner.effects()) == 1
    check_invariants(calling.app)


def test_a_worker_that_comes_back_before_it_has_called_does_not_call(calling: Fleet, runner: LocalRunner) -> None:
    calling.scheduler()
    frozen = calling.worker("engine.mid_step=stop@1")
    seed_calls(calling.app, seed_install(calling.app), 1)
    wait_until(lambda: scalar(calling.app, "SELECT claim_epoch FROM runs") >= 2, "the reaper")
    assert scalar(calling.app, "SELECT count(*) FROM run_steps") == 1
    calling.be_patient()
    calling.worker()
    wait_for_all(calling.app, 1)
    calling.send(frozen, signal.SIGCONT)
    wait_until(lambda: calling.said("claim was lost"), "the late worker's end")
    assert len(runner.calls()) == 1 and outcomes(calling.app) == [("succeeded", None)]


def test_a_worker_told_to_stop_waits_for_the_calls_it_has_begun(calling: Fleet, runner: LocalRunner) -> None:
    runner.script({"do": "delay", "seconds": 2})
    calling.be_patient()
    calling.scheduler()
    worker = calling.worker()
    seed_calls(calling.app, seed_install(calling.app), 10)
    wait_until(lambda: len(runner.calls()) >= 4, "as many calls as may go")
    calling.send(worker, signal.SIGTERM)
    assert worker.wait(60) == 0
    assert outcomes(calling.app) == [("succeeded", None)] * len(runner.calls())
    assert scalar(calling.app, "SELECT count(*) FROM runs WHERE status = 'running'") == 0
    assert scalar(calling.app, "SELECT coalesce(max(losses), 0) FROM runs") == 0
    runner.script()
    calling.worker()
    wait_for_all(calling.app, 10)


def test_slow_calls_hold_up_neither_workflows_nor_calls_of_another_tenant(calling: Fleet, runner: LocalRunner) -> None:
    slow, quick = seed_install(calling.app, "slow"), seed_install(calling.app, "quick")
    tenant_id = str(scalar(calling.app, "SELECT tenant_id FROM installs WHERE id = :id", id=slow))
    runner.script(DAWDLING | {"tenant": tenant_id})
    seed_calls(calling.app, slow, 12)
    calling.be_patient()
    calling.scheduler()
    calling.worker()
    wait_until(lambda: len(runner.calls()) >= 4, "slow calls under way")
    seed_calls(calling.app, quick, 10)
    # The worker of the fleet has four threads for workflows, as many as slow calls are going.
    seed_runs(calling.app, seed_workflow(calling.app, PURE_STEPS, is_pure=True), 20)
    ended = "SELECT count(*) FROM runs WHERE finished_at IS NOT NULL AND (install_id IS NULL OR install_id <> :slow)"
    wait_until(lambda: scalar(calling.app, ended, slow=slow) == 30, "everything that is not slow")
    left = "SELECT count(*) FROM runs WHERE finished_at IS NULL AND install_id = :slow"
    assert scalar(calling.app, left, slow=slow) == 12
    runner.script()
    wait_for_all(calling.app, 42)
    check_invariants(calling.app)


ENDED = "SELECT count(*) FROM runs WHERE schedule_id = ANY(:fires) AND finished_at IS NOT NULL"
MISBEHAVIOUR: list[tuple[dict[str, Any], str]] = [
    ({"do": "delay", "seconds": 3600}, "RUNNER_TIMEOUT"),
    ({"do": "drip", "seconds": 1, "executes": True}, "RUNNER_TIMEOUT"),
    ({"do": "drop"}, "RUNNER_UNREACHABLE"),
    ({"do": "truncated"}, "RUNNER_UNREACHABLE"),
    ({"do": "http", "status": 503}, "RUNNER_HTTP_ERROR"),
    ({"do": "http", "status": 302, "headers": {"location": "http://127.0.0.1:1/"}}, "RUNNER_REFUSED"),
    ({"do": "huge"}, "RUNNER_TOO_LARGE"),
    ({"do": "gzip_bomb"}, "RUNNER_NOT_JSON"),
    ({"do": "not_json"}, "RUNNER_NOT_JSON"),
    ({"do": "empty"}, "RUNNER_EMPTY"),
]


def memory_kb(process: Process) -> int:
    """What the whole process group of a worker has in memory."""
    total = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            stat, lines = status.with_name("stat").read_text(), status.read_text().splitlines()
        except OSError:
            continue
        if int(stat.rpartition(")")[2].split()[2]) == process.pid:
            total += sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
    return total


@pytest.mark.timeout(300)
def test_no_misbehaviour_harms_the_worker_and_each_has_its_reason_on_record(
    calling: Fleet, runner: LocalRunner
) -> None:
    calling.env["CARILLON_RUNNER_TIMEOUT_SECONDS"] = str(TIMEOUT_SECONDS)
    calling.be_patient()
    calling.scheduler()
    worker = calling.worker()
    install_id = seed_install(calling.app)
    seed_calls(calling.app, install_id, 1)
    wait_for_all(calling.app, 1)
    before = memory_kb(worker)
    assert before > 0
    for behaviour, code in MISBEHAVIOUR:
        runner.script(behaviour)
        # Each behaviour is tried four times at once, by calls that are not tried again.
        fires = seed_fires(calling.app, install_id, 4, max_attempts=1)
        wait_until(lambda fires=fires: scalar(calling.app, ENDED, fires=fires) == 4, f"calls that meet {behaviour}")
        told = rows(
            calling.app,
            "SELECT DISTINCT r.status, r.error ->> 'code', i.error_code, i.duration_ms < :most AS is_in_time"
            " FROM runs r JOIN invocations i ON i.run_id = r.id WHERE r.schedule_id = ANY(:fires)",
            fires=fires,
            most=(TIMEOUT_SECONDS + BUSY_SECONDS) * 1_000,
        )
        assert [tuple(row) for row in told] == [("failed", code, code, True)], behaviour
        # The circuit is not what is looked at here.
        execute(calling.app, "DELETE FROM install_circuits")
    assert memory_kb(worker) - before < MOST_GROWTH_KB
    runner.reset()
    seed_calls(calling.app, install_id, 4)
    succeeded = "SELECT count(*) FROM runs WHERE status = 'succeeded'"
    wait_until(lambda: scalar(calling.app, succeeded) == 5, "calls that go well again")
    assert worker.poll() is None and scalar(calling.app, "SELECT max(losses) FROM runs") == 0
    check_invariants(calling.app)


def test_a_runner_that_fails_twice_and_comes_back_is_called_again(calling: Fleet, runner: LocalRunner) -> None:
    runner.fail(2)
    calling.be_patient()
    calling.scheduler()
    calling.worker()
    seed_calls(calling.app, seed_install(calling.app), 1)
    wait_for_all(calling.app, 1)
    assert outcomes(calling.app) == [("failed", "RUNNER_HTTP_ERROR")] * 2 + [("succeeded", None)]
    assert len(runner.effects()) == 1


def test_calls_that_nobody_announces_are_found(calling: Fleet, runner: LocalRunner) -> None:
    """Redis may be away, or everybody who takes messages busy."""
    calling.worker()
    calling.await_processes(1)
    seed_calls(calling.app, seed_install(calling.app), 3)
    with calling.app.app_context(), transaction():
        assert admit_calls(database_now()) == 3
    wait_for_all(calling.app, 3)
    assert len(runner.effects()) == 3
