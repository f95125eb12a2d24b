"""Hearing that work waits: at once, again after a lost connection, and asleep while nobody says anything."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from domain.runs.announcing import READY_CHANNEL
from workers import listening

# Generous: a machine under load is slow, not wrong.
DEADLINE_SECONDS = 60
WATCHED_SECONDS = 1.0
LISTENERS = "FROM pg_stat_activity WHERE application_name = 'carillon-listener' AND datname = current_database()"


class Listener:
    """A thread that listens, and a stranger on the same database."""

    def __init__(self, database_url: str) -> None:
        self.heard, self.stopping = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=listening.listen, args=(database_url, self.heard, self.stopping))
        address = database_url.replace("postgresql+psycopg://", "postgresql://", 1)
        self.stranger = psycopg.connect(address, autocommit=True)

    def say(self) -> None:
        self.stranger.execute(f"NOTIFY {READY_CHANNEL}".encode())

    def hears(self) -> bool:
        """Whether it does within the deadline; said again and again, as it may not be listening yet."""
        for _ in range(DEADLINE_SECONDS * 10):
            self.say()
            if self.heard.wait(0.1):
                self.heard.clear()
                return True
        return False

    def end_connection(self) -> int:
        return len(self.stranger.execute(f"SELECT pg_terminate_backend(pid) {LISTENERS}".encode()).fetchall())

    def wakeups(self) -> int:
        """How often the thread has gone to sleep so far."""
        status = Path(f"/proc/self/task/{self.thread.native_id}/status").read_text()
        found = re.search(r"^voluntary_ctxt_switches:\s+(\d+)", status, re.M)
        assert found
        return int(found[1])

    def close(self) -> None:
        self.stopping.set()
        # It looks whether it is to stop when it has heard something.
        while self.thread.is_alive():
            self.say()
            self.thread.join(0.1)
        self.stranger.close()


@pytest.fixture
def listener(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    monkeypatch.setattr(listening, "RETRY_SECONDS", 0.1)
    made = Listener(database_url)
    made.thread.start()
    yield made
    made.close()


def test_what_is_said_is_heard_at_once_and_each_time(listener: Listener) -> None:
    assert listener.hears()
    for _ in range(3):
        listener.say()
        assert listener.heard.wait(DEADLINE_SECONDS)
        listener.heard.clear()


def test_a_lost_connection_is_noticed_and_made_again(listener: Listener) -> None:
    assert listener.hears()
    assert listener.end_connection() == 1
    assert listener.hears()


def test_it_sleeps_while_nobody_says_anything(listener: Listener) -> None:
    """Ten looks a second were a seventh of what a scheduler with nothing to do costs."""
    assert listener.hears()
    # What was said last may be heard twice.
    threading.Event().wait(WATCHED_SECONDS)
    before = listener.wakeups()
    threading.Event().wait(WATCHED_SECONDS)
    assert listener.wakeups() - before <= 2
