"""What is kept of finished runs, and for how long."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text

from domain.accounts import request_keys
from domain.accounts.request_keys import RequestKey, prune_requests
from domain.accounts.tenants import Tenant, edit_tenant
from domain.kernel.clock import database_now
from domain.kernel.errors import Refused
from domain.pruning import prune
from domain.runs import retention
from domain.runs.invocations import Invocation
from domain.runs.retention import prune_runs
from domain.runs.runs import Run
from domain.runs.steps import RunStep
from domain.runs.tasks import HumanTask
from domain.runs.waits import Wait
from domain.schedules.occurrences import Occurrence
from domain.workflows.workflows import Workflow
from tests.calls import a_call_run, a_call_schedule, an_invocation
from tests.factories import (
    NOW,
    a_published_workflow,
    a_run,
    a_schedule,
    a_step,
    a_task,
    a_tenant,
    an_actor,
    an_install,
)
from tests.statements import counted


@pytest.fixture
def acme(db: Any) -> Tenant:
    tenant = a_tenant()
    tenant.retention_days = 30
    db.flush()
    return tenant


@pytest.fixture
def sync(acme: Tenant) -> Workflow:
    return a_published_workflow(acme)


def ended(workflow: Workflow, days_ago: float, **values: Any) -> Run:
    finished_at = NOW - timedelta(days=days_ago)
    return a_run(workflow, **{"finished_at": finished_at, "started_at": finished_at} | values)


def kept(db: Any) -> set[Any]:
    return set(db.scalars(select(Run.id)))


def test_runs_are_forgotten_when_they_have_been_finished_for_longer_than_the_tenant_keeps_them(
    sync: Workflow, db: Any
) -> None:
    young, old, going = ended(sync, 29.9).id, ended(sync, 30.1).id, a_run(sync, "running").id
    assert prune_runs(NOW) == 1
    assert kept(db) == {young, going} and old not in kept(db)
    assert prune_runs(NOW) == 0


def test_a_workflow_may_keep_its_own_for_longer_or_less_long(acme: Tenant, sync: Workflow, db: Any) -> None:
    longer = a_published_workflow(acme, "Audit", retention_policy_override={"days": 365})
    shorter = a_published_workflow(acme, "Ping", retention_policy_override={"days": 1})
    expected = {ended(longer, 300).id, ended(shorter, 0.5).id}
    ended(longer, 366), ended(shorter, 2)
    assert prune_runs(NOW) == 2
    assert kept(db) == expected


def test_without_a_policy_everything_is_kept_unless_the_workflow_says_otherwise(db: Any) -> None:
    globex = a_tenant("globex")
    forever, own = (
        a_published_workflow(globex),
        a_published_workflow(globex, "Ping", retention_policy_override={"days": 7}),
    )
    expected = {ended(forever, 9_000).id}
    ended(own, 8)
    assert prune_runs(NOW) == 1
    assert kept(db) == expected


@pytest.mark.parametrize("override", [{"days": "many"}, {"days": -1}, {"days": 0}, {"days": None}, {}, [], 7])
def test_an_override_that_says_nothing_leaves_it_to_the_tenant(acme: Tenant, override: Any, db: Any) -> None:
    odd = a_published_workflow(acme, "Odd", retention_policy_override=override)
    expected = {ended(odd, 20).id}
    ended(odd, 40)
    assert prune_runs(NOW) == 1 and kept(db) == expected


def test_the_runs_of_a_deleted_workflow_go_like_any_others(sync: Workflow, db: Any) -> None:
    ended(sync, 31)
    sync.deleted_at = NOW
    db.flush()
    assert prune_runs(NOW) == 1


def test_a_child_stays_as_long_as_its_parent_goes_on(sync: Workflow, db: Any) -> None:
    parent = a_run(sync, "running")
    child = ended(sync, 50, parent_run_id=parent.id).id
    orphan = ended(sync, 50, parent_run_id=ended(sync, 50).id).id
    assert prune_runs(NOW) == 2 and child in kept(db) and orphan not in kept(db)
    db.execute(
        text("UPDATE runs SET status = 'failed', finished_at = :now WHERE id = :id"), {"now": NOW, "id": parent.id}
    )
    assert prune_runs(NOW) == 1 and kept(db) == {parent.id}


def test_steps_waits_and_tasks_go_with_their_run_and_the_ledger_stays(sync: Workflow, db: Any) -> None:
    schedule = a_schedule(sync)
    run = ended(sync, 31, schedule_id=schedule.id)
    values = {"outcome": "fired", "origin_key": "timing", "scheduled_for": NOW, "decided_at": NOW}
    db.add(Occurrence(id=run.id, schedule_id=schedule.id, tenant_id=run.tenant_id, **values))
    a_step(run, "root.steps[3]", position=3)
    a_task(run, status="answered")
    assert prune_runs(NOW) == 1
    for model in (Run, RunStep, Wait, HumanTask):
        assert db.scalar(select(func.count()).select_from(model)) == 0
    assert db.scalar(select(func.count()).select_from(Occurrence)) == 1


def test_what_is_forgotten_at_once_is_bounded_by_runs_and_by_steps(
    sync: Workflow, db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "RUNS_AT_ONCE", 3)
    monkeypatch.setattr(retention, "STEPS_AT_ONCE", 4)
    long = [ended(sync, 40).id for _ in range(2)]
    for run_id in long:
        for number in range(5):
            a_step(db.get(Run, run_id), f"root.steps[{number}]", position=number)
    for _ in range(4):
        ended(sync, 35)
    batches = []
    while found := prune_runs(NOW):
        batches.append(found)
    assert batches == [1, 1, 3, 1] and kept(db) == set()


def test_pruning_costs_the_same_statements_whatever_there_is(sync: Workflow) -> None:
    ended(sync, 31)
    with counted() as one:
        assert prune(NOW) == 1
    for _ in range(5):
        ended(sync, 31)
    with counted() as some:
        assert prune(NOW) == 5
    assert len(some) == len(one)


def test_keys_of_requests_are_forgotten_after_seven_days_in_batches(acme: Tenant, db: Any) -> None:
    now: datetime = database_now()
    for number in range(5):
        days = 8 if number < 4 else 6
        db.add(RequestKey(tenant_id=acme.id, key=f"k-{number}", action="x", created_at=now - timedelta(days=days)))
    db.flush()
    assert [prune_requests(now, 3), prune_requests(now, 3), prune_requests(now, 3)] == [3, 1, 0]
    assert list(db.scalars(select(RequestKey.key))) == ["k-4"]
    assert timedelta(days=7) == request_keys.KEPT


@pytest.mark.parametrize(("given", "stored"), [("", None), (None, None), (" 90 ", 90), (1, 1), ("36500", 36_500)])
def test_the_tenant_says_how_long_and_empty_is_for_ever(acme: Tenant, given: Any, stored: int | None) -> None:
    assert edit_tenant(an_actor(acme), "Acme", "UTC", given).retention_days == stored


@pytest.mark.parametrize("given", ["0", "-1", "1.5", "ten", "36501", "9" * 30, "١", True, 2.5])
def test_what_is_no_number_of_days_is_refused_at_its_field(acme: Tenant, given: Any) -> None:
    with pytest.raises(Refused) as refused:
        edit_tenant(an_actor(acme), "Acme", "UTC", given)
    assert [problem.path for problem in refused.value.problems] == ["retention_days"]
    assert acme.retention_days == 30


def test_runs_of_endpoints_go_with_their_calls_when_the_tenant_keeps_them_no_longer(acme: Tenant, db: Any) -> None:
    # Their ids say when they were made, which is now.
    now = database_now()
    install = an_install(acme)
    schedule = a_call_schedule(install)
    old, young = (
        a_call_run(install, schedule_id=schedule.id, finished_at=now + timedelta(days=days)) for days in (0, 2)
    )
    going = a_call_run(install, "running")
    forever = a_call_run(an_install(a_tenant("globex")), finished_at=now)
    for run in (old, young, going, forever):
        a_step(run), an_invocation(run)
    expected = {young.id, going.id, forever.id}
    later = now + timedelta(days=31)
    assert prune_runs(later) == 1 and prune_runs(later) == 0
    assert kept(db) == expected
    for table in (RunStep, Invocation):
        assert set(db.scalars(select(table.run_id))) == expected


def test_calls_of_a_workflow_go_with_its_runs(acme: Tenant, sync: Workflow, db: Any) -> None:
    made = an_invocation(a_call_run(an_install(acme)))
    made.run_id = ended(sync, 31).id
    db.flush()
    assert prune_runs(NOW) == 1
    assert db.scalar(select(func.count()).select_from(Invocation)) == 0
