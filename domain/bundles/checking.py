"""Whether the workflows of a bundle can live in a tenant: dependencies, settings, schemas, and every definition."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from domain.bundles.awake import Awake
from domain.bundles.canonical import digest
from domain.bundles.definition_checks import Judge
from domain.bundles.dependencies import check_dependencies, claims_less, steps_of
from domain.bundles.documents import Bundle, BundledVersion, BundledWorkflow
from domain.bundles.form import shown
from domain.bundles.reading import MAX_PROBLEMS, BundleRefused, schema_refusal
from domain.engine.known import CALL_TYPE, Known, KnownWorkflow, known_names
from domain.kernel import strict_json
from domain.kernel.errors import Problem, Refused
from domain.kernel.strict_json import pointer
from domain.workflows.draft_fields import DraftFields, checked_fields
from domain.workflows.payload_schemas import schema_of
from domain.workflows.schema_rules import DIALECT, check_schema
from domain.workflows.triggers import parse_trigger

DEFINITION_INVALID = "DEFINITION_INVALID"
TIME_TRIGGER_MAX_BYTES = 10_000
_STEP = re.compile(r"([a-z]+)\.steps\[([0-9]+)\]")
Progress = Callable[[int, int], None]
# Where a setting stands in `metadata`, by what a refusal of it is named.
_SETTINGS = {
    "schema_ref": "payloadSchemaRef",
    "schema_mode": "payloadSchemaMode",
    "concurrency_limit": "concurrencyLimit",
    "failure_rate_threshold": "failureRateThreshold",
    "failure_rate_min_runs": "failureRateMinRuns",
    "retention_days": "retentionPolicyOverride",
    "name": "name",
    "description": "description",
}


@dataclass(frozen=True)
class CheckedWorkflow:
    """A workflow as it will be stored, every version with its schema. `warnings`: what does not stop it from running."""

    workflow: BundledWorkflow
    warnings: tuple[Problem, ...]


def checked_workflows(tenant_id: UUID, bundle: Bundle, on_progress: Progress | None = None) -> list[CheckedWorkflow]:
    """The workflows of the bundle, each as it would be stored in the tenant. `on_progress(checked, of)` after each.

    Raises BundleRefused with MISSING_DEPENDENCIES, SCHEMA_VALIDATION_FAILED or DEFINITION_INVALID.
    """
    known = _known(tenant_id, bundle.workflows)
    check_dependencies(bundle.workflows, known)
    schemas = _Schemas(tenant_id)
    awake = Awake()
    found: list[CheckedWorkflow] = []
    problems: list[Problem] = []
    for workflow in bundle.workflows:
        settled, notes = _settled(tenant_id, workflow, schemas, awake)
        errors, warnings = _judged(settled, Judge(replace(known, own_key=workflow.key)), awake)
        problems += errors
        found.append(CheckedWorkflow(settled, (*workflow.notes, *notes, *_remarks(workflow), *warnings)))
        if on_progress:
            on_progress(len(found), len(bundle.workflows))
        if len(problems) >= MAX_PROBLEMS:
            break
    if problems:
        raise _definition_refusal(problems[:MAX_PROBLEMS])
    return found


def _definition_refusal(problems: Sequence[Problem]) -> BundleRefused:
    problems = [shown(problem) for problem in problems]
    first = problems[0]
    told = [{"path": p.path, "message": p.message, "code": p.code} for p in problems]
    reason = "A draft cannot be stored" if "/draft/" in first.path else "A published version could not run"
    message = f"{reason}: {first.path}: {first.message} Correct it in the file and import again."
    return BundleRefused(DEFINITION_INVALID, message, {"errors": told}, problems)


def _known(tenant_id: UUID, workflows: Sequence[BundledWorkflow]) -> Known:
    """The names of the tenant as they will be when the bundle is in it."""
    definitions = [version.definition for one in workflows for version in one.versions]
    drafts = [one.draft_definition for one in workflows]
    known = known_names(tenant_id, "", [*definitions, *drafts])
    nobody = UUID(int=0)
    coming = {
        one.key: KnownWorkflow(
            nobody, one.latest.version if one.latest else None, frozenset(version.version for version in one.versions)
        )
        for one in workflows
    }
    calls = {one.key: frozenset(key for version in one.versions for key in _called(version)) for one in workflows}
    return replace(known, workflows={**known.workflows, **coming}, calls={**known.calls, **calls})


def _called(version: BundledVersion) -> Iterator[str]:
    for step in steps_of(version.definition):
        if step.get("type") == CALL_TYPE and isinstance(key := step.get("workflowKey"), str):
            yield key


class _Schemas:
    """The payload schemas that versions bring along or that are registered, each looked at once."""

    def __init__(self, tenant_id: UUID) -> None:
        self.tenant_id = tenant_id
        self.registered: dict[str, dict[str, Any]] = {}
        self.accepted: dict[str, list[Problem]] = {}

    def of_ref(self, ref: str | None) -> dict[str, Any] | None:
        if not ref:
            return None
        if ref not in self.registered:
            self.registered[ref] = schema_of(self.tenant_id, ref)
        return self.registered[ref]

    def problems(self, schema: dict[str, Any]) -> list[Problem]:
        key = digest(schema)
        if key not in self.accepted:
            try:
                check_schema(schema)
                self.accepted[key] = []
            except Refused as refused:
                self.accepted[key] = list(refused.problems)
        return self.accepted[key]


def _settled(
    tenant_id: UUID, workflow: BundledWorkflow, schemas: _Schemas, awake: Awake
) -> tuple[BundledWorkflow, list[Problem]]:
    """The workflow with its settings as the columns will have them and a schema for every version, and what that changed."""
    problems: list[Problem] = []
    notes: list[Problem] = []
    columns: dict[str, Any] = {}
    try:
        columns = checked_fields(tenant_id, _fields(workflow))
    except Refused as refused:
        problems += (
            Problem(f"{workflow.place}/metadata/{_setting(p.path)}", p.message, p.code) for p in refused.problems
        )
    problems += _time_trigger_problems(workflow)
    versions = []
    for version in workflow.versions:
        awake.stir()
        try:
            versions.append(_settled_version(tenant_id, version, schemas, notes))
        except Refused as refused:
            problems += (Problem(f"{version.place}/{p.path}", p.message, p.code) for p in refused.problems)
    if problems:
        raise schema_refusal(problems[:MAX_PROBLEMS])
    names = ("name", "description", "retention_policy_override", "failure_rate_threshold")
    settled = replace(
        workflow, trigger=columns["draft_trigger"], versions=tuple(versions), **{name: columns[name] for name in names}
    )
    return settled, notes


def _time_trigger_problems(workflow: BundledWorkflow) -> Iterator[Problem]:
    """One that no schedule can hold stays in the draft as it is, so it may not be just anything."""
    for trigger in workflow.time_triggers:
        try:
            strict_json.check_value(trigger, max_bytes=TIME_TRIGGER_MAX_BYTES)
        except Refused as refused:
            yield from (Problem(f"{workflow.place}/metadata/trigger", p.message, p.code) for p in refused.problems)


def _fields(workflow: BundledWorkflow) -> DraftFields:
    return DraftFields(
        name=workflow.name,
        key=workflow.key,
        definition_text='{"steps": []}',  # drafts may hold anything; they are judged apart
        description=workflow.description,
        trigger=workflow.trigger,
        schema_mode=workflow.schema_mode,
        schema_ref=workflow.schema_ref,
        concurrency_limit=workflow.concurrency_limit,
        auto_pause_on_failure=workflow.auto_pause_on_failure,
        failure_rate_threshold=workflow.failure_rate_threshold,
        failure_rate_min_runs=workflow.failure_rate_min_runs,
        retention_policy_override=workflow.retention_policy_override,
    )


def _setting(field: str) -> str:
    return _SETTINGS.get(field, "trigger")


def _settled_version(
    tenant_id: UUID, version: BundledVersion, schemas: _Schemas, notes: list[Problem]
) -> BundledVersion:
    """The version with the schema that payloads will be checked with. Raises Refused at a member of the version."""
    try:
        trigger = parse_trigger(tenant_id, version.trigger)
    except Refused as refused:
        raise Refused(Problem("definition/trigger", p.message, p.code) for p in refused.problems) from None
    registered = schemas.of_ref(version.schema_ref)
    schema = version.schema if version.schema is not None else registered
    if schema is None:
        message = "This version names no payload schema and brings none along."
        raise Refused.at("payloadSchemaJson", message, "UNKNOWN_PAYLOAD_SCHEMA_REF")
    if str(schema.get("$schema", DIALECT)).rstrip("#") != DIALECT:
        schema = {key: value for key, value in schema.items() if key != "$schema"}
        notes.append(_note(version, "Its payload schema is read as JSON Schema 2020-12.", "SCHEMA_DIALECT"))
    if problems := schemas.problems(schema):
        raise Refused(Problem(f"payloadSchemaJson{p.path}", p.message, p.code) for p in problems)
    if registered is not None and digest(registered) != digest(schema):
        message = f"Its payload schema is not what is registered as {version.schema_ref} here; its own is used."
        notes.append(_note(version, message, "SCHEMA_DIFFERS"))
    return replace(version, trigger=trigger, schema=schema)


def _note(version: BundledVersion, message: str, code: str) -> Problem:
    return Problem(f"version {version.version}", message, code)


def _judged(workflow: BundledWorkflow, judge: Judge, awake: Awake) -> tuple[list[Problem], list[Problem]]:
    """Why the workflow cannot live here, at JSON pointers, and what is wrong besides, at its part and step."""
    errors: list[Problem] = []
    warnings: list[Problem] = []
    for version in workflow.versions:
        awake.stir()
        wrong, remarks = judge.version_problems(version)
        errors += (_at(f"{version.place}/definition", one) for one in wrong)
        warnings += (_of(f"version {version.version}", one) for one in remarks)
    wrong, remarks = judge.draft_problems(workflow)
    errors += (_at(f"{workflow.place}/draft/definition", one) for one in wrong)
    if workflow.latest is None or workflow.latest.definition != workflow.draft_definition:
        warnings += (_of("draft", one) for one in remarks)
    return errors, warnings


def _at(place: str, problem: Problem) -> Problem:
    """The problem at its JSON pointer: a step path such as `root.steps[2].then.steps[0]` is /steps/2/then/0."""
    steps = _STEP.findall(problem.path)
    below = pointer(part for name, index in steps for part in ("steps" if name == "root" else name, index))
    return Problem(f"{place}{below if steps else problem.path}", problem.message, problem.code)


def _of(part: str, problem: Problem) -> Problem:
    return Problem(f"{part} {problem.path}".strip(), problem.message, problem.code)


def _remarks(workflow: BundledWorkflow) -> Iterator[Problem]:
    if workflow.concurrency_limit is None:
        yield Problem("concurrencyLimit", "Any number of its runs may go at the same time.", "UNLIMITED")
    if claims_less(workflow):
        message = "The file claims to need less than the definitions do; what the definitions need was checked."
        yield Problem("dependencies", message, "DEPENDENCIES_DIFFER")
