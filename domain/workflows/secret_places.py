"""Where a value holds secrets, by the `"x-secret": true` marks of its schema.

A mark counts in every branch of a schema (`anyOf`, `if`, …), whichever of them the value takes: better hidden once too
often. The schema has passed `check_schema`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property, lru_cache
from typing import Any

import re2

from domain.kernel import strict_json
from domain.workflows.schema_graph import IN_PLACE, Edge, SchemaGraph, children

Place = tuple[str | int, ...]

_REFERENCE = {"type": "object", "required": ["$secret"]}


class SecretPlaces:
    """The marks of one schema."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._schema = schema
        self._graph = SchemaGraph(schema)
        self._marked = frozenset(node for node, part in self._graph.nodes.items() if _is_marked(part))
        self._leading = frozenset(self._graph.leading_to(set(self._marked)))

    @cached_property
    def tolerant_schema(self) -> dict[str, Any]:
        """The schema, but a marked field may hold `{"$secret": …}` instead of its value."""
        tolerant: dict[str, Any] = _tolerant(self._schema)
        return tolerant

    @property
    def has_any(self) -> bool:
        """Whether any value could hold a marked member."""
        return "" in self._leading

    def within(self, value: Any) -> set[Place]:
        """The outermost marked members of a value."""
        return set(self._within(value, self._all_in_place({""}), ())) if self.has_any else set()

    def _within(self, value: Any, nodes: set[str], where: Place) -> Iterator[Place]:
        if nodes & self._marked:
            yield where
        elif isinstance(value, dict):
            for key, member in value.items():
                yield from self._within_member(member, self._of_name(nodes, key), (*where, key))
        elif isinstance(value, list):
            for index, member in enumerate(value):
                yield from self._within_member(member, self._of_index(nodes, index), (*where, index))

    def _within_member(self, member: Any, targets: set[str], where: Place) -> Iterator[Place]:
        if targets:
            yield from self._within(member, self._all_in_place(targets), where)

    def _all_in_place(self, nodes: set[str]) -> set[str]:
        """The nodes and all that judge the same value with them, as far as they lead to a mark."""
        found: set[str] = set()
        waiting = [node for node in nodes if node in self._leading]
        while waiting:
            node = waiting.pop()
            if node not in found:
                found.add(node)
                edges = self._graph.edges[node]
                waiting += [edge.target for edge in edges if edge.keyword in IN_PLACE and edge.target in self._leading]
        return found

    def _of_name(self, nodes: Iterable[str], name: str) -> set[str]:
        found: set[str] = set()
        for node in nodes:
            edges = self._graph.edges[node]
            named = [edge for edge in edges if _is_named(edge, name)]
            found |= {edge.target for edge in named or edges if edge in named or edge.keyword == "additionalProperties"}
            found |= {edge.target for edge in edges if edge.keyword == "unevaluatedProperties"}
        return found & self._leading

    def _of_index(self, nodes: Iterable[str], index: int) -> set[str]:
        found: set[str] = set()
        for node in nodes:
            edges = self._graph.edges[node]
            named = [edge for edge in edges if edge.keyword == "prefixItems" and edge.key == index]
            found |= {edge.target for edge in named or edges if edge in named or edge.keyword == "items"}
            found |= {edge.target for edge in edges if edge.keyword in ("contains", "unevaluatedItems")}
        return found & self._leading


def secret_places(schema: dict[str, Any]) -> SecretPlaces:
    """The marks of a schema, worked out once per content and process."""
    return _secret_places(strict_json.dumps(schema))


@lru_cache(maxsize=512)
def _secret_places(text: str) -> SecretPlaces:
    return SecretPlaces(strict_json.loads(text))


def _is_marked(part: Any) -> bool:
    return isinstance(part, dict) and part.get("x-secret") is True


def _is_named(edge: Edge, name: str) -> bool:
    if edge.keyword == "patternProperties":
        return re2.search(str(edge.key), name) is not None
    return edge.keyword == "properties" and edge.key == name


def _tolerant(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    copy: dict[str, Any] = {key: part.copy() if isinstance(part, dict | list) else part for key, part in schema.items()}
    for path, part in children(schema):
        if len(path) == 1:
            copy[str(path[0])] = _tolerant(part)
        else:
            copy[str(path[0])][path[1]] = _tolerant(part)
    return {"anyOf": [_REFERENCE, copy]} if _is_marked(schema) else copy
