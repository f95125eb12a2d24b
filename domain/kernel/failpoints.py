"""Places where a test may stop, kill or fail a process. Off unless CARILLON_FAILPOINTS is set in a test process.

Format: `name=action[@n]` separated by commas; action `kill9`, `stop`, `sleep:<seconds>`, `raise`; `@n` acts at the
n-th pass only. Example: `tick.before_commit=kill9@3`.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter

_lock = threading.Lock()
_armed: dict[str, tuple[str, int | None]] = {}
_passes: Counter[str] = Counter()


class Failpoint(Exception):
    """Raised on purpose by a test."""


def arm_failpoints(text: str) -> None:
    """Replace what is armed by what `text` says; empty disarms all."""
    _armed.clear()
    _passes.clear()
    for entry in filter(None, (part.strip() for part in text.split(","))):
        name, _, action = entry.partition("=")
        action, _, at = action.partition("@")
        _armed[name] = (action, int(at) if at else None)


def hit(name: str) -> None:
    """Act if `name` is armed; costs one dictionary look-up when nothing is."""
    if not _armed or name not in _armed:
        return
    action, at = _armed[name]
    with _lock:
        _passes[name] += 1
        if at is not None and _passes[name] != at:
            return
    _act(action, name)


def _act(action: str, name: str) -> None:
    kind, _, argument = action.partition(":")
    if kind == "kill9":
        os.kill(os.getpid(), signal.SIGKILL)
    elif kind == "stop":
        # To this thread: given to the process, the signal may wait for another one while this one goes on.
        signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
    elif kind == "sleep":
        time.sleep(float(argument))
    elif kind == "raise":
        raise Failpoint(name)
    else:
        raise ValueError(f"unknown failpoint action {action!r}")
