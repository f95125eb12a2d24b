"""Checks of an action call against what the action declares."""

from __future__ import annotations

from typing import Any

from domain.engine.actions.action import Action
from domain.engine.actions.documents import config_faults, mapping_of
from domain.engine.actions.registry import ACTIONS, versions_of
from domain.engine.nodes.mapping_checks import check_mapping
from domain.engine.problems import Report, nearest
from domain.expressions.mappings import is_literal
from domain.workflows.schema_rules import payload_problems


def check_action(config: dict[str, Any], report: Report) -> None:
    """Report an unknown action or version, and inputs that are missing, unknown, unreadable or of the wrong kind."""
    action = _known_action(config["actionId"], config["version"], report)
    mapping = mapping_of(config)
    if not isinstance(mapping, dict) or "$expr" in mapping:
        report.error("INVALID_ACTION_CONFIG", "inputMapping is an object of the action's input names and values.")
        return
    faults = list(config_faults(config))
    for message in faults:
        report.error("INVALID_ACTION_CONFIG", message)
    is_readable = check_mapping(mapping, report, "inputMapping", may_hold_secrets=True)
    if action and is_readable and not faults:
        _check_inputs(action, mapping, report)


def _known_action(action_id: Any, version: Any, report: Report) -> Action | None:
    if not isinstance(action_id, str) or not isinstance(version, int) or isinstance(version, bool):
        report.error("INVALID_ACTION_CONFIG", "actionId is text and version a whole number.")
        return None
    versions = versions_of(action_id)
    if not versions:
        near = nearest(action_id, {known for known, _ in ACTIONS})
        report.error("UNKNOWN_ACTION", f"There is no action {action_id}.", f"Did you mean {near}?" if near else None)
    elif version not in versions:
        known = ", ".join(map(str, versions))
        report.error("UNKNOWN_ACTION", f"{action_id} has no version {version}.", f"Known versions: {known}.")
    return ACTIONS.get((action_id, version))


def _check_inputs(action: Action, mapping: dict[str, Any], report: Report) -> None:
    fields = action.input_schema.get("properties", {})
    for name in action.input_schema.get("required", []):
        if name not in mapping:
            report.error(
                "MISSING_REQUIRED_MAPPING", f"{action.id} needs the input {name}.", f"Add {name} to inputMapping."
            )
    for name, value in mapping.items():
        if name not in fields:
            if action.input_schema.get("additionalProperties") is not False:
                continue
            near = nearest(name, fields)
            suggestion = f"Did you mean {near}?" if near else f"Known inputs: {', '.join(sorted(fields))}."
            report.error("UNKNOWN_INPUT", f"{action.id} has no input {name}.", suggestion)
        elif is_literal(value):
            for problem in payload_problems(fields[name], value):
                place = f"inputMapping.{name}{problem.path.replace('/', '.')}"
                report.error("MAPPING_TYPE_INCOMPATIBLE", f"{place} {problem.message}.")
