"""Ids are UUIDv7 (RFC 9562): sortable by creation, also inside one millisecond of one process."""

from __future__ import annotations

import os
import threading
import time
from datetime import datetime
from uuid import UUID

_lock = threading.Lock()
_last = 0


def new_id() -> UUID:
    """A UUIDv7 that is greater than every one this process made before."""
    global _last
    with _lock:
        # 48 bits of milliseconds followed by 12 bits of sequence, kept growing even if the wall clock steps back.
        stamp = (time.time_ns() // 1_000_000) << 12
        _last = max(stamp, _last + 1)
        milliseconds, sequence = _last >> 12, _last & 0xFFF
    tail = int.from_bytes(os.urandom(8), "big") & ((1 << 62) - 1)
    return UUID(int=(milliseconds << 80) | (0x7 << 76) | (sequence << 64) | (0b10 << 62) | tail)


def first_id_at(instant: datetime) -> UUID:
    """The least id that was made at an instant, to the millisecond, or later."""
    return UUID(int=max(round(instant.timestamp() * 1_000), 0) << 80)


def parse_id(text: str) -> UUID | None:
    """The id written in `text`, or None when it is none."""
    try:
        return UUID(text)
    except ValueError:
        return None
