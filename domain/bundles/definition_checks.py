"""Which problems of a definition forbid its import: a published version must be able to run, a draft may be anything."""

from __future__ import annotations

from typing import Any

from domain.bundles.documents import BundledVersion, BundledWorkflow
from domain.engine.compiled import compile_definition
from domain.engine.known import Known
from domain.engine.problems import ERROR, StepProblem
from domain.engine.trigger_checks import trigger_problems
from domain.engine.validation import MAX_BYTES, definition_problems
from domain.kernel import strict_json
from domain.kernel.errors import Problem, Refused
from domain.publishing.judging import as_problem
from domain.workflows.definitions import MAX_DEPTH, definition_hash

# What a new publish refuses, and what does not keep a version from running: the run goes by paths, and a name that
# nobody has yet concerns the one step that uses it, or the event that has not come.
RUNS_ANYWAY = frozenset(
    {
        "DUPLICATE_STEP_ID",
        "UNKNOWN_KEY",
        "UNKNOWN_TRIGGER_EVENT",
        "UNKNOWN_WORKFLOW",
        "UNKNOWN_WORKFLOW_VERSION",
        "WORKFLOW_NOT_PUBLISHED",
    }
)


class Judge:
    """Judges what belongs to one workflow by `known`; a definition that comes again is looked at once."""

    def __init__(self, known: Known) -> None:
        self.known = known
        self._judged: dict[str, list[StepProblem]] = {}

    def version_problems(self, version: BundledVersion) -> tuple[list[Problem], list[Problem]]:
        """Why a published version could not run, and what else is wrong with it; paths are those of steps or settings."""
        ref, schema = version.schema_ref, version.schema
        problems = [
            *self._definition_problems(version.definition),
            *trigger_problems(version.trigger, version.schema_mode, ref, schema, self.known),
        ]
        stopping = [one for one in problems if one.severity == ERROR and one.code not in RUNS_ANYWAY]
        if not stopping and any(one.severity == ERROR for one in problems):
            fault = compile_definition(version.definition, is_pure=False).fault
            if fault is not None:
                stopping.append(StepProblem(ERROR, "", None, fault.code, fault.message))
        others = [one for one in problems if one not in stopping]
        return _told(stopping), _told(others)

    def draft_problems(self, workflow: BundledWorkflow) -> tuple[list[Problem], list[Problem]]:
        """Why a draft could not even be stored, and why it could not be published."""
        try:
            strict_json.check_value(workflow.draft_definition, max_bytes=MAX_BYTES, max_depth=MAX_DEPTH)
        except Refused as refused:
            return list(refused.problems), []
        return [], _told(self._definition_problems(workflow.draft_definition))

    def _definition_problems(self, definition: dict[str, Any]) -> list[StepProblem]:
        key = definition_hash(definition)
        if key not in self._judged:
            self._judged[key] = definition_problems(definition, self.known)
        return self._judged[key]


def _told(problems: list[StepProblem]) -> list[Problem]:
    return [as_problem(one) for one in problems]
