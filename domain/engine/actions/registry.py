"""Every action there is: the `ACTION` of each module in the packages beside this one, then those of installed packages.

A package on this machine adds actions through the entry-point group `carillon.actions`. One that is broken, or that
claims an id of ours, is left out with its reason in `REJECTED`: it never keeps a process from starting.
"""

from __future__ import annotations

import importlib
import pkgutil

from domain.engine import actions
from domain.engine.actions.action import Action
from domain.engine.actions.installed import Rejected, installed_actions
from domain.engine.failures import ACTION as ACTION_ERROR
from domain.engine.failures import StepFailed
from domain.kernel.errors import NotFound
from domain.kernel.log import logger

Key = tuple[str, int]


def _built_in() -> dict[Key, Action]:
    found: list[Action] = []
    for package in pkgutil.iter_modules(actions.__path__, f"{actions.__name__}."):
        if package.ispkg:
            path = importlib.import_module(package.name).__path__
            found += [
                importlib.import_module(one.name).ACTION for one in pkgutil.iter_modules(path, f"{package.name}.")
            ]
    return {(action.id, action.version): action for action in found}


ACTIONS: dict[Key, Action] = _built_in()
PACKAGES: dict[Key, str] = {}
"""Which installed package an action comes from, with its version; ours have none."""
REJECTED: list[Rejected] = []


def _add_installed() -> None:
    found, rejected = installed_actions({action_id for action_id, _ in ACTIONS})
    for action, package in found:
        ACTIONS[action.id, action.version] = action
        PACKAGES[action.id, action.version] = package
    for one in rejected:
        logger(__name__).warning(
            "An installed action is left out", package=one.package, entry=one.entry, why=one.reason
        )
    REJECTED.extend(rejected)


_add_installed()


def find_action(action_id: str, version: int) -> Action:
    """The action; raises StepFailed when this installation has none of that id and version."""
    action = ACTIONS.get((action_id, version))
    if action is None:
        raise StepFailed(f"There is no action {action_id} in version {version}.", "UNKNOWN_ACTION", ACTION_ERROR)
    return action


def listed_action(action_id: str, version: str) -> Action:
    """The action that an address names. Raises NotFound."""
    number = int(version) if version.isascii() and version.isdigit() and len(version) < 10 else 0
    if (action := ACTIONS.get((action_id, number))) is None:
        raise NotFound
    return action


def versions_of(action_id: str) -> list[int]:
    """The versions of an action, ascending; empty for an unknown one."""
    return sorted(version for known, version in ACTIONS if known == action_id)


def actions_page(q: str = "") -> list[Action]:
    """All actions by id, then version; only those with every word of `q` in their id, label or description."""
    words = q.lower().split()
    return [
        action
        for _, action in sorted(ACTIONS.items())
        if all(word in f"{action.id} {action.label} {action.description}".lower() for word in words)
    ]
