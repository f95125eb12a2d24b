"""Limits of endpoint schedules and of calls by hand, and upgrades, with many people at them at the same moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from domain.accounts.audit import Actor
from domain.accounts.tenants import Tenant, load
from domain.extensions import settings
from domain.extensions.installs import Install
from domain.extensions.settings import configure_extensions
from domain.firing.bulk import RUN, continue_bulk, start_bulk
from domain.firing.lifecycle import create_schedule, pause_schedule, resume_schedule
from domain.firing.run_now import run_schedule_now
from domain.kernel.db import db, transaction
from domain.kernel.errors import DomainError, Refused
from domain.kernel.ids import new_id
from domain.schedules.drafts import ScheduleDraft
from domain.schedules.schedules import Schedule
from tests import servers
from tests.domain.firing.calls import HEALTH, SYNC, Installed
from tests.domain.firing.conftest import RUNNER
from tests.domain.firing.ledger import NOON, a_live_schedule, a_target, minute
from tests.factories import a_tenant, an_endpoint
from tests.faults.fleet import Fleet, rows, scalar, wait_until

PEOPLE = 8
LIVING = "SELECT count(*) FROM schedules WHERE deleted_at IS NULL AND install_id IS NOT NULL"
STRANDED = """
    SELECT s.id FROM schedules s JOIN installs i ON i.id = s.install_id JOIN extension_endpoints e ON e.id = s.endpoint_id
    WHERE s.deleted_at IS NULL AND s.status = 'active' AND e.version_id <> i.version_id
"""
WAITING = """
    SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


@pytest.fixture
def configure(fleet: Fleet) -> Iterator[Callable[..., None]]:
    """Sets members of the configuration of this process; a runner is configured."""
    known = settings._settings
    yield lambda **members: configure_extensions(replace(servers.plain_config(), **RUNNER | members))
    settings._settings = known


def seed(fleet: Fleet, *names: str) -> list[tuple[Actor, UUID]]:
    """An install of each name in one tenant; who acts there, and the id of `POST /api/sync`."""
    with fleet.app.app_context(), transaction():
        tenant = a_tenant()
        made = [Installed(tenant, name) for name in names or ("com.acme.rmm-sync",)]
        return [(one.actor, one.endpoint().id) for one in made]


def draft(endpoint_id: UUID, **values: Any) -> ScheduleDraft:
    return ScheduleDraft(**{"endpoint_id": endpoint_id, "cron": "0 * * * *", "overlap": "allow"} | values)


def at_once(fleet: Fleet, acts: list[Callable[[], Any]]) -> Counter[str]:
    """Each in a thread and a transaction of its own, all let go at one moment; what came of them, by code."""
    gate = Barrier(len(acts))

    def inside(act: Callable[[], Any]) -> str:
        with fleet.app.app_context():
            gate.wait(60)
            try:
                with transaction():
                    act()
            except Refused as refused:
                return refused.problems[0].code
            except DomainError as error:
                return error.code
            return "done"

    with ThreadPoolExecutor(len(acts)) as pool:
        return Counter(pool.map(inside, acts))


def test_of_many_who_create_the_51st_schedule_nobody_does(fleet: Fleet, configure: Callable[..., None]) -> None:
    configure()
    ((actor, endpoint_id),) = seed(fleet)
    with fleet.app.app_context(), transaction():
        for _ in range(47):
            create_schedule(actor, draft(endpoint_id), NOON)
    outcomes = at_once(fleet, [lambda: create_schedule(actor, draft(endpoint_id), NOON)] * PEOPLE)
    assert outcomes == {"done": 3, "SCHEDULE_LIMIT": PEOPLE - 3}
    assert scalar(fleet.app, LIVING) == 50


def test_the_limit_of_a_tenant_holds_across_its_extensions(fleet: Fleet, configure: Callable[..., None]) -> None:
    configure(endpoint_schedules_per_tenant=3)
    (actor, first), (_, second) = seed(fleet, "com.acme.one", "com.acme.two")
    acts = [lambda: create_schedule(actor, draft(first), NOON), lambda: create_schedule(actor, draft(second), NOON)]
    assert at_once(fleet, acts * (PEOPLE // 2)) == {"done": 3, "SCHEDULE_LIMIT": PEOPLE - 3}
    assert scalar(fleet.app, LIVING) == 3


def test_of_many_who_take_one_name_one_gets_it(fleet: Fleet, configure: Callable[..., None]) -> None:
    configure()
    ((actor, endpoint_id),) = seed(fleet)
    outcomes = at_once(fleet, [lambda: create_schedule(actor, draft(endpoint_id, name="Nightly"), NOON)] * PEOPLE)
    assert outcomes == {"done": 1, "NAME_TAKEN": PEOPLE - 1}


def test_calls_by_hand_stay_within_the_minute_however_many_click(fleet: Fleet, configure: Callable[..., None]) -> None:
    configure()
    (actor, first), (_, second) = seed(fleet, "com.acme.one", "com.acme.two")
    with fleet.app.app_context(), transaction():
        ids = [create_schedule(actor, draft((first, second)[number % 2]), NOON).id for number in range(PEOPLE)]

    def click(schedule_id: UUID) -> Callable[[], Any]:
        return lambda: run_schedule_now(actor, schedule_id, str(new_id()), minute(1))

    assert at_once(fleet, [click(one) for one in ids]) == {"done": 5, "RUN_NOW_LIMIT": PEOPLE - 5}
    assert scalar(fleet.app, "SELECT count(*) FROM runs") == 5


def test_one_key_is_one_run_however_often_it_is_sent(fleet: Fleet, configure: Callable[..., None]) -> None:
    configure()
    ((actor, endpoint_id),) = seed(fleet)
    with fleet.app.app_context(), transaction():
        schedule_id = create_schedule(actor, draft(endpoint_id), NOON).id
    click = [lambda: run_schedule_now(actor, schedule_id, "one click", minute(1))]
    assert at_once(fleet, click * PEOPLE) == {"done": PEOPLE}
    assert scalar(fleet.app, "SELECT count(*) FROM runs") == 1


@pytest.mark.parametrize("act", ["create", "resume"])
def test_what_binds_to_an_endpoint_waits_for_an_upgrade_and_is_not_stranded(
    fleet: Fleet, configure: Callable[..., None], act: str
) -> None:
    """The upgrade holds the install, sees every schedule there is, and takes the endpoint away."""
    configure()
    with fleet.app.app_context(), transaction():
        made = Installed(a_tenant())
        newer, rests = made.publish("2.0.0", HEALTH).id, made.schedule(enabled=False).id
        actor, endpoint_id, install_id = made.actor, made.endpoint(SYNC).id, made.install.id

    def bind() -> str:
        with fleet.app.app_context():
            try:
                with transaction():
                    if act == "create":
                        create_schedule(actor, draft(endpoint_id), NOON)
                    else:
                        resume_schedule(actor, rests, minute(1))
            except Refused as refused:
                return refused.problems[0].code
            except DomainError as error:
                return error.code
            return "done"

    with ThreadPoolExecutor(1) as pool:
        with fleet.app.app_context(), transaction():
            install = load(actor.tenant_id, Install, install_id, lock="change")
            bound = pool.submit(bind)
            wait_until(lambda: scalar_beside(WAITING) >= 1, "somebody waits for the install")
            install.version_id = newer
        assert bound.result(60) == "ENDPOINT_STALE"
    assert rows(fleet.app, STRANDED) == []


def test_what_an_upgrade_takes_along_is_resumed_as_soon_as_it_is_done(
    fleet: Fleet, configure: Callable[..., None]
) -> None:
    configure()
    with fleet.app.app_context(), transaction():
        made = Installed(a_tenant())
        newer, rests = made.publish("2.0.0"), made.schedule(enabled=False).id
        actor, install_id, version_id, moved_to = made.actor, made.install.id, newer.id, an_endpoint(newer, SYNC).id

    def resume() -> UUID | None:
        with fleet.app.app_context(), transaction():
            return resume_schedule(actor, rests, minute(1)).endpoint_id

    with ThreadPoolExecutor(1) as pool:
        with fleet.app.app_context(), transaction():
            install = load(actor.tenant_id, Install, install_id, lock="change")
            resumed = pool.submit(resume)
            wait_until(lambda: scalar_beside(WAITING) >= 1, "somebody waits for the install")
            install.version_id = version_id
            load(actor.tenant_id, Schedule, rests, lock="change").endpoint_id = moved_to
        assert resumed.result(60) == moved_to
    assert rows(fleet.app, STRANDED) == []


def scalar_beside(query: str) -> Any:
    """One value, read on a connection of its own: this thread's session is in the middle of something."""
    with db.engine.connect() as connection:
        return connection.scalar(text(query))


def test_bulk_runs_of_both_kinds_and_single_ones_never_wait_in_a_circle(
    fleet: Fleet, configure: Callable[..., None]
) -> None:
    configure(endpoint_run_now_per_minute=100_000)
    ((actor, endpoint_id),) = seed(fleet)
    with fleet.app.app_context(), transaction():
        workflow = a_target(db.session.get_one(Tenant, actor.tenant_id))
        ids = []
        for number in range(10):
            ids.append(create_schedule(actor, draft(endpoint_id), NOON).id)
            values = {"cron": "0 * * * *", "overlap": "allow"}
            ids.append(a_live_schedule(workflow, f"Run {number}", **values).id)

    def in_bulk(wanted: list[UUID]) -> None:
        key = str(new_id())
        start_bulk(actor, RUN, wanted, key)
        bulk = continue_bulk(actor, key, minute(1))
        assert len(bulk.done) == len(wanted), bulk.refused

    def beginning_with_a_call() -> None:
        in_bulk(ids)

    def beginning_with_a_workflow() -> None:
        in_bulk(ids[1:])

    def one_by_one() -> None:
        run_schedule_now(actor, ids[-2], str(new_id()), minute(1))

    def switched() -> None:
        pause_schedule(actor, ids[0], "", minute(1))
        resume_schedule(actor, ids[0], minute(1))

    for _ in range(5):
        outcomes = at_once(fleet, [beginning_with_a_call, one_by_one, beginning_with_a_workflow, one_by_one, switched])
        assert outcomes == {"done": 5}
