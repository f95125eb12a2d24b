"""A tenant whose catalogue knows `invoice.paid`, with a payload that must have a number."""

from __future__ import annotations

from typing import Any

import pytest

from domain.accounts.audit import Actor
from domain.accounts.tenants import Tenant
from domain.events.events import EventType
from domain.workflows.payload_schemas import register_schema
from tests.factories import NOW, a_tenant, a_user, an_actor, an_event_type

REF = "payload.InvoicePaid.v1"
PAID = {
    "type": "object",
    "properties": {"number": {"type": "integer"}, "customer": {"type": "object"}},
    "required": ["number"],
}


@pytest.fixture
def acme(db: Any) -> Tenant:
    return a_tenant("acme")


@pytest.fixture
def alice(acme: Tenant) -> Actor:
    actor = an_actor(acme, a_user(acme, "alice@acme.test", "admin"))
    register_schema(actor, REF, PAID, NOW)
    return actor


@pytest.fixture
def invoice_paid(alice: Actor, acme: Tenant) -> EventType:
    return an_event_type(acme, "invoice.paid", REF)
