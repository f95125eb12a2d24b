"""Long checks send no statements, and the database ends transactions that are idle for long."""

from __future__ import annotations

from sqlalchemy import select

from domain.kernel.clock import monotonic
from domain.kernel.db import db

AWAKE_SECONDS = 2


class Awake:
    """Keeps the connection of the open transaction awake while something else is done."""

    def __init__(self) -> None:
        self._stirred_at = monotonic()

    def stir(self) -> None:
        """Send a statement, unless one was sent just now."""
        if monotonic() - self._stirred_at >= AWAKE_SECONDS:
            db.session.execute(select(1))
            self._stirred_at = monotonic()
