"""Workflow definitions, payload schemas and bundles of workflows, as they are sent and answered."""

from __future__ import annotations

from domain.publishing import STATUSES
from web.api.openapi.words import (
    ANY,
    FAULT,
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
    counted,
    listed,
    maybe,
    record,
    shown_by,
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
TRIGGER = maybe(OBJECT)
MODE = choice(("pinned", "inferred"))
DRAFT = record(
    "WorkflowDraft",
    version=WHOLE,
    definition=ANY,
    trigger=TRIGGER,
    payloadSchemaMode=MODE,
    payloadSchemaRef=maybe(TEXT),
)
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
    concurrencyLimit=maybe(WHOLE),
    autoPauseOnFailure=FLAG,
    failureRateThreshold=maybe(NUMBER),
    failureRateMinRuns=maybe(WHOLE),
    retentionPolicyOverride=maybe(OBJECT),
    publishedVersion=maybe(WHOLE),
    publishedAt=maybe(INSTANT),
    definition=ANY,
    definitionHash=maybe(TEXT),
    trigger=TRIGGER,
    payloadSchemaMode=maybe(MODE),
    payloadSchemaRef=maybe(TEXT),
    payloadSchema=ANY,
    draft=DRAFT,
    revision=WHOLE,
    createdAt=INSTANT,
    updatedAt=INSTANT,
)
NEW_DRAFT = body(
    "WorkflowDraftChange",
    definition=OBJECT,
    trigger=TRIGGER,
    payloadSchemaMode=maybe(MODE),
    payloadSchemaRef=maybe(TEXT),
)
_SETTINGS: Json = {
    "name": text(128),
    "key": maybe(text(128)),
    "description": maybe(text(2_000)),
    "concurrencyLimit": maybe(counted(1, 1_000)),
    "autoPauseOnFailure": maybe(FLAG),
    "failureRateThreshold": maybe(NUMBER),
    "failureRateMinRuns": maybe(counted(1, 1_000)),
    "retentionPolicyOverride": maybe(OBJECT),
    "draft": maybe(NEW_DRAFT),
}
NEW_DEFINITION = shown_by(
    {"name": "Invoice sync", "draft": {"definition": {"steps": [{"id": "end", "type": "control.return"}]}}},
    body("NewWorkflowDefinition", needs=("name",), **_SETTINGS),
)
DEFINITION_CHANGE = body("WorkflowDefinitionChange", revision=maybe(WHOLE), **_SETTINGS)
PUBLISH = body("Publish", revision=maybe(WHOLE))
PUBLISHED = record(
    "PublishedWorkflow",
    version=WHOLE,
    schedulesMoved=WHOLE,
    schedulesInvalid=WHOLE,
    schedulesRecovered=WHOLE,
    warnings=listed(FAULT),
    revision=WHOLE,
)
PAUSE = body("WorkflowPause", reason=maybe(TEXT))
RUN = body("WorkflowRun", payload=OBJECT)
FILTERS: Json = {"q": text(128), "status": choice(STATUSES)}

PAYLOAD_SCHEMA_ROW = record("PayloadSchemaRow", ref=TEXT, isBuiltIn=FLAG, usedAt=maybe(INSTANT), draftCount=WHOLE)
PAYLOAD_SCHEMA = record(
    "PayloadSchema",
    ref=TEXT,
    schema=ANY,
    isBuiltIn=FLAG,
    usedAt=maybe(INSTANT),
    createdAt=maybe(INSTANT),
    updatedAt=maybe(INSTANT),
)
NEW_PAYLOAD_SCHEMA = shown_by(
    {"ref": "payload.InvoiceSync.v1", "schema": {"type": "object", "properties": {"region": {"type": "string"}}}},
    body("NewPayloadSchema", needs=("ref", "schema"), ref=TEXT, schema=ANY),
)
PAYLOAD_SCHEMA_CHANGE = body("PayloadSchemaChange", needs=("schema",), schema=ANY)

WORKFLOW_BUNDLE: Json = {"title": "WorkflowBundle", "type": "object"}
"""A file with workflows; its schema is in the documentation."""
IMPORT_OPTIONS: Json = {"force": FLAG, "cancelRuns": FLAG, "dryRun": FLAG, "fingerprint": text(128)}
IMPORTED: Json = {"title": "WorkflowImport", "type": "object", "properties": {"dryRun": FLAG}, "required": ["dryRun"]}
"""What an import does or would do; a plan has other members than what was done."""
