"""What a backfill takes and what it refuses, with the reason."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from domain.firing import backfilling
from domain.firing.backfilling import cancel_backfill, plan_backfill, start_backfill
from domain.firing.lifecycle import delete_schedule, pause_schedule
from domain.firing.starting import startable_target
from domain.kernel.errors import Conflict, Held, NotFound, Refused
from domain.publishing import delete_workflow, pause_workflow
from domain.runs.admission import admit_waiting
from domain.schedules.backfills import BACKFILL_LIMIT, backfills_of
from tests.domain.firing.backfills import made_up, outage, refusal, start
from tests.domain.firing.ledger import (
    a_live_schedule,
    a_target,
    cursor,
    ledger,
    minute,
    tick_until_idle,
)
from tests.domain.firing.test_lifecycle import Cast
from tests.factories import a_tenant, a_user, an_actor

pytestmark = pytest.mark.usefixtures("db")


@pytest.fixture
def cast(db: Any) -> Cast:
    return Cast()


def test_the_range_is_checked_and_the_refusal_names_its_field(cast: Cast) -> None:
    schedule = outage(cast)
    assert refusal(cast, schedule, 5, 4) == ("until", "RANGE_BACKWARDS")
    assert refusal(cast, schedule, 5, 40) == ("until", "UNTIL_IN_FUTURE")
    assert refusal(cast, schedule, -367 * 1440, 4) == ("from", "RANGE_TOO_LONG")
    assert refusal(cast, schedule, 5 - BACKFILL_LIMIT, 5) == ("from", "TOO_MANY_INSTANTS")


def test_a_range_of_the_most_instants_allowed_can_be_made_up(cast: Cast) -> None:
    schedule = outage(cast)
    assert start(cast, schedule, 30 - BACKFILL_LIMIT, 29).count == BACKFILL_LIMIT


@pytest.mark.parametrize("concurrency", [0, 21, "many", None, True, "1.5"])
def test_the_concurrency_is_checked(cast: Cast, concurrency: Any) -> None:
    schedule = outage(cast)
    with pytest.raises(Refused) as refused:
        start_backfill(cast.actor, schedule.id, minute(1), minute(2), concurrency, "key", minute(30.7))
    assert refused.value.problems[0].path == "concurrency"


def test_what_a_spread_holds_back_is_not_for_a_backfill(cast: Cast) -> None:
    held_back = (outage(cast, name=f"Spread {number}", spread_seconds=3600) for number in range(64))
    schedule = next(one for one in held_back if one.id.int % 3601 > 120)
    tick_until_idle(minute(30.7))
    undecided_from = cursor(schedule).next_fire_at
    assert undecided_from is not None and undecided_from < minute(30)
    behind = (undecided_from - minute(0)).total_seconds() / 60
    assert refusal(cast, schedule, behind, behind) == ("until", "NOT_DECIDED")
    assert start(cast, schedule, behind - 5, behind - 1).count >= 2


def test_of_a_paused_schedule_only_what_was_decided_before_the_pause_can_be_made_up(cast: Cast) -> None:
    schedule = outage(cast)
    pause_schedule(cast.actor, schedule.id, "", minute(31.5))
    assert refusal(cast, schedule, 20, 34, now=40) == ("until", "NOT_DECIDED")
    assert start(cast, schedule, 20, 25).count == 6
    assert cursor(schedule).wake_at is None and schedule.status == "paused"


def test_what_is_due_is_decided_before_the_range_is_looked_at(cast: Cast) -> None:
    schedule = outage(cast)
    now = minute(40) + timedelta(seconds=30)
    backfill = start_backfill(cast.actor, schedule.id, minute(31), minute(40), 1, "key", now)
    assert ledger(schedule)[-1] == (40, "fired", None)
    assert backfill.count == 9


def test_a_missed_one_time_schedule_can_be_made_up_and_stays_completed(cast: Cast, db: Any) -> None:
    once = {"trigger_type": "schedule", "run_at": "2026-06-01T12:05:00Z", "cron": None}
    schedule = outage(cast, **once)
    db.refresh(schedule)
    assert ledger(schedule) == [(5, "missed", "late")]
    assert start(cast, schedule, 1, 10).count == 1
    (run,) = made_up(schedule)
    assert run.trigger_metadata["triggerType"] == "schedule" and "cron" not in run.trigger_metadata
    db.refresh(schedule)
    assert schedule.status == "completed"


def test_an_invalid_schedule_is_refused_with_the_reason_and_so_is_the_plan(cast: Cast, db: Any) -> None:
    schedule = outage(cast)
    db.execute(text("UPDATE schedules SET status = 'invalid', invalid_reason = '/region: required'"))
    db.expire_all()
    with pytest.raises(Held, match="/region: required"):
        start(cast, schedule)
    plan = plan_backfill(cast.tenant.id, schedule.id, minute(1), minute(2), minute(30.7))
    assert [problem.code for problem in plan.problems] == ["SCHEDULE_INVALID"]
    assert made_up(schedule) == []


def test_a_workflow_that_takes_no_runs_takes_no_backfill(cast: Cast) -> None:
    schedule = outage(cast)
    pause_workflow(cast.actor, cast.workflow.id, "audit", minute(31))
    with pytest.raises(Held, match="paused: audit"):
        start(cast, schedule)
    plan = plan_backfill(cast.tenant.id, schedule.id, minute(1), minute(2), minute(30.7))
    assert [problem.code for problem in plan.problems] == ["WORKFLOW_PAUSED"]


def test_a_schedule_that_somebody_moves_meanwhile_is_left_alone(cast: Cast, db: Any, monkeypatch: Any) -> None:
    """The limits and locks that were looked at are those of the workflow it had."""
    schedule, elsewhere = outage(cast), a_target(cast.tenant, "Elsewhere")

    def moved(found: Any) -> Any:
        target = startable_target(found)
        schedule.workflow_id = elsewhere.id
        db.flush()
        return target

    monkeypatch.setattr(backfilling, "startable_target", moved)
    with pytest.raises(Conflict):
        start(cast, schedule)
    assert made_up(schedule) == []


def test_what_waits_of_a_backfill_goes_on_when_its_schedule_is_deleted_until_somebody_cancels_it(cast: Cast) -> None:
    """What the dialog of deleting says of queued runs."""
    schedule = outage(cast)
    backfill = start(cast, schedule, 1, 4, at_a_time=1)
    delete_schedule(cast.actor, schedule.id, minute(31))
    assert admit_waiting(minute(31)) == 1
    assert cancel_backfill(cast.actor, schedule.id, backfill.id, minute(32)) == 4
    assert [run.status for run in made_up(schedule)] == ["canceled"] * 4


def test_a_backfill_over_clock_changes_follows_them(cast: Cast) -> None:
    """Half past two in Paris: on 29 March 2026 right after the gap, on 25 October 2025 and 2026 once, the first time."""
    schedule = a_live_schedule(cast.workflow, cron="30 2 * * *", timezone="Europe/Paris")
    spring, autumn = datetime(2026, 3, 28, tzinfo=UTC), datetime(2025, 10, 25, tzinfo=UTC)
    for first in (spring, autumn):
        span = first, first + timedelta(days=2, hours=23)
        start_backfill(cast.actor, schedule.id, *span, 5, str(first), minute(1))
    assert sorted(run.trigger_metadata["scheduledFor"] for run in made_up(schedule)) == [
        "2025-10-25T00:30:00Z", "2025-10-26T00:30:00Z", "2025-10-27T01:30:00Z",
        "2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z",
    ]  # fmt: skip


def test_a_backfill_keeps_to_the_window_of_the_schedule(cast: Cast) -> None:
    window = {"starts_at": "2026-06-01T11:58:00Z", "ends_at": "2026-06-01T12:03:00Z"}
    schedule = outage(cast, **window)
    plan = plan_backfill(cast.tenant.id, schedule.id, minute(-30), minute(30), minute(30.7))
    assert plan.instants == tuple(minute(number) for number in range(-2, 4))


def test_a_deleted_schedule_takes_no_backfill_and_its_own_can_still_be_canceled(cast: Cast) -> None:
    schedule = outage(cast)
    backfill = start(cast, schedule, 1, 4)
    delete_schedule(cast.actor, schedule.id, minute(32))
    with pytest.raises(NotFound):
        start(cast, schedule, 5, 6)
    assert cancel_backfill(cast.actor, schedule.id, backfill.id, minute(33)) == 4


def test_a_deleted_workflow_takes_no_backfill(cast: Cast) -> None:
    schedule = outage(cast)
    delete_workflow(cast.actor, cast.workflow.id, minute(31))
    with pytest.raises(NotFound):
        start(cast, schedule)


def test_charlie_sees_starts_and_cancels_nothing(cast: Cast) -> None:
    schedule = outage(cast)
    backfill = start(cast, schedule)
    tenant = a_tenant("globex")
    charlie = an_actor(tenant, a_user(tenant, "charlie@globex.test"))
    with pytest.raises(NotFound):
        plan_backfill(tenant.id, schedule.id, minute(1), minute(2), minute(30.7))
    with pytest.raises(NotFound):
        start_backfill(charlie, schedule.id, minute(6), minute(7), 1, "key", minute(30.7))
    with pytest.raises(NotFound):
        cancel_backfill(charlie, schedule.id, backfill.id, minute(32))
    assert backfills_of(tenant.id, schedule.id) == []
    other = a_live_schedule(cast.workflow, "Other")
    with pytest.raises(NotFound):
        cancel_backfill(cast.actor, other.id, backfill.id, minute(32))
