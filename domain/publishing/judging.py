"""What is wrong with a draft as a whole: its definition, its trigger, and how both go with its payload schema."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from domain.engine.known import Known, known_names
from domain.engine.problems import ERROR, StepProblem
from domain.engine.trigger_checks import payload_ref, source_ref, trigger_problems
from domain.engine.validation import definition_problems
from domain.kernel.errors import Problem
from domain.workflows.draft_fields import INFERRED
from domain.workflows.payload_schemas import schema_of
from domain.workflows.workflows import Workflow


@dataclass(frozen=True)
class Draft:
    """What is judged: a stored draft, or one that someone is typing. `key`: of the workflow."""

    key: str
    definition: Any
    trigger: Any
    schema_mode: str
    schema_ref: str | None


@dataclass(frozen=True)
class Verdict:
    """`problems`: errors and warnings, those of the settings first; a setting is named in the place of the step path.

    `payload_ref`, `source_ref`: the schemas of the payload and of the event; None where there is none.
    """

    problems: tuple[StepProblem, ...]
    payload_ref: str | None
    source_ref: str | None

    @property
    def errors(self) -> list[Problem]:
        """Why it cannot be published; empty when it can."""
        return [as_problem(found) for found in self.problems if found.severity == ERROR]

    @property
    def warnings(self) -> list[Problem]:
        return [as_problem(found) for found in self.problems if found.severity != ERROR]


def draft_of(workflow: Workflow) -> Draft:
    """The draft as it is stored."""
    return Draft(
        workflow.key,
        workflow.draft_definition,
        workflow.draft_trigger,
        workflow.draft_schema_mode,
        workflow.draft_schema_ref,
    )


def judged(tenant_id: UUID, draft: Draft) -> Verdict:
    """Everything that is wrong with the draft. A fixed number of queries."""
    known = known_names(tenant_id, draft.key, draft.definition)
    ref = payload_ref(draft.trigger, draft.schema_mode, draft.schema_ref, known)
    problems = _schema_problems(draft, ref, known)
    schema = schema_of(tenant_id, ref) if ref in known.schema_refs else None
    problems += trigger_problems(draft.trigger, draft.schema_mode, draft.schema_ref, schema, known)
    problems += definition_problems(draft.definition, known)
    return Verdict(tuple(problems), ref, source_ref(draft.trigger, known))


def as_problem(found: StepProblem) -> Problem:
    """The problem as a refusal names it: at its step or setting, with the suggestion behind the message."""
    message = f"{found.message} {found.suggestion}" if found.suggestion else found.message
    return Problem(found.step_path, message, found.code)


def _schema_problems(draft: Draft, ref: str | None, known: Known) -> list[StepProblem]:
    if draft.schema_mode != INFERRED and ref not in known.schema_refs:
        message = f"No payload schema is registered as {ref}." if ref else "No payload schema is chosen."
        return [_at_schema("UNKNOWN_PAYLOAD_SCHEMA_REF", message, "Choose one of the list.")]
    named = draft.definition.get("payloadSchemaRef") if isinstance(draft.definition, dict) else None
    if named is not None and ref is not None and named != ref:
        message = f"The definition names another payload schema than the settings ({ref})."
        return [_at_schema("PAYLOAD_SCHEMA_REF_MISMATCH", message, "Use one of them.")]
    return []


def _at_schema(code: str, message: str, suggestion: str) -> StepProblem:
    return StepProblem(ERROR, "schema_ref", None, code, message, suggestion)
