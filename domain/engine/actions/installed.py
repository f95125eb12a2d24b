"""Actions of other packages on this machine: found through the entry-point group `carillon.actions`, and checked.

What an entry point names is an `Action`, a list of them, or a function without arguments that gives either.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from domain.engine.actions.action import EFFECTS, Action
from domain.kernel.errors import Refused
from domain.kernel.log import first_line
from domain.workflows.schema_rules import check_schema, payload_problems

GROUP = "carillon.actions"
REASON_CHARACTERS = 200  # of what a package says when it breaks
_ID = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")


@dataclass(frozen=True)
class Rejected:
    """An entry point, or one of its actions, that is left out: which one, of which package, and why."""

    entry: str
    package: str
    reason: str


class _Unusable(Exception):
    """Why an action cannot be offered."""


def installed_actions(built_in_ids: Iterable[str]) -> tuple[list[tuple[Action, str]], list[Rejected]]:
    """The usable actions, each with its package, and what is left out. Of two with one id and version the first wins,
    by the name of the package. Raises nothing, whatever a package does when it is loaded."""
    found: dict[tuple[str, int], tuple[Action, str]] = {}
    rejected: list[Rejected] = []
    reserved = frozenset(built_in_ids)
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: (_package(entry), entry.name)):
        try:
            for action in _loaded(entry):
                name = action.id if isinstance(getattr(action, "id", None), str) else entry.name
                try:
                    _check(action, reserved, found)
                    found[action.id, action.version] = (action, _package(entry))
                except (_Unusable, Refused) as fault:
                    rejected.append(Rejected(name, _package(entry), _reason(fault)))
        except (Exception, SystemExit) as fault:
            said = f"{type(fault).__name__}: {first_line(fault)[:REASON_CHARACTERS]}"
            rejected.append(Rejected(entry.name, _package(entry), said))
    return list(found.values()), rejected


def _loaded(entry: EntryPoint) -> Iterator[Any]:
    value = entry.load()
    if callable(value) and not isinstance(value, Action):
        value = value()
    yield from value if isinstance(value, list | tuple) else [value]


def _package(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value


def _check(action: Any, reserved: frozenset[str], found: dict[tuple[str, int], tuple[Action, str]]) -> None:
    if not isinstance(action, Action):
        raise _Unusable(f"This is a {type(action).__name__}, not an Action.")
    if not isinstance(action.id, str) or not _ID.fullmatch(action.id):
        raise _Unusable("An id is words of small letters, digits and _ joined by dots, such as acme.greet.")
    if not isinstance(action.version, int) or isinstance(action.version, bool) or action.version < 1:
        raise _Unusable("A version is a whole number from 1 on.")
    if action.id in reserved:
        raise _Unusable("Carillon has an action of this id, and its own win.")
    if taken := found.get((action.id, action.version)):
        raise _Unusable(f"{taken[1]} has this action in the same version.")
    if action.effect not in EFFECTS or not callable(action.run):
        raise _Unusable(f"It needs a function to run and one of the effects {', '.join(EFFECTS)}.")
    if not all(isinstance(text, str) and text for text in (action.label, action.category, action.description)):
        raise _Unusable("It needs a label, a category and a description.")
    _check_schemas(action)


def _check_schemas(action: Action) -> None:
    schemas = ((action.input_schema, action.example.inputs), (action.output_schema, action.example.output))
    for schema, example in schemas:
        check_schema(schema)
        if problems := payload_problems(schema, example):
            raise _Unusable(f"Its example does not fit its schemas: {problems[0].path} {problems[0].message}")


def _reason(fault: Exception) -> str:
    if isinstance(fault, Refused):
        return f"A schema is not accepted: {fault.problems[0].path} {fault.problems[0].message}"
    return str(fault)
