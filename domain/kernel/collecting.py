"""The collector of Python, while much is made that stays: it would look through all of it again and again."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# New objects between two looks; 700 is what Python begins with.
SELDOM = 200_000

_lock = threading.Lock()
_inside = 0
_usual = gc.get_threshold()


@contextmanager
def seldom_collecting() -> Iterator[None]:
    """Have the collector look seldom until the last of those who are inside at the same time has left. It holds for the
    whole process: what goes out of use elsewhere meanwhile, in circles, is collected later."""
    global _inside, _usual
    with _lock:
        if _inside == 0:
            _usual = gc.get_threshold()
            gc.set_threshold(SELDOM, *_usual[1:])
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                gc.set_threshold(*_usual)
