"""What the work of a step gives when the database goes away under it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from domain.engine.steps import Attempt, Task
from domain.health import is_database_away
from domain.kernel.db import db
from tests.faults.fleet import wait_until

LIVING = text("SELECT count(*) FROM pg_stat_activity WHERE pid = :pid")


def test_a_transaction_that_the_database_ended_says_nothing_about_the_step(app: Flask) -> None:
    """As happens to one that a machine has let stand still for too long."""

    def is_gone(pid: int) -> bool:
        with db.engine.connect() as beside:
            return beside.scalar(LIVING, {"pid": pid}) == 0

    def act(_given: Any, _attempt: Attempt) -> None:
        pid = db.session.scalar(text("SELECT pg_backend_pid()"))
        db.session.execute(text("SET LOCAL idle_in_transaction_session_timeout = '10ms'"))
        wait_until(lambda: is_gone(pid), "the end of the connection")
        db.session.execute(text("SELECT 1"))

    task = Task("root.steps[0]", "", "read", "action.call", act)
    with app.app_context(), pytest.raises(DBAPIError) as raised:
        task.outcome(None, Attempt(1, None, datetime.now(UTC)))
    assert is_database_away(raised.value)
