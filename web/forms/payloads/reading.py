"""From a posted form to its nodes. Every part says itself what it is, so nothing depends on what was stored meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from werkzeug.exceptions import RequestEntityTooLarge

from domain.kernel import strict_json
from domain.kernel.errors import Problem, Refused
from domain.kernel.strict_json import pointer
from web.forms.payloads.building import (
    JSON,
    MAX_LEVELS,
    MAX_ROWS,
    Room,
    Slot,
    build,
    other_node,
    required_slot,
    rest_node,
)
from web.forms.payloads.composites import ROW, ChoiceNode, ListNode, ObjectNode, Row
from web.forms.payloads.nodes import ABSENT, JsonNode, Node, SecretNode, SelectNode, TextNode
from web.forms.payloads.shapes import Shape
from web.forms.payloads.starting import carried_value

MAX_LEVELS_READ = 32
# More than any form that was drawn has: a few bytes of a posted name stand for an item with all its fields.
MAX_NODES_READ = 2_500


class Posted(Protocol):
    """A posted form, such as `request.form`."""

    def get(self, key: str) -> str | None: ...

    def getlist(self, key: str) -> list[str]: ...


@dataclass
class Reader:
    """Reads the fields whose names begin with `prefix`. A name is the prefix, a dash and a word if any, and a path."""

    form: Posted
    prefix: str
    room: Room = field(default_factory=Room)
    left: int = MAX_NODES_READ

    def text(self, path: str, word: str = "") -> str:
        name = f"{self.prefix}-{word}{path}" if word else self.prefix + path
        return (self.form.get(name) or "").replace("\r\n", "\n")

    def read(self, shape: Shape, path: str, slot: Slot) -> Node:
        """The node at `path` as it was posted; controls that were not posted are empty. Raises RequestEntityTooLarge."""
        self.left -= 1
        if self.left < 0:
            raise RequestEntityTooLarge(f"A form has at most {MAX_NODES_READ:,} fields. Send the payload as JSON.")
        about = slot.of(shape)
        marked = self.text(path, "as")
        self.room.nodes -= 1
        if shape.kind == "choice" and marked != "whole":
            return self._choice(shape, path, about)
        if marked in (JSON, "whole") or shape.kind in ("any", "never", "choice") or path.count("/") > MAX_LEVELS_READ:
            return self._rebuilt(JsonNode(**about, text=self.text(path)), path, slot)
        return self._posted(shape, path, about)

    def _posted(self, shape: Shape, path: str, about: dict[str, Any]) -> Node:
        match shape.kind:
            case "object":
                return self._object(shape, path, about)
            case "list":
                return self._list(shape, path, about)
            case "secret":
                return self._secret(path, about)
            case "select":
                return self._select(path, about)
        return self._text(path, about)

    def _rebuilt(self, node: JsonNode, path: str, slot: Slot) -> Node:
        """The controls that its JSON now allows, as far as there is room; or the JSON as it was typed."""
        unread: list[Problem] = []
        value = node.value(unread)
        if unread or value is ABSENT:
            return node
        self.room.levels = MAX_LEVELS - path.count("/")
        return build(node.shape, value, slot, self.room)

    def _text(self, path: str, about: dict[str, Any]) -> Node:
        is_utc = self.text(path, "as") == "utc"
        return TextNode(**about, text=self.text(path), empty=self.text(path, "empty"), is_utc=is_utc)

    def _secret(self, path: str, about: dict[str, Any]) -> Node:
        marks = self.text(path, "as").split()
        return SecretNode(
            **about,
            text=self.text(path),
            empty=self.text(path, "empty"),
            source=self.text(path, "from") or "typed",
            has_kept="kept" in marks,
            is_json="typed-json" in marks,
        )

    def _select(self, path: str, about: dict[str, Any]) -> Node:
        chosen = self.text(path)
        try:
            chosen = strict_json.dumps(strict_json.loads(chosen)) if chosen else ""
        except Refused:
            chosen = strict_json.dumps(chosen)
        return SelectNode(**about, chosen=chosen)

    def _object(self, shape: Shape, path: str, about: dict[str, Any]) -> Node:
        node = ObjectNode(**about)
        node.is_present = not about["may_be_absent"] or self.text(path, "as") == "object"
        if not node.is_present:
            return node
        for name in shape.member_names:
            member, inside = shape.member(name), path + pointer([name])
            if member.kind != "never" or self.text(inside, "as") == JSON:
                node.members[name] = self.read(member, inside, required_slot(shape, name))
        for token in self._tokens(path) if shape.has_rows else ():
            node.rows.append(self._row(shape, f"{path}/{ROW}{token}"))
        rest = self.text(f"{path}/{ROW}est")
        node.rest = rest_node(node, rest) if rest.strip() else None
        return node

    def _row(self, shape: Shape, path: str) -> Row:
        key, was = self.text(path, "key"), self.text(path, "old")
        slot = Slot("Value", may_be_absent=False)
        node = self.read(shape.row(was), path, slot)
        if key != was and shape.schema.get("patternProperties"):
            unread: list[Problem] = []
            value = node.value(unread)
            node = node if unread else build(shape.row(key), value, slot, self.room)
        return Row(key, node)

    def _list(self, shape: Shape, path: str, about: dict[str, Any]) -> Node:
        is_present = not about["may_be_absent"] or self.text(path, "as") == "list"
        slot = Slot("Item", may_be_absent=False)
        tokens = self._tokens(path) if is_present else []
        items = [self.read(shape.item(at), f"{path}/{token}", slot) for at, token in enumerate(tokens)]
        return ListNode(**about, is_present=is_present, items=items)

    def _choice(self, shape: Shape, path: str, about: dict[str, Any]) -> Node:
        pick, was = (self._variant(shape, self.text(path, word)) for word in ("pick", "was"))
        node = ChoiceNode(**about, pick=was, child=self._child(shape, was, path, about), stash=self._stash(path))
        if pick != was:
            switch_variant(node, pick)
        return node

    def _child(self, shape: Shape, pick: str, path: str, about: dict[str, Any]) -> Node | None:
        if pick == JSON:
            return other_node(about["label"], shape, self.text(path))
        return self.read(shape.variants[int(pick)], path, Slot(about["label"], False)) if pick else None

    def _variant(self, shape: Shape, text: str) -> str:
        is_index = text.isascii() and text.isdigit() and len(text) < 4 and int(text) < len(shape.variants)
        return str(int(text)) if is_index else JSON if text == JSON else ""

    def _stash(self, path: str) -> dict[str, Any]:
        try:
            stash = strict_json.loads(self.text(path, "stash") or "{}")
        except Refused:
            return {}
        return stash if isinstance(stash, dict) else {}

    def _tokens(self, path: str) -> list[str]:
        """The rows in their order. The form never draws more than these and one that is added."""
        name = f"{self.prefix}-row{path}"
        tokens = [token for token in self.form.getlist(name) if token.isascii() and token.isdigit() and len(token) < 5]
        return list(dict.fromkeys(tokens))[: MAX_ROWS + 1]


def switch_variant(node: ChoiceNode, pick: str) -> None:
    """Go to another variant. What stood in the one that is left is kept for the way back."""
    unread: list[Problem] = []
    left = node.child.value(unread) if node.child else ABSENT
    if node.pick and left is not ABSENT:
        node.stash[node.pick] = left
    node.pick = pick
    if pick == JSON:
        node.child = other_node(node.label, node.shape, strict_json.pretty(node.stash.pop(pick, None)))
    elif pick:
        variant = node.shape.variants[int(pick)]
        start = node.stash.pop(pick) if pick in node.stash else carried_value(variant, left)
        node.child = build(variant, start, Slot(node.label, may_be_absent=False))
    else:
        node.child = None
