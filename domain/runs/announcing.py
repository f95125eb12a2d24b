"""Saying that a run is ready, so that nobody has to wait for the next look."""

from __future__ import annotations

from sqlalchemy import text

from domain.kernel.db import db

READY_CHANNEL = "carillon_ready"


def announce_work() -> None:
    """Tell the schedulers, when this transaction commits, that a run waits. Losing it costs a second, never a run."""
    db.session.execute(text("SELECT pg_notify(:channel, '')"), {"channel": READY_CHANNEL})
