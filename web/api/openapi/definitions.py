"""Workflow definitions, as they are answered."""

from __future__ import annotations

from domain.publishing import STATUSES
from web.api.openapi.words import ANY, FLAG, ID, INSTANT, TEXT, WHOLE, Json, choice, maybe, record, text

DEFINITION_ROW = record(
    "WorkflowDefinitionRow",
    id=ID,
    key=TEXT,
    name=TEXT,
    status=choice(STATUSES),
    publishedVersion=maybe(WHOLE),
    hasNewerDraft=FLAG,
    scheduleCount=WHOLE,
    lastRunId=maybe(ID),
    lastRunStatus=maybe(TEXT),
)
DEFINITION = record(
    "WorkflowDefinition",
    id=ID,
    key=TEXT,
    name=TEXT,
    description=maybe(TEXT),
    status=choice(STATUSES),
    pauseReason=maybe(TEXT),
    concurrencyLimit=maybe(WHOLE),
    publishedVersion=maybe(WHOLE),
    publishedAt=maybe(INSTANT),
    definition=ANY,
    definitionHash=maybe(TEXT),
    payloadSchemaRef=maybe(TEXT),
    payloadSchema=ANY,
    revision=WHOLE,
    createdAt=INSTANT,
    updatedAt=INSTANT,
)
FILTERS: Json = {"q": text(128), "status": choice(STATUSES)}
