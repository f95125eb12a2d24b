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
    return new_ids(1)[0]


def new_ids(number: int) -> list[UUID]:
    """As many ids, ascending."""
    global _last
    with _lock:
        # 48 bits of milliseconds followed by 12 bits of sequence, kept growing even if the wall clock steps back.
        first = max((time.time_ns() // 1_000_000) << 12, _last + 1)
        _last = first + number - 1
    tails = os.urandom(8 * number)
    return [_id(first + index, tails[8 * index : 8 * index + 8]) for index in range(number)]


def _id(stamp: int, tail: bytes) -> UUID:
    milliseconds, sequence = stamp >> 12, stamp & 0xFFF
    rest = int.from_bytes(tail, "big") & ((1 << 62) - 1)
    return UUID(int=(milliseconds << 80) | (0x7 << 76) | (sequence << 64) | (0b10 << 62) | rest)


def first_id_at(instant: datetime) -> UUID:
    """The least id that was made at an instant, to the millisecond, or later."""
    return UUID(int=max(round(instant.timestamp() * 1_000), 0) << 80)


def parse_id(text: str) -> UUID | None:
    """The id written in `text`, or None when it is none."""
    try:
        return UUID(text)
    except ValueError:
        return None
