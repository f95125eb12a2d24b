"""The JSON Schema (2020-12) of workflow bundles, which is published as `docs/schemas/workflow-bundle.v1.schema.json`."""

from __future__ import annotations

from typing import Any

from domain.bundles.form import Form
from domain.workflows.draft_fields import (
    DESCRIPTION_MAX_CHARACTERS,
    INFERRED,
    KEY_MAX_CHARACTERS,
    LIMIT_MAX,
    MIN_RUNS_MAX,
    PINNED,
)
from domain.workflows.schema_rules import DIALECT

FORMAT = "alga-psa.workflow-bundle"
FORMAT_VERSION = 1
MAX_WORKFLOWS = 1_000
MAX_VERSIONS = 1_000
# The versions that are published after it have to fit the column too.
_MAX_VERSION = 999_999_999

_BOOLEAN = {"type": "boolean"}
_OBJECT = {"type": "object"}
_NUMBER = {"type": "integer", "minimum": 1, "maximum": _MAX_VERSION}
_REF = {"type": ["string", "null"], "minLength": 1, "maxLength": 200}


def _strict(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    properties = {**required, **optional}
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "type": [schema["type"], "null"]}


def _list(items: dict[str, Any], most: int = 10_000) -> dict[str, Any]:
    return {"type": "array", "items": items, "maxItems": most}


_METADATA = _strict(
    {
        "name": {"type": "string", "minLength": 1},
        "description": {"type": ["string", "null"], "maxLength": DESCRIPTION_MAX_CHARACTERS},
        "payloadSchemaRef": _REF,
        "payloadSchemaMode": {"enum": [PINNED, INFERRED, None]},
        "pinnedPayloadSchemaRef": _REF,
        "trigger": _or_null(_OBJECT),
        "isSystem": _BOOLEAN,
        "isVisible": _BOOLEAN,
        "isPaused": _BOOLEAN,
        "concurrencyLimit": _or_null({"type": "integer", "minimum": 1, "maximum": LIMIT_MAX}),
        "autoPauseOnFailure": _BOOLEAN,
        "failureRateThreshold": {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
                {"type": "string", "pattern": "^(0?\\.[0-9]*[1-9][0-9]*|1(\\.0*)?)$", "maxLength": 20},
                {"type": "null"},
            ]
        },
        "failureRateMinRuns": _or_null({"type": "integer", "minimum": 1, "maximum": MIN_RUNS_MAX}),
        "retentionPolicyOverride": _or_null(_OBJECT),
    }
)
_DEPENDENCIES = _strict(
    {
        "actions": _list(_strict({"actionId": {"type": "string"}, "version": {"type": "integer"}})),
        "nodeTypes": _list({"type": "string"}),
        "schemaRefs": _list({"type": "string"}),
    }
)
_VERSION = _strict(
    {
        "version": _NUMBER,
        "definition": {**_OBJECT, "properties": {"payloadSchemaRef": _REF}},
        "payloadSchemaJson": _or_null(_OBJECT),
    }
)
_WORKFLOW = _strict(
    {
        "key": {"type": "string", "pattern": "^[a-z0-9][a-z0-9._-]*$", "maxLength": KEY_MAX_CHARACTERS},
        "metadata": {"$ref": "#/$defs/metadata"},
        "draft": {"$ref": "#/$defs/draft"},
        "publishedVersions": _list({"$ref": "#/$defs/publishedVersion"}, MAX_VERSIONS),
    },
    dependencies={"$ref": "#/$defs/dependencies"},
)

SCHEMA: dict[str, Any] = {
    "$schema": DIALECT,
    "title": "Workflow bundle, version 1",
    **_strict(
        {
            "format": {"const": FORMAT},
            "formatVersion": {"const": FORMAT_VERSION},
            "exportedAt": {"type": "string", "format": "date-time", "maxLength": 40},
            "workflows": {**_list({"$ref": "#/$defs/workflow"}, MAX_WORKFLOWS), "minItems": 1},
        }
    ),
    "$defs": {
        "workflow": _WORKFLOW,
        "metadata": _METADATA,
        "dependencies": _DEPENDENCIES,
        "draft": _strict({"draftVersion": _NUMBER, "definition": _OBJECT}),
        "publishedVersion": _VERSION,
    },
}

FORM = Form(SCHEMA, "workflows")
