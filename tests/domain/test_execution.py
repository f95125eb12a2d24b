"""From a due instant to a finished run, in one process, with a clock that the test moves."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select, text
from structlog.testing import capture_logs

from domain.execution import Worker, give_back_strays
from domain.firing.tick import fire_due
from domain.kernel import clock
from domain.kernel.ids import new_id
from domain.runs.admission import admit_waiting, ready_by_lane
from domain.runs.canceling import request_cancel
from domain.runs.claims import claim_runs, claims_of
from domain.runs.runs import EFFECT, PURE, Run
from domain.runs.steps import RunStep
from domain.schedules.schedules import ACTIVE, Schedule
from tests.domain.firing.ledger import a_live_schedule, a_target, cursor, minute, runs
from tests.factories import a_tenant

pytestmark = pytest.mark.usefixtures("db")

GREET = [
    {"id": "greet", "type": "transform.assign", "config": {"assign": {"vars.text": {"$expr": "'n = ' & payload.n"}}}}
]
FAIL = [{"id": "fail", "type": "control.if", "condition": {"$expr": "payload.n"}, "then": []}]


@pytest.fixture
def worker(db: Any) -> Worker:
    return Worker(new_id(), run_deadline_seconds=60)


def scheduled(steps: list[Any], *, limit: int | None = None, is_pure: bool = True, **values: Any) -> Schedule:
    workflow = a_target(a_tenant(), limit=limit, definition={"steps": steps}, is_pure=is_pure)
    return a_live_schedule(workflow, payload={"n": 7}, **values)


def test_a_fired_schedule_is_run_and_its_last_success_is_on_record(worker: Worker, db: Any) -> None:
    schedule = scheduled(GREET)
    fire_due(minute(1))
    assert ready_by_lane() == {PURE: 1}
    worker.work(PURE)
    (run,) = runs(schedule)
    assert (run.status, run.error, run.claimed_by) == ("succeeded", None, None)
    steps = db.scalars(select(RunStep).where(RunStep.run_id == run.id)).all()
    assert [(step.step_id, step.output) for step in steps] == [("greet", {"vars.text": "n = 7"})]
    position = cursor(schedule)
    assert position.last_run_at == position.last_finished_at == run.finished_at
    assert (position.last_run_status, position.last_error) == ("succeeded", None)


def test_a_failing_run_is_logged_and_does_not_disable_its_schedule(worker: Worker, db: Any) -> None:
    schedule = scheduled(FAIL)
    fire_due(minute(1))
    with capture_logs() as lines:
        worker.work(PURE)
    (run,) = runs(schedule)
    assert run.status == "failed" and run.error["nodePath"] == "root.steps[0]"
    assert [line["event"] for line in lines] == ["A run failed"]
    position = cursor(schedule)
    assert (position.last_run_at, position.last_run_status) == (None, "failed")
    assert position.last_error == run.error["message"] and position.last_finished_at == run.finished_at
    assert db.get_one(Schedule, schedule.id, populate_existing=True).status == ACTIVE
    fire_due(minute(2))
    assert len(runs(schedule)) == 2


def test_a_later_success_clears_the_error_and_keeps_the_last_success_apart(worker: Worker, db: Any) -> None:
    schedule = scheduled(FAIL)
    fire_due(minute(1))
    worker.work(PURE)
    db.execute(text("UPDATE schedules SET payload_json = '{\"n\": true}'"))
    fire_due(minute(2))
    worker.work(PURE)
    position = cursor(schedule)
    assert (position.last_run_status, position.last_error) == ("succeeded", None)
    assert position.last_run_at is not None


def test_two_fires_of_one_workflow_never_run_at_the_same_time_under_the_default_limit(worker: Worker) -> None:
    schedule = scheduled(GREET, limit=1, overlap="allow")
    fire_due(minute(1))
    fire_due(minute(2))
    admit_waiting(minute(2))
    assert [run.ready_at is not None for run in runs(schedule)] == [True, False]
    assert len(claim_runs(PURE, new_id(), 10, clock.database_now(), 60)) == 1
    admit_waiting(minute(2))
    assert claim_runs(PURE, new_id(), 10, clock.database_now(), 60) == []


@pytest.mark.parametrize(("limit", "overlap"), [(1, "allow"), (None, "queue")])
def test_a_worker_lets_the_next_run_in_when_it_has_finished_one(
    worker: Worker, limit: int | None, overlap: str
) -> None:
    schedule = scheduled(GREET, limit=limit, overlap=overlap)
    for number in (1, 2, 3):
        fire_due(minute(number))
    admit_waiting(minute(3))
    assert worker.work(PURE) and worker.work(PURE)
    worker.work(PURE)
    assert [run.status for run in runs(schedule)] == ["succeeded"] * 3
    assert all(a.finished_at <= b.started_at for a, b in zip(runs(schedule), runs(schedule)[1:], strict=False))


def test_a_chunk_of_pure_runs_ends_together_and_one_failure_is_only_its_own(worker: Worker, db: Any) -> None:
    workflow = a_target(a_tenant(), definition={"steps": FAIL}, is_pure=True)
    schedules = [a_live_schedule(workflow, f"S{n}", payload={"n": n == 3 or n % 2 == 0}) for n in range(6)]
    schedules.append(a_live_schedule(workflow, "broken", payload={"n": "x"}))
    fire_due(minute(1))
    worker.work(PURE)
    statuses = [runs(schedule)[0].status for schedule in schedules]
    assert statuses == ["succeeded"] * 6 + ["failed"]


def test_a_run_asked_to_cancel_before_its_claim_ends_canceled_without_a_step(worker: Worker, db: Any) -> None:
    schedule = scheduled(GREET)
    fire_due(minute(1))
    (run,) = runs(schedule)
    assert request_cancel(run.id, minute(1)) == "canceled"
    assert not worker.work(PURE)
    (run,) = runs(schedule)
    assert run.status == "canceled" and cursor(schedule).last_run_status == "canceled"
    assert db.scalars(select(RunStep)).all() == []


def test_what_a_process_holds_on_paper_only_is_given_back_after_two_beats(worker: Worker, db: Any) -> None:
    schedule = scheduled(GREET)
    fire_due(minute(1))
    (claim,) = claim_runs(PURE, worker.id, 1, clock.database_now(), 60)
    assert give_back_strays(worker) == 0
    assert claims_of(worker.id) == {(claim.run_id, 1)}
    assert give_back_strays(worker) == 1
    (run,) = runs(schedule)
    assert (run.status, run.claim_epoch, run.claimed_by, run.losses) == ("queued", 2, None, 0)
    worker.work(PURE)
    assert runs(schedule)[0].status == "succeeded"


def test_what_is_in_hand_is_never_given_back(worker: Worker) -> None:
    scheduled(GREET)
    fire_due(minute(1))
    (claim,) = claim_runs(PURE, worker.id, 1, clock.database_now(), 60)
    worker.held.add((claim.run_id, claim.epoch))
    assert [give_back_strays(worker) for _ in range(3)] == [0, 0, 0]


def test_lanes_are_apart(worker: Worker) -> None:
    schedule = scheduled(GREET, is_pure=False)
    fire_due(minute(1))
    assert ready_by_lane() == {EFFECT: 1}
    assert not worker.work(PURE)
    worker.work(EFFECT)
    assert runs(schedule)[0].status == "succeeded"


def test_a_definition_this_release_cannot_run_fails_its_run_and_nothing_else(worker: Worker, db: Any) -> None:
    schedule = scheduled([{"id": "x", "type": "from.the.future"}])
    fire_due(minute(1))
    worker.work(PURE)
    run = db.scalars(select(Run)).one()
    assert run.status == "failed" and "cannot run the definition" in run.error["message"]
    assert runs(schedule)[0].id == run.id
