"""Several people who press at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from flask import Flask

from domain.kernel.db import transaction
from domain.kernel.errors import DomainError

SECONDS = 60


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
