"""What the buttons inside the form do: add and remove rows and optional parts."""

from __future__ import annotations

from web.forms.payloads.building import MAX_ROWS, Slot, build
from web.forms.payloads.composites import ListNode, ObjectNode, Row
from web.forms.payloads.nodes import Node, SecretNode
from web.forms.payloads.starting import starting_value

ADD, EMPTY, REMOVE, REDRAW = "add", "set", "remove", "redraw"
ACTS = (ADD, EMPTY, REMOVE, REDRAW)
# With what is added then it is still below what is read (`reading.MAX_NODES_READ`).
FULL_AT = 1_000


def rearrange(root: Node, act: str, path: str) -> None:
    """Do `act` at the node named `path`; what is not there any more is left alone. The nodes must be placed anew."""
    nodes = list(root.walk())
    node = next((node for node in nodes if node.name == path), None)
    if act == ADD and node and len(nodes) > FULL_AT:
        node.errors.append("The form has no room for more. Add it as JSON.")
    elif act == ADD and isinstance(node, ObjectNode):
        _add_member(node)
    elif act == ADD and isinstance(node, ListNode) and len(node.items) < MAX_ROWS:
        _add_item(node)
    elif act == EMPTY and isinstance(node, ListNode):
        node.is_present = True
    elif act == REMOVE:
        _remove(root, path)


def _add_member(node: ObjectNode) -> None:
    """The object itself when it is absent, else one more row."""
    if not node.is_present:
        start = starting_value(node.shape)
        begun = build(node.shape, start if isinstance(start, dict) else {}, Slot(node.label))
        if isinstance(begun, ObjectNode):
            node.is_present, node.members, node.rows, node.rest = True, begun.members, begun.rows, begun.rest
            _focus(node)
    elif node.shape.has_rows and len(node.rows) < MAX_ROWS:
        shape = node.shape.row("")
        row = Row("", build(shape, starting_value(shape), Slot("Value", False)), is_focused=True)
        node.rows.append(row)


def _add_item(node: ListNode) -> None:
    shape = node.shape.item(len(node.items))
    item = build(shape, starting_value(shape), Slot("Item", may_be_absent=False))
    node.is_present = True
    node.items.append(item)
    _focus(item)


def _remove(root: Node, path: str) -> None:
    for node in root.walk():
        if isinstance(node, ListNode) and any(item.name == path for item in node.items):
            at = [item.name for item in node.items].index(path)
            del node.items[at]
            _forget_kept(node.items[at:])
            node.is_focused = True
            return
        if isinstance(node, ObjectNode) and any(row.node.name == path for row in node.rows):
            node.rows = [row for row in node.rows if row.node.name != path]
            node.is_focused = True
            return
        if node.name == path and node.may_be_absent and isinstance(node, ObjectNode | ListNode):
            node.is_present, node.is_focused = False, True
            if isinstance(node, ListNode):
                node.items = []
            return


def _forget_kept(items: list[Node]) -> None:
    """A stored secret is found again by its place in the payload; those that move up have to be typed again."""
    for node in (inside for item in items for inside in item.walk()):
        if isinstance(node, SecretNode) and node.has_kept:
            node.has_kept = False
            if node.source == "kept":
                node.source = "typed"
                node.errors.append("Its place in the list changed. Enter it again.")


def _focus(node: Node) -> None:
    """The first control in a part that was added gets the focus."""
    inside = [part for part in node.walk() if not isinstance(part, ObjectNode | ListNode)]
    (inside[0] if inside else node).is_focused = True
