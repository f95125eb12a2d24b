"""Ending a run by hand, and running one again: with its input or another, in its version or the published one."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select

from domain.accounts.audit import AuditEntry
from domain.accounts.tenants import Tenant
from domain.kernel.db import db as database
from domain.kernel.errors import Held, NotFound, Refused
from domain.kernel.secret_values import SEALED
from domain.runs.launch import REASON_MAX_CHARACTERS, cancel_run, rerun
from domain.runs.runs import BY_RERUN, Run
from domain.workflows.payload_secrets import taken_payload
from domain.workflows.workflows import Workflow
from tests.factories import NOW, a_published_workflow, a_run, a_tenant, a_version, an_actor

REGION = {"type": "object", "properties": {"region": {"type": "string"}}, "required": ["region"]}
TOTAL = {"type": "object", "properties": {"total": {"type": "integer"}}, "required": ["total"]}
SECRET = {"type": "object", "properties": {"region": {"type": "string"}, "key": {"type": "string", "x-secret": True}}}


@pytest.fixture
def acme(db: Any) -> Tenant:
    return a_tenant()


@pytest.fixture
def sync(acme: Tenant) -> Workflow:
    return a_published_workflow(acme, schema=REGION)


def again(run: Run, key: str = "k", **values: Any) -> Run:
    return rerun(an_actor_of(run), run.id, key, NOW, **values)


def an_actor_of(run: Run) -> Any:
    return an_actor(database.session.get_one(Tenant, run.tenant_id))


def audited(db: Any, action: str) -> int:
    return db.scalar(select(func.count()).where(AuditEntry.action == action))


# Running again


def test_it_runs_again_with_its_input_in_its_version_however_often_it_is_sent(sync: Workflow, db: Any) -> None:
    run = a_run(sync, input_json={"region": "eu"}, trigger_metadata={"eventId": "e", "triggerType": "event"})
    a_version(sync, 2, schema=TOTAL)
    first, second = again(run), again(run)
    assert first.id == second.id and audited(db, "run.repeated") == 1
    assert (first.input_json, first.workflow_version, first.started_by) == ({"region": "eu"}, 1, BY_RERUN)
    assert first.trigger_metadata["rerunOf"] == str(run.id) and first.trigger_metadata["eventId"] == "e"


def test_a_changed_payload_must_fit_the_version_that_it_runs_on(sync: Workflow, db: Any) -> None:
    run = a_run(sync, input_json={"region": "eu"})
    a_version(sync, 2, schema=TOTAL)
    with pytest.raises(Refused) as refused:
        again(run, payload={"region": 7})
    assert [problem.path for problem in refused.value.problems] == ["payload/region"]
    with pytest.raises(Refused):
        again(run, "k2", payload={"region": "us"}, use_published=True)
    assert again(run, "k3", payload={"region": "us"}).input_json == {"region": "us"}
    newer = again(run, "k4", payload={"total": 3}, use_published=True)
    assert (newer.input_json, newer.workflow_version) == ({"total": 3}, 2)


def test_the_same_payload_is_checked_when_the_version_is_another(sync: Workflow, db: Any) -> None:
    run = a_run(sync, input_json={"region": "eu"})
    a_version(sync, 2, schema=TOTAL)
    with pytest.raises(Refused) as refused:
        again(run, use_published=True)
    assert {problem.path for problem in refused.value.problems} == {"payload/total"}
    assert db.scalar(select(func.count()).select_from(Run)) == 1


def test_what_is_sealed_stays_sealed_when_it_is_kept(acme: Tenant, db: Any) -> None:
    safe = a_published_workflow(acme, "Safe", schema=SECRET)
    sealed = taken_payload(acme.id, SECRET, {"region": "eu", "key": "correct horse"})
    run = a_run(safe, input_json=sealed)
    kept = again(run, payload={"region": "us", "key": {"$kept": True}})
    assert kept.input_json == {"region": "us", "key": sealed["key"]}
    fresh = again(run, "k2", payload={"region": "us", "key": "battery staple"})
    assert set(fresh.input_json["key"]) == {SEALED} and fresh.input_json["key"] != sealed["key"]


def test_what_cannot_start_does_not_start_again(acme: Tenant, sync: Workflow) -> None:
    with pytest.raises(Held, match="still going"):
        again(a_run(sync, "running"))
    run = a_run(sync, input_json={"region": "eu"})
    sync.paused_at = NOW
    with pytest.raises(Held, match="paused"):
        again(run, "k2")
    with pytest.raises(NotFound):
        rerun(an_actor(a_tenant("globex")), run.id, "k", NOW)


# Canceling


@pytest.mark.parametrize(
    ("status", "result"), [("queued", "canceled"), ("waiting", "canceled"), ("running", "requested")]
)
def test_canceling_keeps_the_first_reason_and_asking_again_changes_nothing(
    sync: Workflow, db: Any, status: str, result: str
) -> None:
    run = a_run(sync, status)
    actor = an_actor_of(run)
    assert cancel_run(actor, run.id, NOW, "  Wrong   region ") == result
    assert cancel_run(actor, run.id, NOW, "Another reason") == result
    db.refresh(run)
    assert (run.cancel_reason, audited(db, "run.canceled")) == ("Wrong region", 1)
    entry = db.scalars(select(AuditEntry).where(AuditEntry.action == "run.canceled")).one()
    assert entry.reason == "Wrong region"


@pytest.mark.parametrize("status", ["succeeded", "failed"])
def test_what_has_ended_otherwise_cannot_be_canceled(sync: Workflow, db: Any, status: str) -> None:
    run = a_run(sync, status)
    with pytest.raises(Held, match="already ended"):
        cancel_run(an_actor_of(run), run.id, NOW)
    assert audited(db, "run.canceled") == 0


@pytest.mark.parametrize("reason", ["x" * (REASON_MAX_CHARACTERS + 1), "a\x00b", "a\nb"])
def test_a_reason_that_cannot_be_read_is_refused_at_its_field(sync: Workflow, db: Any, reason: str) -> None:
    run = a_run(sync, "queued")
    with pytest.raises(Refused) as refused:
        cancel_run(an_actor_of(run), run.id, NOW, reason)
    db.refresh(run)
    assert [problem.path for problem in refused.value.problems] == ["reason"] and run.status == "queued"
