"""Events that come many at a time, or while what they concern is changing: real commits in several threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier
from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from domain.accounts.audit import Actor
from domain.accounts.tenants import Tenant
from domain.events.events import BY_API, Event
from domain.events.ingest import ingest_event
from domain.execution import Worker
from domain.kernel import clock
from domain.kernel.db import db, transacted, transaction
from domain.kernel.errors import StaleTransition
from domain.kernel.ids import new_id
from domain.publishing import delete_workflow, pause_workflow, resume_workflow
from domain.runs.admission import admit_waiting
from domain.runs.launch import launch
from domain.runs.runs import BY_HAND, EFFECT
from domain.runs.waits import Wait
from domain.runs.waking import lock_correlation
from domain.workflows.versions import WorkflowVersion
from domain.workflows.workflows import Workflow
from tests.factories import (
    a_published_workflow,
    a_run,
    a_step,
    a_tenant,
    a_triggered_workflow,
    a_version,
    a_workflow,
    an_event_type,
)
from tests.faults.fleet import Fleet, rows, scalar, wait_until
from tests.races.together import while_locked

AT_ONCE = 20
HAS_BEGUN = "SELECT count(*) FROM run_steps WHERE run_id = :id"
COUNTED = {"id": "count", "type": "action.call", "config": {
    "actionId": "store.increment", "version": 1, "inputMapping": {"key": {"$expr": "payload.key"}}}}  # fmt: skip
WAITS = {"id": "paid", "type": "event.wait", "config": {
    "eventName": "invoice.paid", "correlationKey": {"$expr": "payload.key"}}}  # fmt: skip
GIVES = {"id": "end", "type": "control.return", "value": {"$expr": "event.id"}}


@pytest.fixture
def actor(fleet: Fleet) -> Actor:
    """Someone of a tenant whose catalogue has invoice.paid, which takes any payload."""
    with fleet.app.app_context(), transaction():
        tenant = a_tenant()
        an_event_type(tenant, "invoice.paid")
        return Actor(tenant.id)


def triggered(app: Flask, actor: Actor, name: str) -> UUID:
    with app.app_context(), transaction():
        return a_triggered_workflow(db.session.get_one(Tenant, actor.tenant_id), name, "invoice.paid").id


def send(actor: Actor, key: str, correlation_key: str = "") -> UUID:
    event: Event = ingest_event(actor, "invoice.paid", {}, correlation_key, key, clock.database_now(), BY_API)
    return event.id


def sent(app: Flask, actor: Actor, key: str, correlation_key: str = "") -> UUID:
    """An event of its own transaction."""
    with app.app_context():
        return transacted(lambda: send(actor, key, correlation_key))


@contextmanager
def at_once(count: int = AT_ONCE) -> Iterator[Callable[[Callable[[int], Any]], list[Any]]]:
    """Do something with each number, all at the same moment; what came of it, in order."""
    with ThreadPoolExecutor(count) as pool:
        together = Barrier(count)

        def one(act: Callable[[int], Any], number: int) -> Any:
            together.wait(30)
            return act(number)

        yield lambda act: [future.result(60) for future in [pool.submit(one, act, number) for number in range(count)]]


def deliveries(app: Flask) -> list[tuple[str, str | None]]:
    return [tuple(row) for row in rows(app, "SELECT outcome, reason FROM event_deliveries ORDER BY id")]


def test_the_same_event_sent_by_many_at_once_is_one(fleet: Fleet, actor: Actor) -> None:
    for number in range(3):
        triggered(fleet.app, actor, f"Number {number}")
    with at_once() as together:
        ids = together(lambda _: sent(fleet.app, actor, "one key"))
    assert len(set(ids)) == 1
    assert scalar(fleet.app, "SELECT count(*) FROM events") == 1
    assert scalar(fleet.app, "SELECT count(*) FROM runs") == 3
    assert deliveries(fleet.app) == [("started", None)] * 3


def test_different_events_at_once_start_a_run_each(fleet: Fleet, actor: Actor) -> None:
    triggered(fleet.app, actor, "Thanks")
    with at_once() as together:
        ids = together(lambda number: sent(fleet.app, actor, f"key {number}", "the same correlation"))
    assert len(set(ids)) == AT_ONCE
    assert scalar(fleet.app, "SELECT count(DISTINCT trigger_metadata ->> 'eventId') FROM runs") == AT_ONCE


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda actor, workflow_id, now: pause_workflow(actor, workflow_id, "Audit", now),
         [("refused", "Thanks is paused: Audit. Resume it first.")]),
        (delete_workflow, []),
        (lambda actor, workflow_id, now: publish_without_trigger(workflow_id), []),
    ],
    ids=["paused", "deleted", "published without its trigger"],
)  # fmt: skip
def test_an_event_that_comes_while_its_workflow_changes_meets_it_as_it_is_then(
    fleet: Fleet, actor: Actor, change: Any, told: list[Any]
) -> None:
    workflow_id = triggered(fleet.app, actor, "Thanks")
    while_locked(fleet.app, lambda: change(actor, workflow_id, clock.database_now()), lambda: send(actor, "one"))
    assert deliveries(fleet.app) == told
    assert scalar(fleet.app, "SELECT count(*) FROM runs") == 0
    assert scalar(fleet.app, "SELECT count(*) FROM events") == 1


def publish_without_trigger(workflow_id: UUID) -> None:
    workflow = db.session.get_one(Workflow, workflow_id, with_for_update={"key_share": True})
    a_version(workflow, 2, trigger=None)
    workflow.event_name = None
    db.session.flush()


def test_a_workflow_that_is_paused_while_an_event_starts_it_has_its_run(fleet: Fleet, actor: Actor) -> None:
    workflow_id = triggered(fleet.app, actor, "Thanks")
    while_locked(
        fleet.app, lambda: send(actor, "one"), lambda: pause_workflow(actor, workflow_id, "Audit", clock.database_now())
    )
    assert deliveries(fleet.app) == [("started", None)]
    assert scalar(fleet.app, "SELECT count(*) FROM runs") == 1


def test_events_and_pauses_in_all_orders_never_stand_in_each_other_s_way(fleet: Fleet, actor: Actor) -> None:
    ids = [triggered(fleet.app, actor, f"Number {number}") for number in range(5)]

    def act(number: int) -> None:
        for turn in range(5):
            if number % 4:
                sent(fleet.app, actor, f"{number} {turn}", "42")
            else:
                hold_and_release(fleet.app, actor, ids[turn])

    with at_once(8) as together:
        together(act)
    assert scalar(fleet.app, "SELECT count(*) FROM events") == 6 * 5
    assert scalar(fleet.app, "SELECT count(*) FROM event_deliveries") == 6 * 5 * 5
    started = scalar(fleet.app, "SELECT count(*) FROM event_deliveries WHERE outcome = 'started'")
    assert scalar(fleet.app, "SELECT count(*) FROM runs") == started


def hold_and_release(app: Flask, actor: Actor, workflow_id: UUID) -> None:
    for change in (
        lambda: pause_workflow(actor, workflow_id, "Audit", clock.database_now()),
        lambda: resume_workflow(actor, workflow_id, clock.database_now()),
    ):
        with app.app_context():
            try:
                transacted(change)
            except StaleTransition:
                continue


# An event and the wait for it


def waiting_runs(app: Flask, actor: Actor, count: int) -> list[UUID]:
    """Runs that count, wait for invoice.paid with a key of their own, and give the event's id; ready to be claimed."""
    with app.app_context(), transaction():
        tenant = db.session.get_one(Tenant, actor.tenant_id)
        workflow = a_workflow(tenant, "Waits", draft_definition={"steps": [COUNTED, WAITS, GIVES]})
        version: WorkflowVersion = a_version(workflow, schema={"type": "object"}, is_pure=False)
        assert not version.is_pure
        now = clock.database_now()
        ids = [launch(actor, workflow, {"key": f"k{number}"}, BY_HAND, now).id for number in range(count)]
        admit_waiting(now)
        return ids


def work_through(app: Flask) -> None:
    with app.app_context():
        worker = Worker(new_id(), 600)
        while worker.work(EFFECT):
            pass


def test_an_event_is_neither_lost_nor_taken_twice_while_a_run_begins_to_wait(fleet: Fleet, actor: Actor) -> None:
    runs = waiting_runs(fleet.app, actor, 12)

    def race(number: int) -> UUID | None:
        if number % 2:
            work_through(fleet.app)
            return None
        for at in range(number // 2, len(runs), 4):
            wait_until(lambda at=at: scalar(fleet.app, HAS_BEGUN, id=runs[at]), "a run that has begun", 60)
            sent(fleet.app, actor, f"event {at}", f"k{at}")
        return None

    with at_once(8) as together:
        together(race)
    work_through(fleet.app)

    ended = rows(fleet.app, "SELECT status, output FROM runs ORDER BY id")
    events = {row.correlation_key: str(row.id) for row in rows(fleet.app, "SELECT id, correlation_key FROM events")}
    assert [row.status for row in ended] == ["succeeded"] * len(runs)
    assert [row.output for row in ended] == [events[f"k{number}"] for number in range(len(runs))]
    assert deliveries(fleet.app) == [("resumed", None)] * len(runs)


def test_two_events_at_once_for_one_wait_end_it_once(fleet: Fleet, actor: Actor) -> None:
    (run_id,) = waiting_runs(fleet.app, actor, 1)
    work_through(fleet.app)
    with at_once(8) as together:
        together(lambda number: sent(fleet.app, actor, f"event {number}", "k0"))
    work_through(fleet.app)
    assert scalar(fleet.app, "SELECT status FROM runs WHERE id = :id", id=run_id) == "succeeded"
    assert scalar(fleet.app, "SELECT count(*) FROM events") == 8
    assert deliveries(fleet.app) == [("resumed", None)]


def test_an_event_lets_a_wait_open_that_has_just_looked_back(fleet: Fleet, actor: Actor) -> None:
    def open_wait() -> None:
        lock_correlation(actor.tenant_id, "invoice.paid", "42")
        run = a_run(a_published_workflow(db.session.get_one(Tenant, actor.tenant_id)), "waiting")
        a_step(run, status="waiting", node_type="event.wait", finished_at=None)
        db.session.add(
            Wait(
                tenant_id=actor.tenant_id, run_id=run.id, step_path="root.steps[0]", iteration="", attempt=1,
                kind="event", event_name="invoice.paid", correlation_key="42", opened_at=clock.database_now(),
            )
        )  # fmt: skip
        db.session.flush()

    while_locked(fleet.app, open_wait, lambda: send(actor, "one", "42"))
    assert deliveries(fleet.app) == [("resumed", None)]
    assert scalar(fleet.app, "SELECT status FROM runs") == "queued"
