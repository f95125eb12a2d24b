"""People changing schedules while they fire, and pressing buttons more than once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from domain.accounts.audit import Actor
from domain.firing.lifecycle import delete_schedule, edit_schedule, pause_schedule
from domain.firing.run_now import run_schedule_now
from domain.kernel import clock
from domain.kernel.db import transaction
from domain.schedules.drafts import ScheduleDraft
from tests.faults.fleet import Fleet, execute, rows, scalar, wait_until
from tests.faults.invariants import check_invariants
from tests.faults.seeds import PURE_STEPS, seed_one_time_schedules, seed_workflow

DUE = """
    UPDATE schedules SET trigger_type = 'recurring', run_at = NULL, cron = '* * * * *';
    UPDATE schedule_cursors SET next_fire_at = date_trunc('minute', clock_timestamp()), wake_at = clock_timestamp()
"""


def frozen_tick(fleet: Fleet) -> Any:
    """A scheduler that sleeps between locking the one due schedule and committing; answers the schedule's id."""
    workflow_id = seed_workflow(fleet.app, PURE_STEPS, is_pure=True)
    fleet.scheduler("tick.before_commit=sleep:2")
    fleet.await_processes(1)
    seed_one_time_schedules(fleet.app, workflow_id, 1, in_seconds=3600)
    for statement in DUE.split(";"):
        execute(fleet.app, statement)
    sleeping = (
        "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' AND datname = current_database()"
    )
    wait_until(lambda: scalar(fleet.app, sleeping), "a tick between lock and commit")
    return scalar(fleet.app, "SELECT id FROM schedules")


def actor_of(fleet: Fleet) -> Actor:
    return Actor(scalar(fleet.app, "SELECT id FROM tenants"))


def decided(fleet: Fleet) -> list[Any]:
    return rows(fleet.app, "SELECT outcome, count(*) FROM occurrences GROUP BY 1")


def test_a_pause_during_a_tick_waits_for_it_and_stops_the_next_instant(fleet: Fleet) -> None:
    schedule_id = frozen_tick(fleet)
    with fleet.app.app_context(), transaction():
        pause_schedule(actor_of(fleet), schedule_id, "now", clock.database_now())
    assert decided(fleet) == [("fired", 1)]
    assert scalar(fleet.app, "SELECT wake_at FROM schedule_cursors") is None
    assert scalar(fleet.app, "SELECT status FROM schedules") == "paused"
    check_invariants(fleet.app)


def test_an_edit_during_a_tick_is_neither_lost_nor_retroactive(fleet: Fleet) -> None:
    schedule_id = frozen_tick(fleet)
    draft = ScheduleDraft(
        workflow_id=scalar(fleet.app, "SELECT workflow_id FROM schedules"),
        name="Edited",
        cron="0 0 1 1 *",
        payload={"n": 9},
    )
    with fleet.app.app_context(), transaction():
        edit_schedule(actor_of(fleet), schedule_id, 1, draft, clock.database_now())
    assert decided(fleet) == [("fired", 1)]
    assert rows(fleet.app, "SELECT name, cron FROM schedules") == [("Edited", "0 0 1 1 *")]
    assert scalar(fleet.app, "SELECT input_json FROM runs") == {"n": 1}
    assert scalar(fleet.app, "SELECT next_fire_at > clock_timestamp() FROM schedule_cursors")
    check_invariants(fleet.app)


def test_a_deletion_during_a_tick_keeps_what_the_tick_decided(fleet: Fleet) -> None:
    schedule_id = frozen_tick(fleet)
    with fleet.app.app_context(), transaction():
        delete_schedule(actor_of(fleet), schedule_id, clock.database_now())
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
