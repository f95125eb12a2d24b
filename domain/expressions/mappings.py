"""Mapping values of a definition: `{"$expr": "…"}`, literals, and objects and lists of both, at any depth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from domain.expressions.expression import Expression, parse
from domain.expressions.limits import ExpressionError

EXPR, SECRET = "$expr", "$secret"

Scopes = dict[str, Any]
Evaluate = Callable[[Scopes], Any]


def is_expression(value: Any) -> bool:
    """Whether the value is an expression object (and not a literal that may hold some)."""
    return isinstance(value, dict) and EXPR in value


def is_literal(value: Any) -> bool:
    """Whether the value holds no expression and no secret at any depth."""
    return not any(EXPR in item or SECRET in item for _, item in objects_in(value))


def objects_in(value: Any, where: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], dict[str, Any]]]:
    """Every object inside a mapping value with the keys that lead to it; nothing below expressions and secrets."""
    if isinstance(value, dict):
        yield where, value
        if EXPR not in value and SECRET not in value:
            for key, member in value.items():
                yield from objects_in(member, (*where, key))
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from objects_in(member, (*where, index))


def compile_value(value: Any) -> Evaluate:
    """A function from scopes to the JSON value; constants are computed once. Both raise ExpressionError."""
    if is_expression(value):
        return _evaluation(parse(value[EXPR]))
    if is_literal(value):
        return lambda _scopes: value
    if isinstance(value, dict):
        members = [(key, compile_value(member)) for key, member in value.items()]
        return lambda scopes: {key: evaluate(scopes) for key, evaluate in members}
    items = [compile_value(item) for item in value]
    return lambda scopes: [evaluate(scopes) for evaluate in items]


def _evaluation(expression: Expression) -> Evaluate:
    evaluate = expression.evaluate

    def evaluated(scopes: Scopes) -> Any:
        try:
            return evaluate(scopes)
        except ExpressionError as error:
            place = "" if error.position is None else f" (at character {error.position} of {expression.text!r})"
            raise ExpressionError(f"{error.message}{place}") from None

    return evaluated
