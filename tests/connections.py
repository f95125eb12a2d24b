"""Who leaves a connection to the database open: asked after each test, while it can still be said where it was made."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import event
from sqlalchemy.pool import Pool

# A thread that ends gives its connection back when the test may already be over.
PATIENCE_SECONDS = 10
MADE_BY: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
"""Every connection of a pool in this process that somebody still knows, and the lines that made it."""


@event.listens_for(Pool, "connect")
def _remember(connection: Any, _record: object) -> None:
    MADE_BY[connection] = "".join(traceback.format_stack(limit=40))


@contextmanager
def all_closed() -> Iterator[None]:
    """Fails when a connection that was made inside is open afterwards: the collector would find it during another test."""
    before = set(MADE_BY)
    yield
    until = time.monotonic() + PATIENCE_SECONDS
    while (left := _open(before)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not left, f"{len(left)} connections are left open. The first was made by:\n{left[0]}"


def _open(before: set[Any]) -> list[str]:
    return [lines for connection, lines in list(MADE_BY.items()) if not connection.closed and connection not in before]
