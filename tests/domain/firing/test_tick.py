"""Firing: what is due is decided once, with a clock that the test moves."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from domain.firing.due import due_steps
from domain.firing.tick import fire_due, settle
from domain.runs.runs import EFFECT, PURE
from domain.schedules.schedules import COMPLETED, Schedule
from tests.domain.firing.ledger import (
    a_live_schedule,
    a_target,
    cursor,
    ledger,
    minute,
    occurrences,
    runs,
    tick_until_idle,
)
from tests.factories import a_tenant, a_version
from tests.statements import counted

pytestmark = pytest.mark.usefixtures("db")


@pytest.fixture
def workflow(db: Any) -> Any:
    return a_target(a_tenant())


def test_an_enabled_schedule_fires_at_exactly_its_times(workflow: Any) -> None:
    schedule = a_live_schedule(workflow, cron="*/15 * * * *", overlap="allow")
    for number in range(61):
        tick_until_idle(minute(number))
    assert ledger(schedule) == [(15, "fired", None), (30, "fired", None), (45, "fired", None), (60, "fired", None)]
    assert [run.id for run in runs(schedule)] == [row.id for row in occurrences(schedule)]


def test_a_herd_takes_as_many_statements_as_one_schedule(workflow: Any) -> None:
    a_live_schedule(workflow, "Alone")
    with counted() as alone:
        assert fire_due(minute(1)) == 1
    schedules = [
        a_live_schedule(workflow, f"S{n}", timezone=zone) for n, zone in enumerate(["UTC", "Asia/Kolkata"] * 5)
    ]
    with counted() as herd:
        assert fire_due(minute(2)) == 11
    assert len(herd) == len(alone) > 0
    assert all(ledger(schedule)[-1] == (2, "fired", None) for schedule in schedules)


def test_nothing_fires_a_moment_too_early(workflow: Any) -> None:
    schedule = a_live_schedule(workflow)
    fire_due(minute(1) - timedelta(microseconds=1))
    assert ledger(schedule) == []
    fire_due(minute(1))
    assert ledger(schedule) == [(1, "fired", None)]


def test_a_paused_schedule_never_fires(workflow: Any) -> None:
    schedule = a_live_schedule(workflow, enabled=False)
    for number in range(5):
        assert fire_due(minute(number)) == 0
    assert ledger(schedule) == [] and runs(schedule) == []


def test_a_one_time_schedule_fires_once_and_is_completed(workflow: Any, db: Any) -> None:
    schedule = a_live_schedule(workflow, trigger_type="schedule", run_at="2026-06-01T12:05:00Z", cron=None)
    for number in range(10):
        tick_until_idle(minute(number))
    assert ledger(schedule) == [(5, "fired", None)]
    assert db.get_one(Schedule, schedule.id, populate_existing=True).status == COMPLETED
    assert (cursor(schedule).next_fire_at, cursor(schedule).wake_at) == (None, None)


def test_a_run_carries_the_payload_and_says_where_it_came_from(workflow: Any) -> None:
    schedule = a_live_schedule(workflow, payload={"region": "eu"}, timezone="Europe/Paris")
    fire_due(minute(1) + timedelta(seconds=2))
    (run,) = runs(schedule)
    assert run.input_json == {"region": "eu"}
    assert run.trigger_metadata == {
        "triggerType": "recurring",
        "scheduleId": str(schedule.id),
        "scheduleName": "Every minute",
        "scheduledFor": "2026-06-01T12:01:00Z",
        "firedAt": "2026-06-01T12:01:02Z",
        "timezone": "Europe/Paris",
        "cron": "* * * * *",
        "workflowId": str(workflow.id),
        "workflowVersion": 1,
    }
    assert (run.started_by, run.status, run.lane, run.ready_at) == (
        "recurring",
        "queued",
        PURE,
        minute(1) + timedelta(seconds=2),
    )


def test_a_workflow_pinned_to_the_clock_contract_gets_it_as_its_input(db: Any) -> None:
    workflow = a_target(a_tenant(), ref="trigger.clock.v1", is_pure=False)
    schedule = a_live_schedule(workflow, trigger_type="schedule", run_at="2026-06-01T12:05:00Z", cron=None)
    fire_due(minute(5))
    (run,) = runs(schedule)
    assert run.input_json == {
        "triggerType": "schedule",
        "scheduleId": str(schedule.id),
        "scheduledFor": "2026-06-01T12:05:00Z",
        "firedAt": "2026-06-01T12:05:00Z",
        "timezone": "UTC",
        "workflowId": str(workflow.id),
        "workflowVersion": 1,
    }
    assert run.lane == EFFECT


@pytest.mark.parametrize(
    ("catch_up", "expected"),
    [
        ("latest", [(1, "missed", "late"), (180, "fired", None)]),
        ("skip", [(1, "missed", "late")]),
    ],
)
def test_after_downtime_the_catch_up_policy_decides_and_the_rest_is_one_gap_row(
    workflow: Any, catch_up: str, expected: list[Any]
) -> None:
    schedule = a_live_schedule(workflow, catch_up=catch_up, cron="*/2 * * * *" if catch_up == "latest" else "* * * * *")
    fire_due(minute(181.5))
    found = ledger(schedule)
    assert found[-1][1] == expected[-1][1] or catch_up == "skip"
    gap = occurrences(schedule)[0]
    assert (gap.outcome, gap.reason) == ("missed", "late")
    total = sum(row.count for row in occurrences(schedule))
    assert total == (90 if catch_up == "latest" else 181)
    assert len([row for row in found if row[1] == "fired"]) == 1


def test_catch_up_all_makes_up_the_newest_hundred_and_counts_the_others(workflow: Any) -> None:
    schedule = a_live_schedule(workflow, catch_up="all", overlap="allow", cron="*/2 * * * *")
    fire_due(minute(301.5))
    rows = occurrences(schedule)
    assert [row.outcome for row in rows].count("fired") == 100
    assert (rows[0].outcome, rows[0].count, rows[0].through) == ("missed", 50, minute(100))


def test_an_instant_that_is_later_than_the_schedule_allows_is_missed(workflow: Any) -> None:
    schedule = a_live_schedule(workflow, cron="0 * * * *", max_lateness_seconds=600)
    fire_due(minute(71))
    assert ledger(schedule) == [(60, "missed", "too_late")]


def test_overlap_skip_fires_only_when_the_previous_run_has_ended(workflow: Any, db: Any) -> None:
    schedule = a_live_schedule(workflow, overlap="skip")
    fire_due(minute(1))
    fire_due(minute(2))
    db.execute(text("UPDATE runs SET status = 'succeeded', finished_at = now()"))
    fire_due(minute(3))
    assert ledger(schedule) == [(1, "fired", None), (2, "skipped", "overlap"), (3, "fired", None)]


def test_overlap_queue_lets_runs_wait_up_to_its_limit_and_records_the_rest(workflow: Any) -> None:
    schedule = a_live_schedule(workflow, overlap="queue")
    for number in range(1, 103):
        fire_due(minute(number))
    outcomes = [outcome for _, outcome, _ in ledger(schedule)]
    assert outcomes.count("fired") == 100
    assert ledger(schedule)[-1] == (102, "skipped", "queue_full")
    assert [run.ready_at is not None for run in runs(schedule)] == [True] + [False] * 99


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("UPDATE workflows SET paused_at = now(), pause_reason = 'audit'", "workflow_paused"),
        ("UPDATE workflows SET published_version = NULL", "workflow_unpublished"),
        ("UPDATE workflows SET deleted_at = now()", "workflow_deleted"),
        ("UPDATE tenants SET edition = 'community'", "edition"),
        (
            "UPDATE schedules SET status = 'invalid', invalid_reason = 'payload/region: region is required'",
            "payload_invalid",
        ),
    ],
)
def test_an_instant_whose_target_cannot_run_is_refused_with_the_reason(
    workflow: Any, db: Any, change: str, reason: str
) -> None:
    schedule = a_live_schedule(workflow)
    db.execute(text(change))
    fire_due(minute(1))
    assert ledger(schedule) == [(1, "refused", reason)]
    assert runs(schedule) == []
    assert occurrences(schedule)[0].detail
    assert cursor(schedule).last_error == occurrences(schedule)[0].detail


def test_a_run_with_a_limit_waits_for_admission(db: Any) -> None:
    schedule = a_live_schedule(a_target(a_tenant(), limit=1), overlap="allow")
    fire_due(minute(1))
    assert [run.ready_at for run in runs(schedule)] == [None]


def test_one_poisoned_row_among_many_delays_only_itself(workflow: Any, db: Any) -> None:
    schedules = [a_live_schedule(workflow, f"Schedule {number}") for number in range(40)]
    poisoned = schedules[17]
    db.execute(text("UPDATE schedules SET cron = 'rubbish' WHERE id = :id"), {"id": poisoned.id})
    fire_due(minute(1))
    assert [len(runs(schedule)) for schedule in schedules] == [
        0 if schedule is poisoned else 1 for schedule in schedules
    ]
    assert cursor(poisoned).wake_at == minute(6) and cursor(poisoned).next_fire_at == minute(1)
    assert "could not be computed" in str(cursor(poisoned).last_error)


def test_a_row_that_the_database_refuses_is_found_by_halving_and_put_back(workflow: Any, db: Any) -> None:
    schedules = [a_live_schedule(workflow, f"Schedule {number}") for number in range(16)]
    poisoned = schedules[5]
    db.execute(text(f"ALTER TABLE occurrences ADD CONSTRAINT poison CHECK (schedule_id <> '{poisoned.id}')"))
    fire_due(minute(1))
    assert [len(runs(schedule)) for schedule in schedules] == [
        0 if schedule is poisoned else 1 for schedule in schedules
    ]
    assert cursor(poisoned).next_fire_at == minute(1) and cursor(poisoned).wake_at == minute(6)
    assert "could not be recorded" in str(cursor(poisoned).last_error)
    db.execute(text("ALTER TABLE occurrences DROP CONSTRAINT poison"))
    fire_due(minute(6))
    assert sum(row.count for row in occurrences(poisoned)) == 6


def test_an_instant_on_record_is_not_fired_again_even_if_the_cursor_forgot_it(workflow: Any, db: Any) -> None:
    schedule = a_live_schedule(workflow, overlap="allow")
    fire_due(minute(1))
    db.execute(text("UPDATE schedule_cursors SET next_fire_at = :at, wake_at = :at"), {"at": minute(1)})
    fire_due(minute(1.5))
    assert ledger(schedule) == [(1, "fired", None)] and len(runs(schedule)) == 1
    assert (cursor(schedule).next_fire_at, cursor(schedule).last_error) == (minute(2), None)


def test_a_spread_moves_when_it_is_looked_at_but_not_what_it_was_for(workflow: Any) -> None:
    schedule = a_live_schedule(workflow, cron="0 13 * * *", spread_seconds=600)
    looked_at = cursor(schedule).wake_at
    assert looked_at is not None
    offset = looked_at - minute(60)
    assert timedelta(0) <= offset <= timedelta(seconds=600)
    assert fire_due(looked_at - timedelta(seconds=1)) == 0
    fire_due(looked_at)
    assert ledger(schedule) == [(60, "fired", None)]


def test_the_fires_of_one_batch_queue_behind_each_other(workflow: Any) -> None:
    schedule = a_live_schedule(workflow, catch_up="all", overlap="skip", cron="*/10 * * * *")
    fire_due(minute(31))
    assert ledger(schedule) == [(10, "fired", None), (20, "skipped", "overlap"), (30, "skipped", "overlap")]


def test_a_fire_uses_the_version_the_schedule_is_bound_to(workflow: Any, db: Any) -> None:
    schedule = a_live_schedule(workflow)
    a_version(workflow, 2)
    db.execute(text("UPDATE schedules SET workflow_version = 2"))
    fire_due(minute(1))
    assert [run.workflow_version for run in runs(schedule)] == [2]


def test_last_fire_is_the_nominal_instant_of_the_last_timing_fire(workflow: Any) -> None:
    schedule = a_live_schedule(workflow)
    fire_due(minute(1) + timedelta(seconds=5))
    assert cursor(schedule).last_fire_at == minute(1)
    assert cursor(schedule).next_fire_at == minute(2)


def test_a_tick_writes_a_bounded_number_of_rows_and_the_next_one_goes_on(
    workflow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction that took longer than the watchdog waits would be tried in vain for ever."""
    monkeypatch.setattr(due_steps, "__defaults__", (10,))
    schedules = [
        a_live_schedule(workflow, f"Schedule {number}", catch_up="all", overlap="allow") for number in range(5)
    ]
    looked_at = []
    while found := fire_due(minute(7)):
        looked_at.append(found)
    assert looked_at == [2, 2, 1]
    assert [len(runs(schedule)) for schedule in schedules] == [7] * 5


def test_a_change_settles_everything_however_many_rows_it_takes(workflow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(due_steps, "__defaults__", (10,))
    schedules = [
        a_live_schedule(workflow, f"Schedule {number}", catch_up="all", overlap="allow") for number in range(5)
    ]
    settle([schedule.id for schedule in schedules], minute(7))
    assert [len(runs(schedule)) for schedule in schedules] == [7] * 5
