"""Schedules as JSON, both ways: the document that is answered, and the draft that a body describes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any
from uuid import UUID

from domain.kernel.errors import Problem, Refused
from domain.schedules.drafts import ScheduleDraft
from domain.schedules.listing import ScheduleView
from domain.schedules.schedules import ACTIVE, COMPLETED, ENDPOINT, WORKFLOW, Schedule
from web.api.answering import Json, instant
from web.api.reading import id_in

# Members of a body → fields of a draft that take the value as it is.
_PLAIN = {
    "name": "name",
    "triggerType": "trigger_type",
    "runAt": "run_at",
    "cron": "cron",
    "timezone": "timezone",
    "payload": "payload",
    "overlap": "overlap",
    "catchUp": "catch_up",
    "startsAt": "starts_at",
    "endsAt": "ends_at",
    "maxLatenessSeconds": "max_lateness_seconds",
    "spreadSeconds": "spread_seconds",
    "dstGap": "dst_gap",
    "dstRepeat": "dst_repeat",
    "externalKey": "external_key",
    "maxAttempts": "max_attempts",
}
_IDS = {"workflowId": "workflow_id", "installId": "install_id", "endpointId": "endpoint_id"}
CREATABLE = frozenset({*_PLAIN, *_IDS, "enabled", "targetKind"})
EDITABLE = CREATABLE | {"revision"}
READ_ONLY = frozenset(
    {
        "id",
        "displayName",
        "workflowName",
        "workflowVersion",
        "status",
        "invalidReason",
        "pausedAt",
        "pauseReason",
        "nextFireAt",
    }
    | {"pausedUntil", "skipNextAt", "extensionId", "extensionName", "method", "path", "installEnabled", "endpointStale"}
    | {"lastRunAt", "lastFireAt", "lastFinishedAt", "lastRunStatus", "lastError", "revision", "createdAt", "updatedAt"}
)
_ENDPOINT_MISSING = Problem("endpointId", "Name the endpoint to call by its id.", "ENDPOINT_REQUIRED")
_DEFAULTS = {field.name: field.default for field in fields(ScheduleDraft)}


def schedule_document(view: ScheduleView) -> Json:
    """A schedule as the API shows it. `lastRunAt` is when its last successful run ended. `name` is null for one of an
    endpoint that has none of its own; `displayName` then says what it calls."""
    schedule = view.schedule
    return {
        "id": str(schedule.id),
        "name": schedule.name if schedule.is_named else None,
        "displayName": schedule.name,
        **_target(view),
        "triggerType": schedule.trigger_type,
        "runAt": instant(schedule.run_at),
        "cron": schedule.cron,
        "timezone": schedule.timezone,
        "payload": schedule.payload_json,
        "enabled": schedule.enabled,
        "status": schedule.status,
        "invalidReason": schedule.invalid_reason,
        "pausedAt": instant(schedule.paused_at),
        "pauseReason": schedule.pause_reason,
        "pausedUntil": instant(schedule.paused_until),
        "skipNextAt": instant(schedule.skip_next_at),
        "overlap": schedule.overlap,
        "catchUp": schedule.catch_up,
        "startsAt": instant(schedule.starts_at),
        "endsAt": instant(schedule.ends_at),
        "maxLatenessSeconds": schedule.max_lateness_seconds,
        "spreadSeconds": schedule.spread_seconds,
        "dstGap": schedule.dst_gap,
        "dstRepeat": schedule.dst_repeat,
        "externalKey": schedule.external_key,
        **_position(view),
        "revision": schedule.revision,
        "createdAt": instant(schedule.created_at),
        "updatedAt": instant(schedule.updated_at),
    }


def _target(view: ScheduleView) -> Json:
    """What it runs. What a target of the other kind has is null."""
    schedule, install, endpoint = view.schedule, view.install, view.endpoint
    return {
        "targetKind": schedule.target_kind,
        "workflowId": str(schedule.workflow_id) if schedule.workflow_id else None,
        "workflowName": view.workflow_name,
        "workflowVersion": schedule.workflow_version,
        "installId": str(install.id) if install else None,
        "installEnabled": install.enabled if install else None,
        "extensionId": str(install.extension_id) if install else None,
        "extensionName": view.extension_name,
        "endpointId": str(endpoint.id) if endpoint else None,
        "method": endpoint.method if endpoint else None,
        "path": endpoint.path if endpoint else None,
        "endpointStale": endpoint.version_id != install.version_id if endpoint and install else None,
        "maxAttempts": schedule.max_attempts if endpoint else None,
    }


def _position(view: ScheduleView) -> Json:
    """Where its ledger stands: what fires next, and what came of the last ones."""
    cursor = view.cursor
    return {
        "nextFireAt": instant(view.next_fire_at),
        "lastRunAt": instant(cursor.last_run_at),
        "lastFireAt": instant(cursor.last_fire_at),
        "lastFinishedAt": instant(cursor.last_finished_at),
        "lastRunStatus": cursor.last_run_status,
        "lastError": cursor.last_error,
    }


def body_kind(body: Mapping[str, Any]) -> str:
    """The kind of target that a body asks for: that of an endpoint when it says so or names one."""
    names_endpoint = body.get("endpointId") is not None or body.get("installId") is not None
    return ENDPOINT if names_endpoint or body.get("targetKind") == ENDPOINT else WORKFLOW


def new_draft(body: Mapping[str, Any], timezone: str) -> ScheduleDraft:
    """The draft that a body describes; `timezone` is for one that names none. Raises Refused for members of a wrong kind."""
    if body_kind(body) == ENDPOINT and body.get("endpointId") is None:
        raise Refused([*_problems_of_kind(body, ENDPOINT), _ENDPOINT_MISSING])
    return _changed(ScheduleDraft(timezone=timezone), body, body_kind(body), is_once=None)


def edited_draft(schedule: Schedule, body: Mapping[str, Any]) -> ScheduleDraft:
    """The stored schedule with the members of a body put over it.

    Without `enabled` a schedule stays as it is, but one that has completed is due again with whatever is new about it.
    """
    stored = ScheduleDraft(
        workflow_id=schedule.workflow_id,
        install_id=schedule.install_id,
        endpoint_id=schedule.endpoint_id,
        max_attempts=schedule.max_attempts,
        name=schedule.name if schedule.is_named else "",
        trigger_type=schedule.trigger_type,
        run_at=instant(schedule.run_at),
        cron=schedule.cron,
        timezone=schedule.timezone,
        payload=schedule.payload_json,
        enabled=schedule.status in (ACTIVE, COMPLETED),
        overlap=schedule.overlap,
        catch_up=schedule.catch_up,
        starts_at=instant(schedule.starts_at),
        ends_at=instant(schedule.ends_at),
        max_lateness_seconds=schedule.max_lateness_seconds,
        spread_seconds=schedule.spread_seconds,
        dst_gap=schedule.dst_gap,
        dst_repeat=schedule.dst_repeat,
        external_key=schedule.external_key,
    )
    return _changed(stored, body, schedule.target_kind, is_once=schedule.trigger_type == "schedule")


def _changed(draft: ScheduleDraft, body: Mapping[str, Any], kind: str, is_once: bool | None) -> ScheduleDraft:
    problems = _problems_of_kind(body, kind)
    if problems:
        raise Refused(problems)
    values = {_PLAIN[name]: value for name, value in body.items() if name in _PLAIN}
    # null means "as if nothing had been said", which for most members is their default.
    values = {
        name: _DEFAULTS[name] if value is None and isinstance(_DEFAULTS[name], str | int) else value
        for name, value in values.items()
    }
    if body.get("timezone", "") is None:
        values["timezone"] = draft.timezone
    values |= {_IDS[name]: _id_or_none(body[name], name, kind) for name in _IDS if name in body}
    if "enabled" in body:
        values["enabled"] = body["enabled"]
    values["trigger_type"] = _trigger_type(body, is_once)
    changed = replace(draft, **values)
    return _one_timing(changed, body)


def _trigger_type(body: Mapping[str, Any], is_once: bool | None) -> Any:
    """What the body says, else what the timing in it implies, else what it was."""
    if body.get("triggerType") is not None:
        return body["triggerType"]
    if body.get("cron") is not None:
        return "recurring"
    return "schedule" if body.get("runAt") is not None or is_once else "recurring"


def _one_timing(draft: ScheduleDraft, body: Mapping[str, Any]) -> ScheduleDraft:
    """Without the stored half of the other kind of timing; raises Refused when the body itself gives both halves."""
    if draft.trigger_type == "schedule":
        if body.get("cron") is not None:
            message = "A one-time schedule has no cron. Leave out cron, or leave out runAt."
            raise Refused.at("cron", message, "TIMING_AMBIGUOUS")
        return replace(draft, cron=None, starts_at=None, ends_at=None)
    if body.get("runAt") is not None:
        message = "A recurring schedule has no runAt. Leave out runAt, or leave out cron."
        raise Refused.at("runAt", message, "TIMING_AMBIGUOUS")
    return replace(draft, run_at=None)


def _problems_of_kind(body: Mapping[str, Any], kind: str) -> list[Problem]:
    """Members that cannot be what they are; `kind`: of the target that the schedule has or is to have."""
    problems = []
    if "enabled" in body and not isinstance(body["enabled"], bool):
        problems.append(Problem("enabled", "Write true or false.", "BOOLEAN_REQUIRED"))
    # What an endpoint takes depends on its method: `domain.schedules.payloads` says it.
    if "payload" in body and kind == WORKFLOW and not isinstance(body["payload"], dict):
        message = "The payload must be a JSON object, in curly braces."
        problems.append(Problem("payload", message, "PAYLOAD_NOT_OBJECT"))
    if body.get("maxAttempts") is not None and kind == WORKFLOW:
        message = (
            "Only calls of an endpoint have this. The steps of a workflow say themselves how often they are tried."
        )
        problems.append(Problem("maxAttempts", message, "ENDPOINT_ONLY"))
    told = body.get("targetKind")
    if told is not None and told not in (WORKFLOW, ENDPOINT):
        problems.append(Problem("targetKind", "Write workflow or endpoint.", "TARGET_KIND_INVALID"))
    elif told is not None and told != kind:
        message = f"This is about {'an endpoint' if kind == ENDPOINT else 'a workflow'}: leave targetKind out."
        problems.append(Problem("targetKind", message, "TARGET_KIND_INVALID"))
    for name in _IDS:
        try:
            if name in body:
                _id_or_none(body[name], name, kind)
        except Refused as refused:
            problems += refused.problems
    return problems


def _id_or_none(value: Any, name: str, kind: str) -> UUID | None:
    is_needed = name == ("endpointId" if kind == ENDPOINT else "workflowId")
    return None if value is None and not is_needed else id_in(value, name)
