"""Events, tasks and the audit log, as they are sent and answered."""

from __future__ import annotations

from domain.accounts.audit import CHANGED, REFUSED, SUBJECTS
from domain.events.event_types import NAME_MAX_CHARACTERS
from domain.events.events import REFUSED as TURNED_DOWN
from domain.events.events import RESUMED, STARTED
from domain.events.ingest import CORRELATION_MAX_CHARACTERS
from domain.runs.tasks import STATUSES
from web.api.openapi.words import (
    ANY,
    ID,
    INSTANT,
    OBJECT,
    TEXT,
    WHOLE,
    body,
    choice,
    listed,
    maybe,
    more,
    record,
    shown_by,
    text,
)

DELIVERY = record(
    "Delivery",
    outcome=choice((STARTED, RESUMED, TURNED_DOWN)),
    workflowId=ID,
    workflowName=TEXT,
    runId=maybe(ID),
    runStatus=maybe(TEXT),
    reason=maybe(TEXT),
)
_HEAD = record(
    "EventHead",
    id=ID,
    name=TEXT,
    correlationKey=maybe(TEXT),
    source=TEXT,
    runId=maybe(ID),
    receivedAt=INSTANT,
)
EVENT_ROW = more("EventRow", _HEAD, started=WHOLE, resumed=WHOLE, refused=WHOLE)
EVENT = more("Event", _HEAD, payload=OBJECT, deliveries=listed(DELIVERY))
NEW_EVENT = shown_by(
    {"name": "invoice.paid", "correlationKey": "42", "payload": {"number": 42}},
    body(
        "NewEvent",
        needs=("name",),
        name=text(NAME_MAX_CHARACTERS),
        correlationKey=maybe(text(CORRELATION_MAX_CHARACTERS)),
        payload=OBJECT,
    ),
)

TASK_ROW = record(
    "TaskRow",
    id=ID,
    status=choice(STATUSES),
    taskType=TEXT,
    title=TEXT,
    workflowId=ID,
    workflowName=TEXT,
    runId=ID,
    askedAt=INSTANT,
    dueAt=maybe(INSTANT),
    closedAt=maybe(INSTANT),
    answeredBy=maybe(TEXT),
)
TASK = more("Task", TASK_ROW, description=maybe(TEXT), context=ANY, formSchema=maybe(OBJECT), answer=ANY)
TASK_ANSWER = body("TaskAnswer", needs=("answer",), answer=ANY)

AUDIT_ENTRY = record(
    "AuditEntry",
    id=ID,
    at=INSTANT,
    action=TEXT,
    result=choice((CHANGED, REFUSED)),
    actorId=maybe(ID),
    actorName=TEXT,
    subjectKind=choice(SUBJECTS),
    subjectId=maybe(ID),
    subjectName=maybe(TEXT),
    before=ANY,
    after=ANY,
    reason=maybe(TEXT),
    requestId=maybe(TEXT),
)
