"""control.callWorkflow: runs another workflow and goes on with what it returns."""

from __future__ import annotations

from typing import Any

from domain.engine.failures import ACTION, TRANSIENT, VALIDATION, StepFailed
from domain.engine.name_checks import LATEST, check_workflow_call
from domain.engine.nodes.assignments import check_assignments, compile_assignments, put_all
from domain.engine.nodes.mapping_checks import check_mapping
from domain.engine.nodes.node import OPTIONAL, REQUIRED, Compiler, Json, NodeType, Run, never
from domain.engine.problems import Report
from domain.engine.running import Execution
from domain.engine.steps import Attempt, Opening, Task
from domain.expressions.mappings import compile_value, is_expression
from domain.kernel.errors import Held, NotFound, Refused
from domain.runs.children import ChildRefused, launch_child
from domain.runs.claims import Claim
from domain.runs.waits import CHILD


def _check(step: Json, report: Report) -> None:
    check_workflow_call(step["workflowKey"], step.get("workflowVersion"), report)
    mapping = step.get("inputMapping")
    if mapping is not None and (not isinstance(mapping, dict) or is_expression(mapping)):
        report.error("INVALID_CONFIG", "inputMapping is an object of the payload's members and their values.")
    else:
        check_mapping(mapping, report, "inputMapping", may_hold_secrets=True)
    check_assignments(step.get("outputMapping"), report, "outputMapping")


def _compile(step: Json, compiler: Compiler) -> Run:
    path, step_id, key = compiler.path, compiler.step_id, step["workflowKey"]
    version = step.get("workflowVersion")
    number = None if version == LATEST else version
    payload_of = compile_value(step.get("inputMapping") or {})
    entries = compile_assignments(step.get("outputMapping"))

    def run(execution: Execution, iteration: str) -> None:
        def prepare() -> Any:
            return payload_of(execution.scopes())

        def act(payload: Any, attempt: Attempt) -> Opening:
            return _opening(execution.claim, key, number, payload, attempt)

        child = execution.result_of(Task(path, iteration, step_id, NODE.type, act, prepare, effect="local"))
        put_all(execution, entries, path, childRun=child)

    return run


def _opening(claim: Claim, key: str, version: int | None, payload: Any, attempt: Attempt) -> Opening:
    try:
        run = launch_child(claim, key, version, payload, attempt.now)
    except ChildRefused as refused:
        raise StepFailed(refused.message, refused.code, ACTION) from None
    except NotFound:
        called = key if version is None else f"{key} in version {version}"
        raise StepFailed(f"There is no workflow {called}.", "UNKNOWN_WORKFLOW", ACTION) from None
    except Refused as refused:
        raise StepFailed(f"The payload does not fit {key}: {refused}", "CHILD_PAYLOAD", VALIDATION) from None
    except Held as held:
        raise StepFailed(held.message, held.code, TRANSIENT) from None
    return Opening(CHILD, child_run_id=run.id)


NODE = NodeType(
    type="control.callWorkflow",
    label="Call a workflow",
    description="Runs another workflow and goes on with what it returns.",
    compile=_compile,
    keys={"workflowKey": REQUIRED, "workflowVersion": OPTIONAL, "inputMapping": OPTIONAL, "outputMapping": OPTIONAL},
    check=_check,
    is_pure=never,
)
