"""transform.assign: puts values into variables or the payload; each entry sees what the entries before it put.

Entries take their turns in the order of their places by code point. That is the order of a canonical bundle, and it does
not depend on how a database or an editor keeps the keys of an object; whoever builds one entry on a later one is warned.
"""

from __future__ import annotations

import re
from typing import Any

from domain.engine.assign_paths import ASSIGNABLE
from domain.engine.nodes.assignments import check_place, compile_assignments
from domain.engine.nodes.mapping_checks import check_mapping
from domain.engine.nodes.node import REQUIRED, Compiler, Json, NodeType, Run
from domain.engine.problems import Report
from domain.engine.recorded_values import settled
from domain.engine.running import Execution
from domain.engine.steps import Task
from domain.expressions.mappings import EXPR, objects_in

_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_WAY = re.compile(r"\w+(?:\.\w+)*")


def _check(step: Json, report: Report) -> None:
    entries = step["config"]["assign"]
    if not isinstance(entries, dict) or not entries:
        report.error("INVALID_CONFIG", 'assign is an object of places and values, such as {"vars.total": 0}.')
        return
    writers: dict[tuple[str, str], str] = {}
    for place, value in entries.items():
        check_mapping(value, report, f"assign.{place}")
        if path := check_place(place, report, f"assign.{place}"):
            writers[path.root, path.names[0]] = place
    for reader, value in entries.items():
        for name in sorted(_names_read(value) & writers.keys()):
            if (writer := writers[name]) > reader:
                message = (
                    f"assign.{reader} reads what assign.{writer} puts, which has its turn later: entries go by name."
                )
                report.warning("ASSIGN_ORDER", message, f"Put {reader} into a later step.")


def _names_read(value: Any) -> set[tuple[str, str]]:
    """The (root, first name) pairs that the expressions of an entry mention, as far as their text shows."""
    text = " ".join(str(item.get(EXPR, "")) for _, item in objects_in(value))
    found = set()
    for way in _WAY.findall(_QUOTED.sub("", text)):
        root, _, rest = way.partition(".")
        found.add((root, rest.partition(".")[0]) if root in ASSIGNABLE else ("vars", root))
    return found


def _compile(step: Json, compiler: Compiler) -> Run:
    path, step_id = compiler.path, compiler.step_id
    entries = compile_assignments(step["config"]["assign"])

    def run(execution: Execution, iteration: str) -> None:
        def values(_given: Any, _attempt: Any) -> Json:
            found: Json = {}
            with execution.scopes_kept():
                for place, target, evaluate in entries:
                    found[place], _ = settled(evaluate(execution.scopes()))
                    execution.assign(target, found[place])
            return found

        recorded = execution.result_of(Task(path, iteration, step_id, NODE.type, values))
        for place, target, _ in entries:
            execution.assign(target, recorded[place])

    return run


NODE = NodeType(
    type="transform.assign",
    label="Assign",
    description="Puts values into variables or the payload.",
    compile=_compile,
    config_keys={"assign": REQUIRED},
    check=_check,
)
