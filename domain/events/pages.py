"""The pages of events: what came, newest first, and what each one started."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, exists, func, select, true

from domain.accounts.tenants import load
from domain.events.events import REFUSED, RESUMED, STARTED, Event, EventDelivery, EventType
from domain.kernel.db import db
from domain.runs.runs import FINISHED, Run
from domain.workflows.workflows import Workflow

PAGE_SIZE = 50
DELIVERIES_SHOWN = 200
# What became of an event; `nothing`: nobody was interested in it.
NOTHING = "nothing"
OUTCOMES = (STARTED, RESUMED, REFUSED, NOTHING)


@dataclass(frozen=True)
class EventFilters:
    """`name`: of an event; `outcome`: one of OUTCOMES; `correlation_key`: the whole of it."""

    name: str = ""
    outcome: str = ""
    correlation_key: str = ""


@dataclass(frozen=True)
class EventRow:
    """One line of the list. `run_id`: of the run that published it, a run of `run_workflow`."""

    id: UUID
    name: str
    correlation_key: str
    source: str
    actor_label: str
    run_id: UUID | None
    run_workflow: str | None
    received_at: datetime
    started: int
    resumed: int
    refused: int


@dataclass(frozen=True)
class DeliveryRow:
    """What an event did in one place. `run_status` is None when there is no run (any more)."""

    outcome: str
    reason: str | None
    workflow_id: UUID
    workflow_name: str
    is_deleted: bool
    run_id: UUID | None
    run_status: str | None

    @property
    def is_finished(self) -> bool:
        return self.run_status is None or self.run_status in FINISHED


@dataclass(frozen=True)
class EventDetail:
    """An event, its entry in the catalogue if it still has one, and the first DELIVERIES_SHOWN of its deliveries."""

    event: Event
    event_type: EventType | None
    run_workflow: str | None
    deliveries: Sequence[DeliveryRow]
    has_more: bool

    @property
    def is_settled(self) -> bool:
        """Whether every run that it started has ended."""
        return all(delivery.is_finished for delivery in self.deliveries)


def events_page(
    tenant_id: UUID, filters: EventFilters | None = None, before: UUID | None = None, limit: int = PAGE_SIZE
) -> list[EventRow]:
    """The tenant's events, newest first, at most `limit`, older than the event `before`. One statement."""
    page = _filtered(select(Event).where(Event.tenant_id == tenant_id), filters or EventFilters())
    if before is not None:
        page = page.where(Event.id < before)
    event = page.order_by(Event.id.desc()).limit(limit).subquery()
    counts = (
        select(*(_count(outcome) for outcome in (STARTED, RESUMED, REFUSED)))
        .where(EventDelivery.event_id == event.c.id)
        .lateral("counts")
    )
    query = (
        select(
            event.c.id,
            event.c.name,
            event.c.correlation_key,
            event.c.source,
            event.c.actor_label,
            event.c.run_id,
            Workflow.name,
            event.c.received_at,
            counts.c.started,
            counts.c.resumed,
            counts.c.refused,
        )
        .select_from(event)
        .join(counts, true())
        .outerjoin(Run, Run.id == event.c.run_id)
        .outerjoin(Workflow, Workflow.id == Run.workflow_id)
        .order_by(event.c.id.desc())
    )
    return [EventRow(*row) for row in db.session.execute(query)]


def event_detail(tenant_id: UUID, event_id: UUID) -> EventDetail:
    """One event of the tenant with what it did; raises NotFound."""
    event = load(tenant_id, Event, event_id)
    entry = select(EventType).where(EventType.tenant_id == tenant_id, EventType.name == event.name)
    publisher = select(Workflow.name).join(Run, Run.workflow_id == Workflow.id).where(Run.id == event.run_id)
    found = deliveries_of(event.id, DELIVERIES_SHOWN + 1)
    return EventDetail(
        event,
        db.session.scalars(entry).one_or_none(),
        db.session.scalar(publisher) if event.run_id else None,
        found[:DELIVERIES_SHOWN],
        len(found) > DELIVERIES_SHOWN,
    )


def deliveries_of(event_id: UUID, limit: int) -> list[DeliveryRow]:
    """What an event did, in the order in which it did it."""
    query = (
        select(
            EventDelivery.outcome,
            EventDelivery.reason,
            EventDelivery.workflow_id,
            Workflow.name,
            Workflow.deleted_at.is_not(None),
            EventDelivery.run_id,
            Run.status,
        )
        .join(Workflow, Workflow.id == EventDelivery.workflow_id)
        .outerjoin(Run, Run.id == EventDelivery.run_id)
        .where(EventDelivery.event_id == event_id)
    )
    return [DeliveryRow(*row) for row in db.session.execute(query.order_by(EventDelivery.id).limit(limit))]


def event_names(tenant_id: UUID, limit: int = 500) -> list[str]:
    """The names that the list can be narrowed to."""
    query = select(EventType.name).where(EventType.tenant_id == tenant_id)
    return list(db.session.scalars(query.order_by(EventType.name).limit(limit)))


def _count(outcome: str) -> Any:
    return func.count().filter(EventDelivery.outcome == outcome).label(outcome)


def _filtered(query: Select[Any], filters: EventFilters) -> Select[Any]:
    if filters.name:
        query = query.where(Event.name == filters.name)
    if filters.correlation_key:
        query = query.where(Event.correlation_key == filters.correlation_key)
    if not filters.outcome:
        return query
    met = exists().where(EventDelivery.event_id == Event.id)
    if filters.outcome == NOTHING:
        return query.where(~met)
    return query.where(met.where(EventDelivery.outcome == filters.outcome))
