"""state.set: labels the run, so that a list of runs shows how far each has come."""

from __future__ import annotations

from typing import Any

from domain.engine.failures import VALIDATION, StepFailed
from domain.engine.nodes.mapping_checks import check_mapping
from domain.engine.nodes.node import REQUIRED, Compiler, Json, NodeType, Run
from domain.engine.problems import Report
from domain.engine.running import Execution
from domain.engine.steps import Task
from domain.expressions.mappings import compile_value, is_literal

MAX_CHARACTERS = 200


def _fault(state: Any) -> str | None:
    if not isinstance(state, str) or not state.strip():
        return "A state is text that is not empty."
    return f"A state has at most {MAX_CHARACTERS} characters." if len(state) > MAX_CHARACTERS else None


def _check(step: Json, report: Report) -> None:
    state = step["config"]["state"]
    if check_mapping(state, report, "state") and is_literal(state) and (fault := _fault(state)):
        report.error("INVALID_CONFIG", fault)


def _compile(step: Json, compiler: Compiler) -> Run:
    path, step_id = compiler.path, compiler.step_id
    evaluate = compile_value(step["config"]["state"])

    def run(execution: Execution, iteration: str) -> None:
        def state(_given: Any, _attempt: Any) -> str:
            text = evaluate(execution.scopes())
            if fault := _fault(text):
                raise StepFailed(fault, "INVALID_STATE", VALIDATION)
            return str(text)

        execution.set_state(execution.result_of(Task(path, iteration, step_id, NODE.type, state)))

    return run


NODE = NodeType(
    type="state.set",
    label="Set state",
    description="Labels the run with how far it has come.",
    compile=_compile,
    config_keys={"state": REQUIRED},
    check=_check,
)
