"""Importing workflows while somebody else imports, creates, schedules or starts the same: real commits in several threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text

from domain.accounts.audit import Actor
from domain.accounts.tenants import Tenant
from domain.bundles.documents import read_bundle
from domain.bundles.importing import ImportSummary, import_bundle
from domain.bundles.reading import BundleRefused
from domain.bundles.schedule_importing import ScheduleImport, import_schedules
from domain.firing.lifecycle import create_schedule
from domain.kernel.clock import database_now
from domain.kernel.db import db, transaction
from domain.kernel.errors import DomainError, Refused
from domain.runs.launch import launch_workflow
from domain.schedules.drafts import ScheduleDraft
from domain.schedules.schedules import Schedule
from domain.workflows.drafts import create_workflow
from domain.workflows.versions import WorkflowVersion
from domain.workflows.workflows import Workflow
from tests.domain.bundles import schedule_files
from tests.domain.bundles.bundle_files import a_file, an_entry
from tests.factories import a_published_workflow, a_tenant, an_actor
from tests.races.together import together

ROUNDS = 5


@pytest.fixture
def app(fresh_app: Flask) -> Flask:
    return fresh_app


@pytest.fixture
def alice(app: Flask) -> Actor:
    with app.app_context(), transaction():
        return an_actor(a_tenant())


def importing(actor: Actor, *entries: dict[str, Any], **how: Any) -> Callable[[], ImportSummary]:
    bundle = read_bundle(a_file(*entries))
    return lambda: import_bundle(actor, bundle, now=database_now(), **how)


def living(app: Flask) -> list[str]:
    with app.app_context():
        return list(db.session.scalars(select(Workflow.key).filter_by(deleted_at=None).order_by(Workflow.key)))


def test_two_imports_of_the_same_key_leave_one_winner_and_one_conflict(app: Flask, alice: Actor) -> None:
    for number in range(ROUNDS):
        keys = [f"{name}-{number}" for name in ("a", "b", "c")]
        entries = [an_entry(key) for key in keys]
        answers = together(app, importing(alice, *entries), importing(alice, *reversed(entries)))
        (won,) = [one for one in answers if isinstance(one, ImportSummary)]
        (lost,) = [one for one in answers if isinstance(one, BundleRefused)]
        assert lost.code == "WORKFLOW_KEY_CONFLICT"
        assert [one.key for one in won.created] == keys
    assert len(living(app)) == 3 * ROUNDS


def test_a_workflow_created_with_the_key_of_an_import_leaves_one_of_the_two(app: Flask, alice: Actor) -> None:
    for number in range(ROUNDS):
        key = f"sync-{number}"
        answers = together(
            app,
            importing(alice, an_entry(key)),
            lambda key=key: create_workflow(alice, "Sync", database_now(), key=key).key,
        )
        assert sum(isinstance(one, DomainError) for one in answers) == 1
        assert all(isinstance(one, Refused) for one in answers if isinstance(one, DomainError))
    assert living(app) == [f"sync-{number}" for number in range(ROUNDS)]


def test_two_who_replace_the_same_workflow_take_turns(app: Flask, alice: Actor) -> None:
    with app.app_context(), transaction():
        a_published_workflow(_tenant(alice), "Sync")
    forced = [importing(alice, an_entry("sync", versions=(number,)), force=True) for number in (5, 6)]
    answers = together(app, *forced)
    assert all(isinstance(one, ImportSummary) and len(one.replaced) == 1 for one in answers)
    assert living(app) == ["sync"]


def test_a_schedule_created_while_its_workflow_is_replaced_is_never_stranded(app: Flask, alice: Actor) -> None:
    with app.app_context(), transaction():
        workflow_id = a_published_workflow(_tenant(alice), "Sync").id
    draft = ScheduleDraft(workflow_id=workflow_id, name="Daily", cron="0 9 * * *", payload={})
    answers = together(
        app,
        importing(alice, an_entry("sync", versions=(2,)), force=True),
        lambda: create_schedule(alice, draft, database_now()).id,
    )
    assert isinstance(answers[0], ImportSummary)
    with app.app_context():
        replaced = answers[0].replaced[0].workflow_id
        bound = db.session.execute(select(Schedule.workflow_id, Schedule.workflow_version)).all()
    expected = [] if isinstance(answers[1], DomainError) else [(replaced, 2)]
    assert [tuple(row) for row in bound] == expected


def test_schedules_find_the_workflow_that_takes_the_place_of_theirs_meanwhile(app: Flask, alice: Actor) -> None:
    with app.app_context(), transaction():
        a_published_workflow(_tenant(alice), "Sync")
    for number in range(ROUNDS):
        schedules = schedule_files.a_bundle(schedule_files.an_item(f"k{number}", target={"workflow": "sync"}))
        answers = together(
            app,
            importing(alice, an_entry("sync", versions=(number + 2,)), force=True),
            lambda schedules=schedules: import_schedules(alice, schedules, database_now()),
        )
        assert [type(answer) for answer in answers] == [ImportSummary, ScheduleImport]


def test_a_run_started_while_its_workflow_is_replaced_is_refused_or_respected(app: Flask, alice: Actor) -> None:
    for number in range(ROUNDS):
        with app.app_context(), transaction():
            workflow_id = a_published_workflow(_tenant(alice), f"Sync {number}").id
        answers = together(
            app,
            importing(alice, an_entry(f"sync-{number}", versions=(2,)), force=True),
            lambda row=workflow_id: launch_workflow(alice, row, "{}", str(row), database_now()),
        )
        assert sum(isinstance(one, DomainError) for one in answers) == 1
    assert unfinished_of_tombstones(app) == 0


def unfinished_of_tombstones(app: Flask) -> int:
    with app.app_context():
        return db.session.scalar(
            text("""
                SELECT count(*) FROM runs r JOIN workflows w ON w.id = r.workflow_id
                WHERE w.deleted_at IS NOT NULL AND r.finished_at IS NULL
            """)
        )


def test_a_refused_import_leaves_no_trace(app: Flask, alice: Actor) -> None:
    trigger = {"type": "recurring", "cron": "0 9 * * *"}
    lost = [{"id": "x", "type": "transform.assign", "config": {"assign": {"vars.n": {"$expr": "("}}}}]
    for entries in ([an_entry("a", trigger=trigger), an_entry("b", steps=lost)], [an_entry("a", name="\u202e")]):
        (answer,) = together(app, importing(alice, *entries))
        assert isinstance(answer, BundleRefused)
    with app.app_context():
        for table in (Workflow, WorkflowVersion, Schedule):
            assert db.session.scalars(select(table)).all() == []
        assert db.session.scalar(text("SELECT count(*) FROM audit_entries")) == 0


def _tenant(actor: Actor) -> Tenant:
    return db.session.get_one(Tenant, actor.tenant_id)
