"""Why a schedule fires or not: each line by the rule that decides when it is due, and one sentence above them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from sqlalchemy import delete, text

from domain.accounts.tenants import Tenant
from domain.firing.checklist import Checklist, checklist
from domain.firing.checks import Check
from domain.firing.lifecycle import pause_schedule
from domain.firing.skipping import skip_next
from domain.firing.tick import fire_due
from domain.kernel import clock
from domain.kernel.ids import new_id
from domain.runs.heartbeats import SCHEDULER, WORKER, Heartbeat, beat
from domain.schedules.pages import schedule_detail
from domain.schedules.schedules import Schedule
from domain.workflows.workflows import Workflow
from tests.domain.firing.ledger import NOON, a_live_schedule, a_target, minute, occurrences, runs
from tests.factories import a_run, a_tenant, an_actor
from tests.statements import counted

pytestmark = pytest.mark.usefixtures("db")
REGION = {"type": "object", "properties": {"region": {"type": "string"}}, "required": ["region"]}


@pytest.fixture
def acme(db: Any) -> Tenant:
    for kind in (SCHEDULER, WORKER):
        beat(new_id(), kind, "host", 1, "dev", 60)
    return a_tenant("acme")


@pytest.fixture
def hourly(acme: Tenant) -> Schedule:
    return a_live_schedule(a_target(acme), "Hourly", cron="0 * * * *")


def checked(schedule: Schedule, db: Any, now: Any = NOON) -> Checklist:
    db.flush()
    db.expire_all()
    return checklist(schedule_detail(schedule.tenant_id, schedule.id), now)


def line(schedule: Schedule, name: str, db: Any, now: Any = NOON) -> Check:
    (found,) = (check for check in checked(schedule, db, now).checks if check.name == name)
    return found


def workflow_of(schedule: Schedule, db: Any) -> Workflow:
    found: Workflow = db.get(Workflow, schedule.workflow_id)
    return found


def test_when_all_is_well_every_line_says_so_and_it_fires(hourly: Schedule, db: Any) -> None:
    result = checked(hourly, db)
    assert result.fires and result.wrong == ()
    assert result.explanation.at == NOON + timedelta(hours=1)
    assert [check.name for check in result.checks] == [
        "enabled", "workflow", "edition", "payload", "window", "timing", "scheduler", "worker", "previous", "slot", "clock",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "name", "remedy"),
    [
        ("UPDATE workflows SET paused_at = now(), pause_reason = 'Audit'", "workflow", "workflow"),
        ("UPDATE workflows SET published_version = NULL", "workflow", "publish"),
        ("UPDATE workflows SET deleted_at = now()", "workflow", None),
        ("UPDATE tenants SET edition = 'community'", "edition", None),
        ("UPDATE schedules SET status = 'invalid', invalid_reason = '/region: is required'", "payload", "payload"),
        ("UPDATE schedules SET status = 'completed'", "enabled", "timing"),
    ],
)
def test_what_the_tick_refuses_the_line_says_in_the_same_words(
    hourly: Schedule, db: Any, change: str, name: str, remedy: str | None
) -> None:
    db.execute(text(change))
    failing = line(hourly, name, db)
    result = checked(hourly, db)
    assert (failing.state, failing.remedy) == ("fail", remedy)
    assert not result.fires and result.explanation.reason
    assert result.beside == ()
    fire_due(NOON + timedelta(hours=1))
    if refused := occurrences(hourly):
        assert [row.outcome for row in refused] == ["refused"]
        assert str(refused[0].detail) in failing.sentence


def test_several_things_in_the_way_are_several_lines(hourly: Schedule, db: Any) -> None:
    pause_schedule(an_actor(db.get(Tenant, hourly.tenant_id)), hourly.id, "Holidays", NOON)
    db.execute(text("UPDATE workflows SET paused_at = now(), pause_reason = 'Audit'"))
    result = checked(hourly, db)
    assert {check.name for check in result.wrong} == {"enabled", "workflow"}
    assert [check.name for check in result.beside] == ["workflow"]


def test_a_pause_that_ends_by_itself_says_until_when(hourly: Schedule, db: Any) -> None:
    actor = an_actor(db.get(Tenant, hourly.tenant_id))
    pause_schedule(actor, hourly.id, "Holidays", NOON, until=NOON + timedelta(hours=3, minutes=30))
    result = checked(hourly, db)
    assert result.explanation.at == NOON + timedelta(hours=4)
    assert "Mon 15:30 UTC" in line(hourly, "enabled", db).sentence


def test_a_payload_is_validated_against_the_version_it_runs_on(acme: Tenant, db: Any) -> None:
    schedule = a_live_schedule(a_target(acme, schema=REGION), payload={"region": "eu"})
    assert line(schedule, "payload", db).state == "ok"
    schedule.payload_json = {"region": 7}
    wrong = line(schedule, "payload", db)
    assert (wrong.state, wrong.remedy) == ("warn", "payload")
    assert "version 1 of Invoice sync" in wrong.sentence and "/region" in wrong.sentence


def test_a_window_that_has_ended_leaves_nothing(acme: Tenant, db: Any) -> None:
    schedule = a_live_schedule(
        a_target(acme), starts_at="2026-06-01T13:00:00Z", ends_at="2026-06-01T14:00:00Z", cron="0 * * * *"
    )
    assert "Nothing is due before" in line(schedule, "window", db).sentence
    assert "inside its window" in line(schedule, "window", db, minute(90)).sentence
    later = NOON + timedelta(hours=5)
    fire_due(later)
    assert (line(schedule, "window", db, later).state, line(schedule, "timing", db, later).state) == ("fail", "fail")


def test_without_a_living_scheduler_it_will_not_fire(hourly: Schedule, db: Any) -> None:
    db.execute(delete(Heartbeat).where(Heartbeat.kind == SCHEDULER))
    result = checked(hourly, db)
    assert result.explanation.fires and not result.fires
    assert result.obstacle is not None and (result.obstacle.name, result.obstacle.remedy) == ("scheduler", "system")


def test_without_a_worker_it_fires_and_its_run_waits(hourly: Schedule, db: Any) -> None:
    db.execute(delete(Heartbeat).where(Heartbeat.kind == WORKER))
    assert checked(hourly, db).fires
    assert line(hourly, "worker", db).state == "warn"


@pytest.mark.parametrize(
    ("overlap", "state", "outcome"), [("queue", "ok", "fired"), ("skip", "warn", "skipped"), ("allow", "ok", "fired")]
)
def test_what_an_unfinished_run_means_for_the_next_instant_is_what_the_tick_does(
    acme: Tenant, db: Any, overlap: str, state: str, outcome: str
) -> None:
    schedule = a_live_schedule(a_target(acme), overlap=overlap)
    fire_due(minute(1))
    found = line(schedule, "previous", db, minute(1))
    assert (found.state, found.remedy, found.run_id) == (state, "run", runs(schedule)[0].id)
    fire_due(minute(2))
    assert occurrences(schedule)[-1].outcome == outcome


def test_rehearsals_are_no_earlier_runs(hourly: Schedule, db: Any) -> None:
    a_run(workflow_of(hourly, db), "running", schedule_id=hourly.id, is_rehearsal=True)
    assert line(hourly, "previous", db).sentence == "No earlier run of it is unfinished."


def test_who_holds_the_only_slot_is_named(acme: Tenant, db: Any) -> None:
    target = a_target(acme, limit=1)
    schedule, other = a_live_schedule(target), a_live_schedule(target, "Nightly")
    assert line(schedule, "slot", db).sentence == "Invoice sync may have 1 run at a time; none is going."
    holder = a_run(target, "running", schedule_id=other.id)
    found = line(schedule, "slot", db)
    assert (found.state, found.run_id) == ("warn", holder.id)
    assert "a run of Nightly" in found.sentence
    assert line(other, "slot", db).state == "ok"


def test_a_clock_that_is_off_is_a_note_because_the_databases_decides(hourly: Schedule, db: Any) -> None:
    with time_machine.travel(clock.now() + timedelta(minutes=10), tick=True):
        found = line(hourly, "clock", db)
    assert found.state == "warn"
    assert "10 min" in found.sentence and "ahead of" in found.sentence


def test_an_instant_that_is_to_be_skipped_is_named_and_the_one_after_it_is_next(hourly: Schedule, db: Any) -> None:
    skip_next(an_actor(db.get(Tenant, hourly.tenant_id)), hourly.id, NOON + timedelta(hours=1), NOON)
    result = checked(hourly, db)
    assert result.explanation.at == NOON + timedelta(hours=2)
    assert "13:00 UTC will be skipped" in line(hourly, "skip_next", db).sentence


def test_a_try_that_failed_says_when_it_is_repeated(hourly: Schedule, db: Any) -> None:
    due = NOON + timedelta(hours=1)
    db.execute(
        text("UPDATE schedule_cursors SET wake_at = :at, last_error = 'Its timing could not be computed.'"),
        {"at": due + timedelta(minutes=5)},
    )
    assert "It is tried again at Mon 13:05 UTC." in line(hourly, "last_try", db, due).sentence


def test_a_deleted_schedule_has_no_checklist(hourly: Schedule, db: Any) -> None:
    hourly.deleted_at = NOON
    result = checked(hourly, db)
    assert (result.checks, result.fires, result.explanation.reason) == ((), False, "it was deleted.")


def test_a_checklist_asks_as_many_statements_whatever_there_is(acme: Tenant, db: Any) -> None:
    target = a_target(acme, limit=3)
    schedule = a_live_schedule(target)
    db.flush()
    row = schedule_detail(schedule.tenant_id, schedule.id)
    with counted() as alone:
        checklist(row, NOON)
    for _ in range(5):
        a_run(target, "running", schedule_id=schedule.id)
    with counted() as crowded:
        checklist(row, NOON)
    assert len(alone) == len(crowded) == 4
