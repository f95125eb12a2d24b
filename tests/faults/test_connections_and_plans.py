"""How the database is asked: along an index however much there is, and never over a connection of another process."""

from __future__ import annotations

import subprocess
import sys

import pytest
from sqlalchemy import event

from domain.firing.tick import fire_due
from domain.kernel import clock
from domain.kernel.db import db, transaction
from tests.faults.fleet import Fleet, execute
from tests.faults.seeds import PURE_STEPS, seed_one_time_schedules, seed_workflow
from tests.servers import ROOT

IDLE = 20_000


@pytest.mark.parametrize("now", ["given", "clock_timestamp()"], ids=["guarded", "unguarded"])
def test_what_is_due_is_found_without_reading_what_is_not(fleet: Fleet, now: str) -> None:
    """Among many that are not due and dead rows of many fires. Control: with a time that the database reads row by row it
    walks along all of them."""
    workflow_id = seed_workflow(fleet.app, PURE_STEPS, is_pure=True)
    seed_one_time_schedules(fleet.app, workflow_id, IDLE, in_seconds=3600)
    execute(fleet.app, "UPDATE schedule_cursors SET wake_at = wake_at + interval '1 hour'")
    asked: list[tuple[str, dict[str, object]]] = []
    with fleet.app.app_context(), transaction():
        db.session.connection().exec_driver_sql("ANALYZE schedule_cursors")

        def listen(_conn: object, _cursor: object, statement: str, values: dict[str, object], *_more: object) -> None:
            asked.append((statement, values))

        event.listen(db.engine, "before_cursor_execute", listen)
        fire_due(clock.database_now())
        event.remove(db.engine, "before_cursor_execute", listen)
        [(claim, values)] = [one for one in asked if "SKIP LOCKED" in one[0]]
        if now != "given":
            claim = claim.replace("%(wake_at_1)s::TIMESTAMP WITH TIME ZONE", now)
        explained = db.session.connection().exec_driver_sql(f"EXPLAIN (ANALYZE) {claim}", values)
        plan = "\n".join(explained.scalars())
    assert "ix_schedule_cursors_wake" in plan
    assert ("Index Cond" in plan) is (now == "given")
    assert ("Rows Removed by Filter" in plan) is (now != "given")


FORKED = """
import os, sys
from sqlalchemy import text
from domain.kernel.config import Config
from domain.kernel.db import db, transaction
from workers.broker import AppContext
from workers.process import process_app

app = process_app(Config.from_env(), "worker", 1)

def backend():
    with app.app_context(), transaction():
        return db.session.scalar(text("SELECT pg_backend_pid()"))

print(backend(), flush=True)
child = os.fork()
if child == 0:
    if "guarded" in sys.argv:
        AppContext(app).after_process_boot(None)
    print(backend(), flush=True)
    os._exit(0)
os.waitpid(child, 0)
print(backend(), flush=True)
"""


@pytest.mark.parametrize("guard", ["guarded", "unguarded"])
def test_a_forked_process_uses_no_connection_of_its_parent(fleet: Fleet, guard: str) -> None:
    """Control: without forgetting them, both speak over one, and take each other's answers."""
    command = [sys.executable, "-c", FORKED, guard]
    ended = subprocess.run(command, cwd=ROOT, env=fleet.env, capture_output=True, text=True, timeout=60, check=True)
    parent, child, parent_later = ended.stdout.split()
    assert (child != parent) is (guard == "guarded")
    assert parent_later == parent


def test_the_web_makes_its_app_after_the_fork() -> None:
    assert "preload" not in (ROOT / "gunicorn.conf.py").read_text()
    assert "preload" not in (ROOT / "Procfile").read_text()
