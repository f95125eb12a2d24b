"""What must not take long, measured so that a slow or busy machine, or one that collects garbage, fails nothing.

What these tests guard against takes minutes, or grows with what is typed; a deadline of seconds tells that as well as a
tight one. Speed itself is measured in `bench/`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def promptly(seconds: float = 5) -> Iterator[None]:
    """What runs inside takes this thread less than `seconds` of processor time."""
    began = time.thread_time()
    yield
    took = time.thread_time() - began
    assert took < seconds, f"took {took:.2f} s of processor time"


def least_seconds(act: Callable[[], object], times: int = 5) -> float:
    """The processor time of this thread, in seconds, of the quickest of several goes."""
    return min(_seconds(act) for _ in range(times))


def _seconds(act: Callable[[], object]) -> float:
    began = time.thread_time()
    act()
    return time.thread_time() - began
