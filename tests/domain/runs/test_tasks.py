"""A task: who may hear of it, how it is answered, and how it ends otherwise."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import func, select

from domain.accounts.audit import AuditEntry
from domain.accounts.notifications import Notification
from domain.accounts.tenants import Tenant
from domain.accounts.users import User
from domain.kernel.db import transaction
from domain.kernel.errors import NotFound, Refused
from domain.runs.inbox import COUNTED, TaskFilters, attention_of, inbox_page, task_types, task_view
from domain.runs.runs import Run
from domain.runs.steps import RunStep
from domain.runs.tasks import HumanTask, TaskClosed, announce_task, answer_task
from domain.runs.waits import Wait
from domain.runs.waking import wake_due
from domain.workflows import payload_secrets
from tests.factories import NOW, a_published_workflow, a_run, a_task, a_tenant, a_user, an_actor
from tests.servers import config_for, make_app
from tests.statements import counted

LATER = NOW + timedelta(minutes=10)
YES = {"approved": True, "comment": "Fine"}


@pytest.fixture
def acme(db: Any) -> Tenant:
    return a_tenant("acme")


@pytest.fixture
def alice(acme: Tenant) -> User:
    return a_user(acme, "alice@acme.test")


def a_question(tenant: Tenant, **values: Any) -> HumanTask:
    name = f"Invoices {values.pop('number', 1)}"
    return a_task(a_run(a_published_workflow(tenant, name), "waiting"), **values)


def test_an_answer_lets_the_run_go_on_with_it(acme: Tenant, alice: User, db: Any) -> None:
    asked = a_question(acme)
    task = answer_task(an_actor(acme, alice), asked.id, YES, "k", LATER)
    db.expire_all()
    assert (task.status, task.answer, task.answered_by, task.closed_at) == ("answered", YES, alice.id, LATER)
    step = db.scalars(select(RunStep)).one()
    assert (step.status, step.finished_at) == ("succeeded", LATER)
    assert step.output == {
        "taskId": str(task.id),
        "answer": YES,
        "answeredBy": str(alice.id),
        "answeredAt": LATER.isoformat(),
    }
    assert (db.scalars(select(Wait.status)).one(), db.get(Run, task.run_id).status) == ("resolved", "queued")
    entry = db.scalars(select(AuditEntry)).one()
    assert (entry.action, entry.actor_id, entry.subject_label) == ("task.answered", alice.id, "Approve the invoice")
    assert "Fine" not in str((entry.before, entry.after))


@pytest.mark.parametrize(
    ("answer", "path"),
    [({}, "answer/approved"), ({"approved": "yes"}, "answer/approved"), ({"approved": True, "x": 1}, "answer/x")],
)
def test_an_answer_that_does_not_fit_the_form_changes_nothing(acme: Tenant, db: Any, answer: Any, path: str) -> None:
    asked = a_question(acme)
    db.commit()
    with pytest.raises(Refused) as refused, transaction():
        answer_task(an_actor(acme), asked.id, answer, "k", LATER)
    assert [problem.path for problem in refused.value.problems] == [path]
    assert db.get(HumanTask, asked.id).status == "open"
    with transaction():
        assert answer_task(an_actor(acme), asked.id, YES, "k", LATER).status == "answered"


def test_a_secret_in_an_answer_is_sealed_wherever_it_is_kept(acme: Tenant, db: Any) -> None:
    schema = {"type": "object", "properties": {"code": {"type": "string", "x-secret": True}}}
    asked = a_question(acme, form_schema=schema)
    answer_task(an_actor(acme), asked.id, {"code": "open sesame"}, "k", LATER)
    db.expire_all()
    kept = asked.answer, db.scalars(select(RunStep.output)).one(), db.scalars(select(AuditEntry.after)).one()
    assert "sesame" not in str(kept)
    assert payload_secrets.opened(acme.id, asked.answer) == {"code": "open sesame"}
    assert payload_secrets.shown(asked.answer) == {"code": {"$kept": True}}


def test_the_same_request_answers_once(acme: Tenant, alice: User, db: Any) -> None:
    asked = a_question(acme)
    for answer in (YES, {"approved": False}):
        assert answer_task(an_actor(acme, alice), asked.id, answer, "same", LATER).answer == YES
    assert db.scalar(select(func.count()).select_from(AuditEntry)) == 1


def test_whoever_comes_second_hears_who_answered(acme: Tenant, alice: User, db: Any) -> None:
    asked = a_question(acme)
    answer_task(an_actor(acme, alice), asked.id, YES, "first", LATER)
    with pytest.raises(TaskClosed, match="Alice has answered this already"):
        answer_task(an_actor(acme), asked.id, {"approved": False}, "second", LATER)
    assert db.get(HumanTask, asked.id).answer == YES


def test_a_task_whose_time_is_over_takes_no_answer(acme: Tenant, db: Any) -> None:
    asked = a_question(acme, due_at=LATER)
    assert wake_due(LATER) == 1
    with pytest.raises(TaskClosed, match="expired"):
        answer_task(an_actor(acme), asked.id, YES, "k", LATER)


def test_a_task_of_a_canceled_run_takes_no_answer(acme: Tenant, db: Any) -> None:
    asked = a_question(acme, status="canceled")
    for answer in (YES, "what fits no form"):
        with pytest.raises(TaskClosed, match="canceled"):
            answer_task(an_actor(acme), asked.id, answer, f"k {answer}", LATER)


def test_a_run_that_no_longer_waits_takes_no_answer(acme: Tenant, db: Any) -> None:
    asked = a_question(acme)
    db.get(Run, asked.run_id).status = "queued"
    db.flush()
    with pytest.raises(TaskClosed, match="does not wait"):
        answer_task(an_actor(acme), asked.id, YES, "k", LATER)


def test_strangers_have_no_such_task(acme: Tenant, db: Any) -> None:
    asked = a_question(acme)
    globex = a_tenant("globex")
    for ask in (
        lambda: answer_task(an_actor(globex), asked.id, YES, "k", LATER),
        lambda: task_view(globex.id, asked.id),
    ):
        with pytest.raises(NotFound):
            ask()
    assert inbox_page(globex.id) == [] and task_types(globex.id) == []


def test_of_two_who_answer_at_once_one_is_heard(fresh_database: str, fresh_redis: str) -> None:
    app = make_app(config_for(fresh_database, fresh_redis))
    with app.app_context(), transaction():
        acme = a_tenant("acme")
        people = [a_user(acme, f"{name}@acme.test").id for name in ("alice", "olga")]
        tenant_id, task_id = acme.id, a_question(acme).id
    gate = Barrier(2)

    def answer(number: int) -> str:
        from domain.accounts.audit import Actor

        with app.app_context():
            gate.wait(10)
            try:
                with transaction():
                    answer_task(Actor(tenant_id, people[number]), task_id, YES, f"key {number}", LATER)
            except TaskClosed as closed:
                return closed.message
            return "heard"

    with ThreadPoolExecutor(2) as pool:
        said = sorted(pool.map(answer, range(2)))
    assert said[1] == "heard" and "has answered this already" in said[0]
    with app.app_context():
        from domain.kernel.db import db

        assert db.session.scalar(select(func.count()).select_from(AuditEntry)) == 1
        db.session.remove()
        db.engine.dispose()


def test_everybody_who_may_answer_hears_of_a_task_once(acme: Tenant, alice: User, db: Any) -> None:
    olga, bob = a_user(acme, "olga@acme.test", "operator"), a_user(acme, "bob@acme.test", "viewer")
    asked = a_question(acme, description="For 705 EUR")
    for _ in range(2):
        announce_task(asked, NOW)
    told = list(db.scalars(select(Notification)))
    assert {row.user_id for row in told} == {alice.id, olga.id} and bob.id not in {row.user_id for row in told}
    assert len(told) == 2
    assert {(row.title, row.body, row.link) for row in told} == {
        ("Approve the invoice", "For 705 EUR", f"/tasks/{asked.id}")
    }


def test_the_inbox_is_newest_first_and_can_be_narrowed(acme: Tenant, alice: User) -> None:
    old = a_question(acme, number=1, task_type="task.Review.v1")
    done = a_question(acme, number=2, status="answered", answered_by=alice.id)
    new = a_question(acme, number=3)
    assert [row.id for row in inbox_page(acme.id)] == [new.id, done.id, old.id]
    assert [row.id for row in inbox_page(acme.id, TaskFilters(status="open"))] == [new.id, old.id]
    assert [row.id for row in inbox_page(acme.id, TaskFilters(task_type="task.Review.v1"))] == [old.id]
    assert [row.id for row in inbox_page(acme.id, before=new.id, limit=1)] == [done.id]
    (row,) = inbox_page(acme.id, TaskFilters(status="answered"))
    assert (row.workflow_name, row.answered_by) == ("Invoices 2", "Alice")
    assert task_types(acme.id) == ["task.Approval.v1", "task.Review.v1"]


def test_what_waits_for_somebody_is_counted_in_one_statement_and_not_without_end(
    acme: Tenant, alice: User, db: Any
) -> None:
    run = a_run(a_published_workflow(acme), "waiting")
    a_task(run)
    a_task(run, position=1, status="answered")
    rows = [
        {"tenant_id": acme.id, "user_id": alice.id, "severity": "info", "title": f"{n}", "read_at": None}
        for n in range(COUNTED + 5)
    ]
    db.add_all([Notification(**row) for row in rows])
    db.add(Notification(**rows[0] | {"read_at": NOW}))
    db.flush()
    with counted() as statements:
        attention = attention_of(acme.id, alice.id)
    assert (attention.open_tasks, attention.unread, len(statements)) == (1, COUNTED, 1)
    assert attention_of(a_tenant("globex").id, alice.id).unread == 0
