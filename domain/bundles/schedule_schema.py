"""The JSON Schema (2020-12) of schedule bundles, which is published as `docs/schemas/schedule-bundle.v1.schema.json`.

It says which members there are and of which kind; whether a pattern fires or a payload fits is checked as for anybody
who makes a schedule (`domain.schedules.drafts`).
"""

from __future__ import annotations

from typing import Any

from domain.bundles.form import Form
from domain.kernel.names import MAX_CHARACTERS
from domain.schedules.drafts import (
    ATTEMPTS_MAX,
    CATCH_UPS,
    DST_GAPS,
    DST_REPEATS,
    MAX_LATENESS_SECONDS,
    MAX_SPREAD_SECONDS,
    OVERLAPS,
)
from domain.workflows.schema_rules import DIALECT

FORMAT = "carillon.schedule-bundle"
FORMAT_VERSION = 1
MAX_SCHEDULES = 10_000

_NAME = {"type": "string", "minLength": 1, "maxLength": MAX_CHARACTERS}
_TEXT = {"type": "string", "minLength": 1}
_INSTANT = {"type": "string", "format": "date-time", "maxLength": 40}


def _strict(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "type": [schema["type"], "null"]}


def _left_out(*names: str) -> dict[str, Any]:
    return {"properties": dict.fromkeys(names, False)}


_TARGET = {
    "description": "A workflow by its key, or an endpoint of an installed extension.",
    **_strict({"workflow": _TEXT, "publisher": _TEXT, "extension": _TEXT, "method": _TEXT, "path": _TEXT}),
    "if": {"required": ["workflow"]},
    "then": _left_out("publisher", "extension", "method", "path"),
    "else": {"required": ["publisher", "extension", "method", "path"]},
}
_TIMING = {
    "description": "Once at runAt (triggerType schedule), or by a cron pattern of five fields (recurring).",
    **_strict(
        {
            "triggerType": {"enum": ["schedule", "recurring"]},
            "timezone": {"description": "An IANA name such as Europe/Paris.", **_TEXT},
            "runAt": _INSTANT,
            "cron": _TEXT,
            "startsAt": _or_null(_INSTANT),
            "endsAt": _or_null(_INSTANT),
            "dstGap": {"enum": list(DST_GAPS)},
            "dstRepeat": {"enum": list(DST_REPEATS)},
        },
        "triggerType",
        "timezone",
    ),
    "if": {"properties": {"triggerType": {"const": "schedule"}}},
    "then": {"required": ["runAt"], **_left_out("cron", "startsAt", "endsAt", "dstGap", "dstRepeat")},
    "else": {"required": ["cron"], **_left_out("runAt")},
}
_POLICIES = _strict(
    {
        "overlap": {"enum": list(OVERLAPS)},
        "catchUp": {"enum": list(CATCH_UPS)},
        "maxLatenessSeconds": {"type": ["integer", "null"], "minimum": 1, "maximum": MAX_LATENESS_SECONDS},
        "spreadSeconds": {"type": "integer", "minimum": 0, "maximum": MAX_SPREAD_SECONDS},
        "maxAttempts": {
            "description": "Of a schedule that calls an endpoint: how often one call is tried at most.",
            "type": "integer",
            "minimum": 1,
            "maximum": ATTEMPTS_MAX,
        },
    }
)
_SCHEDULE = {
    **_strict(
        {
            "externalKey": {"description": "What an import finds the schedule by.", **_NAME},
            "name": {"description": "Null only for one of an endpoint, called what it calls.", **_or_null(_NAME)},
            "target": {"$ref": "#/$defs/target"},
            "timing": {"$ref": "#/$defs/timing"},
            "payload": {"description": "An object; of an endpoint also a list, or null for a call without a body."},
            "policies": {"$ref": "#/$defs/policies"},
        },
        "externalKey",
        "target",
        "timing",
    ),
    "if": {"properties": {"target": {"required": ["workflow"]}}},
    "then": {
        "required": ["name"],
        "properties": {
            "name": {"type": "string"},
            "payload": {"type": "object"},
            "policies": _left_out("maxAttempts"),
        },
    },
}

SCHEMA: dict[str, Any] = {
    "$schema": DIALECT,
    "title": "Schedule bundle, version 1",
    **_strict(
        {
            "format": {"const": FORMAT},
            "formatVersion": {"const": FORMAT_VERSION},
            "schedules": {"type": "array", "items": {"$ref": "#/$defs/schedule"}, "maxItems": MAX_SCHEDULES},
        },
        "format",
        "formatVersion",
        "schedules",
    ),
    "$defs": {"schedule": _SCHEDULE, "target": _TARGET, "timing": _TIMING, "policies": _POLICIES},
}

FORM = Form(SCHEMA, "schedules")
