"""How long until something that ended is started again, and when it no longer is."""

from __future__ import annotations

import signal

from workers.restarts import Restarts, end_in_words

KILLED = -int(signal.SIGKILL)


def test_the_delay_doubles_up_to_ten_seconds() -> None:
    restarts = Restarts()
    assert [restarts.delay_after(20, 1) for _ in range(7)] == [0.5, 1, 2, 4, 8, 10, 10]


def test_a_minute_of_life_makes_the_delay_short_and_forgets_earlier_ends() -> None:
    restarts = Restarts()
    before = [restarts.delay_after(0.1, 1) for _ in range(4)]
    after = [restarts.delay_after(lived, 1) for lived in (60, 0.1, 0.1, 0.1)]
    assert before == after == [0.5, 1, 2, 4]


def test_the_fifth_end_within_thirty_seconds_of_running_is_the_last() -> None:
    restarts = Restarts()
    assert [restarts.delay_after(lived, 3) for lived in (25, 6, 6, 6, 6, 5)] == [0.5, 1, 2, 4, 8, None]


def test_being_killed_is_never_a_mistake_of_the_killed() -> None:
    restarts = Restarts()
    assert None not in [restarts.delay_after(0.1, KILLED) for _ in range(2000)]


def test_an_end_is_told_in_words() -> None:
    assert end_in_words(KILLED) == "was ended by signal 9"
    assert end_in_words(3) == "ended with exit code 3"
