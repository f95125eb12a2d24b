"""The scheduler process and what it stands on: a database or a Redis that is away, slow or silent."""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from dramatiq.brokers.redis import RedisBroker
from flask import Flask

from domain.kernel import clock
from domain.kernel.config import Config
from domain.kernel.log import current_number
from domain.runs.runs import CALL, EFFECT
from domain.runs.waking import Waiting
from tests import servers
from workers import broker, herds, reaper
from workers import scheduler as module
from workers.broker import make_sender, waiting_messages
from workers.dispatcher import announce_ready
from workers.scheduler import Scheduler

pytestmark = pytest.mark.usefixtures("rollback")


@pytest.fixture
def config(database_url: str, fresh_redis: str) -> Config:
    return servers.config_for(database_url, fresh_redis)


@pytest.fixture
def sender(config: Config) -> Iterator[RedisBroker]:
    sender = make_sender(config.redis_url)
    yield sender
    sender.client.connection_pool.disconnect()


@pytest.fixture
def black_hole() -> Iterator[str]:
    """The address of a Redis that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0?socket_timeout=30"


def scheduler_on(app: Flask, config: Config, redis_url: str) -> Scheduler:
    return Scheduler(app, config, make_sender(redis_url))


def test_ready_work_is_announced_once_and_no_more_than_there_is(sender: RedisBroker) -> None:
    assert announce_ready(sender, {EFFECT: 3}, 1) == 3
    assert announce_ready(sender, {EFFECT: 3}, 1) == 0
    assert announce_ready(sender, {EFFECT: 5}, 1) == 2
    assert announce_ready(sender, {EFFECT: 100_000}, 1) == 195


def test_calls_are_announced_to_as_many_processes_as_it_takes_to_make_them(
    app: Flask, database_url: str, sender: RedisBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is not told looks for calls once a second."""
    config = Config.from_env(
        servers.environment(database_url, "redis://127.0.0.1:9/0") | {"CARILLON_CALL_THREADS": "4"}
    )
    monkeypatch.setattr(module, "ready_by_lane", lambda: {CALL: 10})
    Scheduler(app, config, sender).dispatch()
    assert waiting_messages(sender, CALL) == 3


def test_a_redis_that_never_answers_holds_admission_up_for_a_second_only(
    app: Flask, config: Config, black_hole: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    admissions: list[float] = []
    monkeypatch.setattr(module, "look_for_waiting", lambda: (datetime.now(UTC), True))
    monkeypatch.setattr(module, "admit_waiting", lambda _now: admissions.append(time.monotonic()))
    monkeypatch.setattr(module, "ready_by_lane", lambda: {EFFECT: 1})
    scheduler = scheduler_on(app, config, black_hole)
    begun = time.monotonic()
    scheduler.dispatch()
    scheduler.dispatch()
    assert len(admissions) >= 2
    assert time.monotonic() - begun < 30
    scheduler.broker.client.connection_pool.disconnect()


def test_a_redis_that_is_away_is_said_and_not_raised(
    app: Flask, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ready_by_lane", lambda: {EFFECT: 1})
    warnings: list[str] = []
    monkeypatch.setattr(module.log, "warning", lambda event, **_fields: warnings.append(event))
    scheduler_on(app, config, "redis://127.0.0.1:1/0").dispatch()
    assert warnings and "announced" in warnings[0]


@pytest.mark.parametrize(
    ("seconds", "is_guarded"), [pytest.param(0.2, True, id="guarded"), pytest.param(math.inf, False, id="unguarded")]
)
def test_announcing_on_a_slow_redis_stops_after_its_time(
    sender: RedisBroker, seconds: float, is_guarded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    enqueue = sender.enqueue

    def slow(message: Any) -> Any:
        time.sleep(0.05)
        return enqueue(message)

    monkeypatch.setattr(sender, "enqueue", slow)
    sent = announce_ready(sender, {EFFECT: 60}, 1, seconds)
    assert sent >= 1
    assert (sent < 20) is is_guarded


def test_a_sender_gives_up_soon_and_reaches_a_redis_by_any_kind_of_address(black_hole: str, fresh_redis: str) -> None:
    begun = time.monotonic()
    with pytest.raises(redis.exceptions.RedisError):
        make_sender(black_hole).client.llen("x")
    assert time.monotonic() - begun < 20
    sender = make_sender(fresh_redis)
    assert sender.client.llen("carillon:pure") == 0
    sender.client.connection_pool.disconnect()


@pytest.mark.parametrize("is_guarded", [True, False], ids=["guarded", "unguarded"])
def test_a_silent_redis_gives_a_thread_back_because_it_does_not_wait_for_ever(
    is_guarded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker, "SENDER_TIMEOUT_SECONDS", 0.2 if is_guarded else 3_600)
    given_up = threading.Event()

    def ask(url: str) -> None:
        with pytest.raises(redis.exceptions.RedisError):
            make_sender(url).client.llen("x")
        given_up.set()

    with socket.create_server(("127.0.0.1", 0)) as server:
        asking = threading.Thread(target=ask, args=(f"redis://127.0.0.1:{server.getsockname()[1]}/0",))
        asking.start()
        taken = server.accept()[0]
        assert given_up.wait(20 if is_guarded else 2) is is_guarded
    # Nobody is there any more, and that is said at once.
    taken.close()
    asking.join(20)
    assert given_up.is_set()


@pytest.fixture
def watched(app: Flask, config: Config, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Scheduler, threading.Event]]:
    """A scheduler under its watchdog, whose second takes 20 ms; the event is set when the process would end."""
    ended = threading.Event()
    scheduler = scheduler_on(app, config, config.redis_url)

    def end(_code: int) -> None:
        ended.set()
        scheduler.stopping.set()

    monkeypatch.setattr(module.os, "_exit", end)
    monkeypatch.setattr(module, "SECOND", 0.02)
    thread = threading.Thread(target=scheduler.watch)
    thread.start()
    yield scheduler, ended
    scheduler.stopping.set()
    thread.join(5)


def test_the_process_ends_when_no_tick_comes(watched: Any) -> None:
    _, ended = watched
    assert ended.wait(5)


def test_a_tick_that_waits_for_the_database_is_no_reason_to_end(watched: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler, ended = watched

    def slow() -> Any:
        assert not ended.wait(0.3), "ended in the middle of a tick"
        scheduler.stopping.set()
        return clock.now(), None

    monkeypatch.setattr(module, "next_wake", slow)
    scheduler.tick()
    assert not ended.is_set()


def test_a_tick_that_never_returns_ends_the_process(watched: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler, ended = watched

    def hung() -> Any:
        assert ended.wait(10)
        return clock.now(), None

    monkeypatch.setattr(module, "next_wake", hung)
    scheduler.tick()
    assert ended.is_set()


@pytest.fixture
def reapings(app: Flask, config: Config, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Reaps once per second given, on a clock that the test moves; answers at which seconds it looked for lost runs."""
    scheduler = scheduler_on(app, config, config.redis_url)
    looked_at: list[float] = []
    now = [0.0]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])
    monkeypatch.setattr(reaper, "reap_lost", lambda _now: looked_at.append(now[0]) or 0)

    def reap_at(seconds: Any) -> list[float]:
        for second in seconds:
            now[0] = second
            scheduler.reap()
        return looked_at

    return reap_at


def test_nothing_is_taken_from_anybody_within_a_lease_of_the_start(reapings: Any, config: Config) -> None:
    assert config.lease_seconds == 10
    assert reapings(range(13)) == [10, 11, 12]


def test_a_database_that_stood_still_gives_everybody_a_lease_to_come_back(reapings: Any) -> None:
    """Nobody could renew, and no statement failed: it only took long."""
    assert reapings([*range(12), *range(40, 53)]) == [10, 11, 50, 51, 52]


def test_the_jobs_of_a_scheduler_wake_up_together(app: Flask, config: Config) -> None:
    """Spread over the second, the same looks cost a fifth more of the processor."""
    jobs = scheduler_on(app, config, config.redis_url).jobs()
    assert len(jobs) > 5 and all(first % module.SECOND == 0 for _, _, first in jobs)


def test_each_time_a_job_runs_has_a_number_of_its_own() -> None:
    numbers: list[str | None] = []
    for _ in range(2):
        module._patiently(lambda: numbers.append(current_number()))
    assert None not in numbers and len(set(numbers)) == 2
    assert current_number() is None


def test_nothing_is_announced_while_a_herd_is_written_down_unless_that_takes_long(
    app: Flask, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []
    monkeypatch.setattr(module, "TICK_SECONDS", 0.2)
    monkeypatch.setattr(module, "ready_by_lane", lambda: looks.append(time.monotonic()) or {})
    scheduler = scheduler_on(app, config, config.redis_url)
    held, going_on = threading.Event(), threading.Event()

    def fire_slowly(_batch: int) -> int:
        held.set()
        assert going_on.wait(60)
        return 0

    monkeypatch.setattr(scheduler, "_fire_batch", fire_slowly)
    monkeypatch.setattr(herds, "HOLD_SECONDS", 60)
    deciding = threading.Thread(target=scheduler.herd.decide)
    deciding.start()
    assert held.wait(60)
    scheduler.dispatch()
    assert not looks
    monkeypatch.setattr(herds, "HOLD_SECONDS", 0)
    scheduler.dispatch()
    assert len(looks) == 1
    monkeypatch.setattr(herds, "HOLD_SECONDS", 60)
    going_on.set()
    deciding.join(60)
    scheduler.dispatch()
    assert len(looks) == 2


@pytest.mark.parametrize(
    ("due_in", "for_children", "has_children", "ended"),
    [
        (None, False, False, []),
        (5, False, False, []),
        (0, False, False, ["wake_due"]),
        (None, True, False, ["wake_parents"]),
        (None, False, True, ["end_orphans"]),
        (0, True, True, ["wake_due", "wake_parents", "end_orphans"]),
    ],
)
def test_each_kind_of_waiting_is_ended_when_there_is_some_of_it(
    app: Flask,
    config: Config,
    monkeypatch: pytest.MonkeyPatch,
    due_in: int | None,
    for_children: bool,
    has_children: bool,
    ended: list[str],
) -> None:
    called: list[str] = []
    for name in ("wake_due", "wake_parents", "end_orphans"):
        monkeypatch.setattr(module, name, lambda *_, name=name: called.append(name) or 1)
    now = datetime.now(UTC)
    next_due_at = None if due_in is None else now + timedelta(seconds=due_in)
    with app.app_context():
        scheduler_on(app, config, config.redis_url)._wake(Waiting(now, next_due_at, for_children, has_children))
    assert called == ended
