"""The counters of `web.throttle` in Redis: a request is counted and told what is left in one trip instead of two."""

from __future__ import annotations

from typing import Any

from flask import g
from limits.storage import RedisStorage

# Seconds and requests: (counted in the window before, it ends in, counted in this one, it ends in).
Window = tuple[int, float, int, float]

ONE_TRIP = "one-trip+"


class OneTripStorage(RedisStorage):
    """Runs the two scripts of `limits` as one, and remembers for the rest of the request what the second one found.

    Its address is that of Redis with ONE_TRIP before it.
    """

    STORAGE_SCHEME = [f"{ONE_TRIP}{scheme}" for scheme in ("redis", "rediss", "redis+unix")]
    # Each reads KEYS and an ARGV of its own.
    SCRIPT_COUNT_AND_LOOK = b"""
        local function count(ARGV) %b end
        local function look(ARGV) %b end
        return {count(ARGV), look({ARGV[2]})}
    """ % (RedisStorage.SCRIPT_ACQUIRE_SLIDING_WINDOW, RedisStorage.SCRIPT_SLIDING_WINDOW)

    def __init__(self, uri: str, **options: Any) -> None:
        super().__init__(uri.removeprefix(ONE_TRIP), **options)

    def initialize_storage(self, uri: str) -> None:
        super().initialize_storage(uri)
        self.count_and_look = self.get_connection().register_script(self.SCRIPT_COUNT_AND_LOOK)

    def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count `amount` under `key` when that makes no more than `limit` in `expiry` seconds; whether it was."""
        keys = [self.prefixed_key(self._previous_window_key(key)), self.prefixed_key(self._current_window_key(key))]
        is_counted, window = self.count_and_look(keys, [limit, expiry, amount])
        _seen()[key] = _read(*window)
        return bool(is_counted)

    def get_sliding_window(self, key: str, expiry: int) -> Window:
        """How much is counted under `key`, as it was when this request was counted, or as it is now if it was not."""
        return _seen().get(key) or super().get_sliding_window(key, expiry)


def _seen() -> dict[str, Window]:
    seen: dict[str, Window] = g.setdefault("counted_windows", {})
    return seen


def _read(previous: Any, previous_ms: Any, current: Any, current_ms: Any) -> Window:
    """Redis says nothing of how many there are, and a negative time, where there was no window."""
    return int(previous or 0), max(0, previous_ms) / 1000, int(current or 0), max(0, current_ms) / 1000
