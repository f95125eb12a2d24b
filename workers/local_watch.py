"""Starts an embedded server again when it died."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Self

from workers.local_server import LocalServer
from workers.restarts import Restarts, end_in_words

LOOK_SECONDS = 0.2


class Watch:
    """Keeps a started `server` running, from entering to leaving.

    `tell` gets a line about each restart, `give_up` a sentence when there shall be no further one; both are called in
    the watching thread.

    A server started here is tied to the watching thread: leave the watch just before the server is to stop.
    """

    def __init__(self, server: LocalServer, tell: Callable[[str], None], give_up: Callable[[str], None]) -> None:
        self.server = server
        self._tell = tell
        self._give_up = give_up
        self._leaving = threading.Event()
        self._restarts = Restarts()
        self._answered_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name=f"watch {server.name}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._leaving.wait(LOOK_SECONDS):
            code = self.server.exit_code
            if code is not None and (fault := self._bring_back(code)):
                self._give_up(fault)
                return

    def _bring_back(self, code: int) -> str | None:
        """Start the server again, several times if need be. Answers a sentence when that failed too often."""
        fault = f"{self.server.name} {end_in_words(code)}"
        delay = self._restarts.delay_after(time.monotonic() - self._answered_at, code)
        while delay is not None:
            self._tell(f"{fault}; starting it again in {delay:g} s")
            if self._leaving.wait(delay):
                return None
            try:
                self.server.start()
            except Exception as error:
                fault = str(error)
                delay = self._restarts.delay_after(0, 1)
                continue
            self._answered_at = time.monotonic()
            self._tell(f"{self.server.name} answers again")
            return None
        return fault
