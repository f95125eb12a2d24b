"""Where a step puts a value: `vars.total`, `payload.customer.name`, or a bare `total`, which is `vars.total`.

The same for `saveAs` and `transform.assign`. Lists have no assignable places; assign a whole list instead.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from domain.engine.failures import VALIDATION, StepFailed

ASSIGNABLE = ("vars", "payload")
RESERVED = (*ASSIGNABLE, "local", "meta", "error", "system")
MAX_NAMES = 10
MAX_NAME_CHARACTERS = 64

_NAME = re.compile(rf"[^\W\d][\w-]{{0,{MAX_NAME_CHARACTERS - 1}}}")
_FORBIDDEN = frozenset({"__proto__", "prototype", "constructor"})


class BadPath(ValueError):
    """This is not a place that a value can be put. The message says why and what to write instead."""


@dataclass(frozen=True, slots=True)
class AssignPath:
    """`root` is `vars` or `payload`; `names` lead from there to the place, at least one."""

    root: str
    names: tuple[str, ...]

    def __str__(self) -> str:
        return ".".join((self.root, *self.names))


def parse_path(text: Any) -> AssignPath:
    """The place that `text` names; raises BadPath."""
    if not isinstance(text, str) or not text.strip():
        raise BadPath("A place is text such as vars.total.")
    if text.startswith("/"):
        raise BadPath("JSON pointers are not understood here. Write payload.customer.name instead.")
    parts = text.split(".")
    root = parts[0] if parts[0] in RESERVED else None
    if root is not None and root not in ASSIGNABLE:
        raise BadPath(f"{root} cannot be changed by a step. Use vars.<name> or payload.<name>.")
    names = tuple(parts[1:] if root else parts)
    if not names:
        raise BadPath(f"{root} as a whole cannot be replaced. Name a member, such as {root}.total.")
    if len(names) > MAX_NAMES:
        raise BadPath(f"A place may be at most {MAX_NAMES} names deep.")
    for name in names:
        check_name(name)
    return AssignPath(root or "vars", names)


def check_name(name: Any) -> None:
    """Raises BadPath when `name` cannot be the name of a variable or of a member on the way to a place."""
    if not isinstance(name, str) or not name:
        raise BadPath("A name between two dots is empty.")
    if name in _FORBIDDEN:
        raise BadPath(f"{name} is not allowed as a name.")
    if not _NAME.fullmatch(name):
        raise BadPath(
            f"{name[:MAX_NAME_CHARACTERS]!r} is not a name: a letter or _ first, then letters, digits, _ and -, "
            f"at most {MAX_NAME_CHARACTERS} characters."
        )


def check_assignable(tree: dict[str, Any], path: AssignPath) -> None:
    """Raises StepFailed when a value on the way to the place is there but is not an object."""
    inner: Any = tree
    for depth, name in enumerate(path.names[:-1], start=1):
        inner = inner.get(name)
        if inner is None:
            return
        if not isinstance(inner, dict):
            way = ".".join((path.root, *path.names[:depth]))
            raise StepFailed(f"{way} is not an object, so {path} cannot be set.", "NOT_AN_OBJECT", VALIDATION)


def assigned(tree: dict[str, Any], path: AssignPath, value: Any) -> dict[str, Any]:
    """`tree` with the value at the place; objects on the way are copied or made, nothing else is touched."""
    check_assignable(tree, path)
    return _assigned(tree, path.names, value)


def _assigned(tree: dict[str, Any] | None, names: tuple[str, ...], value: Any) -> dict[str, Any]:
    copy = dict(tree or {})
    copy[names[0]] = value if len(names) == 1 else _assigned(copy.get(names[0]), names[1:], value)
    return copy
