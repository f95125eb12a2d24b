"""Pausing, resuming and deleting a workflow, and what its schedules then do."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from domain.accounts.audit import AuditEntry
from domain.firing.tick import fire_due
from domain.kernel.errors import NotFound, Refused, StaleTransition
from domain.publishing import delete_workflow, pause_workflow, resume_workflow
from domain.runs.runs import Run
from domain.schedules.cursors import ScheduleCursor
from domain.schedules.occurrences import Occurrence
from domain.schedules.schedules import Schedule
from domain.workflows.drafts import create_workflow
from domain.workflows.versions import version_of
from domain.workflows.workflows import living_workflow, workflow_of
from tests.factories import NOW, a_published_workflow, a_schedule, a_tenant, a_user, an_actor

ELEVEN = NOW.replace(hour=11)


@pytest.fixture
def acme(db: Any) -> Any:
    return a_tenant("acme")


@pytest.fixture
def alice(acme: Any) -> Any:
    return an_actor(acme, a_user(acme, "alice@acme.test", "admin"))


@pytest.fixture
def sync(acme: Any) -> Any:
    return a_published_workflow(acme)


def ledger(db: Any) -> list[tuple[Any, str, str | None]]:
    rows = db.execute(select(Occurrence).order_by(Occurrence.scheduled_for)).scalars()
    return [(row.scheduled_for, row.outcome, row.reason) for row in rows]


def test_a_pause_says_who_and_why_and_is_on_record(alice: Any, acme: Any, sync: Any, db: Any) -> None:
    pause_workflow(alice, sync.id, "  supplier\n outage ", NOW)

    paused = workflow_of(acme.id, sync.id)
    assert (paused.paused_at, paused.paused_by, paused.pause_reason) == (NOW, alice.user_id, "supplier outage")
    entry = db.scalars(select(AuditEntry)).one()
    assert (entry.action, entry.reason) == ("workflow.paused", "supplier outage")


def test_an_instant_during_the_pause_is_refused_with_its_reason(alice: Any, sync: Any, db: Any) -> None:
    a_schedule(sync)
    pause_workflow(alice, sync.id, "supplier outage", NOW)

    fire_due(ELEVEN)

    assert ledger(db) == [(ELEVEN, "refused", "workflow_paused")]
    assert "supplier outage" in db.scalars(select(Occurrence.detail)).one()


def test_what_was_due_before_the_pause_still_fires(alice: Any, sync: Any, db: Any) -> None:
    a_schedule(sync)

    pause_workflow(alice, sync.id, "", ELEVEN + timedelta(seconds=1))

    assert ledger(db) == [(ELEVEN, "fired", None)]
    assert len(db.scalars(select(Run)).all()) == 1


def test_nothing_of_a_pause_is_caught_up_after_it(alice: Any, acme: Any, sync: Any, db: Any) -> None:
    schedule = a_schedule(sync, catch_up="all")
    pause_workflow(alice, sync.id, "", NOW)

    resume_workflow(alice, sync.id, ELEVEN + timedelta(hours=1, minutes=30))
    fire_due(ELEVEN + timedelta(hours=2))

    assert [outcome for _, outcome, _ in ledger(db)][-1] == "fired"
    assert "fired" not in [outcome for _, outcome, _ in ledger(db)][:-1]
    assert db.scalars(select(ScheduleCursor.last_fire_at).where(ScheduleCursor.schedule_id == schedule.id)).one() == (
        ELEVEN + timedelta(hours=2)
    )
    assert workflow_of(acme.id, sync.id).paused_at is None


def test_a_second_pause_and_a_second_resume_are_refused(alice: Any, sync: Any) -> None:
    with pytest.raises(StaleTransition):
        resume_workflow(alice, sync.id, NOW)
    pause_workflow(alice, sync.id, "", NOW)

    with pytest.raises(StaleTransition):
        pause_workflow(alice, sync.id, "again", NOW)


def test_a_reason_has_a_length(alice: Any, sync: Any) -> None:
    with pytest.raises(Refused) as refused:
        pause_workflow(alice, sync.id, "x" * 501, NOW)

    assert refused.value.problems[0].path == "reason"


def test_deleting_a_workflow_ends_its_schedules_and_keeps_it_readable(
    alice: Any, acme: Any, sync: Any, db: Any
) -> None:
    for name, status in (("one", "active"), ("two", "paused"), ("three", "invalid")):
        a_schedule(sync, name, status=status)

    assert delete_workflow(alice, sync.id, NOW) == 3

    assert db.scalars(select(Schedule.deleted_at)).all() == [NOW] * 3
    assert db.scalars(select(ScheduleCursor.wake_at)).all() == [None] * 3
    assert workflow_of(acme.id, sync.id).deleted_at == NOW
    assert version_of(acme.id, sync.id, 1).version == 1
    with pytest.raises(NotFound):
        living_workflow(acme.id, sync.id)
    entries = db.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
    assert {entry.reason for entry in entries if entry.subject_kind == "schedule"} == {
        "The workflow Invoice sync was deleted"
    }
    assert entries[-1].action == "workflow.deleted"


def test_what_was_due_before_the_end_still_fires_and_nothing_after_it(alice: Any, sync: Any, db: Any) -> None:
    a_schedule(sync)

    delete_workflow(alice, sync.id, ELEVEN + timedelta(seconds=1))
    fire_due(ELEVEN + timedelta(hours=5))

    assert ledger(db) == [(ELEVEN, "fired", None)]


def test_the_key_of_a_deleted_workflow_can_be_taken(alice: Any, sync: Any) -> None:
    delete_workflow(alice, sync.id, NOW)

    assert create_workflow(alice, sync.name, NOW).key == "invoice-sync"


def test_strangers_can_neither_pause_resume_nor_delete_it(acme: Any, sync: Any) -> None:
    other = a_tenant("umbrella")
    charlie = an_actor(other, a_user(other, "charlie@umbrella.test", "admin"))

    for attempt in (
        lambda: pause_workflow(charlie, sync.id, "", NOW),
        lambda: resume_workflow(charlie, sync.id, NOW),
        lambda: delete_workflow(charlie, sync.id, NOW),
    ):
        with pytest.raises(NotFound):
            attempt()
    assert (workflow_of(acme.id, sync.id).paused_at, workflow_of(acme.id, sync.id).deleted_at) == (None, None)
