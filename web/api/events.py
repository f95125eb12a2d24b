"""Events over HTTP: told once, and asked what became of them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response, url_for

from domain.events.event_types import NAME_MAX_CHARACTERS
from domain.events.events import BY_API, Event
from domain.events.ingest import CORRELATION_MAX_CHARACTERS, ingest_event
from domain.events.pages import (
    DELIVERIES_SHOWN,
    OUTCOMES,
    DeliveryRow,
    EventFilters,
    EventRow,
    deliveries_of,
    event_detail,
    events_page,
)
from domain.kernel.errors import Refused
from web.access import actor, member_access, request_now, requires
from web.api import blueprint
from web.api.answering import Json, answered_once, document, instant, page
from web.api.openapi import happenings
from web.api.openapi.declaring import declared, declared_list
from web.api.openapi.words import choice, text
from web.api.reading import (
    Q_MAX_CHARACTERS,
    check_query,
    collected,
    json_body,
    page_cursor,
    page_limit,
    query_choice,
    query_text,
)


@blueprint.post("/events")
@declared("Tell that something happened", happenings.EVENT, status=202, body=happenings.NEW_EVENT, needs_body=True)
@requires("workflow:manage")
def send_event() -> Response:
    body = json_body(("name", "correlationKey", "payload"))
    return answered_once(lambda key: _sent(key, body))


@blueprint.get("/events")
@declared_list(
    "List events, newest first",
    happenings.EVENT_ROW,
    name=text(Q_MAX_CHARACTERS),
    outcome=choice(OUTCOMES),
    correlationKey=text(CORRELATION_MAX_CHARACTERS),
)
@requires("workflow:read")
def list_events() -> Response:
    check_query(("name", "outcome", "correlationKey"))
    name, outcome, correlation_key, cursor, limit = collected(
        lambda: query_text("name"),
        lambda: query_choice("outcome", OUTCOMES),
        lambda: query_text("correlationKey", CORRELATION_MAX_CHARACTERS),
        page_cursor,
        page_limit,
    )
    filters = EventFilters(name, outcome, correlation_key)
    found = events_page(member_access().tenant.id, filters, cursor, limit + 1)
    return page(found, limit, _row_document, lambda row: row.id)


@blueprint.get("/events/<uuid:event_id>")
@declared("Read an event with what it did", happenings.EVENT)
@requires("workflow:read")
def show_event(event_id: UUID) -> Response:
    detail = event_detail(member_access().tenant.id, event_id)
    return document(_document(detail.event, detail.deliveries))


def _sent(key: str, body: Json) -> tuple[int, Json, str]:
    name, correlation_key = collected(
        lambda: _text(body, "name", NAME_MAX_CHARACTERS),
        lambda: _text(body, "correlationKey", CORRELATION_MAX_CHARACTERS, otherwise=""),
    )
    payload = body.get("payload", {})
    event = ingest_event(actor(), name, payload, correlation_key, key, request_now(), BY_API)
    said = _document(event, deliveries_of(event.id, DELIVERIES_SHOWN))
    return 202, said, url_for("api.show_event", event_id=event.id)


def _text(body: Json, field: str, max_characters: int, otherwise: str | None = None) -> str:
    value = body.get(field)
    if value is None and otherwise is not None:
        return otherwise
    if not isinstance(value, str):
        raise Refused.at(field, "This must be text.", "TEXT_EXPECTED" if field in body else "REQUIRED")
    if len(value) > max_characters:
        raise Refused.at(field, f"At most {max_characters} characters.", "TOO_LONG")
    return value


def _row_document(row: EventRow) -> Json:
    return {
        **_head(row),
        "started": row.started,
        "resumed": row.resumed,
        "refused": row.refused,
    }


def _document(event: Event, deliveries: Any) -> Json:
    return {
        **_head(event),
        "payload": event.payload,
        "deliveries": [_delivery_document(delivery) for delivery in deliveries],
    }


def _head(event: Event | EventRow) -> Json:
    return {
        "id": str(event.id),
        "name": event.name,
        "correlationKey": event.correlation_key or None,
        "source": event.source,
        "runId": str(event.run_id) if event.run_id else None,
        "receivedAt": instant(event.received_at),
    }


def _delivery_document(delivery: DeliveryRow) -> Json:
    return {
        "outcome": delivery.outcome,
        "workflowId": str(delivery.workflow_id),
        "workflowName": delivery.workflow_name,
        "runId": str(delivery.run_id) if delivery.run_id else None,
        "runStatus": delivery.run_status,
        "reason": delivery.reason,
    }
