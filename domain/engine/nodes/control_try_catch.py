"""control.tryCatch: does its steps, and when one of them fails, others instead of failing the run."""

from __future__ import annotations

from typing import Any

from domain.engine.assign_paths import AssignPath
from domain.engine.failures import StepFailed
from domain.engine.nodes.assignments import check_variable
from domain.engine.nodes.node import OPTIONAL, REQUIRED, Compiler, Json, NodeType, Run
from domain.engine.problems import Report
from domain.engine.running import Execution
from domain.engine.steps import Task


def _check(step: Json, report: Report) -> None:
    if step.get("captureErrorAs") is not None:
        check_variable(step["captureErrorAs"], report, "captureErrorAs")


def _compile(step: Json, compiler: Compiler) -> Run:
    path, step_id, name = compiler.path, compiler.step_id, step.get("captureErrorAs")
    tried, caught = compiler.block("try", step["try"]), compiler.block("catch", step["catch"])
    capture = AssignPath("vars", (name,)) if name else None

    def run(execution: Execution, iteration: str) -> None:
        execution.result_of(Task(path, iteration, step_id, NODE.type, _nothing))
        try:
            execution.run_steps(tried, iteration)
        except StepFailed as failure:
            if failure.is_final:
                raise
            if capture:
                execution.assign(capture, failure.error)
            with execution.caught(failure.error):
                execution.run_steps(caught, iteration)

    return run


def _nothing(_given: Any, _attempt: Any) -> None:
    return None


NODE = NodeType(
    type="control.tryCatch",
    label="Try",
    description="Does its steps; when one of them fails, it does others instead of failing the run.",
    compile=_compile,
    keys={"try": REQUIRED, "catch": REQUIRED, "captureErrorAs": OPTIONAL},
    branches=("try", "catch"),
    check=_check,
)
