"""What a run must come to, computed independently of the engine, without a log and without crashes.

Programs are nested tuples:  ("state", text) · ("assign", [(place, expression)]) · ("if", bool expression, then, else) ·
("each", name, list expression, body) · ("return", expression) · ("pure" | "local" | "outside", expression, name) · ("broken",)
Expressions: ("lit", n) · ("payload",) · ("var", name) · ("of", name, field) · ("index",) · ("plus", e, n) · ("more", e, e) · ("list", [e])
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


class _End(Exception):
    pass


def expected(program: list[Any], number: int) -> Expected:
    """The outcome for the payload {"n": number}."""
    run = Expected()
    with contextlib.suppress(_End):
        _block(run, program, number, [], "root.steps", "")
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
        case ("plus", inner, n):
            return _value(run, inner, number, loops) + n
        case ("more", a, b):
            return _value(run, a, number, loops) > _value(run, b, number, loops)
        case ("list", items):
            return [_value(run, item, number, loops) for item in items]


def _fail(run: Expected, code: str, where: str) -> None:
    run.status, run.code, run.where, run.output = "failed", code, where, None
    raise _End


def _block(run: Expected, block: list[Any], number: int, loops: list[int], path: str, iteration: str) -> None:
    for position, node in enumerate(block):
        here = f"{path}[{position}]"
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
            case ("each", name, items, body):
                had, before = name in run.variables, run.variables.get(name)
                for index, item in enumerate(_value(run, items, number, loops)):
                    run.variables[name] = item
                    inner = f"{iteration}.{index}".lstrip(".")
                    _block(run, body, number, [*loops, index], f"{here}.body.steps", inner)
                run.variables.pop(name, None)
                if had:
                    run.variables[name] = before
            case ("return", e):
                run.output = _value(run, e, number, loops)
                raise _End
            case ("broken",):
                _fail(run, "NOT_A_BOOLEAN", here)
            case ("pure", e, name):
                run.variables[name] = {"items": [_value(run, e, number, loops)]}
            case ("local", e, name):
                if _value(run, e, number, loops) == 7:
                    _fail(run, "SEVEN", here)
                run.count += 1
                run.local.append((here, iteration))
                run.variables[name] = {"count": run.count}
            case ("outside", e, name):
                asked = _value(run, e, number, loops)
                run.outside.append((here, iteration))
                if asked == 3:
                    _fail(run, "THREE", here)
                run.variables[name] = {"answer": asked * 10}
