"""Health, and the pages about the system."""

from __future__ import annotations

import re
import threading
import time
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from domain.fire_minutes import sum_minutes
from domain.firing.tick import fire_due
from domain.health import Connections
from domain.invariant_checks import InvariantCheck, check_invariants
from domain.invariants import INVARIANTS
from domain.kernel import clock
from domain.kernel.db import transaction
from domain.kernel.ids import new_id
from domain.runs.heartbeats import Heartbeat, beat
from domain.schedules.cursors import ScheduleCursor
from tests.factories import a_published_workflow, a_run, a_schedule
from tests.servers import make_app, plain_config
from tests.statements import counted
from tests.web.cast import Browser
from web import system
from web.throttle import is_redis_up


@pytest.fixture
def processes(db: Any) -> dict[str, UUID]:
    """A living scheduler and worker."""
    ids = {kind: new_id() for kind in ("scheduler", "worker")}
    for kind, process_id in ids.items():
        beat(process_id, kind, "host-1", 4711, "0.1.0", 30)
    db.commit()
    return ids


def kill(db: Any, process_id: UUID) -> None:
    gone = clock.database_now() - timedelta(seconds=1)
    db.execute(update(Heartbeat).where(Heartbeat.id == process_id).values(lease_until=gone))
    db.commit()


def a_due_cursor(alice: Browser, db: Any, wake_at: datetime) -> None:
    schedule = a_schedule(a_published_workflow(alice.tenant, f"Workflow {new_id()}"))
    db.execute(update(ScheduleCursor).where(ScheduleCursor.schedule_id == schedule.id).values(wake_at=wake_at))
    db.commit()


def due(now: datetime) -> dict[str, Any]:
    """Once, just now, and not decided yet."""
    at = now.replace(microsecond=0)
    return {"trigger_type": "schedule", "cron": None, "run_at": at, "next_fire_at": at}


def test_all_is_well_when_every_kind_of_process_is_alive(client: FlaskClient, processes: dict[str, UUID]) -> None:
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json["status"], answer.json["problems"]) == (200, "ok", [])
    assert answer.json["processes"] == {"scheduler": 1, "worker": 1}


@pytest.mark.parametrize("kind", ["scheduler", "worker"])
def test_a_kind_of_process_that_is_gone_is_named(
    client: FlaskClient, processes: dict[str, UUID], db: Any, kind: str
) -> None:
    kill(db, processes[kind])
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json["status"]) == (503, "failing")
    assert [problem.partition(":")[0] for problem in answer.json["problems"]] == [f"No {kind} is alive"]


def test_overdue_schedules_are_a_problem_after_two_minutes(alice: Browser, processes: dict[str, UUID], db: Any) -> None:
    now = clock.database_now()
    a_due_cursor(alice, db, now - timedelta(seconds=100))
    assert alice.get("/healthz").status_code == 200
    a_due_cursor(alice, db, now - timedelta(seconds=200))
    answer = alice.get("/healthz")
    assert answer.status_code == 503
    assert answer.json["problems"][0].startswith("Schedules are decided 20")
    assert "acme" not in answer.text.lower()


def test_without_redis_the_system_is_degraded(
    client: FlaskClient, processes: dict[str, UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system, "is_redis_up", lambda: False)
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json["status"]) == (503, "degraded")
    assert "Redis" in answer.json["problems"][0]


def test_a_redis_that_is_not_there_is_noticed_and_sign_in_still_counts() -> None:
    app = make_app(plain_config())
    with app.app_context():
        assert is_redis_up() is False
    client = app.test_client()
    # Neither Redis nor the database answers: the attempt is counted in memory, and the page says what is wrong.
    token = client.get("/sign-in").text.split('name="csrf-token" content="')[1].split('"')[0]
    answer = client.post("/sign-in", data={"csrf_token": token})
    assert answer.status_code == 503
    assert "not available right now" in answer.text


def test_without_a_database_the_answer_says_so_and_comes_soon() -> None:
    started = time.monotonic()
    answer = make_app(plain_config()).test_client().get("/healthz")
    assert time.monotonic() - started < 30
    assert answer.status_code == 503
    assert answer.json["problems"] == ["The database cannot be reached."]


def test_a_database_that_hangs_does_not_hang_the_answer(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system, "CHECK_SECONDS", 0.1)
    hangs = threading.Event()
    monkeypatch.setattr(system, "_probe", lambda _app: hangs.wait(60))
    started = time.monotonic()
    assert client.get("/healthz").status_code == 503
    assert time.monotonic() - started < 30
    hangs.set()


def test_the_page_shows_the_processes_and_polls_itself(bob: Browser, processes: dict[str, UUID], db: Any) -> None:
    kill(db, processes["worker"])
    page = bob.get("/system").text
    assert "No worker is alive: runs wait" in page and "Alive" in page and "Gone" in page
    assert "host-1" in page
    assert "/system/audit" not in page
    fragment = bob.get("/system", htmx=True).text
    assert fragment.lstrip().startswith('<div id="state"')
    assert 'hx-get="/system"' in fragment


def test_the_page_without_any_process_says_what_that_means(bob: Browser) -> None:
    assert "No process has been seen in the last hour" in bob.get("/system").text


def test_the_page_shows_the_last_hour_what_waits_and_what_room_is_left(alice: Browser, db: Any) -> None:
    now = clock.database_now()
    schedule = a_schedule(a_published_workflow(alice.tenant), **due(now))
    with transaction():
        fire_due(clock.database_now())
    sum_minutes(clock.database_now())
    a_run(a_published_workflow(alice.tenant, "Ping"), "queued", ready_at=now)
    check_invariants(clock.database_now())
    db.commit()
    page = alice.get("/system").text
    assert "1 fire in the last hour" in page and "<svg" in page and "99 % within" in page
    assert "All hold" in page
    assert re.search(r"\d+ of \d+ connections", page)
    assert re.search(r"Fired</span></dt><dd>1</dd>", page), page
    assert "With effects</dt><dd>1, the first for" in page and "Pure steps</dt><dd>" in page
    # The run of the schedule and the one by hand. Each number in a row of its own, which no narrow screen breaks.
    assert "Runs queued</dt><dd>2</dd>" in page and "Runs waiting</dt><dd>none</dd>" in page
    assert schedule.name not in page


def test_a_broken_invariant_is_at_the_top_with_what_to_do_and_the_ids_of_this_tenant(
    alice: Browser, charlie: Browser, db: Any
) -> None:
    run = a_run(a_published_workflow(alice.tenant), "waiting")
    check_invariants(clock.database_now())
    db.commit()
    mine, theirs = alice.get("/system").text, charlie.get("/system").text
    for page in (mine, theirs):
        assert "Found: a run that waits for nothing" in page and "report it with these ids" in page
        assert f"1 of {len(INVARIANTS)}" in page
    assert f'href="/runs/{run.id}"' in mine and "not concerned" not in mine
    assert mine.index("Found: a run") < mine.index("Lateness in the last hour")
    assert str(run.id) not in theirs and "Rows of Globex are not concerned" in theirs and "Acme" not in theirs


def test_a_schedule_that_breaks_an_invariant_is_a_link_away(alice: Browser, db: Any) -> None:
    schedule = a_schedule(a_published_workflow(alice.tenant))
    a_due_cursor(alice, db, clock.database_now())
    db.execute(update(ScheduleCursor).where(ScheduleCursor.schedule_id == schedule.id).values(wake_at=None))
    check_invariants(clock.database_now())
    db.commit()
    assert f'<a href="/schedules/{schedule.id}">{schedule.id}</a>' in alice.get("/system").text


def test_of_a_kind_that_is_gone_the_last_one_is_named(alice: Browser, processes: dict[str, UUID], db: Any) -> None:
    assert "The last scheduler" not in alice.get("/system").text
    kill(db, processes["scheduler"])
    page = alice.get("/system").text
    assert "No scheduler is alive" in page and "Everything that fires and runs" not in page
    assert re.search(r"The last scheduler \(<span[^>]*>host-1 · 4711</span>\) was alive until", page)


def test_nobody_is_told_that_all_holds_when_nobody_has_looked_for_long(
    alice: Browser, processes: dict[str, UUID], db: Any
) -> None:
    check_invariants(clock.database_now() - timedelta(minutes=4))
    db.commit()
    assert "All hold" in alice.get("/system").text
    db.execute(update(InvariantCheck).values(checked_at=clock.database_now() - timedelta(minutes=6)))
    db.commit()
    page = alice.get("/system").text
    assert "All hold" not in page and "Not known" in page
    assert "The invariants have not been checked for 6 min" in page and "Everything that fires" not in page


def test_runs_that_no_worker_takes_are_said_at_the_top(alice: Browser, processes: dict[str, UUID], db: Any) -> None:
    ready_at = clock.database_now() - timedelta(seconds=50)
    run = a_run(a_published_workflow(alice.tenant), "queued", ready_at=ready_at)
    db.commit()
    assert "no worker takes them" not in alice.get("/system").text
    run.ready_at = ready_at - timedelta(minutes=10)
    db.commit()
    page = alice.get("/system").text
    assert "no worker takes them: With effects for 10 min" in page and "Everything that fires" not in page
    kill(db, processes["worker"])
    page = alice.get("/system").text
    assert "No worker is alive" in page and "no worker takes them" not in page, "the reason is told once"


def test_a_database_that_is_about_to_refuse_connections_is_told(
    alice: Browser, processes: dict[str, UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system, "connections", lambda: Connections(89, 100))
    assert "connections of the database are in use" not in alice.get("/system").text
    monkeypatch.setattr(system, "connections", lambda: Connections(90, 100))
    assert "90 of 100 connections of the database are in use" in alice.get("/system").text


def test_nobody_is_told_what_another_tenant_has(alice: Browser, charlie: Browser, db: Any) -> None:
    a_schedule(a_published_workflow(alice.tenant, "Invoice sync"), **due(clock.database_now()))
    with transaction():
        fire_due(clock.database_now())
    sum_minutes(clock.database_now())
    db.commit()
    page = charlie.get("/system").text
    assert "1 fire in the last hour" in page, "lateness is the installation's"
    assert "<dt>Fired</dt><dd>none</dd>" in page
    assert "Invoice" not in page and "acme" not in page.lower()


def test_the_page_costs_the_same_however_much_there_is(alice: Browser, db: Any) -> None:
    alice.get("/system")
    with counted() as few:
        alice.get("/system")
    workflow = a_published_workflow(alice.tenant)
    for number in range(5):
        a_run(workflow, "waiting")
        beat(new_id(), "worker", f"host-{number}", number, "0.1.0", 30)
        a_schedule(workflow, f"S{number}", **due(clock.database_now()))
    with transaction():
        fire_due(clock.database_now())
    sum_minutes(clock.database_now())
    check_invariants(clock.database_now())
    db.commit()
    with counted() as many:
        assert "Found:" in alice.get("/system").text
    assert len(many) == len(few) <= 20
