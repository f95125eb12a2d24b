"""Most expressions are a constant, a plain path or one operator between two of these: compiled to a closure.

A closure gives exactly what the evaluator would give. It uses the same operators, and leaves the way paths spread over
lists to the evaluator by raising `NeedsEvaluator` when it meets one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from domain.expressions.limits import NULL
from domain.expressions.machine import Machine

Shortcut = Callable[[Machine, dict[str, Any]], Any]

_ARITHMETIC = frozenset("+-*/%")
_COMPARISON = frozenset(("<", "<=", ">", ">="))
_MISSING = object()


class NeedsEvaluator(Exception):
    """The value at hand needs the rules for lists, which only the evaluator has."""


def shortcut(node: Any) -> Shortcut | None:
    """The closure of a syntax tree, or None where only the evaluator will do."""
    if node.predicate or node.stages or node.group or node.keep_array or node.consarray:
        return None
    match node.type:
        case "string" | "number" | "value":
            return _constant(NULL if node.value is None else node.value)
        case "path":
            return _path(node)
        case "binary":
            return _binary(node)
        case "condition":
            return _condition(node)
        case "block" if len(node.expressions) == 1:
            return shortcut(node.expressions[0])
    return None


def _constant(value: Any) -> Shortcut:
    return lambda _machine, _root: value


def _path(node: Any) -> Shortcut | None:
    if node.keep_singleton_array:
        return None
    steps: list[tuple[str, int | None]] = []
    for step in node.steps:
        if step.type != "name" or step.predicate or step.group or step.keep_array or len(step.stages or ()) > 1:
            return None
        index = None
        if step.stages:
            place = step.stages[0].expr
            if step.stages[0].type != "filter" or place.type != "number" or shortcut(place) is None:
                return None
            index = int(place.value)
        steps.append((str(step.value), index))
    way = tuple(steps)
    return lambda _machine, root: _walked(root, way)


def _walked(value: Any, way: tuple[tuple[str, int | None], ...]) -> Any:
    for key, index in way:
        if not isinstance(value, dict):
            if isinstance(value, list):
                raise NeedsEvaluator
            return None
        value = value.get(key, _MISSING)
        if value is _MISSING:
            return None
        if index is not None:
            value = _picked(value, index)
            if value is _MISSING:
                return None
        if value is None:
            value = NULL
    return value


def _picked(value: Any, index: int) -> Any:
    if not isinstance(value, list):
        return value if index in (0, -1) else _MISSING
    if not -len(value) <= index < len(value):
        return _MISSING
    return value[index]


def _binary(node: Any) -> Shortcut | None:
    left, right = shortcut(node.lhs), shortcut(node.rhs)
    if left is None or right is None:
        return None
    operator = str(node.value)
    if operator in _ARITHMETIC:
        return lambda machine, root: machine.evaluate_numeric_expression(
            left(machine, root), right(machine, root), operator
        )
    if operator in ("=", "!="):
        return lambda machine, root: machine.evaluate_equality_expression(
            left(machine, root), right(machine, root), operator
        )
    if operator in _COMPARISON:
        return lambda machine, root: machine.evaluate_comparison_expression(
            left(machine, root), right(machine, root), operator
        )
    if operator == "&":
        return lambda machine, root: machine.evaluate_string_concat(left(machine, root), right(machine, root))
    if operator in ("and", "or"):
        return lambda machine, root: machine.evaluate_boolean_expression(
            left(machine, root), lambda: right(machine, root), operator
        )
    return None


def _condition(node: Any) -> Shortcut | None:
    condition, then = shortcut(node.condition), shortcut(node.then)
    otherwise = _constant(None) if node._else is None else shortcut(node._else)
    if condition is None or then is None or otherwise is None:
        return None

    def choose(machine: Machine, root: dict[str, Any]) -> Any:
        chosen = then if Machine.boolize(condition(machine, root)) else otherwise
        return chosen(machine, root)

    return choose
