"""The only place that reads a clock.

The wall clock serves screens and logs. Whatever decides due or expired uses `database_now`, so that machines whose
clocks differ agree, and hands it on as an argument.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, DateTime, func, text

from domain.kernel.db import db

_CLOCK = text("SELECT clock_timestamp()")

# What `database_now` reads, as a column of another statement.
DATABASE_CLOCK: ColumnElement[datetime] = func.clock_timestamp(type_=DateTime(timezone=True)).label("database_now")


def now() -> datetime:
    """This machine's wall clock, aware, UTC."""
    return datetime.now(UTC)


def monotonic() -> float:
    """Seconds that only grow: for waits and watchdogs, never for records."""
    return time.monotonic()


def database_now() -> datetime:
    """The database's wall clock at this statement (not the start of its transaction), aware, UTC."""
    instant: datetime = db.session.execute(_CLOCK).scalar_one()
    return instant.astimezone(UTC)


def check_aware(instant: datetime) -> datetime:
    """`instant` in UTC; raises ValueError when it carries no zone."""
    if instant.tzinfo is None:
        raise ValueError("a point in time without a zone is ambiguous")
    return instant.astimezone(UTC)
