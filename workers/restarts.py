"""What ended is started again: soon at first, later each time, and not for ever, because a mistake does not mend itself."""

from __future__ import annotations

import signal
from collections import deque

FIRST_DELAY_SECONDS = 0.5
LAST_DELAY_SECONDS = 10.0
SOUND_SECONDS = 60.0
"""Who lived that long was well: earlier ends are forgotten."""
ENDS_MAX = 5
ENDS_SECONDS = 30.0
"""Ending by itself ENDS_MAX times within so much running, delays not counted, is a mistake."""


class Restarts:
    """The ends of one process or server, and what follows from them."""

    def __init__(self) -> None:
        self._delay = FIRST_DELAY_SECONDS
        self._lives: deque[float] = deque(maxlen=ENDS_MAX)

    def delay_after(self, lived_seconds: float, code: int) -> float | None:
        """Seconds to wait before the next start; None when it is time to give up.

        `code` is an exit code, negative for a signal. SIGKILL always comes from outside, so it never makes a mistake.
        """
        if lived_seconds >= SOUND_SECONDS:
            self._delay = FIRST_DELAY_SECONDS
            self._lives.clear()
        if code != -signal.SIGKILL:
            self._lives.append(lived_seconds)
            if len(self._lives) == ENDS_MAX and sum(self._lives) < ENDS_SECONDS:
                return None
        delay, self._delay = self._delay, min(2 * self._delay, LAST_DELAY_SECONDS)
        return delay


def end_in_words(code: int) -> str:
    """How something ended, to be put behind its name."""
    return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
