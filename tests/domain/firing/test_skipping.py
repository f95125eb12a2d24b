"""Skipping just the next instant: the tick passes over it, and everything else is as ever."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select, text

from domain.accounts.audit import AuditEntry
from domain.firing.lifecycle import delete_schedule, edit_schedule, pause_schedule, resume_schedule
from domain.firing.skipping import skip_next, unskip_next
from domain.kernel.errors import Conflict, NotFound, Refused, StaleTransition
from domain.publishing import pause_workflow
from domain.schedules.schedules import COMPLETED, Schedule
from tests.domain.firing.ledger import (
    a_live_schedule,
    cursor,
    ledger,
    minute,
    occurrences,
    runs,
    tick_until_idle,
)
from tests.domain.firing.test_lifecycle import Cast, draft_of
from tests.factories import a_tenant, a_user, an_actor

pytestmark = pytest.mark.usefixtures("db")


@pytest.fixture
def cast(db: Any) -> Cast:
    return Cast()


def skipping(cast: Cast, number: float = 1, **values: Any) -> Schedule:
    """Due every minute unless told otherwise; the instant `number` minutes after noon, its next, is to be skipped."""
    schedule = a_live_schedule(cast.workflow, **values)
    return skip_next(cast.actor, schedule.id, minute(number), minute(0.5))


def test_the_next_instant_is_skipped_and_the_one_after_it_fires(cast: Cast, db: Any) -> None:
    schedule = skipping(cast)
    assert (schedule.skip_next_at, schedule.skip_next_by) == (minute(1), cast.alice.id)
    tick_until_idle(minute(1))
    tick_until_idle(minute(2))
    assert ledger(schedule) == [(1, "skipped", "skip_next"), (2, "fired", None)]
    skipped = occurrences(schedule)[0]
    assert (skipped.detail, skipped.actor_id) == ("Skipped by Alice.", cast.alice.id)
    assert len(runs(schedule)) == 1
    db.refresh(schedule)
    assert (schedule.skip_next_at, schedule.skip_next_by) == (None, None)


def test_the_tick_passes_a_skip_without_a_conflict_for_whoever_edits(cast: Cast) -> None:
    schedule = skipping(cast)
    seen = schedule.revision
    tick_until_idle(minute(1))
    edit_schedule(cast.actor, schedule.id, seen, draft_of(schedule, name="Renamed"), minute(1.5))


def test_what_is_skipped_takes_no_room_from_the_next(cast: Cast) -> None:
    schedule = skipping(cast, overlap="skip")
    tick_until_idle(minute(2))
    assert ledger(schedule) == [(1, "skipped", "skip_next"), (2, "fired", None)]


def test_nothing_is_made_up_for_a_skipped_instant_that_is_looked_at_late(cast: Cast) -> None:
    schedule = skipping(cast, 60, cron="0 * * * *", catch_up="latest")
    tick_until_idle(minute(90))
    assert ledger(schedule) == [(60, "skipped", "skip_next")]


def test_a_skipped_instant_among_missed_ones_keeps_its_row(cast: Cast) -> None:
    schedule = skipping(cast, catch_up="skip")
    tick_until_idle(minute(5.5))
    tick_until_idle(minute(30))
    assert ledger(schedule)[0] == (1, "skipped", "skip_next")
    assert ledger(schedule)[1] == (2, "missed", "late")


def test_a_skip_is_a_persons_word_also_while_the_workflow_is_paused(cast: Cast) -> None:
    schedule = skipping(cast)
    pause_workflow(cast.actor, cast.workflow.id, "audit", minute(0.6))
    tick_until_idle(minute(2))
    assert ledger(schedule) == [(1, "skipped", "skip_next"), (2, "refused", "workflow_paused")]


def test_skipping_may_be_undone_until_the_tick_gets_there(cast: Cast, db: Any) -> None:
    schedule = skipping(cast)
    unskip_next(cast.actor, schedule.id, minute(0.7))
    tick_until_idle(minute(1))
    assert ledger(schedule) == [(1, "fired", None)]
    with pytest.raises(StaleTransition):
        unskip_next(cast.actor, schedule.id, minute(1.5))
    entries = db.scalars(select(AuditEntry).where(AuditEntry.subject_id == schedule.id).order_by(AuditEntry.id))
    assert [(entry.action, entry.before, entry.after) for entry in entries][1:] == [
        ("schedule.skip_next", {"skipNextAt": None}, {"skipNextAt": "2026-06-01T12:01:00Z"}),
        ("schedule.unskip_next", {"skipNextAt": "2026-06-01T12:01:00Z"}, {"skipNextAt": None}),
    ]


def test_only_the_next_instant_can_be_skipped(cast: Cast) -> None:
    schedule = a_live_schedule(cast.workflow)
    for number in (0, 1.5, 2):
        with pytest.raises(Refused) as refused:
            skip_next(cast.actor, schedule.id, minute(number), minute(0.5))
        assert [(problem.path, problem.code) for problem in refused.value.problems] == [("instant", "NOT_NEXT")]


def test_an_instant_that_came_due_meanwhile_cannot_be_skipped_any_more(cast: Cast, db: Any) -> None:
    schedule = a_live_schedule(cast.workflow)
    with db.begin_nested() as savepoint:
        with pytest.raises(Refused):
            skip_next(cast.actor, schedule.id, minute(1), minute(1))
        savepoint.rollback()
    tick_until_idle(minute(1))
    assert ledger(schedule) == [(1, "fired", None)]


def test_one_skip_at_a_time_and_only_of_an_active_recurring_schedule(cast: Cast) -> None:
    schedule = skipping(cast)
    with pytest.raises(StaleTransition, match="skips an occurrence already"):
        skip_next(cast.actor, schedule.id, minute(1), minute(0.6))
    paused = a_live_schedule(cast.workflow, "Paused", enabled=False)
    with pytest.raises(StaleTransition, match="paused"):
        skip_next(cast.actor, paused.id, minute(1), minute(0.5))
    once = {"trigger_type": "schedule", "run_at": "2026-06-01T12:05:00Z", "cron": None}
    with pytest.raises(Refused) as refused:
        skip_next(cast.actor, a_live_schedule(cast.workflow, "Once", **once).id, minute(5), minute(0.5))
    assert refused.value.problems[0].code == "SKIP_ONE_TIME"


def test_a_skip_of_what_somebody_else_changed_meanwhile_conflicts(cast: Cast) -> None:
    schedule = a_live_schedule(cast.workflow)
    seen = schedule.revision
    edit_schedule(cast.actor, schedule.id, seen, draft_of(schedule, name="Renamed"), minute(0.2))
    with pytest.raises(Conflict):
        skip_next(cast.actor, schedule.id, minute(1), minute(0.5), seen)


def test_charlie_can_skip_nothing(cast: Cast) -> None:
    tenant = a_tenant("globex")
    charlie = an_actor(tenant, a_user(tenant, "charlie@globex.test"))
    with pytest.raises(NotFound):
        skip_next(charlie, a_live_schedule(cast.workflow).id, minute(1), minute(0.5))


def test_a_skip_outlives_a_pause_that_is_over_before_it(cast: Cast) -> None:
    schedule = skipping(cast, 60, cron="0 * * * *")
    pause_schedule(cast.actor, schedule.id, "", minute(1))
    resume_schedule(cast.actor, schedule.id, minute(2))
    tick_until_idle(minute(60))
    assert ledger(schedule) == [(60, "skipped", "skip_next")]


@pytest.mark.parametrize("ends_by_itself", [True, False])
def test_a_pause_that_covers_it_uses_a_skip_up(cast: Cast, db: Any, ends_by_itself: bool) -> None:
    schedule = skipping(cast)
    pause_schedule(cast.actor, schedule.id, "", minute(0.6), until=minute(3) if ends_by_itself else None)
    if ends_by_itself:
        tick_until_idle(minute(3))
    else:
        resume_schedule(cast.actor, schedule.id, minute(3.5))
    db.refresh(schedule)
    assert schedule.skip_next_at is None
    tick_until_idle(minute(4))
    assert ledger(schedule) == [(1, "skipped", "paused"), (4, "fired", None)]


@pytest.mark.parametrize(("cron", "is_kept"), [("*/30 * * * *", True), ("30 * * * *", False)])
def test_a_new_timing_keeps_a_skip_only_if_it_has_that_instant(cast: Cast, cron: str, is_kept: bool) -> None:
    schedule = skipping(cast, 60, cron="0 * * * *")
    edit_schedule(cast.actor, schedule.id, schedule.revision, draft_of(schedule, cron=cron), minute(1))
    assert (schedule.skip_next_at == minute(60), schedule.skip_next_by is not None) == (is_kept, is_kept)
    tick_until_idle(minute(30))
    tick_until_idle(minute(60))
    assert ledger(schedule) == [(30, "fired", None)] + [(60, "skipped", "skip_next")] * is_kept


def test_a_schedule_that_becomes_a_one_time_one_skips_nothing(cast: Cast) -> None:
    schedule = skipping(cast, 60, cron="0 * * * *")
    once = {"trigger_type": "schedule", "run_at": "2026-06-01T13:00:00Z", "cron": None}
    edit_schedule(cast.actor, schedule.id, schedule.revision, draft_of(schedule, **once), minute(1))
    tick_until_idle(minute(60))
    assert ledger(schedule) == [(60, "fired", None)]


def test_the_last_instant_of_a_window_that_is_skipped_completes_the_schedule(cast: Cast, db: Any) -> None:
    schedule = skipping(cast, ends_at="2026-06-01T12:01:00Z")
    tick_until_idle(minute(1))
    db.refresh(schedule)
    assert (schedule.status, schedule.skip_next_at, ledger(schedule)) == (
        COMPLETED, None, [(1, "skipped", "skip_next")],
    )  # fmt: skip
    assert cursor(schedule).wake_at is None


def test_a_deleted_schedule_skips_nothing(cast: Cast, db: Any) -> None:
    schedule = skipping(cast)
    delete_schedule(cast.actor, schedule.id, minute(0.6))
    assert db.scalar(text("SELECT count(*) FROM schedules WHERE skip_next_at IS NOT NULL")) == 0
