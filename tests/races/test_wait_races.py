"""Several hands on one wait: whoever comes first closes it, and everybody else finds it closed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from time import sleep
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from domain.accounts.audit import Actor
from domain.kernel import clock
from domain.kernel.db import db, transacted
from domain.runs.canceling import request_cancel
from domain.runs.children import end_orphans
from domain.runs.tasks import HumanTask, TaskClosed, answer_task
from domain.runs.waking import lock_correlation, resume_event_waits, wake_due, wake_parents
from tests.domain.runs.journey import a_flow, begin, work
from tests.factories import a_tenant
from tests.faults.fleet import Fleet, execute, rows, scalar
from tests.faults.invariants import check_invariants
from tests.races.together import while_locked

TRIES = 30
QUESTION = {"type": "human.task", "config": {"taskType": "approval", "title": "Pay", "timeoutMs": 3_600_000}}
EVENT = {"type": "event.wait", "config": {"eventName": "paid", "correlationKey": "A", "timeoutMs": 1_000}}


def at_once(fleet: Fleet, acts: Sequence[Callable[[], Any]], starts: Sequence[float] = ()) -> list[Any]:
    """What each act answers, all begun at the same moment (or `starts` seconds after it), each in a transaction of its
    own."""
    barrier = Barrier(len(acts))

    def act(one: Callable[[], Any], start: float) -> Any:
        with fleet.app.app_context():
            barrier.wait(30)
            sleep(start)
            return transacted(one)

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(act, acts, starts or [0.0] * len(acts)))


def waiting_runs(fleet: Fleet, step: dict[str, Any], count: int) -> list[Any]:
    """(wait id, run id, tenant id) of runs that wait at their only step."""
    with fleet.app.app_context():
        transacted(lambda: _begin(step, count))
        work()
    return rows(fleet.app, "SELECT id, run_id, tenant_id FROM waits WHERE status = 'open' ORDER BY run_id")


def _begin(step: dict[str, Any], count: int) -> None:
    flow = a_flow(a_tenant(), "Waiting", step)
    for _ in range(count):
        begin(flow)


@pytest.mark.parametrize(
    ("first", "second"),
    [("resolved", "canceled"), ("canceled", "resolved"), ("timed_out", "resolved"), ("timed_out", "canceled")],
)
def test_who_holds_a_wait_ends_it_and_whoever_comes_meanwhile_finds_it_closed(
    fleet: Fleet, first: str, second: str
) -> None:
    (wait,) = waiting_runs(fleet, QUESTION, 1)
    end_time(fleet, wait)
    ends: dict[str, Callable[[], Any]] = {
        "resolved": lambda: answers(wait),
        "timed_out": lambda: wake_due(clock.database_now()),
        "canceled": lambda: request_cancel(wait.run_id, clock.database_now()),
    }
    woken, answer = while_locked(fleet.app, ends[first], lambda: (ends["timed_out"](), ends[second]()))
    # A scheduler passes over what somebody holds.
    assert woken == 0
    assert answer == {"resolved": False, "canceled": "canceled"}[second]
    assert status_of(fleet, wait) == first
    check_invariants(fleet.app)


def test_an_answer_a_timeout_and_a_cancel_at_once_end_a_wait_once(fleet: Fleet) -> None:
    for number, wait in enumerate(waiting_runs(fleet, QUESTION, TRIES)):
        # An answer has more to do before it holds the run: the others give it a start, so that each may come first.
        start = number % 5 * 0.001
        end_time(fleet, wait)
        answered, _, canceled = at_once(
            fleet,
            [
                lambda wait=wait: answers(wait),
                lambda: wake_due(clock.database_now()),
                lambda wait=wait: request_cancel(wait.run_id, clock.database_now()),
            ],
            starts=(0, start, start),
        )
        closed = status_of(fleet, wait)
        assert closed in ("resolved", "timed_out", "canceled")
        assert answered is (closed == "resolved")
        # Woken first and canceled then: nobody had it in hand, so it was canceled at once all the same.
        assert canceled == "canceled"
        check_invariants(fleet.app)


def end_time(fleet: Fleet, wait: Any) -> None:
    """From now on the wait is over by itself, as soon as somebody looks."""
    execute(fleet.app, "UPDATE waits SET due_at = clock_timestamp() WHERE id = :id", id=wait.id)


def status_of(fleet: Fleet, wait: Any) -> str:
    status: str = scalar(fleet.app, "SELECT status FROM waits WHERE id = :id", id=wait.id)
    return status


def answers(wait: Any) -> bool:
    """Whether an answer to the question of `wait` came in time."""
    task_id = db.session.scalars(select(HumanTask.id).where(HumanTask.wait_id == wait.id)).one()
    try:
        answer_task(Actor(wait.tenant_id, None), task_id, {"approved": True}, str(task_id), clock.database_now())
    except TaskClosed:
        return False
    return True


def test_one_event_given_by_several_hands_wakes_each_run_once(fleet: Fleet) -> None:
    waits = waiting_runs(fleet, EVENT, TRIES)
    tenant_id: UUID = waits[0].tenant_id

    def give() -> int:
        lock_correlation(tenant_id, "paid", "A")
        return len(resume_event_waits(tenant_id, tenant_id, "paid", "A", {}, clock.database_now()))

    # On a busy machine the timeout may come for some of them meanwhile.
    assert sum(at_once(fleet, [give, give, give, lambda: wake_due(clock.database_now())])) == TRIES
    check_invariants(fleet.app)


def test_several_schedulers_wake_each_run_once(fleet: Fleet) -> None:
    waiting_runs(fleet, EVENT, TRIES)
    now = scalar(fleet.app, "SELECT clock_timestamp()") + timedelta(seconds=5)
    assert sum(at_once(fleet, [lambda: wake_due(now)] * 4)) == TRIES
    assert scalar(fleet.app, "SELECT count(*) FROM runs WHERE status = 'queued'") == TRIES
    check_invariants(fleet.app)


def test_a_child_that_ends_while_its_parent_is_canceled_leaves_neither_waiting(fleet: Fleet) -> None:
    with fleet.app.app_context():
        parents = transacted(_begin_families)
        work()
    for parent_id, child_id in parents_and_children(fleet, parents):
        at_once(
            fleet,
            [
                lambda parent_id=parent_id: request_cancel(parent_id, clock.database_now()),
                lambda child_id=child_id: request_cancel(child_id, clock.database_now()),
                wake_parents,
                lambda: end_orphans(clock.database_now()),
            ],
        )
    with fleet.app.app_context():
        transacted(lambda: (wake_parents(), end_orphans(clock.database_now())))
        work()
        db.session.remove()
    assert rows(fleet.app, "SELECT DISTINCT status FROM runs ORDER BY 1") == [("canceled",)]
    check_invariants(fleet.app)


def _begin_families() -> list[UUID]:
    tenant = a_tenant()
    a_flow(tenant, "Child", QUESTION, key="child")
    flow = a_flow(tenant, "Parent", {"type": "control.callWorkflow", "workflowKey": "child"})
    return [begin(flow).id for _ in range(10)]


def parents_and_children(fleet: Fleet, parents: list[UUID]) -> list[tuple[UUID, UUID]]:
    found = rows(fleet.app, "SELECT parent_run_id, id FROM runs WHERE parent_run_id IS NOT NULL ORDER BY id")
    assert sorted(row.parent_run_id for row in found) == sorted(parents)
    return [(row.parent_run_id, row.id) for row in found]
