"""Messages are hints: too many of them, or for work that is gone, change nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis
from dramatiq import Message
from dramatiq.brokers.redis import RedisBroker

from domain.runs.runs import EFFECT, PURE
from tests.faults.fleet import Fleet, scalar, wait_until
from tests.faults.invariants import check_invariants, counts, wait_for_all
from tests.faults.seeds import counting_steps, seed_one_time_schedules, seed_workflow


def send(fleet: Fleet, lane: str, times: int) -> None:
    broker = RedisBroker(url=fleet.env["REDIS_URL"], namespace="carillon", middleware=[])
    for _ in range(times):
        broker.enqueue(Message(queue_name=lane, actor_name=f"work_{lane}", args=(), kwargs={}, options={}))
    broker.client.connection_pool.disconnect()


def test_the_same_message_delivered_fifty_times_gives_one_run(fleet: Fleet) -> None:
    workflow_id = seed_workflow(fleet.app, counting_steps(), is_pure=False)
    fleet.be_patient()
    fleet.scheduler()
    fleet.worker()
    fleet.await_processes(2)
    seed_one_time_schedules(fleet.app, workflow_id, 5, in_seconds=1)
    send(fleet, EFFECT, 50)
    wait_for_all(fleet.app, 5)
    send(fleet, EFFECT, 50)
    send(fleet, PURE, 50)
    with redis.Redis.from_url(fleet.env["REDIS_URL"]) as connection:
        wait_until(
            lambda: not connection.llen("carillon:effect") and not connection.llen("carillon:pure"), "empty queues"
        )
    assert counts(fleet.app) == [5, 5, 5]
    assert scalar(fleet.app, "SELECT max(claim_epoch) FROM runs") == 1
    check_invariants(fleet.app)


def no_message(_number: int) -> str:
    return "{not json"


def of_an_unknown_actor(number: int) -> str:
    """As a newer release would send, to workers of an older one."""
    message = Message(queue_name=EFFECT, actor_name="work_anew", args=(), kwargs={}, options={})
    return message.copy(options={"redis_message_id": f"bad{number}"}).encode().decode()


@pytest.mark.parametrize("bad", [no_message, of_an_unknown_actor])
def test_what_is_not_a_message_of_ours_stops_nobody(fleet: Fleet, bad: Callable[[int], str]) -> None:
    workflow_id = seed_workflow(fleet.app, counting_steps(), is_pure=False)
    fleet.scheduler()
    fleet.worker()
    fleet.await_processes(2)
    with redis.Redis.from_url(fleet.env["REDIS_URL"]) as connection:
        for number in range(3):
            connection.hset("carillon:effect.msgs", f"bad{number}", bad(number))
            connection.rpush("carillon:effect", f"bad{number}")
    seed_one_time_schedules(fleet.app, workflow_id, 10, in_seconds=0)
    wait_for_all(fleet.app, 10)
    assert counts(fleet.app) == [10, 10, 10]
    check_invariants(fleet.app)
