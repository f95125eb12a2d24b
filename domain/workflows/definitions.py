"""A workflow definition as JSON: how its text is read, what a new one holds, its hash and its outline."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from domain.kernel import strict_json
from domain.kernel.errors import Refused

# What a step may hold besides itself, in the order in which it is read.
BRANCHES = ("then", "else", "body", "try", "catch")
# Steps nest 20 levels deep, each of them two levels of JSON, and their inputs some more.
MAX_DEPTH = 64
TIME_TRIGGERS = ("schedule", "recurring")
# The database keeps no order of keys: this is the one in which people write them; all others follow by name.
_WRITTEN_ORDER = (
    "id",
    "version",
    "type",
    "name",
    "description",
    "payloadSchemaRef",
    "trigger",
    "condition",
    "items",
    "itemVar",
    "onItemError",
    "actionId",
    "state",
    "assign",
    "config",
    "retry",
    "onError",
    *BRANCHES,
    "steps",
)
_RANK = {key: rank for rank, key in enumerate(_WRITTEN_ORDER)}


@dataclass(frozen=True)
class OutlineStep:
    """One step of the outline. `path` is the step path, such as `root.steps[2].then.steps[0]`; `says` is one short line."""

    path: str
    id: str
    type: str
    says: str
    branches: tuple[tuple[str, tuple[OutlineStep, ...]], ...] = field(default=())


def starter_definition(name: str) -> dict[str, Any]:
    """What a new workflow does until someone edits it: it writes one line to the log of its run."""
    greeting = {"level": "info", "message": f"{name} ran."}
    config = {"actionId": "log.write", "version": 1, "inputMapping": greeting}
    return {"steps": [{"id": "say-so", "type": "action.call", "name": "Write to the log", "config": config}]}


def parse_definition(text: str, path: str = "definition") -> dict[str, Any]:
    """The definition in a JSON text. It need not be fit to publish, but it is an object and starts nothing by itself.

    Raises Refused at `path` (or below it) when the text is not strict JSON, not an object, or has a trigger.
    """
    definition = strict_json.loads(text, path=path, max_depth=MAX_DEPTH)
    check_draft(definition, path)
    checked: dict[str, Any] = definition
    return checked


def check_draft(definition: Any, path: str = "definition") -> None:
    """Raises Refused when a value cannot be the draft of a workflow."""
    if not isinstance(definition, dict):
        raise Refused.at(path, "A definition is a JSON object with the key steps.", "INVALID_WORKFLOW_DEFINITION")
    trigger = definition.get("trigger")
    if trigger is None:
        return
    if isinstance(trigger, dict) and trigger.get("type") in TIME_TRIGGERS:
        message = "A definition does not say when it runs. Remove the trigger and create a schedule for this workflow."
        raise Refused.at(f"{path}/trigger", message, "TIME_TRIGGER_IN_DEFINITION")
    message = "The trigger is not part of the definition. Remove it here and set it in the settings beside it."
    raise Refused.at(f"{path}/trigger", message, "TRIGGER_IN_SETTINGS")


def readable(value: Any) -> Any:
    """The same JSON value with its keys in the order in which people write definitions."""
    if isinstance(value, dict):
        return {key: readable(value[key]) for key in sorted(value, key=lambda key: (_RANK.get(key, len(_RANK)), key))}
    return [readable(item) for item in value] if isinstance(value, list) else value


def definition_hash(definition: Any) -> str:
    """SHA-256 of the canonical text, in hexadecimal: equal for definitions that differ in layout only."""
    return hashlib.sha256(strict_json.dumps(definition).encode()).hexdigest()


def outline(definition: Any) -> tuple[OutlineStep, ...]:
    """The steps as a tree, for drawing. Whatever is not a step is left out, so a broken draft has an outline too."""
    steps = definition.get("steps") if isinstance(definition, dict) else None
    return _outline_of(steps, "root.steps")


def _outline_of(steps: Any, path: str) -> tuple[OutlineStep, ...]:
    if not isinstance(steps, list):
        return ()
    return tuple(_outline_step(step, f"{path}[{index}]") for index, step in enumerate(steps) if isinstance(step, dict))


def _outline_step(step: dict[str, Any], path: str) -> OutlineStep:
    branches = tuple(
        (branch, _outline_of(step[branch], f"{path}.{branch}.steps")) for branch in BRANCHES if branch in step
    )
    return OutlineStep(path, _text(step.get("id")), _text(step.get("type")), _says(step), branches)


def _says(step: dict[str, Any]) -> str:
    found = next(_words(step), "")
    return found if len(found) <= 80 else found[:79] + "…"


def _words(step: dict[str, Any]) -> Iterator[str]:
    config = step.get("config")
    places = (step, config) if isinstance(config, dict) else (step,)
    for key in ("name", "actionId", "state", "itemVar", "condition"):
        for place in places:
            if text := _text(place.get(key)):
                yield text


def _text(value: Any) -> str:
    if isinstance(value, dict) and isinstance(value.get("$expr"), str):
        return str(value["$expr"])
    return value if isinstance(value, str) else ""
