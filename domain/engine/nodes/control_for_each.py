"""control.forEach: does its body once for each item of a list, one after the other.

With `onItemError: continue` an item that fails is left where it failed, and the next one begins.
"""

from __future__ import annotations

from typing import Any

from domain.engine.failures import VALIDATION, StepFailed
from domain.engine.nodes.assignments import check_variable
from domain.engine.nodes.mapping_checks import check_mapping
from domain.engine.nodes.node import OPTIONAL, REQUIRED, Compiler, Json, NodeType, Run
from domain.engine.problems import Report
from domain.engine.running import Execution
from domain.engine.steps import Task
from domain.expressions.mappings import compile_value, is_literal

MAX_ITEMS = 10_000
FAIL, CONTINUE = "fail", "continue"
LOCALS = ("item", "index", "length", "isFirst", "isLast")


def _check(step: Json, report: Report) -> None:
    items = step["items"]
    if check_mapping(items, report, "items") and is_literal(items) and not isinstance(items, list):
        report.error("INVALID_EXPR", "items is an expression that gives a list.", 'Write {"$expr": "payload.lines"}.')
    check_variable(step["itemVar"], report, "itemVar")
    if step.get("onItemError", FAIL) not in (FAIL, CONTINUE):
        report.error("INVALID_CONFIG", "onItemError is fail or continue.")
    if step.get("concurrency", 1) != 1:
        report.error("INVALID_CONFIG", "Items run one after the other: concurrency can only be 1.", "Remove it.")


def _list_of(found: Any) -> list[Any]:
    if not isinstance(found, list):
        message = "items gave something that is not a list. Force one with [ ] after the path."
        raise StepFailed(message, "NOT_A_LIST", VALIDATION)
    if len(found) > MAX_ITEMS:
        message = f"items gave {len(found):,} items; a loop takes at most {MAX_ITEMS:,}."
        raise StepFailed(message, "TOO_MANY_ITEMS", VALIDATION)
    return found


def _compile(step: Json, compiler: Compiler) -> Run:
    path, step_id, item_var = compiler.path, compiler.step_id, step["itemVar"]
    goes_on = step.get("onItemError") == CONTINUE
    evaluate, body = compile_value(step["items"]), compiler.block("body", step["body"])

    def run(execution: Execution, iteration: str) -> None:
        def listed(_given: Any, _attempt: Any) -> list[Any]:
            return _list_of(evaluate(execution.scopes()))

        items = execution.result_of(Task(path, iteration, step_id, NODE.type, listed))
        last = len(items) - 1
        with execution.loop(item_var) as enter:
            # An empty body takes no steps, so no limit would end loops of loops.
            for index, item in enumerate(items if body else ()):
                enter(dict(zip(LOCALS, (item, index, last + 1, index == 0, index == last), strict=True)))
                try:
                    execution.run_steps(body, f"{iteration}.{index}" if iteration else str(index))
                except StepFailed as failure:
                    if failure.is_final or not goes_on:
                        raise
                    execution.note_error(failure.error)

    return run


NODE = NodeType(
    type="control.forEach",
    label="For each",
    description="Does its body once for each item of a list.",
    compile=_compile,
    keys={
        "items": REQUIRED,
        "itemVar": REQUIRED,
        "body": REQUIRED,
        "onItemError": OPTIONAL,
        "concurrency": OPTIONAL,
    },
    branches=("body",),
    check=_check,
)
