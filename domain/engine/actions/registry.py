"""Every action there is: the `ACTION` of each module in the packages beside this one."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from domain.engine.actions import log, store, transform
from domain.engine.actions.action import Action
from domain.engine.failures import ACTION as ACTION_ERROR
from domain.engine.failures import StepFailed

_PACKAGES = (transform, store, log)


def _actions_of(package: ModuleType) -> dict[tuple[str, int], Action]:
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."))
    found: list[Action] = [importlib.import_module(name).ACTION for name in names]
    return {(action.id, action.version): action for action in found}


ACTIONS: dict[tuple[str, int], Action] = {}
for _package in _PACKAGES:
    ACTIONS.update(_actions_of(_package))


def find_action(action_id: str, version: int) -> Action:
    """The action; raises StepFailed when this release has none of that id and version."""
    action = ACTIONS.get((action_id, version))
    if action is None:
        raise StepFailed(f"There is no action {action_id} in version {version}.", "UNKNOWN_ACTION", ACTION_ERROR)
    return action


def versions_of(action_id: str) -> list[int]:
    """The versions of an action, ascending; empty for an unknown one."""
    return sorted(version for known, version in ACTIONS if known == action_id)


def actions_page() -> list[Action]:
    """All actions by id, then version."""
    return [ACTIONS[key] for key in sorted(ACTIONS)]
