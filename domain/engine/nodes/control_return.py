"""control.return: ends the run with success, and with a value if one is given."""

from __future__ import annotations

from typing import Any

from domain.engine.nodes.mapping_checks import check_mapping
from domain.engine.nodes.node import OPTIONAL, Compiler, Json, NodeType, Run
from domain.engine.problems import Report
from domain.engine.running import Execution, Returned
from domain.engine.steps import Task
from domain.expressions.mappings import compile_value


def _check(step: Json, report: Report) -> None:
    check_mapping(step.get("value"), report, "value")


def _compile(step: Json, compiler: Compiler) -> Run:
    path, step_id = compiler.path, compiler.step_id
    evaluate = compile_value(step.get("value"))

    def run(execution: Execution, iteration: str) -> None:
        def value(_given: Any, _attempt: Any) -> Any:
            return evaluate(execution.scopes())

        raise Returned(execution.result_of(Task(path, iteration, step_id, NODE.type, value)))

    return run


NODE = NodeType(
    type="control.return",
    label="Return",
    description="Ends the run with success; the value becomes its output.",
    compile=_compile,
    keys={"value": OPTIONAL},
    check=_check,
)
