"""The parts of a payload's form that hold others: objects, lists, and choices between shapes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from domain.kernel import strict_json
from domain.kernel.errors import Problem, Refused
from domain.kernel.strict_json import pointer
from web.forms.payloads.nodes import ABSENT, JsonNode, Node
from web.forms.payloads.words import spoken

ROW = "~r"  # begins the token of a row in a name; no JSON pointer contains it


@dataclass
class Row:
    """A member with a free name. `key` is what is typed."""

    key: str
    node: Node
    is_focused: bool = False


@dataclass
class ObjectNode(Node):
    """`rest`: the members that neither the schema nor a row names, as one JSON object."""

    is_present: bool = True
    members: dict[str, Node] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    rest: JsonNode | None = None

    look = "object"

    def place(self, name: str, where: str) -> None:
        super().place(name, where)
        for key, node in self.members.items():
            node.place(name + pointer([key]), where + pointer([key]))
        for index, row in enumerate(self.rows):
            row.node.place(f"{name}/{ROW}{index}", where + pointer([row.key]))
        if self.rest:
            self.rest.place(f"{name}/{ROW}est", where)

    def children(self) -> Iterator[Node]:
        yield from self.members.values()
        yield from (row.node for row in self.rows)
        if self.rest:
            yield self.rest

    def value(self, problems: list[Problem]) -> Any:
        if not self.is_present:
            return ABSENT
        found = {name: node.value(problems) for name, node in self.members.items()}
        found = {name: inside for name, inside in found.items() if inside is not ABSENT}
        for row in self.rows:
            self._take(row.key, row.node.value(problems), found, problems, row.node.pointer)
        rest = self.rest.value(problems) if self.rest else ABSENT
        if isinstance(rest, dict):
            for key, inside in rest.items():
                self._take(key, inside, found, problems, self.pointer + pointer([key]))
        elif self.rest and rest is not ABSENT:
            self.rest.complain(problems, "Write the other members as a JSON object, in curly braces.")
        return found

    def _take(self, key: str, inside: Any, found: dict[str, Any], problems: list[Problem], where: str) -> None:
        """Add a member with a free name, unless it would hide another."""
        if not key and where in [row.node.pointer for row in self.rows]:
            self.complain(problems, "Give it a name.", where)
        elif key in self.members:
            self.complain(problems, f"{spoken(key)} has a field of its own.", where)
        elif key in found:
            self.complain(problems, f"The name {spoken(key)} is used twice.", where)
        else:
            found[key] = inside

    @property
    def unknown(self) -> list[str]:
        """The names of members that the schema does not name."""
        text = self.rest.text if self.rest else ""
        try:
            rest = strict_json.loads(text) if text.strip() else {}
        except Refused:
            return []
        return list(rest) if isinstance(rest, dict) else []


@dataclass
class ListNode(Node):
    is_present: bool = True
    items: list[Node] = field(default_factory=list)

    look = "list"

    def place(self, name: str, where: str) -> None:
        super().place(name, where)
        for index, node in enumerate(self.items):
            node.label = f"{self.label} {index + 1}"
            node.place(f"{name}/{index}", f"{where}/{index}")

    def children(self) -> Iterator[Node]:
        yield from self.items

    def value(self, problems: list[Problem]) -> Any:
        return [item.value(problems) for item in self.items] if self.is_present else ABSENT


@dataclass
class ChoiceNode(Node):
    """One of several shapes. `pick`: the index of a variant, "json" for a value that fits none, empty for no value.

    `stash`: by pick what stood in the variants that were left, so that going back brings it back.
    """

    pick: str = ""
    child: Node | None = None
    stash: dict[str, Any] = field(default_factory=dict)

    look = "choice"

    def place(self, name: str, where: str) -> None:
        super().place(name, where)
        if self.child:
            self.child.place(name, where)

    def children(self) -> Iterator[Node]:
        if self.child:
            yield self.child

    def value(self, problems: list[Problem]) -> Any:
        if self.child:
            return self.child.value(problems)
        if not self.may_be_absent:
            self.complain(problems, "Choose one.")
        return ABSENT if self.may_be_absent else None
