"""action.call: calls an action with mapped inputs, and keeps its output if told where."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from domain.engine.actions.action import OUTSIDE, PURE, Action, ActionContext
from domain.engine.actions.documents import mapping_of
from domain.engine.actions.registry import ACTIONS, find_action
from domain.engine.assign_paths import parse_path
from domain.engine.failures import StepFailed, failure_of
from domain.engine.nodes.action_checks import check_action
from domain.engine.nodes.assignments import check_place
from domain.engine.nodes.mapping_checks import check_mapping
from domain.engine.nodes.node import OPTIONAL, REQUIRED, Compiler, Json, NodeType, Run
from domain.engine.problems import Report
from domain.engine.running import Execution
from domain.engine.secrecy import defused, has_secrets, redacted, redacted_text, resolved, without_new_references
from domain.engine.steps import Attempt, Task, is_database_away
from domain.expressions.mappings import compile_value
from domain.kernel.db import transaction
from domain.runs.children import depth_of
from domain.runs.claims import Claim


def _check(step: Json, report: Report) -> None:
    config = step["config"]
    check_action(config, report)
    if "saveAs" in config:
        check_place(config["saveAs"], report, "saveAs")
    if config.get("idempotencyKey") is not None:
        check_mapping(config["idempotencyKey"], report, "idempotencyKey")


def _is_pure(step: Json) -> bool:
    config = step["config"]
    action = ACTIONS.get((config["actionId"], config["version"]))
    return action is not None and action.effect == PURE


def context_of(run: Claim, path: str, iteration: str, attempt: Attempt) -> ActionContext:
    return ActionContext(
        run_id=run.run_id,
        tenant_id=run.tenant_id,
        workflow_id=run.workflow_id,
        step_path=path,
        iteration=iteration,
        attempt=attempt.number,
        idempotency_key=attempt.idempotency_key,
        now=attempt.now,
        depth=depth_of(run.trigger_metadata),
    )


def called(action: Action, inputs: Json, context: ActionContext) -> Json:
    """What the action answers. Secrets are opened for what reaches outside, and for nothing else; no answer and no error
    lets one out. Raises StepFailed; a database that is away is no failure of the step."""
    if action.effect != OUTSIDE:
        own: Json = without_new_references(action.call(inputs, context), inputs)
        return own
    hidden: tuple[str, ...] = ()
    if has_secrets(inputs):
        with transaction():
            inputs, hidden = resolved(context.tenant_id, inputs)
        action.check_inputs(inputs)
        context = replace(context, hidden=hidden)
    try:
        answer: Json = defused(redacted(action.call(inputs, context), hidden))
        return answer
    except Exception as error:
        if is_database_away(error):
            raise
        failure = failure_of(error)
        message, wait = redacted_text(failure.message, hidden), failure.retry_after_seconds
        raise StepFailed(message, failure.code, failure.category, retry_after_seconds=wait) from None


def _compile(step: Json, compiler: Compiler) -> Run:
    path, step_id, config = compiler.path, compiler.step_id, step["config"]
    action_id, version = config["actionId"], config["version"]
    inputs_of = compile_value(mapping_of(config))
    key_of = compile_value(config["idempotencyKey"]) if config.get("idempotencyKey") is not None else None
    target = parse_path(config["saveAs"]) if "saveAs" in config else None

    def run(execution: Execution, iteration: str) -> None:
        action = find_action(action_id, version)

        def prepare() -> Any:
            if target:
                # Afterwards would be too late: the action would have been called for nothing.
                execution.check_assignable(target)
            return inputs_of(execution.scopes())

        def check(inputs: Any) -> None:
            if action.effect != OUTSIDE or not has_secrets(inputs):
                action.check_inputs(inputs)

        def act(inputs: Json, attempt: Attempt) -> Json:
            return called(action, inputs, context_of(execution.claim, path, iteration, attempt))

        def own_key() -> Any:
            return [str(execution.claim.tenant_id), action_id, key_of(execution.scopes()) if key_of else None]

        task = Task(path, iteration, step_id, NODE.type, act, prepare, check, effect=action.effect)
        task.own_key = own_key if key_of else None
        task.is_idempotent, task.retry = action.is_idempotent, action.retry_hint
        output = execution.result_of(task)
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
        "outputs": OPTIONAL,
        "idempotencyKey": OPTIONAL,
        "onError": OPTIONAL,
        # How a visual editor groups its steps; without meaning here.
        "designerGroupKey": OPTIONAL,
        "designerTileKind": OPTIONAL,
        "designerAppKey": OPTIONAL,
    },
    check=_check,
    is_pure=_is_pure,
)
