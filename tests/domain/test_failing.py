"""A workflow whose last runs failed too often is paused by itself, once, and its operators are told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from domain.accounts.audit import AuditEntry
from domain.accounts.notifications import Notification
from domain.firing.tick import fire_due
from domain.publishing import pause_failing, pause_workflow, resume_workflow
from domain.schedules.occurrences import Occurrence
from domain.workflows.workflows import workflow_of
from tests.factories import (
    NOW,
    a_published_workflow,
    a_run,
    a_schedule,
    a_tenant,
    a_user,
    a_workflow,
    an_actor,
)
from tests.statements import counted

ELEVEN = NOW.replace(hour=11)


@pytest.fixture
def acme(db: Any) -> Any:
    return a_tenant("acme")


@pytest.fixture
def alice(acme: Any) -> Any:
    return an_actor(acme, a_user(acme, "alice@acme.test", "admin"))


@pytest.fixture
def sync(acme: Any) -> Any:
    return a_published_workflow(acme, auto_pause_on_failure=True)


def runs(workflow: Any, outcomes: str, since: Any = NOW) -> None:
    """One finished run per letter, a minute apart: f failed, s succeeded, c canceled; r is still running."""
    statuses = {"f": "failed", "s": "succeeded", "c": "canceled", "r": "running"}
    for minute, letter in enumerate(outcomes):
        ended = {"finished_at": since + timedelta(minutes=minute)} if letter != "r" else {}
        a_run(workflow, statuses[letter], **ended)


@pytest.mark.parametrize(
    ("outcomes", "settings", "is_paused"),
    [
        ("fffffsssss", {}, True),
        ("ffffssssss", {}, False),
        ("fffff", {}, False),
        ("sssss" + "fffffsssss", {}, True),
        ("ffffff" + "sssssfffff", {}, True),
        ("fffff" + "ssssssffff", {}, False),
        ("fffffcccccsssss", {}, True),
        ("ffffcccccfssss", {}, False),
        ("ffffrrrrrrr", {}, False),
        ("ff", {"failure_rate_min_runs": 2, "failure_rate_threshold": 1.0}, True),
        ("fs", {"failure_rate_min_runs": 2, "failure_rate_threshold": 1.0}, False),
        ("f", {"failure_rate_min_runs": 1}, True),
        ("fffffff" + "s" * 93, {"failure_rate_min_runs": 100, "failure_rate_threshold": 0.07}, True),
        ("ffffff" + "s" * 94, {"failure_rate_min_runs": 100, "failure_rate_threshold": 0.07}, False),
        ("ffffffffff", {"auto_pause_on_failure": False}, False),
    ],
)
def test_the_last_runs_that_ended_by_themselves_decide(
    sync: Any, acme: Any, outcomes: str, settings: dict[str, Any], is_paused: bool
) -> None:
    for name, value in settings.items():
        setattr(sync, name, value)
    runs(sync, outcomes)

    assert pause_failing(ELEVEN) == int(is_paused)
    assert (workflow_of(acme.id, sync.id).paused_at == ELEVEN) is is_paused


def test_the_pause_says_why_and_is_on_record_as_the_system_s(sync: Any, acme: Any, db: Any) -> None:
    runs(sync, "fffffffsss")

    pause_failing(ELEVEN)

    paused = workflow_of(acme.id, sync.id)
    assert paused.paused_by is None
    assert paused.pause_reason == "7 of its last 10 runs failed, so it was paused by itself"
    entry = db.scalars(select(AuditEntry)).one()
    assert (entry.action, entry.actor_id, entry.actor_label) == ("workflow.paused", None, "Carillon")
    assert entry.reason == paused.pause_reason


def test_those_who_may_resume_it_are_told_once(sync: Any, acme: Any, alice: Any, db: Any) -> None:
    a_user(acme, "bob@acme.test", "viewer")
    a_user(a_tenant("umbrella"), "charlie@umbrella.test", "admin")
    runs(sync, "f" * 10)

    assert [pause_failing(ELEVEN), pause_failing(ELEVEN)] == [1, 0]

    told = db.scalars(select(Notification)).one()
    assert (told.user_id, told.severity, told.link) == (alice.user_id, "error", f"/workflows/{sync.id}")
    assert told.title == "Invoice sync was paused"
    assert "10 of its last 10 runs failed" in told.body


def test_what_was_due_before_still_fires_and_what_comes_after_is_refused(sync: Any, db: Any) -> None:
    a_schedule(sync)
    runs(sync, "f" * 10)

    pause_failing(ELEVEN + timedelta(seconds=1))
    fire_due(ELEVEN + timedelta(hours=1))

    rows = db.execute(select(Occurrence.outcome, Occurrence.detail).order_by(Occurrence.scheduled_for)).all()
    assert [outcome for outcome, _ in rows] == ["fired", "refused"]
    assert "10 of its last 10 runs failed" in rows[1][1]


def test_after_resuming_only_new_runs_count(sync: Any, acme: Any, alice: Any) -> None:
    runs(sync, "f" * 10)
    pause_failing(ELEVEN)

    resume_workflow(alice, sync.id, ELEVEN)
    runs(sync, "f" * 9, ELEVEN + timedelta(minutes=1))
    assert pause_failing(ELEVEN + timedelta(hours=1)) == 0

    runs(sync, "f", ELEVEN + timedelta(minutes=20))
    assert pause_failing(ELEVEN + timedelta(hours=1)) == 1


def test_one_that_is_paused_or_deleted_or_was_never_published_is_left_alone(acme: Any, alice: Any) -> None:
    paused = a_published_workflow(acme, "Paused", auto_pause_on_failure=True)
    deleted = a_published_workflow(acme, "Deleted", auto_pause_on_failure=True, deleted_at=NOW)
    a_workflow(acme, "Draft", auto_pause_on_failure=True)
    pause_workflow(alice, paused.id, "supplier outage", NOW)
    for workflow in (paused, deleted):
        runs(workflow, "f" * 10)

    assert pause_failing(ELEVEN) == 0
    assert workflow_of(acme.id, paused.id).pause_reason == "supplier outage"


def test_several_of_several_tenants_are_paused_together(acme: Any) -> None:
    for tenant, names in ((acme, ("One", "Two")), (a_tenant("umbrella"), ("Three",))):
        for name in names:
            runs(a_published_workflow(tenant, name, auto_pause_on_failure=True), "f" * 10)

    assert pause_failing(ELEVEN) == 3


def test_looking_costs_one_statement_when_nothing_fails(sync: Any, acme: Any) -> None:
    for number in range(5):
        runs(a_published_workflow(acme, f"W{number}", auto_pause_on_failure=True), "ffffssssss")

    with counted() as statements:
        pause_failing(ELEVEN)

    assert len(statements) == 1
