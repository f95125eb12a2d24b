"""JSONata's evaluator with every operation bounded, and no state shared between evaluations or threads.

The library keeps one evaluator per thread and lets expressions write into it. A `Machine` lives for one evaluation; it
reads the syntax tree and the input and writes into neither.
"""

from __future__ import annotations

import math
from typing import Any

from jsonata.jsonata import Jsonata
from jsonata.utils import Utils

from domain.expressions.functions import FUNCTIONS, members_named
from domain.expressions.limits import MAX_RANGE, MEMBER_COST, NULL, Budget, ExpressionError
from domain.expressions.texts import text_of

_GLOBALS = Jsonata.Frame(None)
_GLOBALS.bindings = dict(FUNCTIONS)


class _Quiet:
    """The only part of the library's parser that its evaluator asks for."""

    dbg = False


class Machine(Jsonata):  # type: ignore[misc]
    """One evaluation. Raw values: Python JSON with NULL for null and None for undefined."""

    def __init__(self) -> None:
        # Not the parent's: it would parse, and would put this object in charge of the whole thread.
        self.parser = _Quiet
        self.input = None
        self.environment = None
        self.budget = Budget()
        self.at: Any = None

    def run(self, tree: Any, root: dict[str, Any]) -> Any:
        """The raw result of a syntax tree for the root object that its names are looked up in."""
        frame = Jsonata.Frame(_GLOBALS)
        frame.bindings["$"] = root
        return self.eval(tree, root, frame)

    def eval(self, expr: Any, input: Any, environment: Any) -> Any:
        self.budget.step()
        self.at = expr
        result = self._eval(expr, input, environment)
        if isinstance(result, str):
            self.budget.spend(len(result))
        elif isinstance(result, list | dict):
            self.budget.spend(MEMBER_COST * len(result))
        return result

    def apply(self, proc: Any, args: Any, input: Any, environment: Any) -> Any:  # noqa: ARG002
        return proc.call(self.budget, args, input)

    def evaluate_name(self, expr: Any, input: Any, environment: Any) -> Any:  # noqa: ARG002
        return members_named(self.budget, input, str(expr.value))

    def evaluate_numeric_expression(self, lhs: Any, rhs: Any, op: str | None) -> Any:
        if op in ("/", "%") and Utils.is_numeric(lhs) and Utils.is_numeric(rhs):
            if rhs == 0:
                raise ExpressionError("Division by zero.")
            if op == "%":
                return Utils.convert_number(math.fmod(lhs, rhs))
        return super().evaluate_numeric_expression(lhs, rhs, op)

    def evaluate_equality_expression(self, lhs: Any, rhs: Any, op: str | None) -> Any:
        if isinstance(lhs, dict | list) and isinstance(rhs, dict | list):
            return self._is_equal(lhs, rhs) == (op == "=")
        return super().evaluate_equality_expression(lhs, rhs, op)

    def evaluate_includes_expression(self, lhs: Any, rhs: Any) -> bool:
        if lhs is None or rhs is None:
            return False
        return any(self._is_equal(lhs, item) for item in (rhs if isinstance(rhs, list) else [rhs]))

    def _is_equal(self, lhs: Any, rhs: Any) -> bool:
        waiting = [(lhs, rhs)]
        while waiting:
            left, right = waiting.pop()
            if isinstance(left, dict) and isinstance(right, dict):
                if left.keys() != right.keys():
                    return False
                self.budget.spend(MEMBER_COST * len(left))
                waiting.extend((left[key], right[key]) for key in left)
            elif isinstance(left, list) and isinstance(right, list):
                if len(left) != len(right):
                    return False
                self.budget.spend(MEMBER_COST * len(left))
                waiting.extend(zip(left, right, strict=True))
            elif isinstance(left, bool) is not isinstance(right, bool) or _null(left) != _null(right):
                return False
        return True

    def evaluate_string_concat(self, lhs: Any, rhs: Any) -> str:
        left = "" if lhs is None else text_of(self.budget, lhs) or ""
        right = "" if rhs is None else text_of(self.budget, rhs) or ""
        self.budget.spend_text(len(left) + len(right))
        return left + right

    def evaluate_range_expression(self, lhs: Any, rhs: Any) -> Any:
        if _is_integer(lhs) and _is_integer(rhs):
            if rhs - lhs >= MAX_RANGE:
                raise ExpressionError(f"A range may have at most {MAX_RANGE:,} numbers.")
            return list(range(lhs, rhs + 1)) or None
        return super().evaluate_range_expression(lhs, rhs)

    def evaluate_wildcard(self, expr: Any, input: Any) -> Any:  # noqa: ARG002
        found = Utils.create_sequence()
        if isinstance(input, dict | list):
            for value in input.values() if isinstance(input, dict) else input:
                self._flatten_into(found, value)
        return found

    def _flatten_into(self, found: list[Any], value: Any) -> None:
        self.budget.spend(MEMBER_COST)
        if isinstance(value, list):
            for item in value:
                self._flatten_into(found, item)
        else:
            found.append(NULL if value is None else value)

    def recurse_descendants(self, input: Any, results: Any) -> None:
        self.budget.spend(MEMBER_COST)
        super().recurse_descendants(input, results)

    def evaluate_group_expression(self, expr: Any, input: Any, environment: Any) -> Any:
        # The library marks an empty list by writing into it, and it may be the caller's.
        own = Utils.create_sequence() if isinstance(input, list) and not input else input
        return super().evaluate_group_expression(expr, own, environment)


def _null(value: Any) -> Any:
    return None if value is NULL else value


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
