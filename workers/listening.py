"""Hearing at once that a run waits, instead of with the next look."""

from __future__ import annotations

import select
import threading

import psycopg

from domain.kernel.log import first_line, logger
from domain.runs.announcing import READY_CHANNEL

log = logger(__name__)

RETRY_SECONDS = 1.0


def listen(database_url: str, heard: threading.Event, stopping: threading.Event) -> None:
    """Set `heard` when a transaction announces work. A lost connection costs a second per run, no more.

    Run by a daemon: between two announcements it sleeps, also when the process is to end.
    """
    url = database_url.replace("postgresql+psycopg://", "postgresql://", 1)
    while not stopping.is_set():
        try:
            with psycopg.connect(url, autocommit=True, application_name="carillon-listener") as connection:
                connection.execute(f"LISTEN {READY_CHANNEL}")
                spoken_to = select.poll()
                spoken_to.register(connection.fileno(), select.POLLIN)
                while not stopping.is_set():
                    for _ in connection.notifies(timeout=0):
                        heard.set()
                    # Also the end of the connection is heard. `notifies` would look ten times a second while it waits.
                    spoken_to.poll()
        except psycopg.Error as error:
            log.warning("Not listening for new work", error=first_line(error))
            stopping.wait(RETRY_SECONDS)
