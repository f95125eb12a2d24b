"""What is wrong with a definition, and how the checks of node types report it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from domain.workflows.definition_lines import step_lines

if TYPE_CHECKING:
    from domain.engine.known import Known

ERROR, WARNING = "error", "warning"
MAX_OF_EACH = 100  # errors, and warnings; whoever has that many mends those first


@dataclass(frozen=True)
class StepProblem:
    """`step_path`: as in the step log, empty for the definition as a whole, or the name of a field of the settings.

    `suggestion`: what to write instead.
    """

    severity: str
    step_path: str
    step_id: str | None
    code: str
    message: str
    suggestion: str | None = None


@dataclass
class Report:
    """Collects problems; `at` names the step that they belong to. `known`: the tenant's names, None to leave them unjudged."""

    problems: list[StepProblem] = field(default_factory=list)
    step_path: str = ""
    step_id: str | None = None
    known: Known | None = None

    def at(self, step_path: str, step_id: str | None) -> Report:
        """The same report, for another step."""
        return Report(self.problems, step_path, step_id, self.known)

    def error(self, code: str, message: str, suggestion: str | None = None) -> None:
        self._add(StepProblem(ERROR, self.step_path, self.step_id, code, message, suggestion))

    def warning(self, code: str, message: str, suggestion: str | None = None) -> None:
        self._add(StepProblem(WARNING, self.step_path, self.step_id, code, message, suggestion))

    def is_full(self, severity: str) -> bool:
        """Whether further problems of that severity would be left out."""
        return sum(problem.severity == severity for problem in self.problems) >= MAX_OF_EACH

    def _add(self, problem: StepProblem) -> None:
        if not self.is_full(problem.severity):
            self.problems.append(problem)


def problem_lines(definition_text: str, problems: Sequence[StepProblem]) -> list[int | None]:
    """For each problem the line, from 1, at which its step begins in the text; None for what is of no step."""
    lines = step_lines(definition_text)
    return [lines.get(problem.step_path) for problem in problems]


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that looks most like `name`, if any does."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return found[0] if found else None
