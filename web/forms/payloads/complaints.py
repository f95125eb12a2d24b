"""Where in the form a problem of the domain stands."""

from __future__ import annotations

from domain.kernel.errors import Problem
from domain.kernel.strict_json import pointer
from web.forms.payloads.composites import ROW, ObjectNode
from web.forms.payloads.nodes import Node


def place_problem(root: Node, where: str, problem: Problem) -> tuple[Node, str]:
    """The node nearest to the JSON pointer `where`, and what is said there."""
    nearest = root
    for node in root.walk():
        if not _is_rest(node) and (where == node.pointer or where.startswith(node.pointer + "/")):
            nearest = node if len(node.pointer) >= len(nearest.pointer) else nearest
    inside = where.removeprefix(nearest.pointer)
    if isinstance(nearest, ObjectNode) and nearest.rest and inside:
        first = inside.split("/")[1]
        if first in [pointer([name])[1:] for name in nearest.unknown]:
            return nearest.rest, _sentence(f"{inside[1:]}: {problem.message}")
    if problem.code == "REQUIRED" and not inside:
        return nearest, f"{nearest.label} is required"
    return nearest, f"{inside}: {problem.message}" if inside else _sentence(problem.message)


def unknown_members(root: Node) -> list[str]:
    """The JSON pointers of all members that the schema does not name."""
    objects = (node for node in root.walk() if isinstance(node, ObjectNode))
    return [node.pointer + pointer([name]) for node in objects for name in node.unknown]


def _is_rest(node: Node) -> bool:
    return node.name.endswith(f"/{ROW}est")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
