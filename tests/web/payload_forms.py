"""What the tests of the payload editor share: a form as a browser reads and sends it, and schemas with values that fit."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, render_template
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from domain.kernel import strict_json
from web import filters
from web.forms.payloads import PayloadEditor

ROOT = Path(__file__).resolve().parents[2]

_STRIPPED = ("email", "url")
_VALID = {
    "date": re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}"),
    "datetime-local": re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?"),
}


class Page(HTMLParser):
    """The controls of a page with what a browser would send for them (HTML, form submission and value sanitization)."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.sent: MultiDict[str, str] = MultiDict()
        self.buttons: list[tuple[str, str]] = []
        self.ids: list[str] = []
        self.labels: list[str] = []
        self._area: list[str] | None = None
        self._name = ""
        self._options: list[tuple[str, bool]] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        about = {name: value or "" for name, value in attrs}
        self.ids += [about["id"]] if "id" in about else []
        if tag == "label":
            self.labels.append(about.get("for", ""))
        if tag == "input" and about.get("name"):
            self.sent.add(about["name"], self._sanitized(about.get("type", "text"), about.get("value", "")))
        elif tag == "textarea":
            self._name, self._area = about["name"], []
        elif tag == "select":
            self._name, self._options = about["name"], []
        elif tag == "option" and self._options is not None:
            self._options.append((about.get("value", ""), "selected" in about))
        elif tag == "button" and about.get("name"):
            self.buttons.append((about["name"], about.get("value", "")))

    def handle_data(self, text: str) -> None:
        if self._area is not None:
            self._area.append(text)

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._area is not None:
            text = "".join(self._area).replace("\r\n", "\n").replace("\r", "\n").removeprefix("\n")
            self.sent.add(self._name, text.replace("\n", "\r\n"))
            self._area = None
        elif tag == "select" and self._options is not None:
            chosen = [value for value, is_selected in self._options if is_selected]
            self.sent.add(self._name, (chosen or [value for value, _ in self._options[:1]] or [""])[-1])
            self._options = None

    @staticmethod
    def _sanitized(kind: str, value: str) -> str:
        if kind == "hidden":
            return value.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")
        value = value.replace("\r", "").replace("\n", "")
        value = value.strip(" \t\f") if kind in _STRIPPED else value
        if kind in _VALID and not _VALID[kind].fullmatch(value):
            return ""
        # Chromium leaves out seconds that are zero.
        return value.removesuffix(":00") if kind == "datetime-local" and len(value) == 19 else value


@pytest.fixture(scope="module")
def drawing() -> Flask:
    """The templates alone."""
    app = Flask("drawing", template_folder=str(ROOT / "templates"), static_folder=str(ROOT / "static"))
    filters.register(app)
    return app


def drawn(app: Flask, editor: PayloadEditor) -> Page:
    """The editor as a browser sees it."""
    with app.test_request_context("/"):
        return Page(render_template("payloads/_fragment.html", editor=editor, fragment_url="/payload"))


def posted(page: Page, **changes: str) -> MultiDict[str, str]:
    """What the form sends when fields are filled in as `changes` say; `__` in a name stands for `-`."""
    form = page.sent.copy()
    for name, value in changes.items():
        form.setlist(name.replace("__", "-"), [value])
    return form


def pressed(app: Flask, schema: Any, editor: PayloadEditor, word: str, value: str, **changes: str) -> PayloadEditor:
    """The editor after one of its buttons."""
    page = drawn(app, editor)
    name = f"{editor.prefix}-{word}"
    assert (name, value) in page.buttons or word == "redraw", page.buttons
    form = posted(page, **changes)
    form.setlist(name, [value])
    return PayloadEditor.from_form(schema, form, editor.prefix, secret_names=editor.secret_names)


def is_same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON, 1 and 1.0 and true apart."""
    return strict_json.dumps(one) == strict_json.dumps(other)


# Schemas with a value that fits them. Each strategy gives pairs (schema, value).

TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=("Cs",)), max_size=8)
KEYS = st.one_of(
    st.sampled_from(
        ["data", "errors", "my-key", "_hid", "a/b", "a~b", "~r0", "0", "as", "x y", "é", "", "key", "form"]
    ),
    TEXT,
)
INTEGERS = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
ANY = st.recursive(
    st.none() | st.booleans() | INTEGERS | FLOATS | TEXT,
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(KEYS, inside, max_size=3),
    max_leaves=5,
)
_DATES = st.dates().map(lambda day: day.isoformat())
_INSTANTS = st.one_of(
    st.datetimes().map(lambda at: at.strftime("%Y-%m-%dT%H:%M:%SZ").zfill(20)),
    st.sampled_from(["2026-03-01T10:00:00+01:00", "2026-03-01T10:00:00.5Z", "2026-03-01t10:00:00z"]),
)
SCALARS = st.one_of(
    TEXT.map(lambda text: ({"type": "string"}, text)),
    TEXT.map(lambda text: ({"type": "string", "maxLength": 5_000}, text)),
    TEXT.map(lambda text: ({"type": "string", "x-secret": True}, text)),
    st.sampled_from([{"$kept": True}, {"$secret": "API_KEY"}]).map(
        lambda value: ({"type": "string", "x-secret": True}, value)
    ),
    INTEGERS.map(lambda number: ({"type": "integer", "x-secret": True}, number)),
    TEXT.map(lambda text: ({"type": ["string", "null"]}, text or None)),
    st.sampled_from(["alice@acme.test", "a b@x", " x"]).map(lambda text: ({"type": "string", "format": "email"}, text)),
    st.sampled_from(["https://acme.test/a?b=c", "urn:x:y"]).map(
        lambda text: ({"type": "string", "format": "uri"}, text)
    ),
    st.uuids().map(lambda value: ({"type": "string", "format": "uuid"}, str(value))),
    _DATES.map(lambda text: ({"type": "string", "format": "date"}, text)),
    _INSTANTS.map(lambda text: ({"type": "string", "format": "date-time"}, text)),
    INTEGERS.map(lambda number: ({"type": "integer"}, number)),
    FLOATS.map(lambda number: ({"type": "number", "minimum": -1e308}, number)),
    (INTEGERS | st.none()).map(lambda number: ({"type": ["integer", "null"]}, number)),
    st.booleans().map(lambda value: ({"type": "boolean"}, value)),
    ANY.map(lambda value: ({"const": value}, value)),
    st.lists(ANY, min_size=1, max_size=4).flatmap(
        lambda values: st.sampled_from(values).map(lambda value: ({"enum": values}, value))
    ),
    ANY.map(lambda value: (True, value)),
)


@st.composite
def _objects(draw: Any, inside: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    members = draw(st.dictionaries(KEYS, inside, max_size=4))
    present = [name for name in members if draw(st.booleans())]
    schema: dict[str, Any] = {"type": "object", "properties": {name: member for name, (member, _) in members.items()}}
    if draw(st.booleans()):
        schema["required"] = [name for name in present if draw(st.booleans())]
    value = {name: members[name][1] for name in present}
    others = {name: one for name, one in draw(st.dictionaries(KEYS, ANY, max_size=2)).items() if name not in members}
    match draw(st.sampled_from(["closed", "open", "rows", "patterns"])):
        case "closed":
            schema["additionalProperties"] = False
        case "open":
            value |= others
        case "rows":
            free_schema, free = draw(inside)
            schema["additionalProperties"] = free_schema
            value |= dict.fromkeys(others, free)
        case _:
            schema["patternProperties"] = {"^x": {"type": "string"}, "y": True}
            value |= others
    return schema, value


def _lists(inside: Any) -> Any:
    return inside.flatmap(
        lambda pair: st.integers(0, 3).map(lambda count: ({"type": "array", "items": pair[0]}, [pair[1]] * count))
    )


def _tuples(inside: Any) -> Any:
    return st.lists(inside, min_size=1, max_size=3).map(
        lambda pairs: ({"type": "array", "prefixItems": [one for one, _ in pairs]}, [value for _, value in pairs])
    )


def _choices(inside: Any) -> Any:
    return st.tuples(st.sampled_from(["oneOf", "anyOf"]), st.lists(inside, min_size=1, max_size=3)).flatmap(
        lambda drawn: st.sampled_from(drawn[1]).map(lambda pair: ({drawn[0]: [one for one, _ in drawn[1]]}, pair[1]))
    )


def _shared(inside: Any) -> Any:
    """A schema that others refer to. Its place is filled in by `whole`."""
    return inside.map(lambda pair: ({"allOf": [pair[0]], "title": "Shared"}, pair[1]))


PAIRS = st.recursive(
    SCALARS,
    lambda inside: st.one_of(_objects(inside), _lists(inside), _tuples(inside), _choices(inside), _shared(inside)),
    max_leaves=6,
)
TREE = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "below": {"$ref": "#/$defs/tree"}, "more": {"$ref": "#/$defs/trees"}},
}
DEFINITIONS = {"tree": TREE, "trees": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}
TREES = st.recursive(
    st.fixed_dictionaries({}, optional={"name": TEXT}),
    lambda inside: st.fixed_dictionaries(
        {}, optional={"name": TEXT, "below": inside, "more": st.lists(inside, max_size=2)}
    ),
    max_leaves=6,
).map(lambda value: ({"$ref": "#/$defs/tree"}, value))
PAYLOADS = _objects(PAIRS | TREES).map(lambda pair: ({**pair[0], "$defs": DEFINITIONS}, pair[1]))
