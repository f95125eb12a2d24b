"""What is wrong with a definition, and how the checks of node types report it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field

ERROR, WARNING = "error", "warning"


@dataclass(frozen=True)
class StepProblem:
    """`step_path`: as in the step log, empty for the definition as a whole. `suggestion`: what to write instead."""

    severity: str
    step_path: str
    step_id: str | None
    code: str
    message: str
    suggestion: str | None = None


@dataclass
class Report:
    """Collects problems; `at` names the step that they belong to."""

    problems: list[StepProblem] = field(default_factory=list)
    step_path: str = ""
    step_id: str | None = None

    def at(self, step_path: str, step_id: str | None) -> Report:
        """The same report, for another step."""
        return Report(self.problems, step_path, step_id)

    def error(self, code: str, message: str, suggestion: str | None = None) -> None:
        self.problems.append(StepProblem(ERROR, self.step_path, self.step_id, code, message, suggestion))

    def warning(self, code: str, message: str, suggestion: str | None = None) -> None:
        self.problems.append(StepProblem(WARNING, self.step_path, self.step_id, code, message, suggestion))


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that looks most like `name`, if any does."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return found[0] if found else None
