"""What nobody has decided yet when somebody changes a schedule: it is neither lost nor decided twice."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from domain.accounts.audit import Actor
from domain.firing import lifecycle, run_now
from domain.firing.lifecycle import delete_schedule, edit_schedule, pause_schedule, resume_schedule
from domain.firing.run_now import run_schedule_now
from domain.kernel.errors import Conflict
from domain.schedules.cursors import locked_cursor
from domain.schedules.drafts import ScheduleDraft
from domain.schedules.schedules import ACTIVE, PAUSED, Schedule
from tests.domain.firing.ledger import (
    a_held_back_schedule,
    a_live_schedule,
    a_target,
    cursor,
    ledger,
    minute,
    occurrences,
    runs,
    tick_until_idle,
)
from tests.factories import a_tenant

pytestmark = pytest.mark.usefixtures("db")


@pytest.fixture
def workflow(db: Any) -> Any:
    return a_target(a_tenant())


def actor_of(schedule: Schedule) -> Actor:
    return Actor(schedule.tenant_id)


def edit(schedule: Schedule, now: Any, **changes: Any) -> None:
    values = {"workflow_id": schedule.workflow_id, "name": schedule.name, "cron": schedule.cron, "spread_seconds": 3600}
    edit_schedule(actor_of(schedule), schedule.id, schedule.revision, ScheduleDraft(**values | changes), now)


def make_invalid(db: Any, schedule: Schedule) -> None:
    db.execute(
        text("UPDATE schedules SET status = 'invalid', invalid_reason = 'x' WHERE id = :id"), {"id": schedule.id}
    )
    db.refresh(schedule)


def test_mending_an_invalid_schedule_keeps_the_instant_that_its_spread_holds_back(workflow: Any, db: Any) -> None:
    schedule = a_held_back_schedule(workflow)
    make_invalid(db, schedule)
    edit(schedule, minute(61), payload={"n": 2})
    assert schedule.status == ACTIVE
    tick_until_idle(minute(121))
    assert ledger(schedule) == [(60, "fired", None)]


def test_an_edit_that_switches_a_schedule_off_keeps_the_instant_that_its_spread_holds_back(workflow: Any) -> None:
    schedule = a_held_back_schedule(workflow)
    edit(schedule, minute(61), enabled=False)
    assert schedule.status == PAUSED
    tick_until_idle(minute(121))
    assert ledger(schedule) == []
    resume_schedule(actor_of(schedule), schedule.id, minute(122))
    assert ledger(schedule) == [(60, "skipped", "paused")]


@pytest.mark.parametrize("change", ["delete", "resume", "retime"])
def test_what_a_spread_holds_back_of_an_invalid_schedule_is_on_record_whatever_ends_it(
    workflow: Any, db: Any, change: str
) -> None:
    schedule = a_held_back_schedule(workflow)
    make_invalid(db, schedule)
    if change == "delete":
        delete_schedule(actor_of(schedule), schedule.id, minute(61))
    elif change == "resume":
        resume_schedule(actor_of(schedule), schedule.id, minute(61))
    else:
        edit(schedule, minute(61), cron="0 18 * * *")
    assert ledger(schedule) == [(60, "skipped", "superseded")]


def test_a_request_that_waited_for_another_does_not_turn_the_clock_back(workflow: Any) -> None:
    """Each request reads the time before it waits for the locks of the one before it."""
    schedule = a_live_schedule(workflow)
    pause_schedule(actor_of(schedule), schedule.id, "", minute(0.5))
    before, after = minute(4.9), minute(5.1)
    edit_schedule(
        actor_of(schedule),
        schedule.id,
        schedule.revision,
        ScheduleDraft(workflow_id=schedule.workflow_id, name="Renamed", cron="* * * * *", enabled=False),
        after,
    )
    resume_schedule(actor_of(schedule), schedule.id, before)
    assert cursor(schedule).next_fire_at == minute(6)
    tick_until_idle(minute(6))
    assert [(row.scheduled_for, row.count) for row in occurrences(schedule)] == [(minute(1), 5), (minute(6), 1)]


def test_a_clock_that_was_set_back_fires_nothing_again_under_a_new_timing(workflow: Any) -> None:
    schedule = a_live_schedule(workflow, cron="*/10 * * * *")
    tick_until_idle(minute(30))
    edit_schedule(
        actor_of(schedule),
        schedule.id,
        schedule.revision,
        ScheduleDraft(workflow_id=schedule.workflow_id, name="Denser", cron="*/5 * * * *"),
        minute(2),
    )
    tick_until_idle(minute(36))
    assert [number for number, _, _ in ledger(schedule)] == [10, 30, 35]


def test_resuming_a_schedule_that_somebody_moves_to_another_workflow_is_a_conflict(
    workflow: Any, db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = a_live_schedule(workflow, enabled=False)
    other = a_target(a_tenant("globex"), "Other")
    assert other.id != workflow.id
    settle = lifecycle.settle

    def move_and_settle(*args: Any) -> None:
        move_elsewhere(db, schedule, workflow)
        settle(*args)

    monkeypatch.setattr(lifecycle, "settle", move_and_settle)
    with pytest.raises(Conflict):
        resume_schedule(actor_of(schedule), schedule.id, minute(1))


def test_running_a_schedule_that_somebody_moves_to_another_workflow_is_a_conflict(
    workflow: Any, db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = a_live_schedule(workflow)

    def move_and_lock(schedule_id: Any) -> Any:
        move_elsewhere(db, schedule, workflow)
        return locked_cursor(schedule_id)

    monkeypatch.setattr(run_now, "locked_cursor", move_and_lock)
    with pytest.raises(Conflict):
        run_schedule_now(actor_of(schedule), schedule.id, "key-1", minute(0.5))
    assert runs(schedule) == []


def move_elsewhere(db: Any, schedule: Schedule, workflow: Any) -> None:
    """What another transaction commits between this one's first look and its lock."""
    from domain.accounts.tenants import Tenant

    target = a_target(db.get_one(Tenant, workflow.tenant_id), "Elsewhere")
    db.execute(
        text("UPDATE schedules SET workflow_id = :target WHERE id = :id"), {"target": target.id, "id": schedule.id}
    )


def test_an_instant_put_back_after_an_error_survives_a_pause(workflow: Any, db: Any) -> None:
    schedule = a_live_schedule(workflow)
    db.execute(text("UPDATE schedules SET cron = 'rubbish'"))
    tick_until_idle(minute(1))
    db.execute(text("UPDATE schedules SET cron = '* * * * *'"))
    db.expire_all()
    pause_schedule(actor_of(schedule), schedule.id, "", minute(2.5))
    resume_schedule(actor_of(schedule), schedule.id, minute(3.5))
    assert [(row.reason, row.count) for row in occurrences(schedule)] == [("paused", 3)]
    tick_until_idle(minute(4) + timedelta(seconds=1))
    assert ledger(schedule)[-1] == (4, "fired", None)
