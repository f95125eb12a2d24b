"""Where in the form a problem of the domain stands."""

from __future__ import annotations

from typing import Any

from domain.kernel.errors import Problem, Refused
from domain.kernel.strict_json import pointer
from domain.workflows.schema_rules import payload_problems
from web.forms.payloads.composites import ROW, ChoiceNode, ObjectNode
from web.forms.payloads.nodes import Node, SecretNode

Said = tuple[Node, str]


def place_problem(root: Node, where: str, problem: Problem) -> list[Said]:
    """The node nearest to the JSON pointer `where` with what is said there; of a choice, what its variant lacks."""
    nearest, choice = root, None
    for node in root.walk():
        if not _is_rest(node) and (where == node.pointer or where.startswith(node.pointer + "/")):
            nearest = node if len(node.pointer) >= len(nearest.pointer) else nearest
            choice = node if isinstance(node, ChoiceNode) and node.pointer == where else choice
    if choice and choice.child and problem.code in ("ONE_OF", "ANY_OF"):
        said = [one for inner in variant_problems(choice) for one in place_problem(choice.child, inner.path, inner)]
        return said or [_said(nearest, where, problem)]
    return [_said(nearest, where, problem)]


def variant_problems(choice: ChoiceNode) -> list[Problem]:
    """What the chosen variant says about its value, at pointers of the whole payload; empty when it cannot be asked."""
    child = choice.child
    if child is None or not choice.pick.isdigit():
        return []
    shape = choice.shape.variants[int(choice.pick)]
    shared: dict[str, Any] = {word: shape.root[word] for word in ("$defs", "definitions") if word in shape.root}
    masked = {node.pointer for node in child.walk() if isinstance(node, SecretNode) and node.source != "typed"}
    try:
        found = payload_problems({**shared, **shape.schema}, child.value([]))
    except Refused:
        return []
    placed = [Problem(choice.pointer + one.path, one.message, one.code) for one in found]
    return [one for one in placed if one.path not in masked]


def _said(nearest: Node, where: str, problem: Problem) -> Said:
    inside = where.removeprefix(nearest.pointer)
    if isinstance(nearest, ObjectNode) and nearest.rest and inside:
        first = inside.split("/")[1]
        if first in [pointer([name])[1:] for name in nearest.unknown]:
            is_itself = problem.code in ("ADDITIONAL_PROPERTIES", "UNEVALUATED_PROPERTIES")
            return nearest.rest, problem.message if is_itself else f"{inside[1:]}: {problem.message}"
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
