"""People changing schedules while they fire, and pressing buttons more than once."""

from __future__ import annotations

import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

from domain.accounts.audit import Actor
from domain.firing.lifecycle import delete_schedule, edit_schedule, pause_schedule
from domain.firing.run_now import run_schedule_now
from domain.kernel import clock
from domain.kernel.db import transaction
from domain.schedules.drafts import ScheduleDraft
from tests.faults.fleet import Fleet, execute, rows, scalar, wait_until
from tests.faults.invariants import check_invariants
from tests.faults.seeds import PURE_STEPS, seed_one_time_schedules, seed_workflow
from tests.races.together import WAITING_FOR_A_LOCK

# Due this minute, and then for an hour no more.
DUE = """
    WITH due AS (SELECT date_trunc('minute', clock_timestamp()) AS instant), timed AS (
        UPDATE schedules SET trigger_type = 'recurring', run_at = NULL, cron = extract(minute FROM instant) || ' * * * *'
        FROM due
    )
    UPDATE schedule_cursors SET next_fire_at = instant, wake_at = instant FROM due
"""


def a_due_schedule(fleet: Fleet) -> UUID:
    """The only one there is; its id."""
    workflow_id = seed_workflow(fleet.app, PURE_STEPS, is_pure=True)
    seed_one_time_schedules(fleet.app, workflow_id, 1, in_seconds=3600)
    execute(fleet.app, DUE)
    schedule_id: UUID = scalar(fleet.app, "SELECT id FROM schedules")
    return schedule_id


def during_a_tick(fleet: Fleet, change: Callable[[], Any]) -> None:
    """Do `change` when a scheduler stands still between locking the due schedule and committing; the scheduler goes on
    once somebody waits for it."""
    scheduler = fleet.scheduler("tick.before_commit=stop@1")
    fleet.await_stop(scheduler)

    def changing() -> None:
        with fleet.app.app_context(), transaction():
            change()

    with ThreadPoolExecutor(1) as pool:
        changed = pool.submit(changing)
        # The database ends a transaction that stands still for too long: then the change has had its way.
        wait_until(lambda: changed.done() or scalar(fleet.app, WAITING_FOR_A_LOCK), "somebody who waits for the tick")
        fleet.send(scheduler, signal.SIGCONT)
        changed.result(60)


def actor_of(fleet: Fleet) -> Actor:
    return Actor(scalar(fleet.app, "SELECT id FROM tenants"))


def decided(fleet: Fleet) -> list[Any]:
    return rows(fleet.app, "SELECT outcome, count(*) FROM occurrences GROUP BY 1")


def test_a_pause_during_a_tick_waits_for_it_and_stops_the_next_instant(fleet: Fleet) -> None:
    schedule_id, actor = a_due_schedule(fleet), actor_of(fleet)
    during_a_tick(fleet, lambda: pause_schedule(actor, schedule_id, "now", clock.database_now()))
    assert decided(fleet) == [("fired", 1)]
    assert scalar(fleet.app, "SELECT wake_at FROM schedule_cursors") is None
    assert scalar(fleet.app, "SELECT status FROM schedules") == "paused"
    check_invariants(fleet.app)


def test_an_edit_during_a_tick_is_neither_lost_nor_retroactive(fleet: Fleet) -> None:
    schedule_id, actor = a_due_schedule(fleet), actor_of(fleet)
    draft = ScheduleDraft(
        workflow_id=scalar(fleet.app, "SELECT workflow_id FROM schedules"),
        name="Edited",
        cron="0 0 1 1 *",
        payload={"n": 9},
    )
    during_a_tick(fleet, lambda: edit_schedule(actor, schedule_id, 1, draft, clock.database_now()))
    assert decided(fleet) == [("fired", 1)]
    assert rows(fleet.app, "SELECT name, cron FROM schedules") == [("Edited", "0 0 1 1 *")]
    assert scalar(fleet.app, "SELECT input_json FROM runs") == {"n": 1}
    assert scalar(fleet.app, "SELECT next_fire_at > clock_timestamp() FROM schedule_cursors")
    check_invariants(fleet.app)


def test_a_deletion_during_a_tick_keeps_what_the_tick_decided(fleet: Fleet) -> None:
    schedule_id, actor = a_due_schedule(fleet), actor_of(fleet)
    during_a_tick(fleet, lambda: delete_schedule(actor, schedule_id, clock.database_now()))
    assert decided(fleet) == [("fired", 1)]
    assert scalar(fleet.app, "SELECT wake_at FROM schedule_cursors") is None
    check_invariants(fleet.app)


def test_a_hundred_tries_of_a_double_clicked_run_now_give_one_run(fleet: Fleet) -> None:
    workflow_id = seed_workflow(fleet.app, PURE_STEPS, is_pure=True)
    seed_one_time_schedules(fleet.app, workflow_id, 1, in_seconds=3600)
    schedule_id, actor = scalar(fleet.app, "SELECT id FROM schedules"), actor_of(fleet)

    def press(_number: int) -> Any:
        with fleet.app.app_context(), transaction():
            return run_schedule_now(actor, schedule_id, "one click", clock.database_now()).id

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(press, range(100)))) == 1
    assert scalar(fleet.app, "SELECT count(*) FROM runs") == 1
    assert decided(fleet) == [("fired", 1)]
    assert scalar(fleet.app, "SELECT count(*) FROM audit_entries WHERE action = 'schedule.run_now'") == 1
