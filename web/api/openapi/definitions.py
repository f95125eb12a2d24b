"""Workflow definitions and payload schemas, as they are sent and answered."""

from __future__ import annotations

from domain.publishing import STATUSES
from web.api.openapi.document import FAULT
from web.api.openapi.words import (
    ANY,
    FLAG,
    ID,
    INSTANT,
    NUMBER,
    OBJECT,
    TEXT,
    WHOLE,
    Json,
    body,
    choice,
    listed,
    maybe,
    record,
    text,
)

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
_CONTENT: Json = {
    "definition": OBJECT,
    "trigger": maybe(OBJECT),
    "payloadSchemaMode": TEXT,
    "payloadSchemaRef": maybe(TEXT),
}
DRAFT = record("Draft", version=WHOLE, **_CONTENT)
_SETTINGS: Json = {
    "concurrencyLimit": maybe(WHOLE),
    "failureRateThreshold": maybe(NUMBER),
    "failureRateMinRuns": maybe(WHOLE),
    "retentionPolicyOverride": ANY,
}
DEFINITION = record(
    "WorkflowDefinition",
    id=ID,
    key=TEXT,
    name=TEXT,
    description=maybe(TEXT),
    status=choice(STATUSES),
    isSystem=FLAG,
    isVisible=FLAG,
    pausedAt=maybe(INSTANT),
    pauseReason=maybe(TEXT),
    **_SETTINGS,
    autoPauseOnFailure=FLAG,
    publishedVersion=maybe(WHOLE),
    publishedAt=maybe(INSTANT),
    definition=maybe(OBJECT),
    definitionHash=maybe(TEXT),
    trigger=maybe(OBJECT),
    payloadSchemaMode=maybe(TEXT),
    payloadSchemaRef=maybe(TEXT),
    payloadSchema=ANY,
    draft=DRAFT,
    revision=WHOLE,
    createdAt=INSTANT,
    updatedAt=INSTANT,
)
_WRITABLE: Json = {
    "name": maybe(text(128)),
    "key": maybe(TEXT),
    "description": maybe(TEXT),
    **_SETTINGS,
    "autoPauseOnFailure": maybe(FLAG),
    "draft": maybe(body("DraftChange", **{**_CONTENT, "payloadSchemaMode": maybe(TEXT)})),
}
NEW_DEFINITION = body("NewWorkflowDefinition", **_WRITABLE)
DEFINITION_CHANGE = body("WorkflowDefinitionChange", **_WRITABLE, revision=maybe(WHOLE))
PUBLISH = body("Publish", revision=maybe(WHOLE))
PUBLISHED = record(
    "Published",
    version=WHOLE,
    schedulesMoved=WHOLE,
    schedulesInvalid=WHOLE,
    schedulesRecovered=WHOLE,
    warnings=listed(FAULT),
    revision=WHOLE,
)
RUN = body("RunWorkflow", payload=OBJECT)
FILTERS: Json = {"q": text(128), "status": choice(STATUSES)}

SCHEMA_ROW = record("PayloadSchemaRow", ref=TEXT, isBuiltIn=FLAG, usedAt=maybe(INSTANT), draftCount=WHOLE)
SCHEMA = record(
    "PayloadSchema",
    ref=TEXT,
    schema=ANY,
    isBuiltIn=FLAG,
    usedAt=maybe(INSTANT),
    createdAt=maybe(INSTANT),
    updatedAt=maybe(INSTANT),
)
NEW_SCHEMA = body("NewPayloadSchema", needs=("ref", "schema"), ref=TEXT, schema=ANY)
SCHEMA_CHANGE = body("PayloadSchemaChange", needs=("schema",), schema=ANY)
