"""Schedules, their ledger and their outlook, as they are sent and answered."""

from __future__ import annotations

from domain.schedules.entries import OUTCOMES
from domain.schedules.narrowing import TARGETS
from domain.schedules.schedules import TRANSITIONS
from web.api.openapi.words import (
    AN_ID,
    ANY,
    FAULT,
    FLAG,
    ID,
    INSTANT,
    NUMBER,
    TEXT,
    WHOLE,
    Json,
    body,
    choice,
    counted,
    listed,
    maybe,
    more,
    record,
    shown_by,
    text,
)

TRIGGER = choice(("schedule", "recurring"))
STATUS = choice(tuple(TRANSITIONS))
OVERLAP, CATCH_UP = choice(("queue", "skip", "allow")), choice(("latest", "all", "skip"))
DST_GAP, DST_REPEAT = choice(("after", "skip")), choice(("first", "both"))

SCHEDULE = record(
    "Schedule",
    id=ID,
    name=maybe(TEXT),
    displayName=TEXT,
    targetKind=choice(TARGETS),
    workflowId=maybe(ID),
    workflowName=maybe(TEXT),
    workflowVersion=maybe(WHOLE),
    installId=maybe(ID),
    installEnabled=maybe(FLAG),
    extensionId=maybe(ID),
    extensionName=maybe(TEXT),
    endpointId=maybe(ID),
    method=maybe(TEXT),
    path=maybe(TEXT),
    endpointStale=maybe(FLAG),
    maxAttempts=maybe(WHOLE),
    triggerType=TRIGGER,
    runAt=maybe(INSTANT),
    cron=maybe(TEXT),
    timezone=TEXT,
    payload=ANY,
    enabled=FLAG,
    status=STATUS,
    invalidReason=maybe(TEXT),
    pausedAt=maybe(INSTANT),
    pauseReason=maybe(TEXT),
    pausedUntil=maybe(INSTANT),
    skipNextAt=maybe(INSTANT),
    overlap=OVERLAP,
    catchUp=CATCH_UP,
    startsAt=maybe(INSTANT),
    endsAt=maybe(INSTANT),
    maxLatenessSeconds=maybe(WHOLE),
    spreadSeconds=WHOLE,
    dstGap=DST_GAP,
    dstRepeat=DST_REPEAT,
    externalKey=maybe(TEXT),
    nextFireAt=maybe(INSTANT),
    lastRunAt=maybe(INSTANT),
    lastFireAt=maybe(INSTANT),
    lastFinishedAt=maybe(INSTANT),
    lastRunStatus=maybe(TEXT),
    lastError=maybe(TEXT),
    revision=WHOLE,
    createdAt=INSTANT,
    updatedAt=INSTANT,
)

# startsAt and endsAt may also be wall times in the zone.
_TIMING: Json = {
    "triggerType": maybe(TRIGGER),
    "runAt": maybe(TEXT),
    "cron": maybe(text(128)),
    "timezone": maybe(TEXT),
    "startsAt": maybe(TEXT),
    "endsAt": maybe(TEXT),
    "dstGap": maybe(DST_GAP),
    "dstRepeat": maybe(DST_REPEAT),
}
_OF_ENDPOINTS: Json = {
    **_TIMING,
    "name": maybe(text(128)),
    "targetKind": maybe(choice(TARGETS)),
    "installId": maybe(ID),
    "endpointId": maybe(ID),
    "payload": ANY,
    "enabled": FLAG,
    "overlap": maybe(OVERLAP),
    "catchUp": maybe(CATCH_UP),
    "maxLatenessSeconds": maybe(counted(1, 2_592_000)),
    "spreadSeconds": maybe(counted(0, 3_600)),
    "externalKey": maybe(TEXT),
    "maxAttempts": maybe(counted(1, 10)),
}
_ANY: Json = {**_OF_ENDPOINTS, "workflowId": maybe(ID)}
_REVISION: Json = {"revision": maybe(WHOLE)}
NEW_SCHEDULE = shown_by({"workflowId": AN_ID, "cron": "0 7 * * *", "enabled": True}, body("NewSchedule", **_ANY))
SCHEDULE_CHANGE = shown_by({"cron": "30 7 * * *", "revision": 3}, body("ScheduleChange", **_ANY, **_REVISION))
NEW_CALL_SCHEDULE = shown_by(
    {"endpointId": AN_ID, "cron": "0 7 * * *", "payload": {"full": True}}, body("NewCallSchedule", **_OF_ENDPOINTS)
)
CALL_SCHEDULE_CHANGE = body("CallScheduleChange", **_OF_ENDPOINTS, **_REVISION)
PAUSE = shown_by({"reason": "Audit"}, body("Pause", reason=maybe(TEXT), until=maybe(INSTANT), **_REVISION))
RESUME = body("Resume", catchUp=maybe(choice(("skip", "latest", "all"))), **_REVISION)
TIMING = shown_by({"cron": "30 2 * * *", "timezone": "Europe/Berlin"}, body("Timing", **_TIMING))

FILTERS: Json = {"q": text(128), "status": STATUS, "triggerType": TRIGGER, "enabled": FLAG}
ANY_FILTERS: Json = {**FILTERS, "workflowId": ID, "targetKind": choice(TARGETS), "installId": ID}

OCCURRENCE = record(
    "Occurrence",
    scheduledFor=INSTANT,
    through=maybe(INSTANT),
    count=WHOLE,
    origin=TEXT,
    outcome=choice(OUTCOMES),
    reason=maybe(TEXT),
    detail=ANY,
    decidedAt=INSTANT,
    runId=maybe(ID),
    runStatus=maybe(TEXT),
    runError=ANY,
    runSeconds=maybe(NUMBER),
)
CHECK = record(
    "Check",
    name=TEXT,
    state=choice(("ok", "warn", "fail")),
    sentence=TEXT,
    remedy=maybe(TEXT),
    runId=maybe(ID),
)
EXPLANATION = record(
    "Explanation", fires=FLAG, nextFireAt=maybe(INSTANT), sentence=TEXT, remedy=maybe(TEXT), checks=listed(CHECK)
)
FIRE = record("Fire", at=INSTANT, local=TEXT)
OWN_FIRE = more("OwnFire", FIRE, skipped=FLAG)
PREVIEW = record("SchedulePreview", words=TEXT, cron=maybe(TEXT), timezone=TEXT, fires=listed(OWN_FIRE))
TIMING_PREVIEW = record(
    "TimingPreview",
    words=TEXT,
    cron=maybe(TEXT),
    timezone=TEXT,
    fires=listed(FIRE),
    clockChanges=listed(record("ClockChange", at=INSTANT, message=TEXT)),
    advice=listed(record("Advice", code=TEXT, message=TEXT)),
)
PREVIEW_LIMIT: Json = {"limit": counted(1, 200)}

SCHEDULE_BUNDLE: Json = {"title": "ScheduleBundle", "type": "object"}
"""A file with schedules; its schema is in the documentation."""
IMPORT_OPTIONS: Json = {"dryRun": FLAG, "fingerprint": text(128)}
IMPORTED = record(
    "ScheduleImport",
    dryRun=FLAG,
    fingerprint=TEXT,
    schedules=listed(
        record(
            "ImportedSchedule",
            externalKey=TEXT,
            name=maybe(TEXT),
            target=TEXT,
            targetKind=choice(("workflow", "endpoint")),
            action=choice(("create", "update", "unchanged", "skip", "conflict")),
            scheduleId=maybe(ID),
            warnings=listed(TEXT),
            errors=listed(FAULT),
        )
    ),
)
