"""What is forgotten by itself: leases of processes long gone, keys of requests nobody will repeat, ended sessions."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete

from domain.accounts.request_keys import RequestKey
from domain.accounts.sessions import prune_sessions
from domain.kernel.db import db
from domain.runs.heartbeats import prune_heartbeats

REQUEST_KEYS_KEPT = timedelta(days=7)


def prune(now: datetime) -> None:
    """Forget what is past its time. History of schedules and runs is not touched."""
    prune_heartbeats(now)
    db.session.execute(delete(RequestKey).where(RequestKey.created_at < now - REQUEST_KEYS_KEPT))
    prune_sessions(now)
