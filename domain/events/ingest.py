"""An event arrives: it is written down once, starts every workflow that it is the trigger of, and wakes who waits for it.

All of it is one transaction, and each workflow has a savepoint of its own: one that is paused or broken is on record as
refused and stops nobody else; one at its concurrency limit has its run queued, as always.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from domain.accounts.audit import Actor, record_change
from domain.accounts.request_keys import RequestKey, answer_request, claim_request
from domain.accounts.tenants import load
from domain.events.event_types import known_event_type
from domain.events.events import BY_RUN, REFUSED, RESUMED, STARTED, Event, EventDelivery, EventType
from domain.events.trigger_payloads import triggered_payload
from domain.expressions import ExpressionError
from domain.kernel import strict_json
from domain.kernel.db import db, is_about_values
from domain.kernel.errors import Conflict, Held, NotFound, Refused
from domain.kernel.log import logger
from domain.runs.launch import launch
from domain.runs.runs import BY_EVENT, Run
from domain.runs.waking import lock_correlation, resume_event_waits
from domain.workflows.payload_schemas import schema_of
from domain.workflows.payload_secrets import taken_payload
from domain.workflows.versions import WorkflowVersion, version_of
from domain.workflows.workflows import Workflow

# An event may start a run that publishes an event, and so on, this many times; then somebody has made a circle.
MAX_DEPTH = 10
CORRELATION_MAX_CHARACTERS = 256
REASON_MAX_CHARACTERS = 1_000

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\u2028\u2029\ud800-\udfff]")

log = logger(__name__)


class EventKeyReused(Conflict):
    """This request key was used for another event. Choose a new key for every new event."""

    code = "IDEMPOTENCY_KEY_REUSED"


def ingest_event(
    actor: Actor,
    name: str,
    payload: Any,
    correlation_key: str,
    request_key: str,
    now: datetime,
    source: str,
    run_id: UUID | None = None,
    depth: int = 0,
) -> Event:
    """Take an event in and deliver it; repeating the request gives the event that the first one made.

    `source`: api, manual or run; `run_id`: the run that published it; `depth`: how many events led to it. Raises Refused
    at `name` (UNKNOWN_EVENT, EVENT_LOOP), `correlationKey` or `payload…`, and EventKeyReused.
    """
    said = _fingerprint(name, payload, correlation_key)
    if earlier := claim_request(actor.tenant_id, request_key, "events.ingest"):
        return _first_event(actor, earlier, said)
    _check_depth(name, depth)
    event_type = known_event_type(actor.tenant_id, name)
    if correlation_key:
        lock_correlation(actor.tenant_id, name, correlation_key)
    event = Event(
        tenant_id=actor.tenant_id,
        name=name,
        correlation_key=correlation_key,
        payload=_taken_payload(event_type, payload, source),
        source=source,
        actor_id=actor.user_id,
        actor_label=actor.label,
        run_id=run_id,
        depth=depth,
        received_at=now,
    )
    db.session.add(event)
    db.session.flush()
    answer_request(actor.tenant_id, request_key, {"eventId": str(event.id), "said": said})
    _deliver(actor, event, event_type, now)
    return event


def check_correlation_key(key: str, path: str = "correlationKey") -> None:
    """Raises Refused at `path` for what ties nothing to anything."""
    if len(key) > CORRELATION_MAX_CHARACTERS:
        message = f"A correlation key has at most {CORRELATION_MAX_CHARACTERS} characters; this one has {len(key)}."
        raise Refused.at(path, message, "CORRELATION_KEY_TOO_LONG")
    if _UNPRINTABLE.search(key):
        message = "A correlation key cannot contain line breaks or control characters. Remove them."
        raise Refused.at(path, message, "CORRELATION_KEY_CHARACTERS")


def delivery_counts(event_id: UUID) -> Counter[str]:
    """How many workflows and waiting runs an event met, by outcome."""
    counts = select(EventDelivery.outcome, func.count()).where(EventDelivery.event_id == event_id)
    rows = db.session.execute(counts.group_by(EventDelivery.outcome))
    return Counter({outcome: count for outcome, count in rows})  # noqa: C416  rows are no pairs for a type checker


def _first_event(actor: Actor, earlier: RequestKey, said: str) -> Event:
    answer = earlier.answer or {}
    if earlier.action != "events.ingest" or answer.get("said") != said:
        raise EventKeyReused
    return load(actor.tenant_id, Event, UUID(str(answer["eventId"])))


def _fingerprint(name: str, payload: Any, correlation_key: str) -> str:
    """What tells one event from another that bears the same key. Raises Refused for what cannot be stored."""
    check_correlation_key(correlation_key)
    strict_json.check_value(payload, path="payload")
    return hashlib.sha256(strict_json.dumps([name, correlation_key, payload]).encode()).hexdigest()


def _check_depth(name: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        message = (
            f"{depth} events in a row have led to this one: a workflow that {name} starts seems to publish an event that "
            "starts it again. Break the circle."
        )
        raise Refused.at("name", message, "EVENT_LOOP")


def _taken_payload(event_type: EventType, payload: Any, source: str) -> Any:
    """The payload as it is stored: valid for the event's schema, with secrets sealed."""
    schema = schema_of(event_type.tenant_id, event_type.payload_schema_ref)
    # What a run hands on may hold sealed values; what somebody brings may not.
    stored = payload if source == BY_RUN else None
    return taken_payload(event_type.tenant_id, schema, payload, stored)


def _deliver(actor: Actor, event: Event, event_type: EventType, now: datetime) -> None:
    triggered = select(Workflow.id).where(
        Workflow.tenant_id == event.tenant_id, Workflow.event_name == event.name, Workflow.deleted_at.is_(None)
    )
    for workflow_id in db.session.scalars(triggered.order_by(Workflow.id)).all():
        _start(actor, event, event_type, workflow_id, now)
    if event.correlation_key:
        resumed = resume_event_waits(event.tenant_id, event.id, event.name, event.correlation_key, event.payload, now)
        record_resumed(event.id, resumed)
    if event.source != BY_RUN:
        told = {"name": event.name, "correlationKey": event.correlation_key}
        record_change(actor, "event.sent", event, after=told)


def record_resumed(event_id: UUID, resumed: Iterable[tuple[UUID, UUID]]) -> None:
    """Put on record which runs an event let go on: (workflow id, run id) of each."""
    for workflow_id, run_id in resumed:
        db.session.add(EventDelivery(event_id=event_id, workflow_id=workflow_id, run_id=run_id, outcome=RESUMED))
    db.session.flush()


def _start(actor: Actor, event: Event, event_type: EventType, workflow_id: UUID, now: datetime) -> None:
    """Start one workflow, or put on record why not. Only what will pass by itself is raised: then nothing has happened."""
    delivery = EventDelivery(event_id=event.id, workflow_id=workflow_id)
    try:
        with db.session.begin_nested():
            run = _started(actor, event, event_type, workflow_id, now)
    except (Held, Refused, ExpressionError) as refusal:
        delivery.outcome, delivery.reason = REFUSED, _in_words(refusal)
    except Exception as error:
        if isinstance(error, DBAPIError) and not is_about_values(error):
            raise
        log.exception("An event could not start a workflow", event_id=str(event.id), workflow_id=str(workflow_id))
        delivery.outcome, delivery.reason = (
            REFUSED,
            "It could not be started by an error of Carillon; it is in the log.",
        )
    else:
        if run is None:
            return
        delivery.outcome, delivery.run_id = STARTED, run.id
    db.session.add(delivery)
    db.session.flush()


def _started(actor: Actor, event: Event, event_type: EventType, workflow_id: UUID, now: datetime) -> Run | None:
    """The run; None when the workflow was deleted or published with another trigger meanwhile."""
    try:
        workflow = load(event.tenant_id, Workflow, workflow_id, lock="share")
    except NotFound:
        return None
    if workflow.event_name != event.name:
        return None
    version = version_of(event.tenant_id, workflow.id, workflow.published_version)
    metadata = {
        "eventId": str(event.id),
        "eventName": event.name,
        "correlationKey": event.correlation_key,
        "depth": event.depth + 1,
    }
    payload = triggered_payload(version.trigger or {}, _told(event, event_type, version))
    return launch(actor, workflow, payload, BY_EVENT, now, metadata)


def _told(event: Event, event_type: EventType, version: WorkflowVersion) -> dict[str, Any]:
    """What the mapping of a trigger sees as `event`."""
    return {
        "name": event.name,
        "correlationKey": event.correlation_key,
        "payload": event.payload,
        "payloadSchemaRef": (version.trigger or {}).get("sourcePayloadSchemaRef") or event_type.payload_schema_ref,
    }


def _in_words(refusal: Held | Refused | ExpressionError) -> str:
    if isinstance(refusal, Refused):
        where = ((problem.path.removeprefix("payload"), problem.message) for problem in refusal.problems)
        said = "The payload does not fit: " + "; ".join(f"{path}: {why}" if path else why for path, why in where)
    elif isinstance(refusal, ExpressionError):
        said = f"The payload mapping cannot be computed: {refusal.message}"
    else:
        said = refusal.message
    return said if len(said) <= REASON_MAX_CHARACTERS else f"{said[: REASON_MAX_CHARACTERS - 1]}…"
