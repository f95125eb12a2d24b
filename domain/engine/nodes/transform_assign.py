"""transform.assign: puts values into variables or the payload; each entry sees what the entries before it put."""

from __future__ import annotations

from typing import Any

from domain.engine.assign_paths import BadPath, parse_path
from domain.engine.mappings import compile_value
from domain.engine.nodes.mapping_checks import check_mapping
from domain.engine.nodes.node import REQUIRED, Compiler, Json, NodeType, Run
from domain.engine.problems import Report
from domain.engine.recorded_values import settled
from domain.engine.running import Execution
from domain.engine.step_log import Task


def _check(step: Json, report: Report) -> None:
    entries = step["config"]["assign"]
    if not isinstance(entries, dict) or not entries:
        report.error("INVALID_CONFIG", 'assign is an object of places and values, such as {"vars.total": 0}.')
        return
    for place, value in entries.items():
        try:
            parse_path(place)
        except BadPath as fault:
            report.error("INVALID_ASSIGN_PATH", f"assign.{place}: {fault}")
        check_mapping(value, report, f"assign.{place}")


def _compile(step: Json, compiler: Compiler) -> Run:
    path, step_id = compiler.path, compiler.step_id
    entries = [(place, parse_path(place), compile_value(value)) for place, value in step["config"]["assign"].items()]

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
    later=frozenset({"retry", "onError"}),
    check=_check,
)
