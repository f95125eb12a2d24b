"""Counting a request and telling what is left in one trip: the same as the library finds in two."""

from __future__ import annotations

import time

import pytest
from flask import Flask
from limits.storage import RedisStorage

from web.counting import ONE_TRIP, OneTripStorage

LIMIT, WINDOW_SECONDS = 3, 1


@pytest.fixture
def storages(redis_url: str) -> tuple[RedisStorage, RedisStorage]:
    address = redis_url.replace("unix://", "redis+unix://")
    made = OneTripStorage(ONE_TRIP + address), RedisStorage(address)
    for storage in made:
        storage.reset()
    return made


def test_it_counts_refuses_and_moves_on_to_the_next_window_as_the_library_does(
    app: Flask, storages: tuple[RedisStorage, RedisStorage]
) -> None:
    seen = []
    for amount, pause in (
        (1, 0),
        (1, 0),
        (2, 0),
        (1, 0),
        (1, WINDOW_SECONDS),
        (1, 0),
        (LIMIT + 1, 2 * WINDOW_SECONDS),
        (1, 0),
    ):
        time.sleep(pause)
        found = []
        for place, storage in enumerate(storages):
            with app.app_context():
                is_counted = storage.acquire_sliding_window_entry(f"key {place}", LIMIT, WINDOW_SECONDS, amount)
                found.append((is_counted, storage.get_sliding_window(f"key {place}", WINDOW_SECONDS)))
        (ours, our_window), (theirs, their_window) = found
        assert ours is theirs
        assert our_window == pytest.approx(their_window, abs=0.3)
        seen.append(ours)
    assert seen[:4] == [True, True, False, True] and seen[-2:] == [False, True]


def test_what_was_seen_is_remembered_for_this_request_only(
    app: Flask, storages: tuple[RedisStorage, RedisStorage], monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = storages[0]
    client = storage.get_connection()
    trips = []
    send = client.execute_command
    monkeypatch.setattr(client, "execute_command", lambda *asked, **how: trips.append(asked[0]) or send(*asked, **how))
    with app.app_context():
        assert storage.get_sliding_window("key", 60)[2] == 0
        storage.acquire_sliding_window_entry("key", LIMIT, 60)
        assert len(trips) >= 2
        trips.clear()
        storage.acquire_sliding_window_entry("key", LIMIT, 60)
        assert storage.get_sliding_window("key", 60)[2] == 2
        assert len(trips) == 1
        RedisStorage.acquire_sliding_window_entry(storage, "key", LIMIT, 60)
        assert storage.get_sliding_window("key", 60)[2] == 2
    with app.app_context():
        assert storage.get_sliding_window("key", 60)[2] == 3
