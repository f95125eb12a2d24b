"""Pauses that end by themselves, and what a person may still have made up for when a pause is over."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

from domain.accounts.audit import AuditEntry
from domain.firing.lifecycle import delete_schedule, edit_schedule, pause_schedule, resume_schedule
from domain.firing.resuming import RESUME_LIMIT, pause_backlog
from domain.firing.skipping import skip_next
from domain.firing.tick import fire_due, next_wake
from domain.kernel.errors import Conflict, Held, NotFound, Refused, StaleTransition
from domain.publishing import pause_workflow
from domain.schedules.schedules import ACTIVE, COMPLETED, PAUSED, Schedule
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


def paused_from_noon(cast: Cast, until: float | None = None, **values: Any) -> Schedule:
    """Due every minute unless told otherwise; paused right after noon."""
    schedule = a_live_schedule(cast.workflow, **values)
    end = minute(until) if until is not None else None
    return pause_schedule(cast.actor, schedule.id, "stocktaking", minute(0.5), until=end)


def audited(db: Any, schedule: Schedule) -> list[AuditEntry]:
    entries = select(AuditEntry).where(AuditEntry.subject_id == schedule.id).order_by(AuditEntry.id)
    return list(db.scalars(entries))


def test_a_pause_ends_by_itself_and_the_schedule_fires_from_the_next_instant(cast: Cast, db: Any) -> None:
    schedule = paused_from_noon(cast, until=10)
    tick_until_idle(minute(9.9))
    assert ledger(schedule) == []
    tick_until_idle(minute(10))
    db.refresh(schedule)
    assert (schedule.status, schedule.paused_at, schedule.paused_by) == (ACTIVE, None, None)
    assert (schedule.pause_reason, schedule.paused_until) == (None, None)
    (gap,) = occurrences(schedule)
    assert (gap.outcome, gap.reason, gap.scheduled_for, gap.through, gap.count) == (
        "skipped", "paused", minute(1), minute(10), 10,
    )  # fmt: skip
    assert (gap.actor_id, gap.detail) == (cast.alice.id, "The schedule was paused: stocktaking")
    tick_until_idle(minute(11))
    assert ledger(schedule) == [(1, "skipped", "paused"), (11, "fired", None)]


def test_nobody_looks_at_a_paused_schedule_before_its_pause_ends(cast: Cast) -> None:
    schedule = paused_from_noon(cast, until=10)
    assert next_wake()[1] == minute(10)
    assert fire_due(minute(9)) == 0
    assert cursor(schedule).next_fire_at == minute(1)


def test_who_looks_at_a_paused_schedule_too_early_leaves_it_until_its_pause_ends(cast: Cast, db: Any) -> None:
    schedule = paused_from_noon(cast, until=10)
    cursor(schedule).wake_at = minute(5)
    db.flush()
    tick_until_idle(minute(6))
    assert (cursor(schedule).wake_at, cursor(schedule).next_fire_at, ledger(schedule)) == (minute(10), minute(1), [])


def test_the_end_of_a_pause_is_in_the_audit_log_as_nobodys_doing(cast: Cast, db: Any) -> None:
    schedule = paused_from_noon(cast, until=10)
    tick_until_idle(minute(10))
    paused, resumed = audited(db, schedule)[1:]
    assert (paused.action, paused.after) == (
        "schedule.paused", {"status": "paused", "pausedUntil": "2026-06-01T12:10:00Z"},
    )  # fmt: skip
    assert (resumed.action, resumed.actor_id, resumed.actor_label) == ("schedule.resumed", None, "Carillon")
    assert (resumed.subject_label, resumed.before, resumed.after) == (
        "Every minute", {"status": "paused"}, {"status": "active"},
    )  # fmt: skip


def test_what_came_due_after_the_end_of_a_pause_is_decided_as_ever(cast: Cast) -> None:
    schedule = paused_from_noon(cast, until=10, catch_up="latest")
    tick_until_idle(minute(30.5))
    assert ledger(schedule) == [(1, "skipped", "paused"), (11, "missed", "late"), (30, "fired", None)]
    assert [row.count for row in occurrences(schedule)] == [10, 19, 1]


def test_a_pause_between_two_instants_that_ends_leaves_no_row(cast: Cast, db: Any) -> None:
    schedule = paused_from_noon(cast, until=10, cron="0 * * * *")
    tick_until_idle(minute(10))
    db.refresh(schedule)
    assert (schedule.status, ledger(schedule)) == (ACTIVE, [])
    assert cursor(schedule).wake_at == minute(60)


def test_a_one_time_schedule_whose_time_fell_into_the_pause_is_completed_with_its_end(cast: Cast, db: Any) -> None:
    once = {"trigger_type": "schedule", "run_at": "2026-06-01T12:05:00Z", "cron": None}
    schedule = paused_from_noon(cast, until=10, **once)
    tick_until_idle(minute(10))
    db.refresh(schedule)
    assert (schedule.status, ledger(schedule)) == (COMPLETED, [(5, "skipped", "paused")])
    assert (cursor(schedule).next_fire_at, cursor(schedule).wake_at) == (None, None)


def test_a_spread_moves_the_first_look_after_a_pause_and_no_instant(cast: Cast, db: Any) -> None:
    schedule = paused_from_noon(cast, until=59, cron="0 * * * *", spread_seconds=3600)
    tick_until_idle(minute(59))
    offset = timedelta(seconds=schedule.id.int % 3601)
    assert (cursor(schedule).next_fire_at, cursor(schedule).wake_at) == (minute(60), minute(60) + offset)
    tick_until_idle(minute(60) + offset)
    assert ledger(schedule) == [(60, "fired", None)]


def test_the_end_of_a_pause_under_a_paused_workflow_refuses_only_what_comes_after_it(cast: Cast) -> None:
    schedule = paused_from_noon(cast, until=10)
    pause_workflow(cast.actor, cast.workflow.id, "audit", minute(2))
    tick_until_idle(minute(10))
    tick_until_idle(minute(11))
    assert ledger(schedule) == [(1, "skipped", "paused"), (11, "refused", "workflow_paused")]


def test_a_schedule_whose_timing_is_broken_stays_paused_and_is_looked_at_again(cast: Cast, db: Any) -> None:
    schedule = paused_from_noon(cast, until=10)
    db.execute(text("UPDATE schedules SET cron = 'rubbish'"))
    tick_until_idle(minute(10))
    db.refresh(schedule)
    assert (schedule.status, schedule.paused_until) == (PAUSED, minute(10))
    assert (cursor(schedule).wake_at, cursor(schedule).next_fire_at) == (minute(15), minute(1))


def test_a_pause_must_end_in_the_future(cast: Cast) -> None:
    schedule = a_live_schedule(cast.workflow)
    with pytest.raises(Refused) as refused:
        pause_schedule(cast.actor, schedule.id, "", minute(1), until=minute(1))
    assert [(problem.path, problem.code) for problem in refused.value.problems] == [("until", "UNTIL_IN_PAST")]
    assert schedule.status == ACTIVE


def test_somebody_may_resume_before_the_pause_would_have_ended(cast: Cast) -> None:
    schedule = paused_from_noon(cast, until=10)
    resume_schedule(cast.actor, schedule.id, minute(3.5))
    assert (schedule.status, schedule.paused_until) == (ACTIVE, None)
    tick_until_idle(minute(4))
    tick_until_idle(minute(10))
    assert ledger(schedule)[:2] == [(1, "skipped", "paused"), (4, "fired", None)]
    assert occurrences(schedule)[0].through == minute(3)


def test_whoever_resumes_after_the_end_of_the_pause_finds_it_over(cast: Cast, db: Any) -> None:
    schedule = paused_from_noon(cast, until=10)
    with db.begin_nested() as savepoint:
        with pytest.raises(StaleTransition):
            resume_schedule(cast.actor, schedule.id, minute(10), catch_up="all")
        savepoint.rollback()
    tick_until_idle(minute(10))
    assert ledger(schedule) == [(1, "skipped", "paused")]


def test_an_edit_that_leaves_it_paused_leaves_the_end_of_the_pause(cast: Cast, db: Any) -> None:
    schedule = paused_from_noon(cast, until=10)
    edit_schedule(cast.actor, schedule.id, schedule.revision, draft_of(schedule, cron="*/4 * * * *"), minute(2.5))
    assert (schedule.status, schedule.paused_until, cursor(schedule).wake_at) == (PAUSED, minute(10), minute(10))
    tick_until_idle(minute(10))
    tick_until_idle(minute(12))
    assert ledger(schedule) == [(1, "skipped", "paused"), (4, "skipped", "paused"), (12, "fired", None)]


def test_an_edit_begun_during_the_pause_conflicts_with_its_end(cast: Cast) -> None:
    schedule = paused_from_noon(cast, until=10)
    seen = schedule.revision
    tick_until_idle(minute(10))
    with pytest.raises(Conflict):
        edit_schedule(cast.actor, schedule.id, seen, draft_of(schedule, name="Renamed"), minute(10.5))


def test_a_deleted_schedule_is_not_woken_by_the_end_of_its_pause(cast: Cast) -> None:
    schedule = paused_from_noon(cast, until=10)
    delete_schedule(cast.actor, schedule.id, minute(2))
    assert fire_due(minute(10)) == 0
    assert ledger(schedule) == [(1, "skipped", "paused")]


def test_resuming_makes_up_for_the_latest_instant_if_asked_to(cast: Cast, db: Any) -> None:
    schedule = paused_from_noon(cast)
    resume_schedule(cast.actor, schedule.id, minute(5.5), catch_up="latest")
    assert ledger(schedule) == [(1, "skipped", "paused"), (5, "fired", None)]
    gap, made_up = occurrences(schedule)
    assert (gap.count, gap.through, gap.decided_at) == (4, minute(4), minute(5.5))
    (run,) = runs(schedule)
    assert (run.id, run.ready_at, made_up.actor_id) == (made_up.id, minute(5.5), cast.alice.id)
    assert run.trigger_metadata["scheduledFor"] == "2026-06-01T12:05:00Z"
    assert (cursor(schedule).next_fire_at, cursor(schedule).last_fire_at) == (minute(6), minute(5))
    assert audited(db, schedule)[-1].after == {
        "status": "active", "workflowVersion": 1, "catchUp": "latest", "madeUp": 1,
    }  # fmt: skip


def test_resuming_makes_up_for_all_in_order_and_one_after_the_other(cast: Cast) -> None:
    schedule = paused_from_noon(cast)
    resume_schedule(cast.actor, schedule.id, minute(4.5), catch_up="all")
    assert ledger(schedule) == [(number, "fired", None) for number in (1, 2, 3, 4)]
    assert [run.ready_at for run in runs(schedule)] == [minute(4.5), None, None, None]
    tick_until_idle(minute(5))
    assert ledger(schedule)[-1] == (5, "fired", None)


def test_of_a_long_pause_the_newest_hundred_are_made_up(cast: Cast) -> None:
    schedule = paused_from_noon(cast, overlap="allow")
    resume_schedule(cast.actor, schedule.id, minute(250.5), catch_up="all")
    rows = occurrences(schedule)
    assert (rows[0].count, rows[0].through, len(rows)) == (150, minute(150), 1 + RESUME_LIMIT)
    assert len(runs(schedule)) == RESUME_LIMIT


def test_what_is_made_up_passes_the_overlap_policy(cast: Cast) -> None:
    schedule = paused_from_noon(cast, overlap="skip")
    resume_schedule(cast.actor, schedule.id, minute(3.5), catch_up="all")
    assert ledger(schedule) == [(1, "fired", None), (2, "skipped", "overlap"), (3, "skipped", "overlap")]


def skipping_from_noon(cast: Cast, **values: Any) -> Schedule:
    """Due every minute; the instant at 12:01 is to be skipped, and a pause covers it."""
    schedule = a_live_schedule(cast.workflow, **values)
    skip_next(cast.actor, schedule.id, minute(1), minute(0.2))
    return pause_schedule(cast.actor, schedule.id, "", minute(0.5))


@pytest.mark.parametrize("overlap", ["queue", "skip", "allow"])
def test_an_instant_that_was_to_be_skipped_is_not_made_up(cast: Cast, overlap: str, db: Any) -> None:
    schedule = skipping_from_noon(cast, overlap=overlap)
    backlog = pause_backlog(cast.tenant.id, schedule.id, minute(2.5))
    assert backlog is not None and (backlog.count, backlog.runnable) == (2, 1)
    resume_schedule(cast.actor, schedule.id, minute(2.5), catch_up="all")
    assert ledger(schedule) == [(1, "skipped", "paused"), (2, "fired", None)]
    assert audited(db, schedule)[-1].after["madeUp"] == 1
    db.refresh(schedule)
    assert schedule.skip_next_at is None


def test_the_latest_that_is_made_up_is_never_the_one_that_was_to_be_skipped(cast: Cast) -> None:
    schedule = skipping_from_noon(cast)
    backlog = pause_backlog(cast.tenant.id, schedule.id, minute(1.5))
    assert backlog is not None and (backlog.count, backlog.runnable, backlog.latest) == (1, 0, minute(1))
    resume_schedule(cast.actor, schedule.id, minute(1.5), catch_up="latest")
    assert (ledger(schedule), runs(schedule)) == ([(1, "skipped", "paused")], [])


def test_of_a_retimed_pause_the_latest_before_the_skipped_one_is_made_up(cast: Cast, db: Any) -> None:
    schedule = paused_from_noon(cast)
    db.execute(
        text("UPDATE schedules SET skip_next_at = :at, skip_next_by = :by"), {"at": minute(5), "by": cast.alice.id}
    )
    db.expire_all()
    backlog = pause_backlog(cast.tenant.id, schedule.id, minute(5.5))
    assert backlog is not None and (backlog.runnable, backlog.latest) == (4, minute(4))
    resume_schedule(cast.actor, schedule.id, minute(5.5), catch_up="latest")
    assert ledger(schedule) == [(1, "skipped", "paused"), (4, "fired", None), (5, "skipped", "skip_next")]
    skipped = occurrences(schedule)[-1]
    assert (skipped.detail, skipped.actor_id) == ("Skipped by Alice.", cast.alice.id)


def test_what_is_audited_as_made_up_is_what_got_a_run(cast: Cast, db: Any) -> None:
    schedule = paused_from_noon(cast, overlap="skip")
    resume_schedule(cast.actor, schedule.id, minute(3.5), catch_up="all")
    assert (audited(db, schedule)[-1].after["madeUp"], len(runs(schedule))) == (1, 1)


def test_nothing_is_made_up_while_the_workflow_is_paused(cast: Cast, db: Any) -> None:
    schedule = paused_from_noon(cast)
    pause_workflow(cast.actor, cast.workflow.id, "audit", minute(2))
    backlog = pause_backlog(cast.tenant.id, schedule.id, minute(3.5))
    assert backlog is not None and (backlog.runnable, backlog.held) == (
        0, "Invoice sync is paused: audit. Resume it first.",
    )  # fmt: skip
    with db.begin_nested() as savepoint:
        with pytest.raises(Held, match="paused: audit"):
            resume_schedule(cast.actor, schedule.id, minute(3.5), catch_up="all")
        savepoint.rollback()
    resume_schedule(cast.actor, schedule.id, minute(3.5))
    assert ledger(schedule) == [(1, "skipped", "paused")]


def test_an_unknown_choice_is_refused(cast: Cast) -> None:
    schedule = paused_from_noon(cast)
    with pytest.raises(Refused) as refused:
        resume_schedule(cast.actor, schedule.id, minute(3), catch_up="some")
    assert refused.value.problems[0].path == "catchUp"


def test_the_backlog_says_what_resuming_would_skip_or_make_up(cast: Cast) -> None:
    schedule = paused_from_noon(cast, cron="0 * * * *")
    assert pause_backlog(cast.tenant.id, schedule.id, minute(59)) is None
    backlog = pause_backlog(cast.tenant.id, schedule.id, minute(72 * 60))
    assert backlog is not None
    assert (backlog.since, backlog.count, backlog.latest) == (minute(0.5), 72, minute(72 * 60))
    assert (backlog.runnable, backlog.is_count_exact, backlog.held) == (72, True, None)


@pytest.mark.parametrize(("overlap", "runnable"), [("queue", RESUME_LIMIT), ("allow", RESUME_LIMIT), ("skip", 1)])
def test_the_backlog_counts_as_runnable_what_resuming_really_runs(cast: Cast, overlap: str, runnable: int) -> None:
    schedule = paused_from_noon(cast, overlap=overlap)
    backlog = pause_backlog(cast.tenant.id, schedule.id, minute(300))
    assert backlog is not None and (backlog.count, backlog.runnable) == (300, runnable)
    resume_schedule(cast.actor, schedule.id, minute(300), catch_up="all")
    assert len(runs(schedule)) == runnable


def test_only_a_paused_schedule_has_a_backlog_and_charlie_sees_none(cast: Cast) -> None:
    active = a_live_schedule(cast.workflow)
    assert pause_backlog(cast.tenant.id, active.id, minute(30)) is None
    charlies = a_tenant("globex")
    charlie = an_actor(charlies, a_user(charlies, "charlie@globex.test"))
    paused = paused_from_noon(cast, name="Paused")
    with pytest.raises(NotFound):
        pause_backlog(charlie.tenant_id, paused.id, minute(30))
    with pytest.raises(NotFound):
        pause_schedule(charlie, active.id, "", minute(30), until=minute(40))
