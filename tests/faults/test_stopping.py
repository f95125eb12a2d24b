"""Every kind of process that is told to stop ends soon, and answers, finishes or gives back what it holds."""

from __future__ import annotations

import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.faults.fleet import WORKER, Fleet, fleet_on, scalar, wait_until
from tests.faults.invariants import check_invariants, wait_for_all
from tests.faults.proxies import proxied
from tests.faults.seeds import counting_steps, seed_one_time_schedules, seed_workflow
from tests.runners import LocalRunner
from tests.workers.runner_asking import a_body, ask, handled
from workers import process, scheduler

# Hosts give a process 30 seconds between asking and killing. A machine under load gets as much again.
ENDS_SECONDS = 60
# A scheduler whose time to stop in is over sooner; how long it really is, the tests see apart.
HURRIED_SCHEDULER = [
    sys.executable,
    "-c",
    "from workers import process, scheduler;"
    " scheduler.STOP_SECONDS, process.LEAVE_SECONDS = 1.0, 1.0;"
    " scheduler.main()",
]


def heartbeats(fleet: Fleet, kind: str) -> int:
    found = scalar(fleet.app, "SELECT count(*) FROM heartbeats WHERE kind = :kind", kind=kind)
    return int(found)


@pytest.fixture
def fleet(fresh_env: dict[str, str]) -> Iterator[Fleet]:
    with fleet_on(fresh_env) as started:
        yield started


def test_a_scheduler_told_to_stop_in_the_middle_of_a_tick_commits_it(fleet: Fleet) -> None:
    workflow_id = seed_workflow(fleet.app, counting_steps(), is_pure=False)
    seed_one_time_schedules(fleet.app, workflow_id, 30, in_seconds=0)
    ticking = fleet.scheduler("tick.after_lock=sleep:2")
    wait_until(lambda: heartbeats(fleet, "scheduler"), "a scheduler")
    fleet.send(ticking, signal.SIGTERM)
    assert ticking.wait(ENDS_SECONDS) == 0
    assert heartbeats(fleet, "scheduler") == 0
    assert scalar(fleet.app, "SELECT count(*) FROM occurrences") in (0, 30)
    fleet.scheduler()
    fleet.worker()
    wait_for_all(fleet.app, 30)
    check_invariants(fleet.app)


def test_a_scheduler_does_not_wait_for_a_job_that_does_not_come_back(fleet: Fleet) -> None:
    workflow_id = seed_workflow(fleet.app, counting_steps(), is_pure=False)
    seed_one_time_schedules(fleet.app, workflow_id, 1, in_seconds=0)
    fleet.env["CARILLON_FAILPOINTS"] = "dispatch.before_send=sleep:600"
    stuck = fleet.start(HURRIED_SCHEDULER)
    wait_until(lambda: scalar(fleet.app, "SELECT count(*) FROM runs"), "a run that is to be announced")
    fleet.send(stuck, signal.SIGTERM)
    assert stuck.wait(ENDS_SECONDS) == 0
    assert heartbeats(fleet, "scheduler") == 0
    assert "ending without it" in fleet.log.read_text()


def test_a_scheduler_does_not_wait_for_a_database_that_says_nothing(fleet: Fleet) -> None:
    """Nor does anybody tell it that the connection is gone: no packet comes through any more."""
    with proxied(fleet.env) as (proxy, env), fleet_on(env) as cut_off:
        deaf = cut_off.start(HURRIED_SCHEDULER)
        wait_until(lambda: heartbeats(fleet, "scheduler"), "a scheduler")
        proxy.fall_silent()
        cut_off.send(deaf, signal.SIGTERM)
        assert deaf.wait(ENDS_SECONDS) == 0
        assert heartbeats(fleet, "scheduler") == 1, "the lease is left to run out"


def test_who_ends_a_scheduler_gives_it_the_time_it_takes_to_stop() -> None:
    assert scheduler.STOP_SECONDS + process.LEAVE_SECONDS <= 25


def test_what_a_worker_cannot_finish_in_time_is_gone_on_with_by_another_at_once(fleet: Fleet) -> None:
    workflow_id = seed_workflow(fleet.app, counting_steps(), is_pure=False)
    # It reaps only when the database has answered for one of its own leases.
    fleet.scheduler()
    fleet.env |= {"CARILLON_LEASE_SECONDS": "300"}
    slow = fleet.fork([*WORKER, "--worker-shutdown-timeout", "1000"], "engine.mid_step=sleep:600")
    fleet.await_processes(2)
    seed_one_time_schedules(fleet.app, workflow_id, 1, in_seconds=0)
    wait_until(lambda: scalar(fleet.app, "SELECT count(*) FROM runs WHERE status = 'running'"), "a run under way")
    fleet.send(slow, signal.SIGTERM)
    slow.wait(ENDS_SECONDS)
    assert heartbeats(fleet, "worker") == 0
    fleet.worker()
    # Far less than a lease: it was given up, and did not have to run out.
    wait_for_all(fleet.app, 1)
    check_invariants(fleet.app)


def test_a_web_server_told_to_stop_answers_what_it_was_asked(fleet: Fleet, fresh_database: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "app:create_app()", "--bind", f"127.0.0.1:{port}", "--workers", "1"]
    web = fleet.start(command)
    url = f"http://127.0.0.1:{port}"

    def is_up() -> bool:
        try:
            return httpx.get(f"{url}/sign-in", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    wait_until(is_up, "an answer")
    wait_until(lambda: heartbeats(fleet, "web") == 1, "the heartbeat of the web process")
    answers: list[Any] = []

    def ask() -> None:
        headers = {"Authorization": "Bearer carillon_nothing"}
        answers.append(httpx.get(f"{url}/api/schedules", headers=headers, trust_env=False, timeout=60).status_code)

    plain = fresh_database.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(plain) as holder:
        holder.execute("LOCK TABLE api_tokens IN ACCESS EXCLUSIVE MODE")
        asking = threading.Thread(target=ask)
        asking.start()
        waits = """
            SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name LIKE 'carillon-web%'
        """
        wait_until(lambda: scalar(fleet.app, waits), "a request that waits")
        fleet.send(web, signal.SIGTERM)
        wait_until(lambda: "Handling signal: term" in fleet.log.read_text(), "that it was told to stop")
    asking.join(60)
    assert answers == [401]
    web.wait(ENDS_SECONDS)
    assert heartbeats(fleet, "web") == 0
    timed = "SELECT sum(value) FROM metric_counts WHERE name = 'carillon_request_duration_seconds_count'"
    assert scalar(fleet.app, timed) >= 2


def test_a_runner_told_to_stop_answers_the_calls_it_has_begun() -> None:
    runner = LocalRunner().start()
    try:
        runner.script({"do": "delay", "seconds": 2})
        answers: list[int] = []

        def ask_it() -> None:
            answers.append(handled(ask(runner, a_body()))[0])

        asking = threading.Thread(target=ask_it)
        asking.start()
        wait_until(runner.calls, "a call under way")
        assert runner._process is not None
        runner._process.send_signal(signal.SIGTERM)
        asking.join(60)
        assert answers == [200]
        assert runner._process.wait(ENDS_SECONDS) == 0
    finally:
        runner.close()
