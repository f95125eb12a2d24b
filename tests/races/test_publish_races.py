"""Publishing, deleting and naming workflows while others change the same things: real commits in several threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import func, select

from domain.accounts.audit import Actor
from domain.firing.lifecycle import create_schedule
from domain.kernel.clock import database_now
from domain.kernel.db import db, transaction
from domain.kernel.errors import Conflict, NotFound, Refused
from domain.publishing import delete_workflow, publish_workflow
from domain.schedules.cursors import ScheduleCursor
from domain.schedules.drafts import ScheduleDraft
from domain.schedules.schedules import Schedule
from domain.workflows.drafts import create_workflow
from domain.workflows.payload_schemas import register_schema
from domain.workflows.versions import WorkflowVersion
from domain.workflows.workflows import Workflow, workflow_of
from tests.factories import a_published_workflow, a_tenant, an_actor
from tests.races.together import together, while_locked

NEEDS_REGION = {"type": "object", "properties": {"region": {"type": "string"}}, "required": ["region"]}


@pytest.fixture
def app(fresh_app: Flask) -> Flask:
    return fresh_app


def seed(app: Flask) -> tuple[Actor, UUID]:
    """A workflow whose version takes nothing and whose draft demands a region."""
    with app.app_context(), transaction():
        acme = a_tenant()
        actor = an_actor(acme)
        register_schema(actor, "payload.Sync.v1", NEEDS_REGION, database_now())
        workflow = a_published_workflow(acme)
        workflow.draft_schema_ref = "payload.Sync.v1"
        return actor, workflow.id


def schedule(actor: Actor, workflow_id: UUID, name: str) -> Callable[[], Any]:
    draft = ScheduleDraft(workflow_id=workflow_id, name=name, cron="0 9 * * *", payload={})
    return lambda: create_schedule(actor, draft, database_now()).id


def test_a_schedule_created_while_its_workflow_is_published_is_never_stranded(app: Flask) -> None:
    actor, workflow_id = seed(app)

    answers = together(
        app,
        *(schedule(actor, workflow_id, f"Sync {number}") for number in range(9)),
        lambda: publish_workflow(actor, workflow_id, 1, database_now()),
    )

    assert answers[-1].version == 2
    assert all(isinstance(answer, UUID | Refused) for answer in answers[:-1])
    with app.app_context():
        made = db.session.execute(select(Schedule.status, Schedule.workflow_version)).all()
        assert set(made) <= {("invalid", 1)}
        assert len(made) == sum(isinstance(answer, UUID) for answer in answers)


def test_a_schedule_that_waits_for_the_publishing_of_its_workflow_is_bound_to_what_was_published(app: Flask) -> None:
    actor, workflow_id = seed(app)
    draft = ScheduleDraft(workflow_id=workflow_id, name="Sync", cron="0 9 * * *", payload={"region": "eu"})

    made_id = while_locked(
        app,
        lambda: publish_workflow(actor, workflow_id, 1, database_now()),
        lambda: create_schedule(actor, draft, database_now()).id,
    )

    with app.app_context():
        made = db.session.get_one(Schedule, made_id)
        assert (made.status, made.workflow_version, made.payload_json) == ("active", 2, {"region": "eu"})


def test_a_schedule_created_while_its_workflow_is_deleted_ends_with_it(app: Flask) -> None:
    actor, workflow_id = seed(app)

    answers = together(
        app,
        *(schedule(actor, workflow_id, f"Sync {number}") for number in range(9)),
        lambda: delete_workflow(actor, workflow_id, database_now()),
    )

    assert answers[-1] == sum(isinstance(answer, UUID) for answer in answers[:-1])
    assert all(isinstance(answer, UUID | NotFound) for answer in answers[:-1])
    with app.app_context():
        assert db.session.scalar(select(func.count()).where(Schedule.deleted_at.is_(None))) == 0
        assert db.session.scalar(select(func.count()).where(ScheduleCursor.wake_at.is_not(None))) == 0


def test_of_two_people_who_publish_the_same_draft_one_sees_a_conflict(app: Flask) -> None:
    actor, workflow_id = seed(app)

    answers = together(app, *[lambda: publish_workflow(actor, workflow_id, 1, database_now())] * 4)

    assert sum(isinstance(answer, Conflict) for answer in answers) == 3
    with app.app_context():
        assert sorted(db.session.scalars(select(WorkflowVersion.version))) == [1, 2]
        assert workflow_of(actor.tenant_id, workflow_id).published_version == 2


def test_of_several_workflows_with_one_typed_key_one_is_created(app: Flask) -> None:
    actor, _ = seed(app)

    answers = together(app, *[lambda: create_workflow(actor, "Nightly", database_now(), key="nightly").id] * 6)

    refused = [answer for answer in answers if isinstance(answer, Refused)]
    assert len(refused) == 5
    assert {problem.path for refusal in refused for problem in refusal.problems} == {"key"}
    with app.app_context():
        assert db.session.scalar(select(func.count()).where(Workflow.key == "nightly")) == 1
