"""action.call: calls an action with mapped inputs, and keeps its output if told where."""

from __future__ import annotations

from typing import Any

from domain.engine.actions.action import PURE, ActionContext
from domain.engine.actions.registry import ACTIONS, find_action
from domain.engine.assign_paths import BadPath, parse_path
from domain.engine.nodes.action_checks import check_action
from domain.engine.nodes.node import OPTIONAL, REQUIRED, Compiler, Json, NodeType, Run
from domain.engine.problems import Report
from domain.engine.running import Execution
from domain.engine.step_log import Attempt, Task
from domain.expressions.mappings import compile_value
from domain.runs.claims import Claim


def _check(step: Json, report: Report) -> None:
    config = step["config"]
    check_action(config, report)
    if "saveAs" in config:
        try:
            parse_path(config["saveAs"])
        except BadPath as fault:
            report.error("INVALID_ASSIGN_PATH", f"saveAs: {fault}")


def _is_pure(step: Json) -> bool:
    config = step["config"]
    action = ACTIONS.get((config["actionId"], config["version"]))
    return action is not None and action.effect == PURE


def _context(run: Claim, path: str, iteration: str, attempt: Attempt) -> ActionContext:
    return ActionContext(
        run_id=run.run_id,
        tenant_id=run.tenant_id,
        workflow_id=run.workflow_id,
        step_path=path,
        iteration=iteration,
        attempt=attempt.number,
        idempotency_key=attempt.idempotency_key,
        now=attempt.now,
    )


def _compile(step: Json, compiler: Compiler) -> Run:
    path, step_id, config = compiler.path, compiler.step_id, step["config"]
    action_id, version = config["actionId"], config["version"]
    inputs_of = compile_value(config.get("inputMapping") or {})
    target = parse_path(config["saveAs"]) if "saveAs" in config else None

    def run(execution: Execution, iteration: str) -> None:
        action = find_action(action_id, version)

        def prepare() -> Any:
            if target:
                # Afterwards would be too late: the action would have been called for nothing.
                execution.check_assignable(target)
            return inputs_of(execution.scopes())

        def act(inputs: Json, attempt: Attempt) -> Json:
            return action.call(inputs, _context(execution.claim, path, iteration, attempt))

        output = execution.result_of(
            Task(path, iteration, step_id, NODE.type, act, prepare, action.check_inputs, action.effect)
        )
        if target:
            execution.assign(target, output)

    return run


NODE = NodeType(
    type="action.call",
    label="Call an action",
    description="Calls an action with mapped inputs.",
    compile=_compile,
    config_keys={
        "actionId": REQUIRED,
        "version": REQUIRED,
        "inputMapping": OPTIONAL,
        "saveAs": OPTIONAL,
        # How a visual editor groups its steps; without meaning here.
        "designerGroupKey": OPTIONAL,
        "designerTileKind": OPTIONAL,
        "designerAppKey": OPTIONAL,
    },
    later=frozenset({"retry", "onError"}),
    config_later=frozenset({"idempotencyKey", "onError", "outputs"}),
    check=_check,
    is_pure=_is_pure,
)
