"""What a run must come to, computed independently of the engine, without a log and without crashes.

Programs are nested tuples:  ("state", text) · ("assign", [(place, expression)]) · ("if", bool expression, then, else) ·
("each", name, list expression, body, goes on) · ("return", expression) · ("pure" | "local" | "outside", expression, name)
· ("broken",) · ("try", block, block) · ("go on", node) · ("flaky", times, attempts, name) · ("wait",)
Expressions: ("lit", n) · ("payload",) · ("var", name) · ("of", name, field) · ("index",) · ("error",) · ("plus", e, n) ·
("more", e, e) · ("list", [e])
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Expected:
    """`code` and `where` of the failure, if any; `places`: (path, iteration) of every step in order."""

    status: str = "succeeded"
    output: Any = None
    state: str | None = None
    code: str | None = None
    where: str | None = None
    count: int = 0
    places: list[tuple[str, str]] = field(default_factory=list)
    local: list[tuple[str, str]] = field(default_factory=list)
    outside: list[tuple[str, str]] = field(default_factory=list)
    variables: dict[str, Any] = field(default_factory=dict)
    error: str | None = None


# What ("error",) counts for each code.
CODES = {"NOT_A_BOOLEAN": 1, "THREE": 3, "NOT_YET": 5, "SEVEN": 7}


class _End(Exception):
    pass


class _Failure(Exception):
    def __init__(self, code: str, where: str) -> None:
        super().__init__(code)
        self.code, self.where = code, where


def expected(program: list[Any], number: int) -> Expected:
    """The outcome for the payload {"n": number}."""
    run = Expected()
    try:
        with contextlib.suppress(_End):
            _block(run, program, number, [], "root.steps", "")
    except _Failure as failure:
        run.status, run.code, run.where, run.output = "failed", failure.code, failure.where, None
    return run


def _value(run: Expected, e: Any, number: int, loops: list[int]) -> Any:
    match e:
        case ("lit", n):
            return n
        case ("payload",):
            return number
        case ("index",):
            return loops[-1] if loops else 0
        case ("var", name):
            found = run.variables.get(name)
            return found if isinstance(found, int) else 0
        case ("of", name, member):
            found = run.variables.get(name)
            return found.get(member, 0) if isinstance(found, dict) else 0
        case ("error",):
            return CODES.get(run.error or "", 0)
        case ("plus", inner, n):
            return _value(run, inner, number, loops) + n
        case ("more", a, b):
            return _value(run, a, number, loops) > _value(run, b, number, loops)
        case ("list", items):
            return [_value(run, item, number, loops) for item in items]


def _block(run: Expected, block: list[Any], number: int, loops: list[int], path: str, iteration: str) -> None:
    for position, node in enumerate(block):
        _node(run, node, number, loops, f"{path}[{position}]", iteration)


def _node(run: Expected, node: Any, number: int, loops: list[int], here: str, iteration: str) -> None:
    if node[0] == "go on":
        try:
            _node(run, node[1], number, loops, here, iteration)
        except _Failure as failure:
            if failure.where != here:
                raise
            run.error = failure.code
        return
    run.places.append((here, iteration))
    match node:
        case ("state", text):
            run.state = text
        case ("assign", entries):
            for name, e in entries:
                run.variables[name] = _value(run, e, number, loops)
        case ("if", condition, then, otherwise):
            branch = "then" if _value(run, condition, number, loops) else "else"
            chosen = then if branch == "then" else otherwise
            _block(run, chosen, number, loops, f"{here}.{branch}.steps", iteration)
        case ("each", name, items, body, goes_on):
            _loop(run, name, _value(run, items, number, loops), body, goes_on, number, loops, here, iteration)
        case ("try", tried, caught):
            try:
                _block(run, tried, number, loops, f"{here}.try.steps", iteration)
            except _Failure as failure:
                before, run.error = run.error, failure.code
                try:
                    _block(run, caught, number, loops, f"{here}.catch.steps", iteration)
                finally:
                    run.error = before
        case ("return", e):
            run.output = _value(run, e, number, loops)
            raise _End
        case ("broken",):
            raise _Failure("NOT_A_BOOLEAN", here)
        case ("wait",):
            run.variables["timeWait"] = {}
        case ("flaky", times, attempts, name):
            run.outside.append((here, iteration))
            if times >= attempts:
                raise _Failure("NOT_YET", here)
            run.variables[name] = {"attempts": times + 1}
        case ("pure", e, name):
            run.variables[name] = {"items": [_value(run, e, number, loops)]}
        case ("local", e, name):
            if _value(run, e, number, loops) == 7:
                raise _Failure("SEVEN", here)
            run.count += 1
            run.local.append((here, iteration))
            run.variables[name] = {"count": run.count}
        case ("outside", e, name):
            value = _value(run, e, number, loops)
            run.outside.append((here, iteration))
            if value == 3:
                raise _Failure("THREE", here)
            run.variables[name] = {"answer": value * 10}


def _loop(
    run: Expected,
    name: str,
    items: list[Any],
    body: list[Any],
    goes_on: bool,
    number: int,
    loops: list[int],
    here: str,
    iteration: str,
) -> None:
    had, before = name in run.variables, run.variables.get(name)
    try:
        for index, item in enumerate(items):
            run.variables[name] = item
            inner = f"{iteration}.{index}".lstrip(".")
            try:
                _block(run, body, number, [*loops, index], f"{here}.body.steps", inner)
            except _Failure as failure:
                if not goes_on:
                    raise
                run.error = failure.code
    finally:
        run.variables.pop(name, None)
        if had:
            run.variables[name] = before
