"""Hearing at once that a run waits, instead of with the next look."""

from __future__ import annotations

import threading

import psycopg

from domain.kernel.log import first_line, logger
from domain.runs.announcing import READY_CHANNEL

log = logger(__name__)

LOOK_SECONDS = 1.0


def listen(database_url: str, heard: threading.Event, stopping: threading.Event) -> None:
    """Set `heard` when a transaction announces work. A lost connection costs a second per run, no more."""
    url = database_url.replace("postgresql+psycopg://", "postgresql://", 1)
    while not stopping.is_set():
        try:
            with psycopg.connect(url, autocommit=True, application_name="carillon-listener") as connection:
                connection.execute(f"LISTEN {READY_CHANNEL}")
                while not stopping.is_set():
                    for _ in connection.notifies(timeout=LOOK_SECONDS, stop_after=1):
                        heard.set()
        except psycopg.Error as error:
            log.warning("Not listening for new work", error=first_line(error))
            stopping.wait(LOOK_SECONDS)
