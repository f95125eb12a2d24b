"""Uninstalling ends the schedules of an install in the same transaction, erases its secrets, and keeps its history."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from domain.accounts.audit import Actor
from domain.extensions.circuits import InstallCircuit
from domain.extensions.install_secrets import set_install_secret
from domain.extensions.installs import Install, InstallSecret
from domain.firing.tick import fire_due
from domain.kernel.errors import NotFound
from domain.kernel.ids import new_id
from domain.runs.runs import CALL, Run
from domain.schedules.occurrences import Occurrence
from domain.schedules.schedules import Schedule
from domain.upgrades import uninstall
from tests.domain.upgrades.scene import ELEVEN, audited, calling, cursor_of, endpoint
from tests.factories import NOW, a_tenant, an_install


def a_call(install: Any, first: Any, status: str, schedule: Any = None, **values: Any) -> Run:
    from domain.kernel.db import db

    values = {"endpoint_id": endpoint(first, "POST /api/sync").id, "extension_version_id": first.id} | values
    if status == "running":
        values |= {"ready_at": NOW, "started_at": NOW, "claimed_by": new_id()}
    if schedule is not None:
        values["schedule_id"] = schedule.id
    run = Run(tenant_id=install.tenant_id, target_kind="endpoint", install_id=install.id, lane=CALL, **values)
    run.status, run.started_by, run.input_json = status, "manual", None
    db.session.add(run)
    db.session.flush()
    return run


def test_its_schedules_end_and_nothing_is_recorded_for_them_any_more(alice: Any, install: Any, db: Any) -> None:
    one, other = calling(install), calling(install, name="Nightly", status="paused")

    done = uninstall(alice, install.id, NOW)
    fire_due(ELEVEN + timedelta(hours=5))

    assert (done.schedules, done.extension) == (2, "com.acme.rmm-sync")
    ended = select(Schedule).where(Schedule.id.in_([one.id, other.id]))
    assert {row.deleted_at for row in db.scalars(ended.execution_options(populate_existing=True))} == {NOW}
    assert (cursor_of(one).wake_at, db.scalars(select(Occurrence)).all()) == (None, [])
    assert [entry.reason for entry in audited("schedule.deleted")] == ["com.acme.rmm-sync was uninstalled"] * 2


@pytest.mark.usefixtures("with_runner")
def test_what_was_due_before_is_still_decided(alice: Any, install: Any, db: Any) -> None:
    calling(install)

    uninstall(alice, install.id, ELEVEN + timedelta(seconds=1))

    assert [(row.scheduled_for, row.outcome) for row in db.scalars(select(Occurrence))] == [(ELEVEN, "fired")]


def test_the_install_stays_readable_with_its_configuration(alice: Any, acme: Any, first: Any, db: Any) -> None:
    install = an_install(acme, first, config={"region": "eu"})

    uninstall(alice, install.id, NOW)

    row = db.scalars(select(Install)).one()
    assert (row.deleted_at, row.config, row.version_id) == (NOW, {"region": "eu"}, first.id)
    (entry,) = audited("install.deleted")
    assert (entry.actor_id, entry.subject_id, entry.before) == (alice.user_id, install.id, {"version": "1.0.0"})


def test_secrets_and_the_circuit_are_gone(alice: Any, install: Any, db: Any) -> None:
    set_install_secret(alice, install.id, "API_KEY", "purple-tortoise", NOW)
    db.add(InstallCircuit(install_id=install.id, tenant_id=install.tenant_id, failures=3))

    done = uninstall(alice, install.id, NOW)

    assert (done.secrets, db.scalars(select(InstallSecret)).all(), db.scalars(select(InstallCircuit)).all()) == (
        1,
        [],
        [],
    )


def test_runs_that_have_not_finished_are_canceled(alice: Any, install: Any, first: Any, db: Any) -> None:
    queued = a_call(install, first, "queued", calling(install))
    by_a_deleted_one = a_call(install, first, "queued", calling(install, name="Old", deleted_at=NOW))
    running = a_call(install, first, "running")

    done = uninstall(alice, install.id, NOW)

    for run in (queued, by_a_deleted_one, running):
        db.refresh(run)
    assert (done.runs, queued.status, by_a_deleted_one.status) == (3, "canceled", "canceled")
    assert (running.status, running.cancel_requested_at, running.cancel_reason) == (
        "running",
        NOW,
        "com.acme.rmm-sync was uninstalled",
    )
    assert len(audited("run.canceled")) == 3


def test_it_can_be_installed_anew_and_the_old_one_is_another(alice: Any, install: Any, acme: Any, first: Any) -> None:
    calling(install, name="Nightly")
    uninstall(alice, install.id, NOW)

    again = an_install(acme, first)

    assert again.id != install.id
    calling(again, name="Nightly")


def test_what_is_uninstalled_or_another_tenants_is_not_found(alice: Any, install: Any) -> None:
    with pytest.raises(NotFound):
        uninstall(Actor(a_tenant("globex").id), install.id, NOW)
    uninstall(alice, install.id, NOW)
    with pytest.raises(NotFound):
        uninstall(alice, install.id, NOW)
