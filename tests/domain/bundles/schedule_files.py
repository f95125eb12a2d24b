"""Schedule bundles as somebody would write them by hand."""

from __future__ import annotations

import json
from typing import Any

from domain.bundles.schedule_documents import ScheduleBundle, read_schedule_bundle

WORKFLOW = {"workflow": "invoice-sync"}
CALL = {"publisher": "Acme", "extension": "com.acme.rmm-sync", "method": "POST", "path": "/api/sync"}
HOURLY = {"triggerType": "recurring", "timezone": "UTC", "cron": "0 * * * *"}


def an_item(key: str = "morning", **members: Any) -> dict[str, Any]:
    """Hourly, of the workflow invoice-sync, with an empty payload, unless told otherwise; None leaves a member out."""
    item = {"externalKey": key, "name": f"The {key} sync", "target": WORKFLOW, "timing": HOURLY} | members
    return {name: value for name, value in item.items() if value is not None}


def a_call_item(key: str = "sync", **members: Any) -> dict[str, Any]:
    return an_item(key, **{"target": CALL, "name": None} | members)


def a_file(*items: dict[str, Any], **members: Any) -> bytes:
    document = {"format": "carillon.schedule-bundle", "formatVersion": 1, "schedules": list(items)}
    return json.dumps(document | members).encode()


def a_bundle(*items: dict[str, Any]) -> ScheduleBundle:
    return read_schedule_bundle(a_file(*items))
