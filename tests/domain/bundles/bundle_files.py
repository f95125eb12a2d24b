"""Bundles that tests begin with, as documents and as files."""

from __future__ import annotations

import copy
import json
from typing import Any

from domain.workflows.built_in_schemas import BUILT_IN, EMPTY_REF

SAY_SO = {
    "id": "say-so",
    "type": "action.call",
    "config": {"actionId": "log.write", "version": 1, "inputMapping": {"level": "info", "message": "Synced."}},
}
FIXED = "2026-01-25T00:00:00.000Z"


def an_entry(key: str = "invoice-sync", steps: Any = None, versions: Any = (1,), **metadata: Any) -> dict[str, Any]:
    """A workflow that writes one line, published as `versions`; a version may be an object of its own."""
    definition = {"steps": [SAY_SO] if steps is None else steps}
    settings = {
        "name": key.capitalize(),
        "description": None,
        "payloadSchemaRef": EMPTY_REF,
        "payloadSchemaMode": "pinned",
        "pinnedPayloadSchemaRef": None,
        "trigger": None,
        "isSystem": False,
        "isVisible": True,
        "isPaused": False,
        "concurrencyLimit": 1,
        "autoPauseOnFailure": False,
        "failureRateThreshold": None,
        "failureRateMinRuns": None,
        "retentionPolicyOverride": None,
    }
    schema = BUILT_IN[EMPTY_REF]
    published = [
        one if isinstance(one, dict) else {"version": one, "definition": definition, "payloadSchemaJson": schema}
        for one in versions
    ]
    numbers = [one["version"] for one in published]
    draft = {"draftVersion": max(numbers, default=0) + 1, "definition": definition}
    return copy.deepcopy({"key": key, "metadata": settings | metadata, "draft": draft, "publishedVersions": published})


def a_document(*entries: dict[str, Any], **members: Any) -> dict[str, Any]:
    """A bundle of these entries, or of one workflow."""
    return {
        "format": "alga-psa.workflow-bundle",
        "formatVersion": 1,
        "exportedAt": FIXED,
        "workflows": list(entries) or [an_entry()],
    } | members


def a_file(*entries: dict[str, Any], **members: Any) -> bytes:
    """The document as a file, with its keys in the order in which somebody wrote them."""
    return json.dumps(a_document(*entries, **members)).encode()
