"""What was answered to an idempotency key, so that a call that comes twice has one effect.

Keys are a tenant's and an extension's own. A second call with the key of one that still runs waits for its answer.
Failures of 500 and more are not kept: trying again is what the caller wants to do about them.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from domain.kernel.clock import monotonic
from workers.runner.calls import BadCall

KEPT_SECONDS = 24 * 3600
KEPT_MOST = 10_000

Answer = dict[str, Any]


@dataclass
class _Slot:
    fingerprint: Any
    began: float
    ended: threading.Event = field(default_factory=threading.Event)
    answer: Answer | None = None


class Replays:
    """Answers by key, in the order in which their calls began. They last as long as the process."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._slots: OrderedDict[tuple[str, ...], _Slot] = OrderedDict()

    def once(
        self, key: tuple[str, ...], fingerprint: Any, seconds: float, run: Callable[[], Answer]
    ) -> tuple[Answer, bool]:
        """What `run` answers, and whether that was an earlier time. Waits `seconds` at most for one that still runs.

        Raises BadCall when the key came with another request before, or when the wait was in vain.
        """
        ends_at = monotonic() + seconds
        while True:
            slot, is_mine = self._slot(key, fingerprint)
            if slot.fingerprint != fingerprint:
                raise BadCall(409, "idempotency_conflict: this key came with another request before")
            if is_mine:
                return self._run(key, slot, run), False
            if not slot.ended.wait(max(0.0, ends_at - monotonic())):
                raise BadCall(500, "execute_failed: the first call with this key is still running")
            if slot.answer is not None:
                return slot.answer, True

    def clear(self) -> None:
        """Forget everything; whoever waits goes on waiting for what runs."""
        with self._turn:
            self._slots.clear()

    def _slot(self, key: tuple[str, ...], fingerprint: Any) -> tuple[_Slot, bool]:
        with self._turn:
            self._forget_old()
            slot = self._slots.get(key)
            if slot is not None:
                return slot, False
            slot = self._slots[key] = _Slot(fingerprint, monotonic())
            return slot, True

    def _run(self, key: tuple[str, ...], slot: _Slot, run: Callable[[], Answer]) -> Answer:
        answer = None
        try:
            answer = run()
            return answer
        finally:
            with self._turn:
                if answer is not None and answer["status"] < 500:
                    slot.answer = answer
                elif self._slots.get(key) is slot:
                    del self._slots[key]
            slot.ended.set()

    def _forget_old(self) -> None:
        oldest = monotonic() - KEPT_SECONDS
        for key, slot in list(self._slots.items()):
            if slot.began > oldest and len(self._slots) <= KEPT_MOST:
                return
            if slot.ended.is_set():
                del self._slots[key]
