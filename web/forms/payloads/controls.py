"""The fields of a payload's form: WTForms fields in a `BaseForm`, whose names may be anything (`Form` has names of its own)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Any

from wtforms import HiddenField, PasswordField, SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice
from wtforms.form import BaseForm
from wtforms.validators import InputRequired
from wtforms.widgets import (
    DateInput,
    DateTimeLocalInput,
    EmailInput,
    PasswordInput,
    TextInput,
    URLInput,
)

from domain.kernel import strict_json
from web.forms.payloads.composites import ROW, ChoiceNode, ListNode, ObjectNode
from web.forms.payloads.nodes import JsonNode, Node, SecretNode, SelectNode, TextNode
from web.forms.payloads.words import spoken

EMPTIES = {"absent": "Leave it out", "text": "Send empty text", "null": "Send null"}
# Paths that would get the id of a part of the editor itself (payloads/_editor.html).
_TAKEN = frozenset(("/editor", "/name", "/error", "/hint", "/unknown"))
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TEXT_WIDGETS = {"email": EmailInput, "uri": URLInput}
_MONO_FORMATS = ("uuid", "uri", "duration", "ipv4", "ipv6", "hostname", "regex", "time")

Made = tuple[str, Any, Any, list[str]]  # name, unbound field, what stands in it, its errors


def controls_of(root: Node | None, prefix: str, secret_names: tuple[str, ...]) -> BaseForm:
    """The fields of all nodes, filled and with their errors."""
    made = [one for node in root.walk() for one in _controls(node, prefix, secret_names)] if root else []
    form = BaseForm({name: unbound for name, unbound, _, _ in made})
    form.process(data={name: value for name, _, value, _ in made})
    for name, _, _, errors in made:
        form[name].errors = errors
    return form


def control_id(prefix: str, path: str, word: str = "") -> str:
    """An id without characters that attributes and selectors treat in their own way; different for different names."""
    slug = "".join(
        "-" if sign == "/" else sign if sign.isascii() and sign.isalnum() else f"_{ord(sign):x}_" for sign in path
    )
    if path in _TAKEN:
        slug += "_"
    return f"{prefix}{slug}" + (f"--{word}" if word else "")


def hidden_fields(node: Node) -> Iterator[tuple[str, str, str]]:
    """What says at posting what the node is: (word, path, value)."""
    match node:
        case JsonNode() if not _is_rest(node):
            yield "as", node.name, "whole" if node.shape.kind == "choice" else "json"
        case SecretNode():
            marks = ["kept"] * node.has_kept + ["typed-json"] * node.is_json
            yield "as", node.name, " ".join(marks)
        case TextNode() if input_type(node) is DateTimeLocalInput:
            yield "as", node.name, "utc"
        case ObjectNode() if node.is_present:
            yield "as", node.name, "object"
            for index, row in enumerate(node.rows):
                yield "row", node.name, str(index)
                yield "old", row.node.name, row.key
        case ListNode() if node.is_present:
            yield "as", node.name, "list"
            for index in range(len(node.items)):
                yield "row", node.name, str(index)
        case ChoiceNode():
            yield from _choice_fields(node)


def _choice_fields(node: ChoiceNode) -> Iterator[tuple[str, str, str]]:
    yield "was", node.name, node.pick
    if node.stash:
        yield "stash", node.name, strict_json.dumps(node.stash)


def input_type(node: TextNode) -> Any:
    """The widget that can hold the text as it is: browsers change what a typed input does not understand."""
    kind = str(node.shape.schema.get("format", ""))
    if kind == "date-time":
        return DateTimeLocalInput if node.is_utc else TextInput
    if kind == "date":
        return DateInput if not node.text or _is_date(node.text) else TextInput
    return _TEXT_WIDGETS.get(kind, TextInput) if node.text == node.text.strip() else TextInput


def is_long(node: Node) -> bool:
    """Whether the control takes the whole width."""
    if isinstance(node, TextNode):
        return not isinstance(node, SecretNode) and _has_lines(node)
    return not isinstance(node, SelectNode)


def _has_lines(node: TextNode) -> bool:
    return "\n" in node.text or node.shape.has_lines


def _controls(node: Node, prefix: str, secret_names: tuple[str, ...]) -> Iterator[Made]:
    name = prefix + node.name
    about: dict[str, Any] = {"label": node.label, "id": control_id(prefix, node.name)}
    if node.is_required:
        about["validators"] = [InputRequired()]
    match node:
        case SecretNode():
            widget = PasswordInput(hide_value=False)
            yield name, PasswordField(**about, widget=widget, render_kw=_typing(node)), node.text, node.errors
            yield _select(node, prefix, "from", _sources(node, secret_names), node.source)
            yield from _emptiness(node, prefix)
        case TextNode():
            field = TextAreaField if _has_lines(node) else StringField
            widget = {} if field is TextAreaField else {"widget": input_type(node)()}
            yield name, field(**about, **widget, render_kw=_typing(node)), node.text, node.errors
            yield from _emptiness(node, prefix)
        case SelectNode():
            field = (
                HiddenField(**about)
                if node.is_fixed
                else SelectField(**about, choices=_options(node), validate_choice=False)
            )
            yield name, field, node.chosen, node.errors
        case JsonNode():
            look = {"data-editor": "json", "rows": min(12, max(3, node.text.count("\n") + 1)), "spellcheck": "false"}
            yield name, TextAreaField(**about, render_kw=look | _focus(node)), node.text, node.errors
        case ChoiceNode():
            variants = [(str(at), variant.title or variant.type_name) for at, variant in enumerate(node.shape.variants)]
            variants += [("json", "Other, as JSON")] if node.pick == "json" else []
            yield _select(node, prefix, "pick", [*_blank(node, bool(node.pick)), *variants], node.pick)
        case ObjectNode():
            for row in node.rows:
                look = {"placeholder": "Name", "autocomplete": "off", "spellcheck": "false"}
                look |= {"autofocus": True} if row.is_focused else {}
                key = StringField("Name", id=control_id(prefix, row.node.name, "key"), render_kw=look)
                yield f"{prefix}-key{row.node.name}", key, row.key, []


def _select(node: Node, prefix: str, word: str, choices: list[tuple[str, str]], chosen: str) -> Made:
    field = SelectField(
        node.label,
        id=control_id(prefix, node.name, word),
        choices=[SelectChoice(value, label) for value, label in choices],
        validate_choice=False,
    )
    return f"{prefix}-{word}{node.name}", field, chosen, []


def _emptiness(node: TextNode, prefix: str) -> Iterator[Made]:
    meanings = node.empties
    if len(meanings) > 1:
        chosen = node.empty if node.empty in meanings else meanings[0]
        yield _select(node, prefix, "empty", [(name, EMPTIES[name]) for name in meanings], chosen)


def _options(node: SelectNode) -> list[SelectChoice]:
    blank = [] if node.chosen and node.has_to_be else _blank(node, False)
    return [SelectChoice(value, label) for value, label in blank] + [
        SelectChoice(option.value, option.label) for option in node.options
    ]


def _blank(node: Node, is_chosen: bool) -> list[tuple[str, str]]:
    must = node.has_to_be
    return [] if must and is_chosen else [("", "Choose…" if must else "Not set")]


def _sources(node: SecretNode, secret_names: tuple[str, ...]) -> list[tuple[str, str]]:
    names = list(secret_names)
    if node.source.startswith("named:") and node.source.removeprefix("named:") not in names:
        names.append(node.source.removeprefix("named:"))
    kept = [("kept", "Keep what is stored")] if node.has_kept else []
    return [*kept, ("typed", "Type a value"), *((f"named:{name}", f"Secret {name}") for name in names)]


def _typing(node: TextNode) -> dict[str, Any]:
    schema = node.shape.schema
    hint = spoken(schema["default"]) if "default" in schema and not isinstance(node, SecretNode) else " "
    look: dict[str, Any] = {"placeholder": hint, "autocomplete": "off"}
    if isinstance(node, SecretNode):
        look |= {"placeholder": "Stored, never shown" if node.has_kept else " ", "autocomplete": "new-password"}
    elif node.shape.kind in ("integer", "number"):
        look["inputmode"] = "numeric" if node.shape.kind == "integer" else "decimal"
    elif input_type(node) is DateTimeLocalInput:
        look["step"] = "1"
    elif schema.get("format") in _MONO_FORMATS:
        look |= {"spellcheck": "false", "class": "mono"}
    if _has_lines(node):
        look["rows"] = min(12, max(4, node.text.count("\n") + 2))
    return look | _focus(node)


def _focus(node: Node) -> dict[str, Any]:
    return {"autofocus": True} if node.is_focused else {}


def _is_date(text: str) -> bool:
    try:
        return bool(_DATE.fullmatch(text)) and bool(date.fromisoformat(text))
    except ValueError:
        return False


def _is_rest(node: Node) -> bool:
    return node.name.endswith(f"/{ROW}est")
