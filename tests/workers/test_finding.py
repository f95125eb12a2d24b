"""Threads of a worker that find their work: as many as may be, without a message, waited for at the end."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from flask import Flask

from domain.kernel.config import Config
from tests import servers
from workers.finding import Finders
from workers.worker import CALLS_PER_CONNECTION, WorkerLife, connections

SECONDS = 30


class Work:
    """Work that lasts until it is released."""

    def __init__(self, ready: int) -> None:
        self.ready = ready
        self.going = 0
        self.most = 0
        self.done = 0
        self.turn = threading.Lock()
        self.begun = threading.Semaphore(0)
        self.released = threading.Event()

    def count(self) -> int:
        with self.turn:
            return self.ready

    def do(self) -> None:
        with self.turn:
            if not self.ready:
                return
            self.ready -= 1
            self.going += 1
            self.most = max(self.most, self.going)
        self.begun.release()
        assert self.released.wait(SECONDS)
        with self.turn:
            self.going -= 1
            self.done += 1


@pytest.fixture
def work() -> Iterator[Work]:
    made = Work(5)
    yield made
    made.released.set()


def started(work: Work, size: int) -> Finders:
    callers = Finders("caller", size, work.count, work.do)
    callers.start()
    return callers


def begun(work: Work, count: int) -> bool:
    return all(work.begun.acquire(timeout=SECONDS) for _ in range(count))


def test_what_is_ready_is_found_without_a_message_and_no_more_than_may_go(work: Work) -> None:
    callers = started(work, 3)
    assert begun(work, 3)
    callers.wake()
    assert not work.begun.acquire(timeout=1.5)
    work.released.set()
    assert begun(work, 2)
    assert callers.drain(SECONDS) == 0
    assert (work.most, work.done) == (3, 5)


def test_stopping_begins_nothing_more_and_waits_for_what_was_begun(work: Work) -> None:
    callers = started(work, 2)
    assert begun(work, 2)
    callers.stop()
    threading.Timer(0.3, work.released.set).start()
    assert callers.drain(SECONDS) == 0
    assert work.done == 2 and work.count() == 3


def test_what_does_not_come_back_is_left_behind(work: Work) -> None:
    callers = started(work, 2)
    assert begun(work, 2)
    assert callers.drain(0.2) == 2


def test_a_database_that_is_away_is_asked_again(work: Work) -> None:
    failed = threading.Event()

    def ready() -> int:
        if not failed.is_set():
            failed.set()
            raise ConnectionError("away")
        return work.count()

    callers = Finders("caller", 1, ready, work.do)
    callers.start()
    assert begun(work, 1) and failed.is_set()
    callers.stop()


def test_a_thread_that_breaks_makes_room_for_the_next() -> None:
    tried: list[int] = []
    often = threading.Event()

    def break_down() -> None:
        tried.append(1)
        if len(tried) >= 3:
            often.set()
        raise RuntimeError("broken on purpose")

    callers = Finders("caller", 1, lambda: 1, break_down)
    callers.start()
    assert often.wait(SECONDS)
    callers.drain(SECONDS)


def test_a_thread_that_the_system_refuses_costs_no_place(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = threading.Event()
    start = threading.Thread.start

    def start_later(thread: threading.Thread) -> None:
        if thread.name == "caller" and not refused.is_set():
            refused.set()
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_later)
    callers = started(work, 1)
    assert begun(work, 1) and refused.is_set()
    work.released.set()
    assert callers.drain(SECONDS) == 0


def test_a_worker_has_connections_for_all_its_threads_and_some_for_its_calls() -> None:
    config = servers.config_for("postgresql://nobody@127.0.0.1:9/nothing", "redis://127.0.0.1:9/0")
    assert connections(config) == config.worker_threads + 3 + config.call_threads // CALLS_PER_CONNECTION


def test_a_message_only_wakes_them(
    app: Flask, database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config: Config = servers.config_for(database_url, redis_url)
    life = WorkerLife(app, config)
    woken: list[bool] = []
    monkeypatch.setattr(life.callers, "wake", lambda: woken.append(True))
    life.wake_callers()
    assert woken == [True]
