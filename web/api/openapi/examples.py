"""A request to the API as a command that can be copied: curl with what the request needs, and what is to be filled in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from shlex import quote
from typing import Any

from web.api.openapi.words import Json

SAMPLES = {"string": "…", "integer": 1, "number": 1, "boolean": True, "object": {}, "array": [], "null": None}
FILE = "WorkflowBundle", "ScheduleBundle"
# Where one of several members is enough, the least that a schema takes is no request that anybody wants.
GOOD: dict[str, Json] = {"NewSchedule": {"workflowId": "…", "cron": "0 9 * * 1-5", "enabled": True}}


def curl(method: str, path: str, parameters: Sequence[Json], body: Json | None) -> str:
    """The command for one operation. `parameters`: as in OpenAPI; what stands in the address is marked `<name>`."""
    address = f"$CARILLON_URL{path.replace('{', '<').replace('}', '>')}"
    parts = [f'curl -X {method} "{address}"' if method != "GET" else f'curl "{address}"']
    parts.append('-H "Authorization: Bearer $CARILLON_TOKEN"')
    if any(one["name"] == "If-Match" for one in parameters):
        parts.append("-H 'If-Match: \"<ETag of what was read>\"'")
    if body is not None:
        parts.append('-H "Content-Type: application/json"')
        parts.append(
            "--data-binary @bundle.json"
            if body.get("title") in FILE
            else f"-d {quote(_text(GOOD.get(body.get('title', '')) or sample(body)))}"
        )
    return " \\\n  ".join(parts)


def sample(schema: Json) -> Any:
    """The least that `schema` takes, with an ellipsis for each text; of an object without required members the first."""
    if "anyOf" in schema:
        return sample(schema["anyOf"][0])
    for known in ("default", "const"):
        if known in schema:
            return schema[known]
    if "enum" in schema:
        return schema["enum"][0]
    members = schema.get("properties", {})
    if members:
        named = schema.get("required") or list(members)[:1]
        return {name: sample(members.get(name, {})) for name in named}
    kind = schema.get("type", "string")
    return SAMPLES[kind if isinstance(kind, str) else kind[0]]


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
