"""Whether a definition can be published: everything that is wrong with it, found without running it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from domain.engine.known import Known
from domain.engine.nodes.node import NodeType
from domain.engine.nodes.registry import NODE_TYPES
from domain.engine.problems import ERROR, Report, StepProblem, nearest
from domain.engine.references import report_unknown_references
from domain.engine.retry_checks import check_failing
from domain.kernel import strict_json
from domain.kernel.errors import Refused
from domain.workflows.definitions import TIME_TRIGGERS

MAX_STEPS = 500
MAX_NESTING = 20
MAX_BYTES = 256_000
MAX_JSON_DEPTH = 64
MAX_NAME_CHARACTERS = 128

_KEYS = ("id", "version", "name", "description", "payloadSchemaRef", "trigger", "steps")
_STEP_KEYS = frozenset({"id", "type", "name", "retry", "onError"})
_ID = re.compile(r"[^\s\x00-\x1f\x7f]{1,128}")


def definition_problems(definition: Any, known: Known | None = None) -> list[StepProblem]:
    """Errors and warnings, in the order of the steps; an empty list or warnings alone mean that it can be published.

    Names of workflows, events, schemas and secrets are judged by `known`, and not at all without it.
    """
    report = Report(known=known)
    if not isinstance(definition, dict):
        report.error("INVALID_WORKFLOW_DEFINITION", "A definition is a JSON object with the key steps.")
        return report.problems
    try:
        strict_json.check_value(definition, max_bytes=MAX_BYTES, max_depth=MAX_JSON_DEPTH)
    except Refused as refusal:
        report.error("INVALID_WORKFLOW_DEFINITION", str(refusal))
        return report.problems
    _check_top(definition, report)
    steps = definition.get("steps")
    if not isinstance(steps, list):
        report.error("INVALID_WORKFLOW_DEFINITION", "steps must be a list of steps.")
    elif (count := sum(1 for _ in _all_steps(steps, "root.steps"))) > MAX_STEPS:
        report.error("TOO_MANY_STEPS", f"There are {count:,} steps; a definition has at most {MAX_STEPS}.")
    else:
        _check_block(steps, "root.steps", 1, report)
        _check_ids(steps, report)
        report_unknown_references(steps, report)
    return report.problems


def has_errors(problems: list[StepProblem]) -> bool:
    """Whether any of the problems forbids publishing."""
    return any(problem.severity == ERROR for problem in problems)


def is_pure(definition: dict[str, Any]) -> bool:
    """Whether no step of a definition without errors touches anything but the run: such runs need one transaction."""
    return all(NODE_TYPES[step["type"]].is_pure(step) for _, step in _all_steps(definition["steps"], "root.steps"))


def _check_top(definition: dict[str, Any], report: Report) -> None:
    for key in definition:
        if key not in _KEYS:
            report.error("UNKNOWN_KEY", f"A definition has no key {key}.", _did_you_mean(key, _KEYS))
    trigger = definition.get("trigger")
    if trigger is None:
        return
    if isinstance(trigger, dict) and trigger.get("type") in TIME_TRIGGERS:
        message = "A definition does not say when it runs."
        report.error("TIME_TRIGGER_IN_DEFINITION", message, "Remove the trigger and create a schedule instead.")
    else:
        message = "The trigger is not part of the definition."
        report.error("TRIGGER_IN_SETTINGS", message, "Remove it here and set it in the settings.")


def _check_block(steps: list[Any], path: str, depth: int, report: Report) -> None:
    for index, step in enumerate(steps):
        at = report.at(f"{path}[{index}]", _id_of(step))
        if not isinstance(step, dict):
            at.error("INVALID_STEP", "A step is an object with id and type.")
            continue
        _check_step(step, depth, at)
        if step.get("type") == "control.return" and index < len(steps) - 1:
            at.warning("UNREACHABLE", "The steps after this return are never reached.", "Remove them or the return.")


def _check_step(step: dict[str, Any], depth: int, report: Report) -> None:
    if not isinstance(step.get("id"), str) or not _ID.fullmatch(step["id"]):
        report.error("INVALID_STEP_ID", "A step needs an id: text without spaces, at most 128 characters.")
    name = step.get("name")
    if name is not None and (not isinstance(name, str) or len(name) > MAX_NAME_CHARACTERS):
        report.error("INVALID_STEP", f"The name of a step is text of at most {MAX_NAME_CHARACTERS} characters.")
    node = _node_type(step.get("type"), report)
    if node is None:
        return
    is_complete = _check_keys(step, node, report)
    check_failing(step, report)
    for branch in node.branches:
        children = step.get(branch)
        if isinstance(children, list) and depth >= MAX_NESTING and children:
            report.error("TOO_DEEP", f"Steps are nested more than {MAX_NESTING} levels deep.", "Split the workflow.")
        elif isinstance(children, list):
            _check_block(children, f"{report.step_path}.{branch}.steps", depth + 1, report)
        elif children is not None:
            report.error("INVALID_STEP", f"{branch} must be a list of steps.")
    if is_complete:
        node.check(step, report)


def _node_type(name: Any, report: Report) -> NodeType | None:
    if isinstance(name, str) and name in NODE_TYPES:
        return NODE_TYPES[name]
    if isinstance(name, str):
        message = f"There is no step type {name}."
        report.error("UNKNOWN_NODE_TYPE", message, _did_you_mean(name, NODE_TYPES))
    else:
        report.error("UNKNOWN_NODE_TYPE", "A step needs a type.", f"Known types: {', '.join(sorted(NODE_TYPES))}.")
    return None


def _check_keys(step: dict[str, Any], node: NodeType, report: Report) -> bool:
    """Report keys that are unknown or missing; returns whether all required ones are there."""
    allowed = dict.fromkeys(_STEP_KEYS, False) | dict(node.keys)
    if node.config_keys is not None:
        allowed["config"] = True
    is_complete = _check_names(step, allowed, "", report)
    if node.config_keys is None or not is_complete:
        return is_complete
    config = step["config"]
    if not isinstance(config, dict):
        report.error("INVALID_CONFIG", "config must be an object.")
        return False
    return _check_names(config, dict(node.config_keys), "config.", report)


def _check_names(found: dict[str, Any], allowed: dict[str, bool], prefix: str, report: Report) -> bool:
    for name in found:
        if name not in allowed:
            message = f"A step of this type has no key {prefix}{name}."
            report.error("UNKNOWN_KEY", message, _did_you_mean(name, allowed))
    missing = [name for name, is_required in allowed.items() if is_required and found.get(name) is None]
    for name in missing:
        report.error("INVALID_CONFIG", f"{prefix}{name} is missing.", f"Add {name}.")
    return not missing


def _check_ids(steps: list[Any], report: Report) -> None:
    first: dict[str, str] = {}
    for path, step in _all_steps(steps, "root.steps"):
        step_id = _id_of(step)
        if step_id is None:
            continue
        if step_id in first:
            message = f"The id {step_id} is used already at {first[step_id]}."
            report.at(path, step_id).error("DUPLICATE_STEP_ID", message, "Give this step another id.")
        first.setdefault(step_id, path)


def _all_steps(steps: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every step object with its path, parents before children; whatever is not a step is passed over."""
    for index, step in enumerate(steps if isinstance(steps, list) else ()):
        if isinstance(step, dict):
            here = f"{path}[{index}]"
            yield here, step
            node = NODE_TYPES.get(step["type"]) if isinstance(step.get("type"), str) else None
            for branch in node.branches if node else ():
                yield from _all_steps(step.get(branch), f"{here}.{branch}.steps")


def _id_of(step: Any) -> str | None:
    step_id = step.get("id") if isinstance(step, dict) else None
    return step_id if isinstance(step_id, str) else None


def _did_you_mean(name: str, known: Any) -> str | None:
    near = nearest(name, known)
    return f"Did you mean {near}?" if near else None
