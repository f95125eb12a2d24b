"""Which calls may go: as many of an install and of a tenant as the limits say, overlap and backfills as for workflows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from domain.accounts.tenants import Tenant
from domain.extensions.installs import Install
from domain.extensions.settings import Runner
from domain.kernel.db import db as database
from domain.kernel.ids import new_id
from domain.runs.admission import admit_waiting, look_for_waiting, ready_by_lane, ready_in
from domain.runs.call_admission import admit_calls
from domain.runs.invocations import Invocation
from domain.runs.runs import CALL, QUEUED, Run
from domain.runs.waits import Wait
from domain.runs.waking import wake_due
from domain.schedules.backfills import Backfill
from tests.calls import a_call_run, a_call_schedule, endpoint_of
from tests.domain.engine.endpoint_runs import configure
from tests.domain.runs.queue import NOW, admitted, end
from tests.factories import (
    a_published_workflow,
    a_run,
    a_step,
    a_tenant,
    an_extension,
    an_extension_version,
    an_install,
)

pytestmark = pytest.mark.usefixtures("db")


@pytest.fixture(autouse=True)
def limits(monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, None, calls_per_install=2, calls_per_tenant=3)


@pytest.fixture
def install(db: Any) -> Install:
    return an_install(a_tenant())


def another(install: Install, name: str = "com.acme.other") -> Install:
    """Another extension in the same tenant."""
    tenant = database.session.get_one(Tenant, install.tenant_id)
    return an_install(tenant, an_extension_version(an_extension(tenant, name)))


def waiting(install: Install, count: int, **values: Any) -> list[Run]:
    return [a_call_run(install, QUEUED, **values) for _ in range(count)]


def a_workflow_call(install: Install, status: str) -> None:
    """A call that a step of a workflow's run made."""
    tenant = database.session.get_one(Tenant, install.tenant_id)
    called = endpoint_of(install)
    ended = {} if status == "started" else {"finished_at": NOW}
    call = Invocation(
        tenant_id=tenant.id,
        run_id=a_run(a_published_workflow(tenant), "running", claimed_by=new_id(), finished_at=None).id,
        step_path="root.steps[0]",
        iteration="",
        attempt=1,
        install_id=install.id,
        extension_id=install.extension_id,
        version_id=install.version_id,
        content_hash="sha256:" + "0" * 64,
        trigger="manual",
        method=called.method,
        path=called.path,
        idempotency_key="key",
        status=status,
        started_at=NOW,
        **ended,
    )
    database.session.add(call)
    database.session.flush()


def set_status(run: Run, status: str, db: Any) -> None:
    db.execute(
        text("UPDATE runs SET status = :status, claimed_by = gen_random_uuid() WHERE id = :id"),
        {"id": run.id, "status": status},
    )


def test_as_many_of_an_install_go_as_its_limit_says_the_oldest_first(install: Install) -> None:
    assert look_for_waiting()[1] is False
    runs = waiting(install, 4)
    assert look_for_waiting()[1] is True
    assert admit_calls(NOW) == 2 and admitted(runs) == [True, True, False, False]
    assert admit_calls(NOW) == 0
    assert ready_by_lane() == {CALL: 2} and ready_in(CALL, 10) == 2 and ready_in(CALL, 1) == 1


def test_as_many_of_a_tenant_go_as_its_limit_says_one_of_each_install_first(install: Install) -> None:
    mine, others, third = waiting(install, 3), waiting(another(install), 3), another(install, "com.acme.third")
    late = waiting(third, 1)
    assert admit_calls(NOW) == 3
    assert [sum(admitted(runs)) for runs in (mine, others, late)] == [1, 1, 1]


@pytest.mark.parametrize("status", ["queued", "running"])
def test_a_slot_is_held_until_the_call_has_ended(install: Install, db: Any, status: str) -> None:
    first, second, third = waiting(install, 3)
    admit_calls(NOW)
    set_status(first, status, db)
    assert admit_calls(NOW) == 0
    end(first)
    assert admit_calls(NOW) == 1 and admitted([second, third]) == [True, True]


def test_a_call_that_waits_for_its_next_attempt_holds_no_slot_and_asks_for_one_again(install: Install, db: Any) -> None:
    first, second, third = waiting(install, 3)
    admit_calls(NOW)
    set_status(first, "waiting", db)
    a_step(first, status="failed", error={"code": "RUNNER_TIMEOUT"})
    wait = Wait(tenant_id=first.tenant_id, run_id=first.id, step_path="root.steps[0]", iteration="", attempt=1)
    wait.kind, wait.opened_at, wait.due_at = "retry", NOW, NOW
    db.add(wait)
    db.flush()
    assert admit_calls(NOW) == 1 and admitted([second, third]) == [True, True]
    assert wake_due(NOW + timedelta(seconds=1)) == 1
    assert admitted([first]) == [False] and admit_calls(NOW) == 0
    end(second)
    assert admit_calls(NOW) == 1 and admitted([first]) == [True]


@pytest.mark.parametrize(("status", "more"), [("started", 1), ("succeeded", 2)])
def test_a_call_that_a_workflow_makes_holds_a_slot_while_it_lasts(
    install: Install, monkeypatch: pytest.MonkeyPatch, status: str, more: int
) -> None:
    runner = Runner("http://127.0.0.1:9", "t" * 32, "k" * 32, 15, 128, 262_144)
    configure(monkeypatch, runner, calls_per_install=2)
    a_workflow_call(install, status)
    runs = waiting(install, 3)
    assert admit_calls(NOW) == more and sum(admitted(runs)) == more


def test_another_tenant_does_not_wait(install: Install) -> None:
    other = an_install(a_tenant("globex"))
    waiting(install, 5)
    admit_calls(NOW)
    runs = waiting(other, 1)
    assert admit_calls(NOW) == 1 and admitted(runs) == [True]


def test_only_the_tenants_named_are_looked_at(install: Install) -> None:
    other = an_install(a_tenant("globex"))
    mine, theirs = waiting(install, 1), waiting(other, 1)
    assert admit_calls(NOW, [other.tenant_id]) == 1
    assert admitted([*mine, *theirs]) == [False, True]
    assert admit_calls(NOW, []) == 0


@pytest.mark.parametrize(("overlap", "expected"), [("queue", 1), ("skip", 1), ("allow", 2)])
def test_a_schedule_has_one_call_going_unless_its_overlap_allows_more(
    install: Install, overlap: str, expected: int
) -> None:
    schedule = a_call_schedule(install, overlap=overlap)
    runs = waiting(install, 3, schedule_id=schedule.id)
    assert admit_calls(NOW) == expected and admitted(runs)[0]


def test_a_call_waits_for_the_one_before_it_that_is_tried_again_later(install: Install, db: Any) -> None:
    schedule = a_call_schedule(install, overlap="queue")
    first, second = waiting(install, 2, schedule_id=schedule.id)
    admit_calls(NOW)
    set_status(first, "waiting", db)
    assert admit_calls(NOW) == 0
    end(first)
    assert admit_calls(NOW) == 1 and admitted([second]) == [True]


def test_a_backfill_has_as_many_going_as_it_says_and_only_slots_that_nobody_else_wants(
    install: Install, db: Any
) -> None:
    schedule = a_call_schedule(install, overlap="allow")
    backfill = Backfill(tenant_id=install.tenant_id, schedule_id=schedule.id, from_at=NOW, until_at=NOW)
    backfill.count, backfill.concurrency = 3, 1
    db.add(backfill)
    db.flush()
    filling = waiting(install, 3, schedule_id=schedule.id, backfill_id=backfill.id)
    asked: Sequence[Run] = waiting(install, 2, schedule_id=schedule.id)
    assert admit_calls(NOW) == 2 and admitted([*asked, *filling]) == [True, True, False, False, False]
    for run in asked:
        end(run)
    assert admit_calls(NOW) == 1 and admitted(filling) == [True, False, False]
    end(filling[0])
    assert admit_calls(NOW) == 1 and admitted(filling) == [True, True, False]


def test_calls_and_workflows_are_admitted_apart(install: Install) -> None:
    runs = waiting(install, 1)
    assert admit_waiting(NOW) == 0 and admitted(runs) == [False]
    assert admit_calls(NOW) == 1
