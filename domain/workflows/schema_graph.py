"""The subschemas of a JSON Schema, how they lead to each other, and what they cost at worst.

Keywords and their meaning: JSON Schema 2020-12, Core §10 and §11. A subschema is named by its JSON pointer from the root.
"""

from __future__ import annotations

import urllib.parse
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from domain.kernel.errors import Problem
from domain.kernel.strict_json import MAX_DEPTH, pointer

SCHEMA = ("not", "if", "then", "else")
SCHEMA_LIST = ("allOf", "anyOf", "oneOf")
IN_PLACE = frozenset({*SCHEMA, *SCHEMA_LIST, "dependentSchemas", "$ref", "$dynamicRef"})
NEVER_APPLIED = frozenset({"$defs", "definitions", "contentSchema"})
_ONE = (
    *SCHEMA,
    "additionalProperties",
    "unevaluatedProperties",
    "propertyNames",
    "items",
    "contains",
    "unevaluatedItems",
    "contentSchema",
)
_LIST = (*SCHEMA_LIST, "prefixItems")
_MAP = ("properties", "patternProperties", "dependentSchemas", "$defs", "definitions")
_REFERENCES = ("$ref", "$dynamicRef")

Schema = dict[str, Any] | bool


@dataclass(frozen=True)
class Edge:
    """One way from a subschema to another: by which keyword, at which key or index, to the pointer of the other."""

    keyword: str
    key: str | int | None
    target: str


def children(schema: Any) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """The direct subschemas of a schema with their relative paths, definitions included."""
    if not isinstance(schema, dict):
        return
    for keyword in _ONE:
        if keyword in schema:
            yield (keyword,), schema[keyword]
    for keyword in _LIST:
        for index, member in enumerate(schema.get(keyword, ())):
            yield (keyword, index), member
    for keyword in _MAP:
        for key, member in schema.get(keyword, {}).items():
            yield (keyword, key), member


def subschemas(schema: Any, where: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """A schema and all its subschemas with their paths, depth first. The nesting must have been bounded before."""
    yield where, schema
    for path, member in children(schema):
        yield from subschemas(member, (*where, *path))


@dataclass
class SchemaGraph:
    """The subschemas of a schema that fits the meta-schema, and what is wrong with its references."""

    root: dict[str, Any]
    nodes: dict[str, Schema] = field(default_factory=dict)
    edges: dict[str, list[Edge]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def __post_init__(self) -> None:
        anchors: dict[str, str] = {}
        for path, schema in subschemas(self.root):
            self.nodes[pointer(path)] = schema
            if isinstance(schema, dict):
                self._note_identity(path, schema, anchors)
        for path, schema in subschemas(self.root):
            self.edges[pointer(path)] = list(self._edges(path, schema, anchors))

    def _note_identity(self, path: tuple[str | int, ...], schema: dict[str, Any], anchors: dict[str, str]) -> None:
        if path and "$id" in schema:
            self._complain((*path, "$id"), "Only the root may have an $id. Remove this one and refer to #/$defs/….")
        for keyword in ("$anchor", "$dynamicAnchor"):
            if keyword in schema and anchors.setdefault(schema[keyword], pointer(path)) != pointer(path):
                self._complain((*path, keyword), f"The anchor {schema[keyword]} is used twice. Rename one of them.")

    def _edges(self, path: tuple[str | int, ...], schema: Any, anchors: dict[str, str]) -> Iterator[Edge]:
        for relative, _ in children(schema):
            keyword = str(relative[0])
            if keyword not in NEVER_APPLIED:
                yield Edge(keyword, relative[1] if len(relative) > 1 else None, pointer((*path, *relative)))
        if isinstance(schema, dict):
            for keyword in _REFERENCES:
                if keyword in schema:
                    target = self._target((*path, keyword), schema[keyword], anchors)
                    if target is not None:
                        yield Edge(keyword, None, target)

    def _target(self, path: tuple[str | int, ...], reference: str, anchors: dict[str, str]) -> str | None:
        if not reference.startswith("#"):
            self._complain(path, "References may only lead inside this schema. Copy the other one into $defs.")
            return None
        fragment = urllib.parse.unquote(reference[1:])
        target = fragment if fragment.startswith("/") or not fragment else anchors.get(fragment)
        if target is None or target not in self.nodes:
            self._complain(path, "This leads to no schema. Point it at one under $defs, such as #/$defs/name.")
            return None
        return target

    def _complain(self, path: tuple[str | int, ...], message: str) -> None:
        self.problems.append(Problem(pointer(path), message, "SCHEMA_REFERENCE"))

    def endless(self) -> list[str]:
        """The pointers of subschemas that lead back to themselves without looking deeper into the value."""
        found: list[str] = []
        state: dict[str, bool] = {}  # True while on the way, False when done
        for start in self.nodes:
            way: list[tuple[str, Iterator[str]]] = []
            following = start
            while following is not None:
                if following not in state:
                    state[following] = True
                    way.append((following, self._in_place(following)))
                elif state[following]:
                    found.append(following)
                following = self._step(way, state)  # type: ignore[assignment]
        return found

    def _step(self, way: list[tuple[str, Iterator[str]]], state: dict[str, bool]) -> str | None:
        while way:
            node, rest = way[-1]
            target = next(rest, None)
            if target is not None:
                return target
            state[node] = False
            way.pop()
        return None

    def _in_place(self, node: str) -> Iterator[str]:
        return (edge.target for edge in self.edges[node] if edge.keyword in IN_PLACE)

    def leading_to(self, targets: set[str]) -> set[str]:
        """The targets and all subschemas from which one of them can be reached."""
        leading = set(targets)
        size = -1
        while size != len(leading):
            size = len(leading)
            leading |= {node for node, edges in self.edges.items() if any(edge.target in leading for edge in edges)}
        return leading

    @cached_property
    def _applied_together(self) -> dict[str, Counter[str]]:
        """For each subschema: all that judge the same value when it does, and how often. Needs `endless` to be empty."""
        known: dict[str, Counter[str]] = {}

        def gather(node: str) -> Counter[str]:
            if node not in known:
                known[node] = Counter([node])
                for target in self._in_place(node):
                    known[node].update(gather(target))
            return known[node]

        starts = {edge.target for edges in self.edges.values() for edge in edges if edge.keyword not in IN_PLACE}
        return {start: gather(start) for start in {"", *starts}}

    def worst_checks(self, enough: int) -> int:
        """How many subschemas may judge the members on one way through a payload, from its root to its deepest leaf.

        Times the size of the payload this bounds the work of validation. Counting stops at `enough`.
        """
        together = self._applied_together
        cost: dict[str, int] = dict.fromkeys(together, 0)
        for _ in range(MAX_DEPTH + 1):
            deeper = {
                start: min(enough, group.total() + self._dearest_member(group, cost))
                for start, group in together.items()
            }
            if deeper == cost or deeper[""] >= enough:
                return deeper[""]
            cost = deeper
        return cost[""]

    def _dearest_member(self, group: Counter[str], cost: dict[str, int]) -> int:
        """The cost of the member that the most subschemas of the group look at, were the value an object or a list."""
        everywhere = Counter[str]()
        by_key: dict[str, Counter[str | int | None]] = {"object": Counter(), "array": Counter()}
        for node, times in group.items():
            rest = {"object": 0, "array": 0}
            for edge in self.edges[node]:
                if edge.keyword in ("additionalProperties", "items"):
                    rest["object" if edge.keyword == "additionalProperties" else "array"] = times * cost[edge.target]
                elif edge.keyword not in IN_PLACE and edge.keyword not in ("properties", "prefixItems"):
                    kind = "array" if edge.keyword in ("contains", "unevaluatedItems") else "object"
                    everywhere[kind] += times * cost[edge.target]
            for kind, amount in rest.items():
                everywhere[kind] += amount
            for edge in self.edges[node]:
                if edge.keyword in ("properties", "prefixItems"):
                    kind = "object" if edge.keyword == "properties" else "array"
                    by_key[kind][edge.key] += times * cost[edge.target] - rest[kind]
        return max(everywhere[kind] + max(by_key[kind].values(), default=0) for kind in by_key)
