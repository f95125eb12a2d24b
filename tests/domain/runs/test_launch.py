"""Runs that people start, repeat and cancel."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select, text

from domain.accounts.audit import AuditEntry
from domain.kernel.errors import Held, NotFound, Refused
from domain.runs.launch import cancel_run, launch_workflow, rerun
from domain.runs.runs import Run
from tests.domain.firing.ledger import a_target
from tests.domain.runs.queue import NOW, end, fresh
from tests.factories import a_run, a_tenant, a_user, a_version, an_actor

pytestmark = pytest.mark.usefixtures("db")
STRICT = {"type": "object", "properties": {"region": {"enum": ["eu", "us"]}}, "required": ["region"]}


class Cast:
    def __init__(self) -> None:
        self.tenant = a_tenant()
        self.alice = an_actor(self.tenant, a_user(self.tenant))
        globex = a_tenant("globex")
        self.charlie = an_actor(globex, a_user(globex, "charlie@globex.test"))
        self.workflow = a_target(self.tenant, schema=STRICT)


@pytest.fixture
def cast(db: Any) -> Cast:
    return Cast()


def all_runs(db: Any) -> list[Run]:
    return list(db.scalars(select(Run)))


def test_a_launch_writes_a_queued_run_of_the_published_version(cast: Cast) -> None:
    run = fresh(launch_workflow(cast.alice, cast.workflow.id, '{"region": "eu"}', "key-1", NOW))
    assert (run.status, run.ready_at, run.workflow_version, run.input_json) == ("queued", None, 1, {"region": "eu"})
    assert (run.started_by, run.actor_id, run.schedule_id) == ("manual", cast.alice.user_id, None)


def test_the_same_request_gives_the_same_run(cast: Cast, db: Any) -> None:
    ids = {launch_workflow(cast.alice, cast.workflow.id, '{"region": "eu"}', "key-1", NOW).id for _ in range(3)}
    assert len(ids) == len(all_runs(db)) == 1
    entries = db.scalars(select(AuditEntry).where(AuditEntry.action == "run.started")).all()
    assert len(entries) == 1


def test_the_keys_of_two_tenants_are_apart(cast: Cast, db: Any) -> None:
    launch_workflow(cast.alice, cast.workflow.id, '{"region": "eu"}', "key-1", NOW)
    from domain.accounts.tenants import Tenant

    theirs = a_target(db.get_one(Tenant, cast.charlie.tenant_id), "Theirs")
    run = launch_workflow(cast.charlie, theirs.id, "{}", "key-1", NOW)
    assert run.tenant_id == cast.charlie.tenant_id and len(all_runs(db)) == 2


def test_a_payload_that_does_not_fit_starts_nothing(cast: Cast, db: Any) -> None:
    with pytest.raises(Refused) as refused:
        launch_workflow(cast.alice, cast.workflow.id, "{}", "key-1", NOW)
    assert [problem.path for problem in refused.value.problems] == ["payload/region"]
    assert all_runs(db) == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("UPDATE workflows SET published_version = NULL", "WORKFLOW_NOT_PUBLISHED"),
        ("UPDATE workflows SET paused_at = now()", "WORKFLOW_PAUSED"),
    ],
)
def test_what_may_not_start_is_held_with_the_reason(cast: Cast, db: Any, change: str, code: str) -> None:
    run = a_run(cast.workflow, input_json={"region": "eu"})
    db.execute(text(change))
    db.expire_all()
    for attempt in (
        lambda: launch_workflow(cast.alice, cast.workflow.id, '{"region": "eu"}', "key-1", NOW),
        lambda: rerun(cast.alice, run.id, "key-2", NOW),
    ):
        with pytest.raises(Held) as held:
            attempt()
        assert held.value.code == code
    assert len(all_runs(db)) == 1


def test_a_deleted_workflow_starts_nothing(cast: Cast, db: Any) -> None:
    db.execute(text("UPDATE workflows SET deleted_at = now()"))
    with pytest.raises(NotFound):
        launch_workflow(cast.alice, cast.workflow.id, "{}", "key-1", NOW)


def test_running_again_takes_the_version_and_the_input_of_the_first_time(cast: Cast) -> None:
    original = a_run(cast.workflow, "failed", input_json={"region": "us"})
    a_version(cast.workflow, 2)
    again = fresh(rerun(cast.alice, original.id, "key-1", NOW))
    assert (again.workflow_version, again.input_json, again.started_by) == (1, {"region": "us"}, "rerun")
    assert again.trigger_metadata["rerunOf"] == str(original.id)
    assert rerun(cast.alice, original.id, "key-1", NOW).id == again.id


@pytest.mark.parametrize("status", ["queued", "running", "waiting"])
def test_a_run_that_is_still_going_is_not_run_again(cast: Cast, status: str) -> None:
    with pytest.raises(Held):
        rerun(cast.alice, a_run(cast.workflow, status).id, "key-1", NOW)


def test_canceling_is_on_record_with_who_and_why(cast: Cast, db: Any) -> None:
    run = a_run(cast.workflow, "queued")
    assert cancel_run(cast.alice, run.id, NOW, "wrong region") == "canceled"
    (entry,) = db.scalars(select(AuditEntry).where(AuditEntry.action == "run.canceled"))
    assert (entry.actor_id, entry.reason) == (cast.alice.user_id, "wrong region")


def test_what_has_ended_cannot_be_canceled(cast: Cast) -> None:
    run = a_run(cast.workflow, "queued")
    end(run)
    with pytest.raises(Held):
        cancel_run(cast.alice, run.id, NOW)


def test_strangers_find_nothing_to_start_repeat_or_cancel(cast: Cast, db: Any) -> None:
    run = a_run(cast.workflow)
    for attempt in (
        lambda: launch_workflow(cast.charlie, cast.workflow.id, '{"region": "eu"}', "key-1", NOW),
        lambda: rerun(cast.charlie, run.id, "key-2", NOW),
        lambda: cancel_run(cast.charlie, run.id, NOW),
    ):
        with pytest.raises(NotFound):
            attempt()
    assert len(all_runs(db)) == 1
