"""A herd: more is due at one instant than a tick decides in passing. It is decided in lanes, and before anybody works on it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from flask import Flask

from domain.firing.tick import BATCH
from domain.kernel.clock import monotonic

# More than this due at once is a herd, and at most this much is decided in passing.
HERD = 500
# Batches decided at the same time: one lane computes while PostgreSQL writes for the other.
LANES = 2
# What is due is on record before anybody works on it, unless that takes longer than this.
HOLD_SECONDS = 1.0


class Herd:
    """`fire(batch)` decides up to so many due schedules, in an application context, and says how many."""

    def __init__(self, app: Flask, fire: Callable[[int], int], stopping: threading.Event) -> None:
        self._app = app
        self._fire = fire
        self._stopping = stopping
        self._began_at: float | None = None

    def decide(self) -> int:
        """Decide until nothing is due that is not in other hands; how many that were. Raises what a lane met, when the others
        have ended."""
        self._began_at = monotonic()
        try:
            with ThreadPoolExecutor(LANES, "herd") as lanes:
                return sum([lane.result() for lane in [lanes.submit(self._lane) for _ in range(LANES)]])
        finally:
            self._began_at = None

    def is_held(self) -> bool:
        """Whether ready runs are not to be announced yet: the processors are needed for what is being written down."""
        began_at = self._began_at
        return began_at is not None and monotonic() - began_at < HOLD_SECONDS

    def _lane(self) -> int:
        decided = 0
        with self._app.app_context():
            while fired := self._fire(BATCH):
                decided += fired
                if self._stopping.is_set():
                    break
        return decided
