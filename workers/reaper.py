"""The reaper: who died or stands still keeps neither its runs nor anything locked."""

from __future__ import annotations

from datetime import datetime

from flask import Flask
from psycopg.errors import InsufficientPrivilege
from sqlalchemy.exc import ProgrammingError

from domain.kernel import clock
from domain.kernel.db import transaction
from domain.kernel.log import first_line, logger
from domain.runs.heartbeats import end_standing_sessions
from domain.runs.reaping import reap_lost

log = logger(__name__)


class Reaper:
    """Takes nothing from anybody before a lease has passed since the database could first be reached: while it was away
    nobody could renew anything."""

    def __init__(self, app: Flask, lease_seconds: int) -> None:
        self.app = app
        self.lease_seconds = lease_seconds
        # Since when the database has answered without a break, and when it did last.
        self.reached_database_at: float | None = None
        self.heard_of_database_at = 0.0

    def reap(self) -> int:
        """Take runs from dead workers; how many were taken, or ended at their deadline."""
        try:
            with self.app.app_context(), transaction():
                now = clock.database_now()
                if self._seconds_with_database() < self.lease_seconds:
                    return 0
                self._end_standing(now)
                reaped = reap_lost(now)
        except Exception:
            self.reached_database_at = None
            raise
        if reaped:
            log.warning("Runs were taken from lost workers or ended at their deadline", runs=reaped)
        return reaped

    def _end_standing(self, now: datetime) -> None:
        """What these hold is passed by when runs are taken, and found free with the next look."""
        try:
            standing = end_standing_sessions(now, self.lease_seconds)
        except ProgrammingError as error:
            if not isinstance(error.orig, InsufficientPrivilege):
                raise
            log.warning("The database sessions of processes that stand still cannot be ended", error=first_line(error))
            return
        if standing:
            log.warning(
                "Processes stand still inside a transaction; their database sessions were ended", sessions=standing
            )

    def _seconds_with_database(self) -> float:
        """For how long the database has been answering; one that stood still for a lease begins anew."""
        at = clock.monotonic()
        if self.reached_database_at is None or at - self.heard_of_database_at > self.lease_seconds:
            self.reached_database_at = at
        self.heard_of_database_at = at
        return at - self.reached_database_at
