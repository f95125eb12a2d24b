"""What is wrong with a draft, each problem at its line and at its step of the outline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from domain.engine.problems import ERROR, StepProblem, problem_lines
from domain.kernel import strict_json
from domain.kernel.errors import Problem, Refused
from domain.publishing.judging import Draft, draft_of, judged
from domain.workflows.definition_lines import step_lines, syntax_line
from domain.workflows.definitions import parse_definition, readable
from domain.workflows.triggers import parse_trigger
from domain.workflows.workflows import Workflow
from web.forms.drafts import DraftForm
from web.workflows.frame import tenant_id
from web.workflows.steps import DrawnStep, drawn_steps


@dataclass(frozen=True)
class PlacedProblem:
    """A problem of a step, with the line of the definition at which it begins, or of a field of the settings.

    `anchor` and `label` are those of the field; of the mapping the label names the target.
    """

    severity: str
    step_id: str | None
    message: str
    suggestion: str | None
    line: int | None = None
    anchor: str = ""
    label: str = ""


@dataclass(frozen=True)
class Checked:
    """`problems`: errors first."""

    problems: tuple[PlacedProblem, ...]
    steps: tuple[DrawnStep, ...] = ()

    @property
    def words(self) -> str:
        errors = sum(problem.severity == ERROR for problem in self.problems)
        warnings = len(self.problems) - errors
        parts = [_counted(errors, "problem")] if errors else []
        parts += [_counted(warnings, "warning")] if warnings else []
        return ", ".join(parts) if parts else "ready to publish"


def checked_draft(workflow: Workflow) -> Checked:
    """The draft as it is stored."""
    text = strict_json.pretty(readable(workflow.draft_definition))
    problems = judged(workflow.tenant_id, draft_of(workflow)).problems
    return _checked(text, workflow.draft_definition, problems)


def checked_form(workflow: Workflow, form: DraftForm) -> Checked:
    """The draft as it is typed, which may not even be JSON."""
    text = form.definition.data or ""
    trigger, unread = None, tuple[Problem, ...]()
    try:
        trigger = parse_trigger(tenant_id(), form.trigger)
    except Refused as refusal:
        unread = refusal.problems
    try:
        definition = parse_definition(text)
    except Refused as refusal:
        first = [PlacedProblem(ERROR, None, one.message, None, syntax_line(text)) for one in refusal.problems]
        return Checked((*first, *placed("", _as_found(unread))))
    mode, ref = form.schema_mode.data or "", form.schema_ref.data or None
    problems = judged(tenant_id(), Draft(workflow.key, definition, trigger, mode, ref)).problems
    return _checked(text, definition, [*_as_found(unread), *problems])


def placed(text: str, problems: Sequence[StepProblem]) -> list[PlacedProblem]:
    """The problems with their lines in `text`, errors first."""
    lines = problem_lines(text, problems)
    found = [_placed(problem, line) for problem, line in zip(problems, lines, strict=True)]
    return sorted(found, key=lambda problem: problem.severity != ERROR)


def _checked(text: str, definition: Any, problems: Sequence[StepProblem]) -> Checked:
    return Checked(tuple(placed(text, problems)), drawn_steps(definition, problems, step_lines(text)))


def _placed(problem: StepProblem, line: int | None) -> PlacedProblem:
    name, _, rest = problem.step_path.partition("/")
    field = getattr(_FIELDS, name, None) if name else None
    label = f"{field.label.text} › {_unescaped(rest)}" if field and rest else field.label.text if field else ""
    return PlacedProblem(
        problem.severity,
        problem.step_id,
        problem.message,
        problem.suggestion,
        line,
        field.id if field else "",
        label,
    )


def _unescaped(pointer: str) -> str:
    return pointer.replace("~1", "/").replace("~0", "~")


def _as_found(problems: Iterable[Problem]) -> list[StepProblem]:
    return [StepProblem(ERROR, problem.path, None, problem.code, problem.message) for problem in problems]


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


# Its labels and ids, which are the same in every form.
_FIELDS = DraftForm()
