"""Programs: definitions with their expressions parsed and their paths known, made once per version and process."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from domain.engine.nodes.node import Compiler, Run
from domain.engine.nodes.registry import NODE_TYPES
from domain.engine.running import Block, Step
from domain.kernel.errors import DomainError

PROGRAMS_KEPT = 512

_lock = threading.Lock()
_programs: OrderedDict[Hashable, Program] = OrderedDict()


class UnusableDefinition(DomainError):
    """This definition cannot be run by this release. Open the workflow, mend what is marked, and publish it again."""

    code = "INVALID_WORKFLOW_DEFINITION"


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled definition; shared by all threads, written by none."""

    steps: Block


def program(key: Hashable, definition: Callable[[], Any]) -> Program:
    """The program of an immutable version, compiled unless this process has it. `key` names the version, such as
    (workflow id, version); `definition` loads it. Raises UnusableDefinition."""
    with _lock:
        found = _programs.get(key)
        if found is not None:
            _programs.move_to_end(key)
            return found
    made = compile_definition(definition())
    with _lock:
        _programs[key] = made
        if len(_programs) > PROGRAMS_KEPT:
            _programs.popitem(last=False)
    return made


def compile_definition(definition: Any) -> Program:
    """The program of a definition that `definition_problems` finds no error in; UnusableDefinition for many others."""
    try:
        return Program(_block(definition["steps"], "root.steps"))
    except (KeyError, TypeError, AttributeError, ValueError, DomainError) as error:
        raise UnusableDefinition from error


def _block(steps: list[Any], path: str) -> Block:
    return tuple(_step(step, f"{path}[{index}]") for index, step in enumerate(steps))


def _step(step: dict[str, Any], path: str) -> Step:
    run: Run = NODE_TYPES[step["type"]].compile(step, Compiler(path, step["id"], _block))
    return Step(path, step["id"], step["type"], run)
