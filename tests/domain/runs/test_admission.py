"""Who of the waiting runs may start: limits, overlap, order. Nobody is forgotten and nobody starts beside another."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from domain.runs.admission import admit_waiting, look_for_waiting, ready_by_lane, workflows_with_waiting
from domain.runs.canceling import request_cancel
from tests.domain.firing.ledger import a_live_schedule, a_target
from tests.domain.runs.queue import NOW, admitted, end, fresh, waiting_runs
from tests.factories import a_tenant

pytestmark = pytest.mark.usefixtures("db")


@pytest.fixture
def tenant(db: Any) -> Any:
    return a_tenant()


def test_as_many_as_the_limit_are_admitted_oldest_first(tenant: Any) -> None:
    runs = waiting_runs(a_target(tenant, limit=2), 4)
    assert admit_waiting(NOW) == 2
    assert admitted(runs) == [True, True, False, False]
    assert fresh(runs[0]).ready_at == NOW
    assert admit_waiting(NOW) == 0


@pytest.mark.parametrize("status", ["queued", "running", "waiting"])
def test_a_slot_is_held_until_the_run_has_ended(tenant: Any, db: Any, status: str) -> None:
    first, second = waiting_runs(a_target(tenant, limit=1), 2)
    admit_waiting(NOW)
    db.execute(
        text("UPDATE runs SET status = :status, claimed_by = gen_random_uuid() WHERE id = :id"),
        {"id": first.id, "status": status},
    )
    assert admit_waiting(NOW) == 0
    end(first)
    assert admit_waiting(NOW) == 1 and admitted([second]) == [True]


def test_a_workflow_without_a_limit_admits_everything(tenant: Any) -> None:
    assert look_for_waiting()[1] is False
    runs = waiting_runs(a_target(tenant, limit=None), 30)
    assert look_for_waiting()[1] is True
    assert admit_waiting(NOW) == 30 and all(admitted(runs))
    assert look_for_waiting()[1] is False


def test_a_workflow_at_its_limit_holds_no_other_one_up(tenant: Any) -> None:
    full, free = a_target(tenant, "Full", limit=1), a_target(tenant, "Free", limit=1)
    waiting_runs(full, 1)
    admit_waiting(NOW)
    late = waiting_runs(full, 1)
    other = waiting_runs(free, 1)
    assert admit_waiting(NOW) == 1
    assert admitted(late + other) == [False, True]


def test_only_the_workflows_named_are_looked_at(tenant: Any) -> None:
    one, two = a_target(tenant, "One", limit=1), a_target(tenant, "Two", limit=1)
    runs = waiting_runs(one, 1) + waiting_runs(two, 1)
    assert admit_waiting(NOW, [two.id]) == 1
    assert admitted(runs) == [False, True]
    assert workflows_with_waiting([one.id, two.id]) == [one.id]


@pytest.mark.parametrize("overlap", ["queue", "skip"])
def test_runs_of_one_schedule_take_turns_in_order_although_the_workflow_has_room(tenant: Any, overlap: str) -> None:
    """With `skip` several wait only where the policy was another one when they were decided."""
    workflow = a_target(tenant, limit=None)
    runs = waiting_runs(workflow, 3, a_live_schedule(workflow, overlap=overlap))
    for number in range(3):
        assert admit_waiting(NOW) == 1
        assert admitted(runs) == [place <= number for place in range(3)]
        end(runs[number])


def test_runs_that_may_overlap_are_admitted_together(tenant: Any) -> None:
    workflow = a_target(tenant, limit=None)
    runs = waiting_runs(workflow, 3, a_live_schedule(workflow, overlap="allow"))
    assert admit_waiting(NOW) == 3 and all(admitted(runs))


def test_a_schedule_that_waits_for_itself_leaves_the_slots_to_others(tenant: Any) -> None:
    workflow = a_target(tenant, limit=2)
    queueing = waiting_runs(workflow, 3, a_live_schedule(workflow, "Queueing"))
    by_hand = waiting_runs(workflow, 2)
    assert admit_waiting(NOW) == 2
    assert admitted(queueing + by_hand) == [True, False, False, True, False]


def test_a_canceled_run_lets_the_next_of_its_schedule_in(tenant: Any) -> None:
    workflow = a_target(tenant, limit=1)
    runs = waiting_runs(workflow, 3, a_live_schedule(workflow))
    admit_waiting(NOW)
    assert request_cancel(runs[0].id, NOW) == "canceled"
    assert request_cancel(runs[1].id, NOW) == "canceled"
    assert admit_waiting(NOW) == 1 and admitted([runs[2]]) == [True]


def test_a_lower_limit_takes_nothing_back_and_lets_nobody_in_until_there_is_room(tenant: Any, db: Any) -> None:
    runs = waiting_runs(a_target(tenant, limit=3), 4)
    admit_waiting(NOW)
    db.execute(text("UPDATE workflows SET concurrency_limit = 1"))
    end(runs[0])
    assert admit_waiting(NOW) == 0
    end(runs[1])
    end(runs[2])
    assert admit_waiting(NOW) == 1 and admitted([runs[3]]) == [True]


def test_runs_of_a_deleted_schedule_and_of_a_paused_workflow_still_get_their_turn(tenant: Any, db: Any) -> None:
    workflow = a_target(tenant, limit=1)
    runs = waiting_runs(workflow, 1, a_live_schedule(workflow))
    db.execute(text("UPDATE schedules SET deleted_at = now()"))
    db.execute(text("UPDATE workflows SET paused_at = now()"))
    assert admit_waiting(NOW) == 1 and all(admitted(runs))


def test_what_is_ready_is_counted_by_lane(tenant: Any, db: Any) -> None:
    waiting_runs(a_target(tenant, limit=2), 3)
    assert ready_by_lane() == {}
    admit_waiting(NOW)
    assert ready_by_lane() == {"effect": 2}
    db.execute(text("UPDATE runs SET lane = 'pure' WHERE ready_at IS NULL"))
    db.execute(text("UPDATE runs SET ready_at = now() WHERE ready_at IS NULL"))
    assert ready_by_lane() == {"effect": 2, "pure": 1}
