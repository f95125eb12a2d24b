"""control.if: goes one of two ways. The condition is true or false; nothing else counts as either."""

from __future__ import annotations

from typing import Any

from domain.engine.failures import VALIDATION, StepFailed
from domain.engine.nodes.mapping_checks import check_mapping
from domain.engine.nodes.node import OPTIONAL, REQUIRED, Compiler, Json, NodeType, Run
from domain.engine.problems import Report
from domain.engine.running import Execution
from domain.engine.steps import Task
from domain.expressions.mappings import compile_value, is_literal


def _check(step: Json, report: Report) -> None:
    condition = step["condition"]
    if check_mapping(condition, report, "condition") and is_literal(condition) and not isinstance(condition, bool):
        report.error("INVALID_EXPR", "A condition is an expression.", 'Write {"$expr": "payload.amount > 100"}.')


def _compile(step: Json, compiler: Compiler) -> Run:
    path, step_id = compiler.path, compiler.step_id
    evaluate = compile_value(step["condition"])
    then, otherwise = compiler.block("then", step["then"]), compiler.block("else", step.get("else") or [])

    def run(execution: Execution, iteration: str) -> None:
        def choice(_given: Any, _attempt: Any) -> bool:
            chosen = evaluate(execution.scopes())
            if not isinstance(chosen, bool):
                message = "The condition gave neither true nor false. Compare, as in payload.amount > 100."
                raise StepFailed(message, "NOT_A_BOOLEAN", VALIDATION)
            return chosen

        chosen = execution.result_of(Task(path, iteration, step_id, NODE.type, choice))
        execution.run_steps(then if chosen else otherwise, iteration)

    return run


NODE = NodeType(
    type="control.if",
    label="If",
    description="Goes one way when the condition is true, and the other when it is false.",
    compile=_compile,
    keys={"condition": REQUIRED, "then": REQUIRED, "else": OPTIONAL},
    branches=("then", "else"),
    check=_check,
)
