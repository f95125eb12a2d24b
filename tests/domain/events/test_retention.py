"""Events are kept as long as their tenant says, and as long as something they started goes on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from domain.accounts.tenants import Tenant
from domain.events.events import Event, EventDelivery
from domain.events.retention import prune_events
from domain.kernel.ids import new_id
from tests.factories import NOW, a_delivery, a_published_workflow, a_run, a_tenant, an_event


def an_event_at(tenant: Tenant, days_ago: float, **values: Any) -> Event:
    at = NOW - timedelta(days=days_ago)
    low = new_id().int & ((1 << 80) - 1)
    return an_event(tenant, id=UUID(int=(int(at.timestamp() * 1000) << 80) | low), received_at=at, **values)


def kept(db: Any) -> set[UUID]:
    return set(db.scalars(select(Event.id)))


def test_what_is_past_its_tenant_s_retention_is_forgotten_with_its_deliveries(acme: Tenant, db: Any) -> None:
    acme.retention_days = 30
    old, young = an_event_at(acme, 30.01), an_event_at(acme, 29.99)
    workflow = a_published_workflow(acme)
    a_delivery(old, workflow, a_run(workflow))
    young_id = young.id

    assert prune_events(NOW) == 1
    assert kept(db) == {young_id}
    assert db.scalar(select(func.count()).select_from(EventDelivery)) == 0


def test_a_tenant_without_a_retention_keeps_all(acme: Tenant, db: Any) -> None:
    an_event_at(acme, 10_000)
    assert prune_events(NOW) == 0
    assert len(kept(db)) == 1


def test_what_started_something_unfinished_is_kept(acme: Tenant, db: Any) -> None:
    acme.retention_days = 30
    workflow = a_published_workflow(acme)
    going, done = an_event_at(acme, 40), an_event_at(acme, 40)
    a_delivery(going, workflow, a_run(workflow))
    a_delivery(going, workflow, a_run(workflow, "queued"))
    a_delivery(done, workflow, a_run(workflow, "failed"))
    going_id = going.id

    prune_events(NOW)
    assert kept(db) == {going_id}


def test_a_batch_is_bounded_and_each_tenant_has_its_own_time(acme: Tenant, db: Any) -> None:
    acme.retention_days = 30
    globex = a_tenant("globex")
    globex.retention_days = 60
    for _ in range(5):
        an_event_at(acme, 40)
        an_event_at(globex, 40)

    assert [prune_events(NOW, limit=2) for _ in range(4)] == [2, 2, 1, 0]
    assert set(db.scalars(select(Event.tenant_id))) == {globex.id}
