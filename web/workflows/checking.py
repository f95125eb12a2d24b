"""What is wrong with a draft, each problem at its line and at its step of the outline."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from domain.engine.problems import ERROR, StepProblem
from domain.engine.validation import definition_problems
from domain.kernel import strict_json
from domain.kernel.errors import Problem, Refused
from domain.workflows.definitions import parse_definition, readable
from domain.workflows.workflows import Workflow
from web.forms.drafts import DraftForm
from web.workflows.steps import DrawnStep, drawn_steps

_LINE = re.compile(r" at line (\d+), column \d+\.?$")


@dataclass(frozen=True)
class PlacedProblem:
    """A problem with the line of the definition that it stands at, None for one of the settings."""

    severity: str
    step_path: str
    step_id: str | None
    message: str
    suggestion: str | None
    line: int | None


@dataclass(frozen=True)
class Checked:
    """`problems`: errors first. `at_fields`: those that belong to a field of the form."""

    problems: tuple[PlacedProblem, ...]
    steps: tuple[DrawnStep, ...]
    at_fields: tuple[Problem, ...] = ()

    @property
    def words(self) -> str:
        errors = sum(problem.severity == ERROR for problem in self.problems)
        warnings = len(self.problems) - errors
        parts = [_counted(errors, "problem")] if errors else []
        parts += [_counted(warnings, "warning")] if warnings else []
        return ", ".join(parts) if parts else "nothing stands in the way of publishing"


def checked_draft(workflow: Workflow) -> Checked:
    """The draft as it is stored."""
    text = strict_json.pretty(readable(workflow.draft_definition))
    return _checked(workflow.draft_definition, definition_problems(workflow.draft_definition), {})


def checked_form(workflow: Workflow, form: DraftForm) -> Checked:
    """The draft as it is typed, which may not even be JSON."""
    text = form.definition.data or ""
    try:
        definition = parse_definition(text)
    except Refused as refusal:
        return Checked(tuple(_unread(problem) for problem in refusal.problems), ())
    return _checked(definition, definition_problems(definition), {})


def _checked(definition: Any, problems: Sequence[StepProblem], lines: Mapping[str, int]) -> Checked:
    placed = [
        PlacedProblem(p.severity, p.step_path, p.step_id, p.message, p.suggestion, lines.get(p.step_path))
        for p in sorted(problems, key=lambda problem: problem.severity != ERROR)
    ]
    return Checked(tuple(placed), drawn_steps(definition, problems, lines))


def _unread(problem: Problem) -> PlacedProblem:
    found = _LINE.search(problem.message)
    return PlacedProblem(ERROR, "", None, problem.message, None, int(found[1]) if found else None)


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
