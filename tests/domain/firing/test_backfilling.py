"""Making up for a past range: each instant that has no run gets one, once, and the schedule itself takes no notice."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from domain.accounts.audit import AuditEntry
from domain.firing.backfilling import BackfillPlan, cancel_backfill, plan_backfill, start_backfill
from domain.firing.closing import end_pauses
from domain.firing.lifecycle import edit_schedule, pause_schedule, resume_schedule
from domain.firing.run_now import run_schedule_now
from domain.kernel.errors import Refused
from domain.runs.admission import admit_waiting
from domain.runs.claims import Ending, claim_runs, finish_runs
from domain.runs.runs import Run
from domain.runs.waiting import obstacle_of
from tests.domain.firing.backfills import made_up, outage, progress, start
from tests.domain.firing.ledger import (
    a_live_schedule,
    a_target,
    cursor,
    minute,
    occurrences,
    runs,
    tick_until_idle,
)
from tests.domain.firing.test_lifecycle import Cast, draft_of
from tests.domain.runs.queue import a_worker, end

pytestmark = pytest.mark.usefixtures("db")


@pytest.fixture
def cast(db: Any) -> Cast:
    return Cast()


def test_each_missing_instant_gets_a_run_and_no_row_is_rewritten(cast: Cast) -> None:
    schedule = outage(cast, payload={"region": "eu"})
    before = occurrences(schedule)
    backfill = start(cast, schedule, 1, 4)
    rows = [row for row in occurrences(schedule) if row.origin_key == f"backfill:{backfill.id}"]
    assert [(row.scheduled_for, row.outcome, row.actor_id) for row in rows] == [
        (minute(number), "fired", cast.alice.id) for number in (1, 2, 3, 4)
    ]
    assert [run.id for run in made_up(schedule)] == [row.id for row in rows]
    kept = [row for row in occurrences(schedule) if row.origin_key == "timing"]
    assert [(row.id, row.outcome, row.count, row.through) for row in kept] == [
        (row.id, row.outcome, row.count, row.through) for row in before
    ]


def test_a_run_of_a_backfill_says_what_it_is_for(cast: Cast) -> None:
    schedule = outage(cast, payload={"region": "eu"})
    backfill = start(cast, schedule, 2, 2)
    (run,) = made_up(schedule)
    assert run.trigger_metadata == {
        "triggerType": "recurring",
        "scheduleId": str(schedule.id),
        "scheduleName": "Every minute",
        "scheduledFor": "2026-06-01T12:02:00Z",
        "firedAt": "2026-06-01T12:30:42Z",
        "timezone": "UTC",
        "cron": "* * * * *",
        "workflowId": str(cast.workflow.id),
        "workflowVersion": 1,
        "backfillId": str(backfill.id),
    }
    assert (run.input_json, run.actor_id, run.ready_at) == ({"region": "eu"}, cast.alice.id, None)


def test_under_the_clock_contract_the_input_is_the_clock_at_the_nominal_time(db: Any) -> None:
    cast = Cast()
    cast.workflow = a_target(cast.tenant, "Clock", ref="trigger.clock.v1")
    schedule = outage(cast)
    start(cast, schedule, 2, 2)
    (run,) = made_up(schedule)
    assert run.input_json["scheduledFor"] == "2026-06-01T12:02:00Z"
    assert "backfillId" not in run.input_json and "scheduleName" not in run.input_json


def test_instants_that_have_a_run_are_left_out_and_the_plan_says_how_many(cast: Cast) -> None:
    schedule = outage(cast)
    start(cast, schedule, 2, 3)
    plan = plan_backfill(cast.tenant.id, schedule.id, minute(1), minute(30), minute(30.7))
    assert (plan.total, plan.already, len(plan.instants), plan.problems) == (30, 3, 27, ())
    assert minute(2) not in plan.instants and minute(30) not in plan.instants
    second = start(cast, schedule, 1, 30)
    assert second.count == 27
    instants = [run.trigger_metadata["scheduledFor"] for run in made_up(schedule)]
    assert len(instants) == len(set(instants)) == 29


def test_what_a_canceled_backfill_never_began_is_made_up_by_the_next(cast: Cast) -> None:
    schedule = outage(cast)
    first = start(cast, schedule, 1, 4)
    cancel_backfill(cast.actor, schedule.id, first.id, minute(32))
    assert start(cast, schedule, 1, 5).count == 5


def test_a_failed_run_is_a_run(cast: Cast) -> None:
    schedule = outage(cast)
    start(cast, schedule, 1, 1)
    end(made_up(schedule)[0], "failed")
    plan = plan_backfill(cast.tenant.id, schedule.id, minute(1), minute(1), minute(32))
    assert (plan.already, [problem.code for problem in plan.problems]) == (1, ["NOTHING_MISSING"])
    with pytest.raises(Refused) as refused:
        start_backfill(cast.actor, schedule.id, minute(1), minute(1), 1, "again", minute(32))
    assert refused.value.problems[0].code == "NOTHING_MISSING"


def test_repeating_the_request_gives_the_backfill_it_started(cast: Cast, db: Any) -> None:
    schedule = outage(cast)
    first = start(cast, schedule)
    assert start(cast, schedule).id == first.id
    assert len(made_up(schedule)) == 5
    entries = db.scalars(select(AuditEntry).where(AuditEntry.action == "schedule.backfill")).all()
    assert [entry.after for entry in entries] == [
        {
            "backfillId": str(first.id),
            "from": "2026-06-01T12:01:00Z",
            "until": "2026-06-01T12:05:00Z",
            "count": 5,
            "concurrency": 2,
        }
    ]


def test_never_more_than_its_concurrency_go_at_a_time_in_order(cast: Cast) -> None:
    schedule = outage(cast)
    start(cast, schedule, 1, 5, at_a_time=2)
    for run in runs(schedule):
        if run.backfill_id is None:
            end(run)
    for going in ([0, 1], [1, 2], [2, 3], [3, 4], [4]):
        assert admit_waiting(minute(32)) in (0, 1, 2)
        assert admit_waiting(minute(32)) == 0
        unfinished = [n for n, run in enumerate(made_up(schedule)) if run.ready_at and not run.finished_at]
        assert unfinished == going
        end(made_up(schedule)[going[0]])


def test_a_run_that_waits_for_its_backfill_says_so(cast: Cast) -> None:
    schedule = outage(cast)
    start(cast, schedule, 1, 3, at_a_time=1)
    admit_waiting(minute(31))
    _first, second, _third = made_up(schedule)
    obstacle = obstacle_of(second, minute(31))
    assert obstacle is not None
    assert obstacle.message == "Its backfill allows one run at a time, and that many are going."


def test_a_backfill_stays_inside_the_limit_of_its_workflow_and_lets_others_go_first(cast: Cast, db: Any) -> None:
    cast.workflow.concurrency_limit = 1
    schedule = outage(cast)
    admit_waiting(minute(31))
    start(cast, schedule, 1, 5, at_a_time=5)
    assert admit_waiting(minute(32)) == 0
    tick_until_idle(minute(33))
    (on_time, late) = [run for run in runs(schedule) if run.backfill_id is None][:2]
    end(on_time)
    assert admit_waiting(minute(33)) == 1
    db.refresh(late)
    assert late.ready_at is not None and all(run.ready_at is None for run in made_up(schedule))


@pytest.mark.parametrize("overlap", ["queue", "skip"])
def test_a_backfill_neither_counts_for_the_overlap_nor_waits_for_it(cast: Cast, db: Any, overlap: str) -> None:
    schedule = outage(cast, overlap=overlap)
    start(cast, schedule, 1, 3, at_a_time=3)
    assert admit_waiting(minute(30.8)) == 3
    end(next(run for run in runs(schedule) if run.backfill_id is None))
    tick_until_idle(minute(31))
    newest = [run for run in runs(schedule) if run.backfill_id is None][-1]
    assert (newest.trigger_metadata["scheduledFor"], newest.ready_at) == ("2026-06-01T12:31:00Z", minute(31))
    end(newest)
    by_hand = run_schedule_now(cast.actor, schedule.id, "by hand", minute(31.5))
    assert admit_waiting(minute(31.6)) == 1
    assert db.get_one(Run, by_hand.id, populate_existing=True).ready_at is not None


def test_how_a_backfill_ends_says_nothing_of_the_schedule(cast: Cast, db: Any) -> None:
    schedule = outage(cast)
    start(cast, schedule, 1, 1)
    admit_waiting(minute(32))
    worker = a_worker(minute(60))
    claims = claim_runs(made_up(schedule)[0].lane, worker, 9, minute(32), 600)
    mine = next(claim for claim in claims if claim.run_id == made_up(schedule)[0].id)
    before = (cursor(schedule).last_fire_at, cursor(schedule).last_run_status, cursor(schedule).last_error)
    error = {"category": "Error", "message": "Gone."}
    finish_runs([Ending(mine.run_id, mine.epoch, "failed", error=error)], worker, minute(33))
    assert (cursor(schedule).last_fire_at, cursor(schedule).last_run_status, cursor(schedule).last_error) == before
    assert (cursor(schedule).last_finished_at, cursor(schedule).next_fire_at) == (None, minute(31))


def test_progress_counts_where_the_runs_stand(cast: Cast) -> None:
    schedule = outage(cast)
    backfill = start(cast, schedule, 1, 6, at_a_time=3)
    admit_waiting(minute(32))
    first, second, third, *_rest = made_up(schedule)
    claim_runs(first.lane, a_worker(minute(60)), 9, minute(32), 600)
    end(first)
    end(second, "failed")
    found = progress(cast, schedule)
    assert (found.id, found.count, found.concurrency, found.created_by_name) == (backfill.id, 6, 3, "Alice")
    assert (found.queued, found.going, found.succeeded, found.failed, found.canceled) == (3, 1, 1, 1, 0)
    assert not found.is_over
    assert cancel_backfill(cast.actor, schedule.id, backfill.id, minute(33)) == 3
    end(third)
    found = progress(cast, schedule)
    assert (found.queued, found.going, found.canceled, found.is_over) == (0, 0, 3, True)


def test_canceling_twice_changes_nothing_more_and_frees_no_run_that_is_going(cast: Cast, db: Any) -> None:
    schedule = outage(cast)
    backfill = start(cast, schedule, 1, 4, at_a_time=2)
    admit_waiting(minute(32))
    claim_runs(made_up(schedule)[0].lane, a_worker(minute(60)), 9, minute(32), 600)
    assert cancel_backfill(cast.actor, schedule.id, backfill.id, minute(33)) == 2
    assert cancel_backfill(cast.actor, schedule.id, backfill.id, minute(34)) == 0
    assert [run.status for run in made_up(schedule)] == ["running", "running", "canceled", "canceled"]
    assert {run.cancel_reason for run in made_up(schedule)} == {None, "Its backfill was canceled."}
    entries = db.scalars(select(AuditEntry).where(AuditEntry.action == "schedule.cancel_backfill")).all()
    assert [entry.after["canceled"] for entry in entries] == [2]


def test_a_backfill_may_cover_time_before_the_schedule_was_made(cast: Cast) -> None:
    schedule = outage(cast)
    plan = plan_backfill(cast.tenant.id, schedule.id, minute(-10), minute(-6), minute(30.7))
    assert plan == BackfillPlan(tuple(minute(number) for number in (-10, -9, -8, -7, -6)), 0, 5)


@pytest.mark.parametrize("is_published_away", [False, True])
def test_a_backfill_inside_a_gap_row_hides_nothing_of_it(cast: Cast, is_published_away: bool) -> None:
    """Also for a change whose clock is behind: what the gap row stands for is never decided again."""
    schedule = a_live_schedule(cast.workflow)
    pause_schedule(cast.actor, schedule.id, "", minute(0.5))
    resume_schedule(cast.actor, schedule.id, minute(30.5))
    start(cast, schedule, 1, 5)
    if is_published_away:
        pause_schedule(cast.actor, schedule.id, "", minute(30.8))
        cursor(schedule).next_fire_at = None
        end_pauses([schedule], minute(20.5))
    else:
        edit_schedule(cast.actor, schedule.id, schedule.revision, draft_of(schedule, cron="*/2 * * * *"), minute(20.5))
    assert cursor(schedule).next_fire_at == minute(31 if is_published_away else 32)


def test_what_a_backfill_made_up_is_not_fired_again_by_a_change_whose_clock_is_behind(cast: Cast) -> None:
    schedule = a_live_schedule(cast.workflow, cron="0 0 1 1 *")
    edit_schedule(cast.actor, schedule.id, schedule.revision, draft_of(schedule, cron="* * * * *"), minute(30.5))
    start(cast, schedule, 20, 30)
    edit_schedule(cast.actor, schedule.id, schedule.revision, draft_of(schedule, cron="*/2 * * * *"), minute(20.5))
    assert cursor(schedule).next_fire_at == minute(32)
