"""Tells Carillon that something happened: starts the workflows that the event triggers, wakes the runs that wait for it."""

from __future__ import annotations

from typing import Any

from domain.accounts.audit import Actor
from domain.engine.actions.action import LOCAL, Action, ActionContext, Example
from domain.engine.actions.schemas import OBJECT, TEXT, described, object_schema
from domain.engine.failures import VALIDATION, StepFailed
from domain.events.event_types import NAME_MAX_CHARACTERS
from domain.events.events import BY_RUN, REFUSED, RESUMED, STARTED
from domain.events.ingest import CORRELATION_MAX_CHARACTERS, delivery_counts, ingest_event
from domain.kernel.errors import DomainError, Refused

COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}


def run(inputs: dict[str, Any], context: ActionContext) -> dict[str, Any]:
    try:
        event = ingest_event(
            Actor(context.tenant_id),
            inputs["name"],
            inputs["payload"],
            inputs.get("correlation_key", ""),
            f"event.publish:{context.run_id}:{context.step_path}:{context.iteration}",
            context.now,
            BY_RUN,
            context.run_id,
            context.depth,
        )
    except DomainError as refusal:
        code = refusal.problems[0].code if isinstance(refusal, Refused) and refusal.problems else refusal.code
        raise StepFailed(f"The event was not taken: {refusal}", code, VALIDATION) from None
    counts = delivery_counts(event.id)
    return {"eventId": str(event.id)} | {outcome: counts[outcome] for outcome in (STARTED, RESUMED, REFUSED)}


ACTION = Action(
    id="event.publish",
    version=1,
    label="Publish an event",
    category="event",
    description="Publishes an event of the catalogue, once: it starts the workflows it triggers and wakes who waits for it.",
    input_schema=object_schema(
        ("correlation_key",),
        name=described({"type": "string", "maxLength": NAME_MAX_CHARACTERS}, "An event of the catalogue."),
        payload=described(OBJECT, "Checked with the event's payload schema."),
        correlation_key=described(
            {"type": "string", "maxLength": CORRELATION_MAX_CHARACTERS},
            "What ties it to the runs that wait for it, such as an order number.",
        ),
    ),
    output_schema=object_schema(eventId=TEXT, started=COUNT, resumed=COUNT, refused=COUNT),
    effect=LOCAL,
    example=Example(
        {"name": "invoice.paid", "payload": {"number": 42}, "correlation_key": "42"},
        {"eventId": "01a1fb80-25f1-7000-9878-3cc29d3900f9", "started": 1, "resumed": 0, "refused": 0},
    ),
    run=run,
)
