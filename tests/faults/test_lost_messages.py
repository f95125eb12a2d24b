"""Messages that are never sent, never arrive or arrive at somebody who dies: whatever is ready is announced again."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
import redis

from domain.execution import CHUNKS
from domain.runs.runs import EFFECT, PURE
from tests.faults.guards import GUARDED, announce_only_once, one_chunk_per_message
from tests.faults.inside import PREFETCH, Inside
from tests.faults.invariants import check_invariants, counts
from tests.faults.seeds import counting_steps, seed_one_time_schedules, seed_workflow
from workers.local_servers import ValkeyServer

RUNS = 12


def fire_and_announce(inside: Inside) -> None:
    scheduler = inside.scheduler()
    scheduler.tick()
    scheduler.dispatch()


def dies_before_it_announces(inside: Inside, _valkey: ValkeyServer) -> None:
    inside.dies("tick.after_commit", inside.scheduler().tick)


def dies_while_it_announces(inside: Inside, _valkey: ValkeyServer) -> None:
    scheduler = inside.scheduler()
    scheduler.tick()
    inside.dies("dispatch.mid_send@3", scheduler.dispatch)


def dies_with_the_messages_in_hand(inside: Inside, _valkey: ValkeyServer) -> None:
    fire_and_announce(inside)
    worker = inside.worker()
    inside.dies("worker.after_message", lambda: inside.deliver(worker))


def finds_redis_away(inside: Inside, valkey: ValkeyServer) -> None:
    valkey.prove()
    valkey.kill()
    fire_and_announce(inside)
    valkey.start()


def finds_redis_full(inside: Inside, valkey: ValkeyServer) -> None:
    valkey.prove()
    with redis.Redis.from_url(valkey.url) as connection:
        connection.config_set("maxmemory", 1)
        fire_and_announce(inside)
        assert connection.llen("carillon:effect") == 0
        connection.config_set("maxmemory", 0)


def empties_redis(inside: Inside, valkey: ValkeyServer) -> None:
    fire_and_announce(inside)
    valkey.prove()
    with redis.Redis.from_url(valkey.url) as connection:
        assert connection.llen("carillon:effect") == RUNS
        connection.flushall()


def kills_redis(inside: Inside, valkey: ValkeyServer) -> None:
    fire_and_announce(inside)
    valkey.prove()
    valkey.kill()
    valkey.start()


def loses_the_answer_to_a_fetch(inside: Inside, valkey: ValkeyServer) -> None:
    fire_and_announce(inside)
    with inside.proxied(valkey, b"fetch") as (proxy, url):
        sender = inside.sender(url)
        proxy.drop_commits(1)
        with suppress(redis.ConnectionError):
            assert sender.do_fetch(EFFECT, PREFETCH) == []
        assert proxy.dropped == 1


def finds_what_is_no_message_first(inside: Inside, valkey: ValkeyServer) -> None:
    with redis.Redis.from_url(valkey.url) as connection:
        connection.hset("carillon:effect.msgs", "bad", "{not json")
        connection.rpush("carillon:effect", "bad")
    fire_and_announce(inside)
    inside.deliver(inside.worker())


def meets_a_worker_that_does_not_know_it(inside: Inside, _valkey: ValkeyServer) -> None:
    """One of an older release puts messages of an unknown actor aside for good."""
    fire_and_announce(inside)
    consumer = inside.sender().consume(EFFECT, PREFETCH, timeout=1)
    for _ in range(RUNS):
        consumer.nack(next(consumer))


LOSSES: list[Callable[[Inside, ValkeyServer], None]] = [
    dies_before_it_announces,
    dies_while_it_announces,
    dies_with_the_messages_in_hand,
    finds_redis_away,
    finds_redis_full,
    empties_redis,
    kills_redis,
    loses_the_answer_to_a_fetch,
    finds_what_is_no_message_first,
    meets_a_worker_that_does_not_know_it,
]


@GUARDED
@pytest.mark.parametrize("lose", LOSSES, ids=lambda lose: lose.__name__)
def test_lost_messages_are_sent_again(
    inside_alone: Inside,
    valkey: ValkeyServer,
    lose: Callable[[Inside, ValkeyServer], None],
    is_guarded: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not is_guarded:
        announce_only_once(monkeypatch)
        # One message would be enough otherwise for all that is ready.
        one_chunk_per_message(monkeypatch)
    workflow_id = seed_workflow(inside_alone.app, counting_steps(1), is_pure=False)
    seed_one_time_schedules(inside_alone.app, workflow_id, RUNS, in_seconds=0)
    lose(inside_alone, valkey)
    assert counts(inside_alone.app) == []
    inside_alone.go_on()
    check_invariants(inside_alone.app)
    if is_guarded:
        assert inside_alone.statuses() == {"succeeded": RUNS}
        assert counts(inside_alone.app) == [RUNS]
    else:
        assert "queued" in inside_alone.statuses()


def test_one_announcement_is_enough_where_nothing_is_lost(
    inside_alone: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it is the loss that strands runs above, and not how the guard was taken away."""
    announce_only_once(monkeypatch)
    one_chunk_per_message(monkeypatch)
    workflow_id = seed_workflow(inside_alone.app, counting_steps(1), is_pure=False)
    seed_one_time_schedules(inside_alone.app, workflow_id, RUNS, in_seconds=0)
    inside_alone.go_on()
    assert inside_alone.statuses() == {"succeeded": RUNS}


def test_a_thousand_queued_runs_survive_an_emptied_redis(inside_alone: Inside, valkey: ValkeyServer) -> None:
    inside_alone.seed_due(1_000, is_pure=True)
    fire_and_announce(inside_alone)
    valkey.prove()
    with redis.Redis.from_url(valkey.url) as connection:
        assert connection.llen("carillon:pure") == 1_000 / CHUNKS[PURE]
        connection.flushall()
    inside_alone.go_on()
    assert inside_alone.statuses() == {"succeeded": 1_000}
    check_invariants(inside_alone.app)
