"""Hints that travel through RabbitMQ instead of Redis: the address is all that changes, and losing it loses nothing.

Run where a RabbitMQ is installed; skipped, and said so, where none is.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis

from domain.runs.runs import EFFECT, LANES
from tests.faults.fleet import Fleet, fleet_on, scalar, wait_until
from tests.faults.invariants import check_invariants
from tests.faults.seeds import counting_steps, seed_runs, seed_workflow
from tests.rabbit import RabbitServer, rabbit_program
from workers.broker import NAMESPACE, make_sender, waiting_messages
from workers.dispatcher import announce_ready

pytestmark = pytest.mark.skipif(not rabbit_program(), reason="NO RABBITMQ: install one (rabbitmq-server)")

COUNT = 20
SUCCEEDED = "SELECT count(*) FROM runs WHERE status = 'succeeded'"


@pytest.fixture(scope="module")
def rabbit() -> Iterator[RabbitServer]:
    directory = Path(tempfile.mkdtemp(prefix="carillon-rabbit-"))
    try:
        with RabbitServer(directory) as server:
            yield server
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def fleet(fresh_env: dict[str, str], rabbit: RabbitServer) -> Iterator[Fleet]:
    with fleet_on(fresh_env | {"BROKER_URL": rabbit.url}) as started:
        yield started


def waiting(rabbit: RabbitServer) -> dict[str, int]:
    """How many messages of each lane nobody has taken yet."""
    with closing(make_sender(rabbit.url)) as sender:
        found = {lane: waiting_messages(sender, lane) for lane in LANES}
    return {lane: count for lane, count in found.items() if count}


def test_as_many_messages_are_sent_as_are_missing(rabbit: RabbitServer) -> None:
    with closing(make_sender(rabbit.url)) as sender:
        sender.flush_all()
        assert announce_ready(sender, {EFFECT: 3}, 1) == 3
        # It counts a message a moment after it has taken it.
        wait_until(lambda: waiting_messages(sender, EFFECT) == 3, "three messages")
        assert announce_ready(sender, {EFFECT: 5}, 1) == 2
        consumer = sender.consume(EFFECT, prefetch=10, timeout=5_000)
        for _ in range(5):
            message = next(consumer)
            assert message is not None and message.actor_name == "work_effect"
            consumer.ack(message)
        consumer.close()
        wait_until(lambda: waiting_messages(sender, EFFECT) == 0, "no message left")


def test_runs_are_announced_and_done_through_it(fleet: Fleet, rabbit: RabbitServer) -> None:
    seed_runs(fleet.app, seed_workflow(fleet.app, counting_steps(1), is_pure=False), COUNT)
    fleet.scheduler()
    wait_until(lambda: waiting(rabbit) == {EFFECT: COUNT}, "a message for each run")
    with redis.Redis.from_url(fleet.env["REDIS_URL"]) as elsewhere:
        assert elsewhere.keys(f"{NAMESPACE}:*") == []
    fleet.worker()
    wait_until(lambda: scalar(fleet.app, SUCCEEDED) == COUNT, "every run done")
    wait_until(lambda: not waiting(rabbit), "no message left")
    check_invariants(fleet.app)


def test_what_it_forgets_is_announced_again(fleet: Fleet, rabbit: RabbitServer) -> None:
    workflow_id = seed_workflow(fleet.app, counting_steps(1), is_pure=False)
    fleet.scheduler()
    fleet.worker()
    fleet.await_processes(2)
    seed_runs(fleet.app, workflow_id, COUNT)
    wait_until(lambda: scalar(fleet.app, SUCCEEDED) == COUNT, "every run done")
    rabbit.lose_everything()
    seed_runs(fleet.app, workflow_id, COUNT)
    wait_until(lambda: fleet.said("Ready work cannot be announced"), "a scheduler that has nobody to tell")
    rabbit.start()
    wait_until(lambda: scalar(fleet.app, SUCCEEDED) == 2 * COUNT, "every run done")
    check_invariants(fleet.app)
