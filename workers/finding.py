"""Threads of a worker process that find their work themselves, beside those that messages come to.

Whoever feeds them looks now and then how much is ready, and at once when somebody says so: what is ready is found also when
all threads that take messages are busy, or no message comes. A thread works until nothing is left.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from domain.kernel.log import first_line, logger

log = logger(__name__)


class Finders:
    """At most `size` threads called `name`, each in `work()`. `ready()`, asked every `look_seconds`: how many of them have
    something to do now.

    They are daemons: one that does not come back keeps no process from ending.
    """

    def __init__(
        self, name: str, size: int, ready: Callable[[], int], work: Callable[[], None], look_seconds: float = 1.0
    ) -> None:
        self._name = name
        self._look_seconds = look_seconds
        self._size = size
        self._ready = ready
        self._work = work
        self._lock = threading.Lock()
        self._going: set[threading.Thread] = set()
        self._woken = threading.Event()
        self._is_stopping = False
        self._stopped_at = 0.0

    def start(self) -> None:
        """Begin to look."""
        self._feeder = threading.Thread(target=self._feed, name=f"{self._name}s", daemon=True)
        self._feeder.start()

    def wake(self) -> None:
        """Somebody says that there is something to do."""
        self._woken.set()

    def stop(self) -> None:
        """Begin nothing more."""
        if not self._is_stopping:
            self._is_stopping, self._stopped_at = True, time.monotonic()
        self._woken.set()

    def drain(self, seconds: float) -> int:
        """Wait until what was begun has ended, `seconds` at most since `stop`; how many threads have not."""
        self.stop()
        until = self._stopped_at + seconds
        self._feeder.join(max(until - time.monotonic(), 0))
        with self._lock:
            going = list(self._going)
        for thread in going:
            thread.join(max(until - time.monotonic(), 0))
        return sum(thread.is_alive() for thread in going)

    def _feed(self) -> None:
        while not self._is_stopping:
            self._woken.wait(self._look_seconds)
            self._woken.clear()
            try:
                with self._lock:
                    free = self._size - len(self._going)
                for _ in range(min(free, self._ready()) if free and not self._is_stopping else 0):
                    self._begin()
            except Exception as error:
                log.warning("Ready work cannot be looked for", threads=self._name, error=first_line(error))

    def _begin(self) -> None:
        thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        with self._lock:
            self._going.add(thread)
        try:
            thread.start()
        except RuntimeError:
            # The system has no thread to give just now; its place is free again.
            with self._lock:
                self._going.discard(thread)
            raise

    def _run(self) -> None:
        try:
            self._work()
        except Exception:
            log.exception("A thread that found work broke", threads=self._name)
        finally:
            with self._lock:
                self._going.discard(threading.current_thread())
