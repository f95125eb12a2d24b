"""Deleting a tenant: nothing of it runs, nobody gets in, its secrets are gone, and its history is still there."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import select

from domain.accounts.audit import Actor
from domain.accounts.secrets import Secret, create_secret
from domain.accounts.sessions import load_access, places_of, start_session
from domain.accounts.tokens import token_access
from domain.accounts.users import Membership, User
from domain.extensions.install_secrets import set_install_secret
from domain.extensions.installs import InstallSecret
from domain.firing.tick import fire_due
from domain.kernel.db import Base
from domain.kernel.secret_values import KEPT_MARK
from domain.kernel.vault import seal
from domain.runs.runs import Run
from domain.runs.steps import RunStep
from domain.runs.store_items import StoreItem
from domain.schedules.occurrences import Occurrence
from domain.schedules.schedules import Schedule
from domain.upgrades import delete_tenant
from domain.workflows.workflows import Workflow
from tests.domain.upgrades.scene import ELEVEN, audited, calling
from tests.factories import (
    NOW,
    a_published_workflow,
    a_run,
    a_schedule,
    a_task,
    a_tenant,
    a_token,
    a_user,
    an_actor,
    an_install,
)


def test_its_schedules_of_both_kinds_end_and_nothing_fires_any_more(
    alice: Any, acme: Any, install: Any, db: Any
) -> None:
    calling(install)
    a_schedule(a_published_workflow(acme))

    closed = delete_tenant(alice, NOW)
    fire_due(ELEVEN + timedelta(hours=5))

    assert closed is not None
    assert (closed.schedules, closed.installs, closed.workflows) == (2, 1, 1)
    assert db.scalars(select(Schedule).where(Schedule.deleted_at.is_(None))).all() == []
    assert db.scalars(select(Workflow).where(Workflow.deleted_at.is_(None))).all() == []
    assert db.scalars(select(Occurrence)).all() == []


def test_runs_that_have_not_finished_are_canceled_and_finished_ones_stay(alice: Any, acme: Any, db: Any) -> None:
    workflow = a_published_workflow(acme)
    schedule = a_schedule(workflow, deleted_at=NOW)
    finished = a_run(workflow)
    unfinished = [a_run(workflow, "queued"), a_run(workflow, "queued", schedule_id=schedule.id)]

    closed = delete_tenant(alice, NOW)

    statuses = dict(db.execute(select(Run.id, Run.status)).all())
    assert statuses == {finished.id: "succeeded"} | {run.id: "canceled" for run in unfinished}
    assert closed is not None
    assert closed.runs == 2


def test_sessions_tokens_and_memberships_end(alice: Any, acme: Any, db: Any) -> None:
    user = db.get_one(User, alice.user_id)
    _, cookie = start_session(user, acme.id, NOW)
    token, secret = a_token(acme, user)
    assert load_access(cookie, NOW) is not None
    assert token_access(secret, NOW) is not None

    closed = delete_tenant(alice, NOW)

    assert closed is not None
    assert (closed.tokens, closed.members) == (1, 1)
    assert (load_access(cookie, NOW), token_access(secret, NOW), places_of(user.id)) == (None, None, [])
    assert db.get_one(type(token), token.id).revoked_at == NOW


def test_nobody_gets_in_even_with_a_membership_that_somebody_gave_afterwards(alice: Any, acme: Any, db: Any) -> None:
    user = db.get_one(User, alice.user_id)
    delete_tenant(alice, NOW)
    db.add(Membership(tenant_id=acme.id, user_id=user.id, role="admin"))
    _, cookie = start_session(user, acme.id, NOW)
    _, secret = a_token(acme, user)

    assert (load_access(cookie, NOW), token_access(secret, NOW), places_of(user.id)) == (None, None, [])


def test_secrets_of_the_tenant_of_its_installs_and_in_its_payloads_are_erased(
    alice: Any, acme: Any, install: Any, db: Any
) -> None:
    create_secret(alice, "CRM_TOKEN", "purple-tortoise", "", NOW)
    set_install_secret(alice, install.id, "API_KEY", "purple-tortoise", NOW)
    sealed = {"token": {"$sealed": seal(acme.id, "purple-tortoise")}, "region": "eu"}
    schedule = calling(install, payload_json=sealed)
    run = a_run(a_published_workflow(acme), input_json=sealed)

    closed = delete_tenant(alice, NOW)

    assert closed is not None
    assert closed.secrets == 1
    assert (db.scalars(select(Secret)).all(), db.scalars(select(InstallSecret)).all()) == ([], [])
    forgotten = {"token": KEPT_MARK, "region": "eu"}
    assert db.scalars(select(Schedule.payload_json).where(Schedule.id == schedule.id)).one() == forgotten
    assert db.scalars(select(Run.input_json).where(Run.id == run.id)).one() == forgotten


def test_what_a_run_took_from_a_sealed_payload_is_erased_too(alice: Any, acme: Any, install: Any, db: Any) -> None:
    globex = a_tenant("globex")
    sealed = {tenant.id: {"$sealed": seal(tenant.id, "purple-tortoise")} for tenant in (acme, globex)}
    for tenant in (acme, globex):
        taken = {"list": [sealed[tenant.id]]}
        run = a_run(a_published_workflow(tenant), "waiting", output=taken)
        a_task(run, context=taken)
        db.add(StoreItem(tenant_id=tenant.id, namespace="tokens", key="crm", value=taken))
        at = {"step_path": "root.steps[1]", "iteration": "", "position": 1, "step_id": "call", "started_at": NOW}
        at |= {"node_type": "action.call", "status": "started", "claim_epoch": 0}
        db.add(RunStep(run_id=run.id, input=taken, output=taken, **at))
    db.flush()

    delete_tenant(alice, NOW)

    tables = [table for table in Base.metadata.sorted_tables if {"tenant_id", "run_id"} & set(table.columns.keys())]
    stored = "".join(str(row) for table in tables for row in db.execute(table.select()))
    tokens = {tenant_id: stored.count(str(one["$sealed"])) for tenant_id, one in sealed.items()}
    assert tokens == {acme.id: 0, globex.id: 5}
    assert db.scalar(select(StoreItem.value).filter_by(tenant_id=acme.id)) == {"list": [KEPT_MARK]}


def test_it_is_on_record_and_doing_it_again_changes_nothing(alice: Any, acme: Any) -> None:
    delete_tenant(alice, NOW)

    assert delete_tenant(alice, NOW + timedelta(hours=1)) is None

    assert acme.deleted_at == NOW
    (entry,) = audited("tenant.deleted")
    assert (entry.subject_id, entry.after["members"]) == (acme.id, 1)


def test_other_tenants_and_what_people_have_there_stay(
    alice: Any, acme: Any, install: Any, first: Any, db: Any
) -> None:
    globex = a_tenant("globex")
    charlie = a_user(globex, "charlie@globex.test")
    db.add(Membership(tenant_id=globex.id, user_id=alice.user_id, role="viewer"))
    theirs = a_schedule(a_published_workflow(globex))
    create_secret(an_actor(globex, charlie), "CRM_TOKEN", "purple-tortoise", "", NOW)
    _, cookie = start_session(charlie, globex.id, NOW)
    shared = an_install(globex, first)

    delete_tenant(alice, NOW)

    assert load_access(cookie, NOW) is not None
    assert [place.name for place in places_of(alice.user_id)] == ["Globex"]
    assert db.scalars(select(Schedule.deleted_at).where(Schedule.id == theirs.id)).one() is None
    assert (shared.deleted_at, len(db.scalars(select(Secret)).all())) == (None, 1)
    assert delete_tenant(Actor(globex.id), NOW) is not None
