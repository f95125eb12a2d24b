"""Places and values of a step, `{"vars.total": {"$expr": "…"}}`: checked, compiled, and put in their places in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from domain.engine.assign_paths import RESERVED, AssignPath, BadPath, check_name, parse_path
from domain.engine.failures import StepFailed, expression_failed
from domain.engine.nodes.mapping_checks import check_mapping
from domain.engine.problems import Report
from domain.engine.recorded_values import settled
from domain.engine.running import Execution
from domain.expressions import ExpressionError
from domain.expressions.mappings import Evaluate, compile_value

Assignments = Sequence[tuple[str, AssignPath, Evaluate]]


def check_assignments(entries: Any, report: Report, where: str) -> None:
    """Report places that cannot be assigned and values that cannot be read; no entries at all are fine."""
    if entries is None:
        return
    if not isinstance(entries, dict):
        report.error("INVALID_CONFIG", f'{where} is an object of places and values, such as {{"vars.total": 0}}.')
        return
    for place, value in entries.items():
        check_mapping(value, report, f"{where}.{place}")
        check_place(place, report, f"{where}.{place}")


def check_place(place: Any, report: Report, where: str) -> AssignPath | None:
    """Report a place that cannot be assigned; the parsed one otherwise."""
    try:
        return parse_path(place)
    except BadPath as fault:
        report.error("INVALID_ASSIGN_PATH", f"{where}: {fault}")
        return None


def check_variable(name: Any, report: Report, where: str) -> None:
    """Report a name that a step cannot give to a variable of its own."""
    try:
        check_name(name)
        if name in RESERVED:
            raise BadPath(f"{name} already means something else.")
    except BadPath as fault:
        report.error("INVALID_CONFIG", f"{where}: {fault}")


def compile_assignments(entries: dict[str, Any] | None) -> Assignments:
    """The entries by name: the order in which they take their turns."""
    return [(place, parse_path(place), compile_value(value)) for place, value in sorted((entries or {}).items())]


def put_all(execution: Execution, entries: Assignments, path: str, **extra: Any) -> None:
    """Put each value in its place, seeing those before it and `extra` roots.

    Nothing is recorded: the values follow from what is. A failure is that of the step at `path`.
    """
    try:
        for _place, target, evaluate in entries:
            value, _size = settled(evaluate({**execution.scopes(), **extra}))
            execution.assign(target, value)
    except ExpressionError as error:
        failure = expression_failed(error)
        failure.node_path = path
        raise failure from None
    except StepFailed as failure:
        failure.node_path = path
        raise
