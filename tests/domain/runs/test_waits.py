"""Runs that wait: for a moment, an event, a person, a run they started, and the time of their next attempt."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

from domain.accounts.tenants import Tenant
from domain.events.events import Event
from domain.kernel import clock
from domain.kernel.db import db as database
from domain.runs.admission import admit_waiting
from domain.runs.canceling import request_cancel
from domain.runs.children import end_orphans
from domain.runs.tasks import HumanTask
from domain.runs.waits import TRANSITIONS, Wait
from domain.runs.waking import lock_correlation, resolve_wait, resume_event_waits, waiting_now, wake_due, wake_parents
from tests.domain.engine.engine_runs import assign, expr, for_each, give_back, test_actions, when
from tests.domain.runs.journey import a_flow, begin, children_of, fresh, open_wait, steps_of, work, work_at
from tests.factories import a_tenant, a_version

HOUR = timedelta(hours=1)


@pytest.fixture
def acme(db: Any) -> Tenant:
    return a_tenant()


@pytest.fixture(autouse=True)
def actions():
    with test_actions():
        yield


def pause(milliseconds: Any, **more: Any) -> dict[str, Any]:
    return {"type": "time.wait", "config": {"mode": "duration", "durationMs": milliseconds, **more}}


def await_event(**more: Any) -> dict[str, Any]:
    config = {"eventName": "invoice.paid", "correlationKey": expr("payload.invoice"), **more}
    return {"type": "event.wait", "config": config}


def ask(**more: Any) -> dict[str, Any]:
    return {"type": "human.task", "config": {"taskType": "approval", "title": expr("'Pay ' & payload.invoice"), **more}}


def call_workflow(key: str, **more: Any) -> dict[str, Any]:
    return {"type": "control.callWorkflow", "workflowKey": key, **more}


def an_event(tenant: Tenant, key: str = "A-1", **payload: Any) -> list[Any]:
    """What ingesting an event does to those who wait for it."""
    now = clock.database_now()
    event = Event(tenant_id=tenant.id, name="invoice.paid", correlation_key=key, payload=payload, source="api",
                  actor_label="test", received_at=now)  # fmt: skip
    lock_correlation(tenant.id, event.name, key)
    database.session.add(event)
    database.session.flush()
    return resume_event_waits(tenant.id, event.id, event.name, key, payload, now)


def test_a_run_waits_for_its_time_without_a_worker_and_goes_on_where_it_was(acme):
    flow = a_flow(acme, "Wait", assign(n=1), pause(3_600_000), give_back(expr("timeWait.mode")))
    run = begin(flow)
    work()
    waiting = fresh(run)
    assert (waiting.status, waiting.claimed_by, waiting.deadline_at) == ("waiting", None, None)
    due_at = open_wait(run).due_at
    assert wake_due(due_at - timedelta(seconds=1)) == 0
    work_at(due_at)
    ended = fresh(run)
    assert (ended.status, ended.output, ended.claim_epoch) == ("succeeded", "duration", 2)
    assert steps_of(run) == [
        ("root.steps[0]", 1, "succeeded"),
        ("root.steps[1]", 1, "succeeded"),
        ("root.steps[2]", 1, "succeeded"),
    ]


def test_a_moment_that_has_passed_stops_nothing(acme):
    until = {"type": "time.wait", "config": {"mode": "until", "until": "2020-01-01T00:00:00Z"}}
    run = begin(a_flow(acme, "Past", until, give_back(expr("timeWait.resumedAt"))))
    work()
    assert fresh(run).status == "succeeded"
    assert wake_due(clock.database_now()) == 0


def test_a_run_keeps_its_slot_while_it_waits(acme):
    flow = a_flow(acme, "One at a time", pause(3_600_000), concurrency_limit=1)
    first, second = begin(flow), begin(flow)
    work()
    assert (fresh(first).status, fresh(second).status) == ("waiting", "queued")
    assert admit_waiting(clock.database_now()) == 0
    work_at(open_wait(first).due_at)
    assert (fresh(first).status, fresh(second).status) == ("succeeded", "waiting")


def test_an_event_lets_the_run_go_on_that_waits_for_it_and_no_other(acme):
    flow = a_flow(acme, "Paid", await_event(), give_back(expr("event.payload.total")))
    mine, other = begin(flow, invoice="A-1"), begin(flow, invoice="B-2")
    work()
    assert an_event(acme, total=5) == [(flow.id, mine.id)]
    work()
    assert (fresh(mine).status, fresh(mine).output, fresh(other).status) == ("succeeded", 5, "waiting")


def test_an_event_of_another_tenant_or_name_or_content_wakes_nobody(acme):
    filters = [{"path": "total", "op": ">=", "value": expr("payload.least")}]
    run = begin(a_flow(acme, "Paid", await_event(filters=filters)), invoice="A-1", least=10)
    work()
    assert an_event(a_tenant("charlies"), total=50) == []
    assert an_event(acme, total=9) == []
    assert fresh(run).status == "waiting"
    assert len(an_event(acme, total=10)) == 1


def test_an_event_that_came_since_the_run_began_is_not_missed_and_counts_once(acme):
    flow = a_flow(acme, "Twice", pause(1_000), await_event(), await_event(), give_back(expr("event.payload.n")))
    run = begin(flow, invoice="A-1")
    work()
    an_event(acme, n=1)
    work_at(clock.database_now() + timedelta(seconds=2))
    assert fresh(run).status == "waiting" and open_wait(run).step_path == "root.steps[2]"
    an_event(acme, n=2)
    work()
    assert fresh(run).output == 2


def test_an_event_from_before_the_run_is_not_its(acme):
    an_event(acme, n=1)
    run = begin(a_flow(acme, "Paid", await_event()), invoice="A-1")
    work()
    assert fresh(run).status == "waiting"


def test_a_wait_that_takes_too_long_fails_its_step_which_may_be_caught(acme):
    caught = {"type": "control.tryCatch", "try": [await_event(timeoutMs=60_000)], "catch": [give_back(expr("error"))]}
    run = begin(a_flow(acme, "Impatient", caught), invoice="A-1")
    work()
    work_at(open_wait(run).due_at)
    error = fresh(run).output
    assert (error["category"], error["code"]) == ("TimeoutError", "WAIT_TIMED_OUT")
    assert error["nodePath"] == "root.steps[0].try.steps[0]"
    assert an_event(acme, n=1) == []


def test_a_wait_that_timed_out_can_be_opened_again(acme):
    again = await_event(timeoutMs=60_000) | {"retry": {"maxAttempts": 2, "backoffMs": 1_000, "jitter": False}}
    run = begin(a_flow(acme, "Stubborn", again), invoice="A-1")
    work()
    work_at(open_wait(run).due_at)
    assert open_wait(run).kind == "retry"
    work_at(open_wait(run).due_at)
    assert (open_wait(run).kind, open_wait(run).attempt) == ("event", 2)
    an_event(acme, n=1)
    work()
    assert fresh(run).status == "succeeded"


def test_two_answers_close_a_wait_once(acme):
    run = begin(a_flow(acme, "Ask", ask(), give_back(expr("task.answer"))), invoice="A-1")
    work()
    wait, now = open_wait(run), clock.database_now()
    assert resolve_wait(wait.id, {"answer": 1}, now) is True
    assert resolve_wait(wait.id, {"answer": 2}, now) is False
    work()
    assert fresh(run).output == 1


def test_a_task_asks_with_its_words_and_its_form(acme, db):
    run = begin(a_flow(acme, "Ask", ask(contextData={"total": expr("payload.total")})), invoice="A-1", total=5)
    work()
    task = db.scalars(select(HumanTask)).one()
    assert (task.title, task.context, task.status) == ("Pay A-1", {"total": 5}, "open")
    assert (task.run_id, task.wait_id) == (run.id, open_wait(run).id)
    assert task.form_schema["required"] == ["approved"]


def test_a_called_workflow_gives_back_what_it_returned(acme):
    a_flow(acme, "Double", give_back(expr("payload.n * 2")), key="double")
    called = call_workflow(
        "double", inputMapping={"n": expr("payload.n")}, outputMapping={"x": expr("childRun.output")}
    )
    run = begin(a_flow(acme, "Parent", called, give_back(expr("x"))), n=21)
    work()
    assert (fresh(run).status, fresh(run).output) == ("succeeded", 42)
    [child] = children_of(run)
    assert (child.started_by, child.status) == ("parent", "succeeded")
    assert child.trigger_metadata["parentRunId"] == str(run.id)


def test_a_called_workflow_that_fails_fails_the_step(acme):
    a_flow(acme, "Broken", assign(x=expr('"x" + 1')), key="broken")
    guarded = {"type": "control.tryCatch", "try": [call_workflow("broken")], "catch": [give_back(expr("error.code"))]}
    run = begin(a_flow(acme, "Parent", guarded))
    work()
    assert fresh(run).output == "CHILD_FAILED"


def test_a_call_is_tried_again_with_a_new_run(acme):
    a_flow(acme, "Broken", assign(x=expr('"x" + 1')), key="broken")
    run = begin(a_flow(acme, "Parent", call_workflow("broken") | {"retry": {"maxAttempts": 2, "backoffMs": 0}}))
    work()
    work_at(open_wait(run).due_at)
    assert (fresh(run).status, len(children_of(run))) == ("failed", 2)


@pytest.mark.parametrize("key", ["me", "nobody"])
def test_a_workflow_that_leads_back_or_is_not_there_cannot_be_called(acme, key):
    run = begin(a_flow(acme, "Me", call_workflow(key), key="me"))
    work()
    assert fresh(run).status == "failed"
    assert fresh(run).error["code"] == {"me": "CHILD_REFUSED", "nobody": "UNKNOWN_WORKFLOW"}[key]
    assert children_of(run) == []


def test_a_workflow_called_by_a_called_one_cannot_call_the_first(acme):
    a_flow(acme, "B", call_workflow("a"), key="b")
    run = begin(a_flow(acme, "A", call_workflow("b"), key="a"))
    work()
    assert (fresh(run).status, fresh(run).error["code"]) == ("failed", "CHILD_FAILED")
    [child] = children_of(run)
    assert child.error["code"] == "CHILD_REFUSED"


def test_a_payload_that_does_not_fit_the_called_workflow_fails_the_step(acme):
    child = a_flow(acme, "Strict", give_back(1), key="strict")
    a_version(child, 2, schema={"type": "object", "required": ["n"]})
    run = begin(a_flow(acme, "Parent", call_workflow("strict")))
    work()
    assert fresh(run).error["code"] == "CHILD_PAYLOAD"
    pinned = begin(a_flow(acme, "Other parent", call_workflow("strict", workflowVersion=1)))
    work()
    assert fresh(pinned).status == "succeeded"


def test_canceling_a_waiting_run_closes_what_it_waits_for(acme, db):
    run = begin(a_flow(acme, "Ask", ask()), invoice="A-1")
    work()
    wait_id = open_wait(run).id
    assert request_cancel(run.id, clock.database_now(), "no longer needed") == "canceled"
    assert (fresh(run).status, fresh(run).cancel_reason) == ("canceled", "no longer needed")
    wait = db.get_one(Wait, wait_id, populate_existing=True)
    task = db.scalars(select(HumanTask).execution_options(populate_existing=True)).one()
    assert (wait.status, task.status, steps_of(run)) == ("canceled", "canceled", [("root.steps[0]", 1, "failed")])
    assert resolve_wait(wait_id, {}, clock.database_now()) is False


def test_the_runs_that_a_run_started_end_with_it(acme):
    a_flow(acme, "Slow", pause(3_600_000), key="slow")
    run = begin(a_flow(acme, "Parent", call_workflow("slow")))
    work()
    [child] = children_of(run)
    assert end_orphans(clock.database_now()) == 0
    request_cancel(run.id, clock.database_now())
    assert end_orphans(clock.database_now()) == 1
    assert fresh(child).status == "canceled"


def test_one_look_says_what_is_to_be_waited_for(acme):
    nothing = waiting_now()
    assert (nothing.next_due_at, nothing.is_due, nothing.for_children, nothing.has_children) == (None,) + (False,) * 3
    run = begin(a_flow(acme, "Pause", pause(3_600_000)))
    work()
    pausing = waiting_now()
    assert (pausing.next_due_at, pausing.is_due) == (open_wait(run).due_at, False)
    assert replace(pausing, now=pausing.next_due_at).is_due
    a_flow(acme, "Slow", pause(7_200_000), key="slow")
    parent = begin(a_flow(acme, "Parent", call_workflow("slow")))
    work()
    calling = waiting_now()
    assert (calling.next_due_at, calling.for_children, calling.has_children) == (open_wait(run).due_at, True, True)
    request_cancel(children_of(parent)[0].id, clock.database_now())
    ended = waiting_now()
    assert (ended.for_children, ended.has_children) == (True, False)


def test_a_canceled_child_fails_its_parents_step(acme):
    a_flow(acme, "Slow", pause(3_600_000), key="slow")
    run = begin(a_flow(acme, "Parent", call_workflow("slow")))
    work()
    request_cancel(children_of(run)[0].id, clock.database_now())
    assert wake_parents() == 1
    work()
    assert (fresh(run).status, fresh(run).error["code"]) == ("failed", "CHILD_CANCELED")


def test_a_loop_may_wait_in_each_turn(acme):
    loop = for_each(expr("payload.items"), "n", pause(1_000), assign(done=expr("append(done, n)")))
    run = begin(a_flow(acme, "Loop", loop, give_back(expr("done"))), items=[1, 2, 3])
    work()
    for _ in range(3):
        work_at(open_wait(run).due_at)
    assert fresh(run).output == [1, 2, 3]


def test_an_attempt_waits_as_a_row_and_shows_each_failure(acme):
    broken = when(expr("payload.n"), []) | {
        "retry": {"maxAttempts": 2, "backoffMs": 5_000, "retryOn": ["ValidationError"]}
    }
    run = begin(a_flow(acme, "Again", broken), n=1)
    work()
    assert (fresh(run).status, open_wait(run).kind) == ("waiting", "retry")
    work_at(open_wait(run).due_at)
    assert steps_of(run) == [("root.steps[0]", 1, "failed"), ("root.steps[0]", 2, "failed")]
    assert fresh(run).status == "failed"


def test_the_state_of_a_waiting_run_can_be_seen(acme):
    label = {"type": "state.set", "config": {"state": "waiting for money"}}
    run = begin(a_flow(acme, "Label", label, pause(3_600_000)))
    work()
    assert fresh(run).state == "waiting for money"


def test_a_wait_that_cannot_be_closed_stops_no_other_and_is_tried_again(acme, db):
    flow = a_flow(acme, "Wait", pause(1_000))
    pausing = [begin(flow) for _ in range(5)]
    called = a_flow(acme, "Called", assign(n=1))
    calling = [begin(a_flow(acme, f"Calls {n}", call_workflow(called.key))) for n in range(3)]
    poisoned = {pausing[2].id, calling[1].id}
    quoted = ", ".join(f"'{run_id}'" for run_id in poisoned)
    rule = f"status = 'open' OR run_id NOT IN ({quoted})"
    db.execute(text(f"ALTER TABLE waits ADD CONSTRAINT poison CHECK ({rule})"))
    work()
    assert [fresh(run).status for run in calling] == ["succeeded", "waiting", "succeeded"]
    now = clock.database_now() + timedelta(seconds=2)
    assert wake_due(now) == 4
    query = select(Wait).where(Wait.status == "open").execution_options(populate_existing=True)
    stuck = {wait.run_id: wait.due_at for wait in db.scalars(query)}
    assert stuck.keys() == poisoned and min(stuck.values()) > now + timedelta(minutes=4)
    assert (wake_due(now), wake_parents()) == (0, 0)
    db.execute(text("ALTER TABLE waits DROP CONSTRAINT poison"))
    db.execute(text("UPDATE waits SET due_at = clock_timestamp() WHERE status = 'open'"))
    work_at(clock.database_now())
    assert {fresh(run).status for run in (*pausing, *calling)} == {"succeeded"}


def test_a_wait_ends_once():
    assert all(TRANSITIONS[status] == frozenset() for status in ("resolved", "timed_out", "canceled"))
    assert TRANSITIONS["open"] == {"resolved", "timed_out", "canceled"}
