"""Several people who press at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from flask import Flask

from domain.kernel.db import transaction
from domain.kernel.errors import DomainError
from tests.faults.fleet import scalar, wait_until

SECONDS = 60
WAITING_FOR_A_LOCK = """
    SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()
"""


def together(app: Flask, *acts: Callable[[], Any]) -> list[Any]:
    """Every act in a thread and a transaction of its own, all at once; what it answered or the refusal it met."""
    start = threading.Barrier(len(acts))

    def run(act: Callable[[], Any]) -> Any:
        with app.app_context():
            start.wait(SECONDS)
            try:
                with transaction():
                    return act()
            except DomainError as refusal:
                return refusal

    with ThreadPoolExecutor(len(acts)) as pool:
        return [future.result(SECONDS) for future in [pool.submit(run, act) for act in acts]]


def while_locked(app: Flask, hold: Callable[[], Any], act: Callable[[], Any]) -> Any:
    """What `act` answers when it has to wait until a transaction that did `hold` commits."""
    is_held, may_commit = threading.Event(), threading.Event()

    def holding() -> None:
        with app.app_context(), transaction():
            hold()
            is_held.set()
            may_commit.wait(30)

    def acting() -> Any:
        is_held.wait(30)
        with app.app_context(), transaction():
            return act()

    with ThreadPoolExecutor(2) as pool:
        held, acted = pool.submit(holding), pool.submit(acting)
        try:
            wait_until(lambda: scalar(app, WAITING_FOR_A_LOCK), "somebody who waits", 30)
        finally:
            may_commit.set()
        held.result(30)
        return acted.result(30)
