"""Rehearsals count for nothing: not for a schedule's overlap and last run, not for auto-pause, not for a workflow's bars."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from domain.accounts.audit import Actor
from domain.firing.rehearsing import rehearse
from domain.firing.run_now import run_schedule_now
from domain.kernel.errors import NotFound
from domain.publishing import pause_failing
from domain.publishing.catalog import workflows_page
from domain.runs.claims import Ending, finish_runs
from domain.runs.runs import Run
from domain.schedules.drafts import ScheduleDraft
from tests.domain.firing.ledger import NOON, a_live_schedule, a_target, cursor, ledger, minute, tick_until_idle
from tests.domain.runs.queue import a_worker
from tests.factories import NOW, a_published_workflow, a_run, a_tenant

pytestmark = pytest.mark.usefixtures("db")


@pytest.fixture
def acme(db: Any) -> Any:
    return a_tenant()


def test_a_rehearsal_that_is_going_is_no_overlap(acme: Any) -> None:
    workflow = a_target(acme)
    schedule = a_live_schedule(workflow, overlap="skip")
    a_run(workflow, "running", schedule_id=schedule.id, is_rehearsal=True)
    tick_until_idle(minute(1))
    assert ledger(schedule) == [(1, "fired", None)]


def test_run_now_does_not_mind_a_rehearsal(acme: Any) -> None:
    workflow = a_target(acme)
    schedule = a_live_schedule(workflow, overlap="skip")
    a_run(workflow, "running", schedule_id=schedule.id, is_rehearsal=True)
    assert run_schedule_now(Actor(acme.id), schedule.id, "key", NOON).status == "queued"


def test_how_a_rehearsal_ends_says_nothing_of_its_schedule(acme: Any) -> None:
    workflow = a_target(acme)
    schedule, worker = a_live_schedule(workflow), a_worker()
    run = a_run(workflow, "running", schedule_id=schedule.id, is_rehearsal=True, claimed_by=worker)
    finish_runs([Ending(run.id, 0, "failed", error={"message": "Only a rehearsal."})], worker, minute(1))
    assert (cursor(schedule).last_finished_at, cursor(schedule).last_run_status, cursor(schedule).last_error) == (
        None, None, None,
    )  # fmt: skip


def test_failed_rehearsals_pause_no_workflow(acme: Any) -> None:
    workflow = a_published_workflow(acme, auto_pause_on_failure=True, failure_rate_min_runs=1)
    a_run(workflow, "failed", is_rehearsal=True)
    assert pause_failing(NOW) == 0
    a_run(workflow, "failed")
    assert pause_failing(NOW) == 1


def test_the_list_of_workflows_shows_neither_bar_nor_last_run_of_a_rehearsal(acme: Any) -> None:
    workflow = a_published_workflow(acme)
    real = a_run(workflow, "succeeded")
    a_run(workflow, "failed", is_rehearsal=True, finished_at=NOW + timedelta(minutes=1))
    (row,) = workflows_page(acme.id)
    assert [run.id for run in row.recent] == [real.id]
    assert (row.success_rate, row.last_run_id, row.last_run_status) == (1.0, real.id, "succeeded")


@pytest.mark.parametrize("theirs", ["workflow_id", "schedule_id", "like_id"])
def test_charlie_rehearses_nothing_of_another_tenant(acme: Any, theirs: str, db: Any) -> None:
    globex = a_tenant("globex")
    own, foreign = a_target(globex), a_live_schedule(a_target(acme))
    draft = ScheduleDraft(workflow_id=foreign.workflow_id if theirs == "workflow_id" else own.id)
    asked = {} if theirs == "workflow_id" else {theirs: foreign.id}
    with pytest.raises(NotFound):
        rehearse(Actor(globex.id), draft, "", "key", NOON, **asked)
    assert db.scalars(select(Run)).all() == []
