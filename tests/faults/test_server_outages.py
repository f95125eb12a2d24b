"""Redis emptied or away, PostgreSQL restarted or crashed in the middle: nothing is lost, nothing happens twice."""

from __future__ import annotations

import signal
import time

import pytest
import redis

from tests.faults.fleet import Fleet, scalar, wait_until
from tests.faults.invariants import check_invariants, counts, wait_for_all
from tests.faults.seeds import PURE_STEPS, counting_steps, seed_one_time_schedules, seed_workflow
from tests.servers import Servers


def test_redis_emptied_with_runs_queued_loses_nothing(private_servers: Servers, private_fleet: Fleet) -> None:
    fleet = private_fleet
    workflow_id = seed_workflow(fleet.app, counting_steps(), is_pure=False)
    fleet.scheduler()
    fleet.await_processes(1)
    seed_one_time_schedules(fleet.app, workflow_id, 60, in_seconds=0)
    wait_until(lambda: scalar(fleet.app, "SELECT count(*) FROM runs WHERE ready_at IS NOT NULL") == 60, "ready runs")
    private_servers.valkey.prove()
    with redis.Redis.from_url(fleet.env["REDIS_URL"]) as connection:
        wait_until(lambda: connection.llen("carillon:effect"), "messages")
        connection.flushall()
    fleet.worker()
    wait_for_all(fleet.app, 60)
    assert counts(fleet.app) == [60, 60, 60]
    check_invariants(fleet.app)


def test_redis_away_delays_runs_by_moments_and_no_decision(private_servers: Servers, private_fleet: Fleet) -> None:
    fleet = private_fleet
    workflow_id = seed_workflow(fleet.app, counting_steps(), is_pure=False)
    fleet.scheduler()
    fleet.worker()
    fleet.await_processes(2)
    seed_one_time_schedules(fleet.app, workflow_id, 60, in_seconds=0, over_seconds=12)
    wait_until(lambda: scalar(fleet.app, "SELECT count(*) FROM run_steps"), "runs under way")
    private_servers.valkey.prove()
    private_servers.valkey.kill()
    wait_until(lambda: scalar(fleet.app, "SELECT count(*) FROM occurrences") == 60, "all decisions, without Redis")
    wait_for_all(fleet.app, 60)
    private_servers.valkey.start()
    assert counts(fleet.app) == [60, 60, 60]
    check_invariants(fleet.app)


@pytest.mark.parametrize("how", ["restart", "crash"])
def test_postgresql_going_away_in_the_middle_loses_and_doubles_nothing(
    private_servers: Servers, private_fleet: Fleet, how: str
) -> None:
    fleet = private_fleet
    counting = seed_workflow(fleet.app, counting_steps(), is_pure=False)
    fleet.scheduler()
    fleet.scheduler()
    fleet.worker()
    fleet.await_processes(3)
    seed_one_time_schedules(fleet.app, counting, 120, in_seconds=0, over_seconds=8)
    wait_until(lambda: scalar(fleet.app, "SELECT count(*) FROM run_steps") > 10, "runs under way")
    private_servers.postgres.prove()
    for _ in range(2):
        private_servers.postgres.kill() if how == "crash" else private_servers.postgres.stop()
        time.sleep(1)
        wait_until(lambda: fleet.said("The database cannot be reached"), "what the processes say of it")
        private_servers.postgres.start()
        time.sleep(2)
    wait_for_all(fleet.app, 120)
    assert counts(fleet.app) == [120, 120, 120]
    check_invariants(fleet.app)
    assert not fleet.said("Traceback")


def test_a_worker_frozen_while_redis_and_its_lease_are_gone_does_no_harm(
    private_servers: Servers, private_fleet: Fleet
) -> None:
    fleet = private_fleet
    workflow_id = seed_workflow(fleet.app, PURE_STEPS, is_pure=True)
    fleet.scheduler()
    frozen = fleet.worker()
    fleet.await_processes(2)
    seed_one_time_schedules(fleet.app, workflow_id, 400, in_seconds=0, over_seconds=3)
    wait_until(lambda: scalar(fleet.app, "SELECT count(*) FROM runs WHERE started_at IS NOT NULL") > 20, "started runs")
    fleet.send(frozen, signal.SIGSTOP)
    private_servers.valkey.prove()
    private_servers.valkey.kill()
    private_servers.valkey.start()
    fleet.worker()
    # Frozen in the middle of a statement, it keeps what it has locked for as long as a transaction may last.
    wait_for_all(fleet.app, 400, seconds=240)
    fleet.send(frozen, signal.SIGCONT)
    time.sleep(2)
    assert scalar(fleet.app, "SELECT count(*) FROM run_steps") == 1200
    check_invariants(fleet.app)
