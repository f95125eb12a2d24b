"""From a value to the nodes that show it. Whatever the controls of a shape cannot hold exactly becomes JSON in place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.kernel import strict_json
from web.forms.payloads.composites import ChoiceNode, ListNode, ObjectNode, Row
from web.forms.payloads.fitting import KEPT, best_variant, is_showable
from web.forms.payloads.nodes import ABSENT, JsonNode, Node, SecretNode, SelectNode, TextNode
from web.forms.payloads.shapes import COMPOSITES, Shape
from web.forms.payloads.words import label_of

MAX_LEVELS = 10
MAX_ROWS = 100
MAX_NODES = 400
JSON = "json"
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_ROW_NAME = re.compile(r"\S(?:[^\r\n]*\S)?")


@dataclass(frozen=True)
class Slot:
    """Where a node is to stand: its label, and whether it can be left out or should not be."""

    label: str
    may_be_absent: bool = True
    is_required: bool = False

    def of(self, shape: Shape) -> dict[str, Any]:
        """The arguments of a node in this slot."""
        label = shape.title or self.label
        return {"shape": shape, "label": label, "may_be_absent": self.may_be_absent, "is_required": self.is_required}


@dataclass
class Room:
    """How much of the form may still be drawn."""

    nodes: int = MAX_NODES
    levels: int = MAX_LEVELS

    def take(self, shape: Shape, value: Any) -> bool:
        """Count one more node; whether controls of its kind still fit."""
        self.nodes -= 1
        if shape.kind not in COMPOSITES and shape.kind != "choice":
            return True
        is_long = isinstance(value, list | dict) and len(value) > MAX_ROWS
        return self.nodes > 0 and self.levels > 0 and not is_long


def build(shape: Shape, value: Any, slot: Slot, room: Room | None = None) -> Node:
    """The nodes of a value; ABSENT gives empty controls."""
    room = room or Room()
    about = slot.of(shape)
    has_room = room.take(shape, value)
    if value is ABSENT:
        return _blank(shape, about, room) if has_room else JsonNode(**about)
    if shape.kind == "select" and not isinstance(value, dict | list):
        return SelectNode(**about, chosen=strict_json.dumps(value))
    if shape.kind == "choice" and has_room:
        return _choice(shape, value, about, room)
    if not has_room or shape.kind == "any" or not is_showable(shape, value):
        return JsonNode(**about, text=strict_json.pretty(value))
    room.levels -= 1
    node = _filled(shape, value, about, room)
    room.levels += 1
    return node


def required_slot(shape: Shape, name: str) -> Slot:
    """The slot of a member that the schema names."""
    return Slot(label_of(name), is_required=name in shape.required)


def _blank(shape: Shape, about: dict[str, Any], room: Room) -> Node:
    is_present = not about["may_be_absent"]
    match shape.kind:
        case "select":
            return SelectNode(**about)
        case "secret":
            return SecretNode(**about, is_json=is_json_secret(shape))
        case "object":
            return _object(shape, {}, about, room) if is_present else ObjectNode(**about, is_present=False)
        case "list":
            return ListNode(**about, is_present=is_present)
        case "choice":
            return ChoiceNode(**about)
        case "any" | "never":
            return JsonNode(**about)
    return TextNode(**about, is_utc=shape.schema.get("format") == "date-time")


def _filled(shape: Shape, value: Any, about: dict[str, Any], room: Room) -> Node:
    match shape.kind:
        case "object":
            return _object(shape, value, about, room)
        case "list":
            return _list(shape, value, about, room)
        case "secret":
            return _secret(shape, value, about)
    return _text(shape, value, about)


def _text(shape: Shape, value: Any, about: dict[str, Any]) -> Node:
    if value is None:
        return TextNode(**about, empty="null")
    if not isinstance(value, str):
        return TextNode(**about, text=strict_json.dumps(value))
    is_utc = shape.schema.get("format") == "date-time" and _is_instant(value)
    text = value.removesuffix("Z") if is_utc else value
    return TextNode(**about, text=text, empty="" if value else "text", is_utc=is_utc)


def _secret(shape: Shape, value: Any, about: dict[str, Any]) -> Node:
    is_json = is_json_secret(shape)
    if value == KEPT:
        return SecretNode(**about, source="kept", has_kept=True, is_json=is_json)
    if isinstance(value, dict) and value.keys() == {"$secret"} and isinstance(value["$secret"], str):
        return SecretNode(**about, source=f"named:{value['$secret']}", is_json=is_json)
    if value is None and shape.is_nullable:
        return SecretNode(**about, empty="null", is_json=is_json)
    if isinstance(value, str) and not is_json and not re.search(r"[\r\n]", value):
        return SecretNode(**about, text=value, empty="" if value else "text")
    return SecretNode(**about, text=strict_json.dumps(value), is_json=True)


def _object(shape: Shape, value: dict[str, Any], about: dict[str, Any], room: Room) -> Node:
    node = ObjectNode(**about)
    for name in shape.member_names:
        member = shape.member(name)
        if name in value or member.kind != "never":
            node.members[name] = build(member, value.get(name, ABSENT), required_slot(shape, name), room)
    others = {name: inside for name, inside in value.items() if name not in node.members}
    for name in list(others) if shape.has_rows else ():
        if _ROW_NAME.fullmatch(name):
            node.rows.append(Row(name, build(shape.row(name), others.pop(name), Slot("Value", False), room)))
    if others:
        node.rest = rest_node(node, strict_json.pretty(others))
    return node


def _list(shape: Shape, value: list[Any], about: dict[str, Any], room: Room) -> Node:
    items = [build(shape.item(index), item, Slot("Item", False), room) for index, item in enumerate(value)]
    return ListNode(**about, items=items)


def _choice(shape: Shape, value: Any, about: dict[str, Any], room: Room) -> Node:
    index = best_variant(shape, value)
    slot = Slot(about["label"], may_be_absent=False)
    if index is None:
        return ChoiceNode(**about, pick=JSON, child=other_node(about["label"], shape, strict_json.pretty(value)))
    return ChoiceNode(**about, pick=str(index), child=build(shape.variants[index], value, slot, room))


def other_node(label: str, shape: Shape, text: str) -> JsonNode:
    """The JSON of a value that fits no variant."""
    return JsonNode(Shape("any", {}, shape.root), label, may_be_absent=False, text=text)


def rest_node(node: ObjectNode, text: str) -> JsonNode:
    """The JSON of the members that the schema does not name."""
    return JsonNode(Shape("any", {}, node.shape.root), "Not in the schema", text=text)


def is_json_secret(shape: Shape) -> bool:
    """Whether a secret of this shape is never text, so that what is typed is read as JSON."""
    types = shape.schema.get("type", "string")
    return "string" not in ([types] if isinstance(types, str) else types)


def _is_instant(text: str) -> bool:
    if not _INSTANT.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
