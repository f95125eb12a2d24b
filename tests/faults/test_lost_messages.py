"""Messages that are never sent, never arrive or arrive at somebody who dies: whatever is ready is announced again."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import quote

import pytest
import redis

from bench.proxy import CommitProxy
from domain.runs.runs import EFFECT
from tests.faults.fleet import Fleet
from tests.faults.guards import GUARDED, announce_only_once, one_chunk_per_message
from tests.faults.inside import PREFETCH, Inside
from tests.faults.invariants import check_invariants, counts
from tests.faults.seeds import counting_steps, seed_one_time_schedules, seed_workflow
from tests.servers import make_directory
from workers.local_servers import ValkeyServer

RUNS = 12


@contextmanager
def proxied(inside: Inside, valkey: ValkeyServer, word: bytes) -> Iterator[tuple[CommitProxy, str]]:
    """A proxy that may lose answers to what holds the word, and the address of the Redis behind it."""
    proxy = CommitProxy(valkey.socket_directory, valkey.directory)
    proxy.server, proxy.words = valkey.socket, (word,)
    proxy.start()
    try:
        yield proxy, inside.config.redis_url.replace(quote(str(valkey.socket)), quote(str(proxy.path)))
    finally:
        proxy.close()


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyServer]:
    """A Redis that may be emptied, filled and killed."""
    directory = make_directory()
    with ValkeyServer(directory / "valkey", is_durable=False) as server:
        yield server
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def inside(fleet: Fleet, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Inside]:
    with redis.Redis.from_url(valkey.url) as connection:
        connection.flushall()
    made = Inside(fleet, monkeypatch, valkey.url)
    yield made
    made.close()


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
    with proxied(inside, valkey, b"fetch") as (proxy, url):
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


LOSSES: list[Callable[[Inside, ValkeyServer], None]] = [
    dies_before_it_announces,
    dies_while_it_announces,
    dies_with_the_messages_in_hand,
    empties_redis,
    kills_redis,
    loses_the_answer_to_a_fetch,
    finds_what_is_no_message_first,
]


@GUARDED
@pytest.mark.parametrize("lose", LOSSES, ids=lambda lose: lose.__name__)
def test_lost_messages_are_sent_again(
    inside: Inside,
    valkey: ValkeyServer,
    lose: Callable[[Inside, ValkeyServer], None],
    is_guarded: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not is_guarded:
        announce_only_once(monkeypatch)
        # One message would be enough otherwise for all that is ready.
        one_chunk_per_message(monkeypatch)
    workflow_id = seed_workflow(inside.app, counting_steps(1), is_pure=False)
    seed_one_time_schedules(inside.app, workflow_id, RUNS, in_seconds=0)
    lose(inside, valkey)
    assert counts(inside.app) == []
    inside.go_on()
    check_invariants(inside.app)
    if is_guarded:
        assert inside.statuses() == {"succeeded": RUNS}
        assert counts(inside.app) == [RUNS]
    else:
        assert "queued" in inside.statuses()


def test_one_announcement_is_enough_where_nothing_is_lost(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    """So it is the loss that strands runs above, and not how the guard was taken away."""
    announce_only_once(monkeypatch)
    one_chunk_per_message(monkeypatch)
    workflow_id = seed_workflow(inside.app, counting_steps(1), is_pure=False)
    seed_one_time_schedules(inside.app, workflow_id, RUNS, in_seconds=0)
    inside.go_on()
    assert inside.statuses() == {"succeeded": RUNS}
