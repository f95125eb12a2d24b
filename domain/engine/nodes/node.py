"""A node type: what a step of it may hold, how it is checked, and what it compiles to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from domain.engine.problems import Report
from domain.engine.running import Block, Execution

Json = dict[str, Any]
Run = Callable[[Execution, str], None]

REQUIRED, OPTIONAL = True, False


@dataclass(frozen=True, slots=True)
class Compiler:
    """What compiling one step needs to know of its place, and how its children are compiled."""

    path: str
    step_id: str
    compile_block: Callable[[list[Any], str], Block]

    def block(self, branch: str, steps: list[Any]) -> Block:
        """The children in one branch."""
        return self.compile_block(steps, f"{self.path}.{branch}.steps")


def _never_wrong(_step: Json, _report: Report) -> None:
    return


def _always(_step: Json) -> bool:
    return True


def never(_step: Json) -> bool:
    """For steps that write to the database or stop the run."""
    return False


@dataclass(frozen=True)
class NodeType:
    """`keys` and `config_keys`: allowed names → whether required; `config_keys` is None for a node without `config`.

    `branches`: the keys that hold child steps. `check` reports what keys alone do not show; it may rely on required keys
    being there. `is_pure`: whether the step by itself, without its children, touches nothing.
    """

    type: str
    label: str
    description: str
    compile: Callable[[Json, Compiler], Run]
    keys: Mapping[str, bool] = field(default_factory=dict)
    config_keys: Mapping[str, bool] | None = None
    branches: tuple[str, ...] = ()
    check: Callable[[Json, Report], None] = _never_wrong
    is_pure: Callable[[Json], bool] = _always
