"""The steps of a definition for the screen: a tree with what each step does in words, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from domain.engine.problems import ERROR, StepProblem
from domain.timing.words import duration_words
from domain.workflows.definitions import OutlineStep, outline

LISTED = 3
"""How many targets of an assignment are named; of the rest the number is told."""
MAX_CHARACTERS = 120

Step = Mapping[str, Any]


@dataclass(frozen=True)
class DrawnStep:
    """One step: `words` says what it does, `also` how it fails and tries again, `line` where it stands in the text."""

    path: str
    id: str
    name: str
    type: str
    words: str
    also: str
    line: int | None
    problems: tuple[StepProblem, ...]
    branches: tuple[tuple[str, tuple[DrawnStep, ...]], ...]

    @property
    def is_wrong(self) -> bool:
        """Whether publishing would be refused because of it."""
        return any(problem.severity == ERROR for problem in self.problems)


def drawn_steps(
    definition: Any, problems: Sequence[StepProblem] = (), lines: Mapping[str, int] | None = None
) -> tuple[DrawnStep, ...]:
    """The tree of a definition, which may be broken; `lines` are the line numbers of the steps by path."""
    at: dict[str, list[StepProblem]] = {}
    for problem in problems:
        at.setdefault(problem.step_path, []).append(problem)
    steps = definition.get("steps") if isinstance(definition, dict) else None
    return tuple(_drawn(outline(definition), steps, at, lines or {}))


def _drawn(
    outlined: Sequence[OutlineStep], steps: Any, at: Mapping[str, list[StepProblem]], lines: Mapping[str, int]
) -> Iterator[DrawnStep]:
    raw = (step for step in steps if isinstance(step, dict)) if isinstance(steps, list) else ()
    for one, step in zip(outlined, raw, strict=True):
        name = step.get("name")
        yield DrawnStep(
            one.path,
            one.id,
            name if isinstance(name, str) else "",
            one.type,
            step_words(step),
            failure_words(step),
            lines.get(one.path),
            tuple(at.get(one.path, ())),
            tuple((branch, tuple(_drawn(inner, step.get(branch), at, lines))) for branch, inner in one.branches),
        )


def step_words(step: Step) -> str:
    """What a step does, in one short line; empty for a type that is not known."""
    config = step.get("config")
    words = _WORDS.get(str(step.get("type")))
    found = words({**step, **config} if isinstance(config, dict) else step) if words else ""
    return _cut(found)


def failure_words(step: Step) -> str:
    """How a step that fails is tried again, and what follows then; empty when it just fails."""
    config = step.get("config")
    config = config if isinstance(config, dict) else {}
    retry = step.get("retry") or config.get("retry")
    parts = []
    if isinstance(retry, dict) and isinstance(retry.get("maxAttempts"), int) and retry["maxAttempts"] > 1:
        parts.append(f"tried up to {retry['maxAttempts']} times")
    if (step.get("onError") or config.get("onError")) == "continue":
        parts.append("goes on when it fails")
    if step.get("onItemError") == "continue":
        parts.append("an item that fails is passed over")
    return ", ".join(parts)


def value_text(value: Any) -> str:
    """A mapping value for people: an expression as it is, text in quotes, what is nested as a number of parts."""
    match value:
        case {"$expr": str(expression)}:
            return " ".join(expression.split())
        case {"$secret": str(name)}:
            return f"the secret {name}"
        case str():
            return f'"{value}"'
        case bool() | int() | float():
            return str(value).lower()
        case None:
            return "…"
        case dict() | list():
            return "1 value" if len(value) == 1 else f"{len(value)} values"
    return "…"


def _cut(text: str) -> str:
    return text if len(text) <= MAX_CHARACTERS else text[: MAX_CHARACTERS - 1] + "…"


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else value_text(value)


def _time(milliseconds: Any) -> str:
    is_known = isinstance(milliseconds, int | float) and not isinstance(milliseconds, bool) and milliseconds >= 0
    return duration_words(milliseconds / 1000) if is_known else value_text(milliseconds)


def _at_most(step: Step) -> str:
    return f", at most {_time(step['timeoutMs'])}" if step.get("timeoutMs") is not None else ""


def _if(step: Step) -> str:
    return f"if {value_text(step.get('condition'))}"


def _for_each(step: Step) -> str:
    return f"for each {_plain(step.get('itemVar', 'item'))} of {value_text(step.get('items'))}"


def _try(step: Step) -> str:
    kept = step.get("captureErrorAs")
    return f"if a step fails, its error is kept as {_plain(kept)}" if kept else "if a step fails, the catch goes on"


def _call(step: Step) -> str:
    version = step.get("workflowVersion")
    which = f"version {version}" if isinstance(version, int) else "the published version"
    return f"runs {_plain(step.get('workflowKey'))}, {which}, and waits for it"


def _return(step: Step) -> str:
    return f"ends the run with {value_text(step['value'])}" if "value" in step else "ends the run"


def _state(step: Step) -> str:
    return f"shows the state {_plain(step.get('state'))}"


def _assign(step: Step) -> str:
    assign = step.get("assign")
    targets = list(assign) if isinstance(assign, dict) else []
    rest = f" and {len(targets) - LISTED} more" if len(targets) > LISTED else ""
    return f"sets {', '.join(targets[:LISTED])}{rest}" if targets else "sets nothing yet"


def _action(step: Step) -> str:
    kept = f", result in {_plain(step['saveAs'])}" if step.get("saveAs") else ""
    return f"{_plain(step.get('actionId'))}{kept}"


def _event(step: Step) -> str:
    key = step.get("correlationKey")
    about = f" about {_plain(value_text(key))}" if key is not None else ""
    return f"waits for the event {_plain(step.get('eventName'))}{about}{_at_most(step)}"


def _wait(step: Step) -> str:
    if step.get("mode") == "until":
        return f"waits until {_plain(step.get('until'))}"
    return f"waits {_time(step.get('durationMs'))}"


def _task(step: Step) -> str:
    return f"asks a person: {_plain(step.get('title'))}{_at_most(step)}"


_WORDS: dict[str, Callable[[Step], str]] = {
    "control.if": _if,
    "control.forEach": _for_each,
    "control.tryCatch": _try,
    "control.callWorkflow": _call,
    "control.return": _return,
    "state.set": _state,
    "transform.assign": _assign,
    "action.call": _action,
    "event.wait": _event,
    "time.wait": _wait,
    "human.task": _task,
}
