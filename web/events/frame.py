"""What the pages of events share: their blueprint and their tenant."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, url_for

from web.access import member_access

blueprint = Blueprint("events", __name__, url_prefix="/events")


def tenant_id() -> UUID:
    return member_access().tenant.id


def address_of(event_id: UUID) -> str:
    return url_for("events.show", event_id=event_id)
