"""Workflow definitions as JSON, both ways: the document that is answered, and the fields that a body describes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from domain.kernel import strict_json
from domain.kernel.errors import Problem, Refused
from domain.publishing import WorkflowRow
from domain.workflows.definitions import MAX_DEPTH, readable, starter_definition
from domain.workflows.draft_fields import PINNED, DraftFields, fields_of
from domain.workflows.drafts import NEW_CONCURRENCY_LIMIT, key_from
from domain.workflows.payload_schemas import EMPTY_REF
from domain.workflows.versions import WorkflowVersion
from domain.workflows.workflows import Workflow
from web.api.answering import Json, instant
from web.api.reading import NAMED_MAX, collected, flag_in, text_in

BODY_MAX_DEPTH = MAX_DEPTH + 2
"""Of JSON in a body: a definition stands two levels below it."""

# Members of a body → fields that take the value as it is.
_PLAIN = {
    "concurrencyLimit": "concurrency_limit",
    "failureRateThreshold": "failure_rate_threshold",
    "failureRateMinRuns": "failure_rate_min_runs",
    "retentionPolicyOverride": "retention_policy_override",
}
_TEXTS = {"name": "name", "key": "key", "description": "description"}
IN_DRAFT = ("definition", "trigger", "payloadSchemaMode", "payloadSchemaRef")
WRITABLE = frozenset({*_PLAIN, *_TEXTS, "autoPauseOnFailure", "draft"})
READ_ONLY = frozenset(
    {
        *("id", "status", "isSystem", "isVisible", "pausedAt", "pauseReason", "publishedVersion", "publishedAt"),
        *("definition", "definitionHash", "trigger", "payloadSchemaMode", "payloadSchemaRef", "payloadSchema"),
        *("hasNewerDraft", "scheduleCount", "lastRunId", "lastRunStatus", "createdAt", "updatedAt"),
    }
)
_PLACES = {
    **{field: member for member, field in _PLAIN.items()},
    "retention_days": "retentionPolicyOverride",
    "trigger_type": "draft/trigger",
    "event_name": "draft/trigger/eventName",
    "source_schema_ref": "draft/trigger/sourcePayloadSchemaRef",
    "mapping": "draft/trigger/payloadMapping",
    "schema_mode": "draft/payloadSchemaMode",
    "schema_ref": "draft/payloadSchemaRef",
    "definition": "draft/definition",
}
"""What the domain calls a field → where it stands in a body."""
_BRANCH = re.compile(r"\.([a-z]+)\.steps\[")


def row_document(row: WorkflowRow) -> Json:
    """A workflow as lists show it."""
    return {
        "id": str(row.id),
        "key": row.key,
        "name": row.name,
        "status": _status(row),
        "publishedVersion": row.published_version,
        "hasNewerDraft": row.has_newer_draft,
        "scheduleCount": row.schedules,
        "lastRunId": str(row.last_run_id) if row.last_run_id else None,
        "lastRunStatus": row.last_run_status,
    }


def definition_document(workflow: Workflow, version: WorkflowVersion | None) -> Json:
    """A workflow with its settings, what runs (`version`, null before the first publishing), and its draft."""
    return {
        "id": str(workflow.id),
        "key": workflow.key,
        "name": workflow.name,
        "description": workflow.description,
        "status": _status(workflow),
        "isSystem": workflow.is_system,
        "isVisible": workflow.is_visible,
        "pausedAt": instant(workflow.paused_at),
        "pauseReason": workflow.pause_reason,
        "concurrencyLimit": workflow.concurrency_limit,
        "autoPauseOnFailure": workflow.auto_pause_on_failure,
        "failureRateThreshold": workflow.failure_rate_threshold,
        "failureRateMinRuns": workflow.failure_rate_min_runs,
        "retentionPolicyOverride": workflow.retention_policy_override,
        "publishedVersion": workflow.published_version,
        "publishedAt": instant(version.published_at) if version else None,
        "definition": readable(version.definition) if version else None,
        "definitionHash": version.definition_hash if version else None,
        "trigger": version.trigger if version else None,
        "payloadSchemaMode": version.payload_schema_mode if version else None,
        "payloadSchemaRef": version.payload_schema_ref if version else None,
        "payloadSchema": version.payload_schema if version else None,
        "draft": _draft_document(workflow),
        "revision": workflow.revision,
        "createdAt": instant(workflow.created_at),
        "updatedAt": instant(workflow.updated_at),
    }


def _draft_document(workflow: Workflow) -> Json:
    return {
        "version": workflow.draft_version,
        "definition": readable(workflow.draft_definition),
        "trigger": workflow.draft_trigger,
        "payloadSchemaMode": workflow.draft_schema_mode,
        "payloadSchemaRef": workflow.draft_schema_ref,
    }


def _status(workflow: Workflow | WorkflowRow) -> str:
    if workflow.paused_at is not None:
        return "paused"
    return "published" if workflow.published_version else "draft"


def new_fields(body: Mapping[str, Any]) -> DraftFields:
    """The workflow that a body describes, over what a new one begins with. Raises Refused for members of a wrong kind."""
    texts = _texts_in(body)
    name = texts.get("name", "")
    begun = DraftFields(
        name=name,
        key=texts.get("key") or key_from(name),
        definition_text=strict_json.dumps(starter_definition(name)),
        schema_ref=EMPTY_REF,
        concurrency_limit=NEW_CONCURRENCY_LIMIT,
    )
    return _changed(begun, {member: value for member, value in body.items() if member != "key"})


def edited_fields(workflow: Workflow, body: Mapping[str, Any]) -> DraftFields:
    """The stored workflow with the members of a body put over it. Raises Refused for members of a wrong kind."""
    return _changed(fields_of(workflow), body)


def _changed(fields: DraftFields, body: Mapping[str, Any]) -> DraftFields:
    texts, draft, auto_pause = collected(
        lambda: _texts_in(body), lambda: _draft_in(body), lambda: flag_in(body, "autoPauseOnFailure")
    )
    values: dict[str, Any] = {_TEXTS[member]: text for member, text in texts.items()}
    values |= {field: body[member] for member, field in _PLAIN.items() if member in body}
    if "autoPauseOnFailure" in body:
        values["auto_pause_on_failure"] = auto_pause
    return replace(fields, **values, **draft)


def _texts_in(body: Mapping[str, Any]) -> dict[str, str]:
    given = [member for member in _TEXTS if member in body]
    texts = collected(*(lambda member=member: text_in(body, member) for member in given))
    return dict(zip(given, texts, strict=True))


def _draft_in(body: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that the member `draft` of a body stands for."""
    draft = body.get("draft")
    if draft is None:
        return {}
    if not isinstance(draft, dict):
        raise Refused.at("draft", "The draft is a JSON object, in curly braces.", "OBJECT_REQUIRED")
    problems = [_unknown(member) for member in draft if member not in IN_DRAFT][:NAMED_MAX]
    ref = draft.get("payloadSchemaRef")
    if ref is not None and not isinstance(ref, str):
        problems.append(Problem("draft/payloadSchemaRef", "This must be text.", "TEXT_REQUIRED"))
    if problems:
        raise Refused(problems)
    values: dict[str, Any] = {}
    if "definition" in draft:
        values["definition_text"] = strict_json.dumps(draft["definition"])
    if "trigger" in draft:
        values["trigger"] = draft["trigger"]
    if "payloadSchemaMode" in draft:
        values["schema_mode"] = PINNED if draft["payloadSchemaMode"] is None else draft["payloadSchemaMode"]
    if "payloadSchemaRef" in draft:
        values["schema_ref"] = ref
    return values


def _unknown(member: str) -> Problem:
    path = f"draft{strict_json.pointer([member])}"
    if member == "version":
        return Problem(path, "version is an answer only. Leave it out.", "READ_ONLY_FIELD")
    return Problem(path, f"There is nothing called this here. Known: {', '.join(sorted(IN_DRAFT))}.", "UNKNOWN_FIELD")


@contextmanager
def placed() -> Iterator[None]:
    """What the domain refuses inside is refused at the members of a body that it is about."""
    try:
        yield
    except Refused as refused:
        raise Refused(placed_problem(problem) for problem in refused.problems) from None


def placed_problem(problem: Problem) -> Problem:
    """A problem of a field or step of the domain, at the member of a body: `root.steps[2].then.steps[0]` stands at
    `draft/definition/steps/2/then/0`."""
    name, slash, rest = problem.path.partition("/")
    if name == "" or name == "root" or name.startswith("root."):
        steps = _BRANCH.sub(r".\1[", name).removeprefix("root").replace(".", "/").replace("[", "/").replace("]", "")
        place = f"draft/definition{steps}"
    else:
        place = _PLACES.get(name, name)
    return Problem(f"{place}{slash}{rest}", problem.message, problem.code)
