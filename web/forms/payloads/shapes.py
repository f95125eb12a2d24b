"""What the form makes of a JSON Schema (2020-12). A shape only proposes controls: what a payload may be, its schema says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from domain.kernel import strict_json
from web.forms.payloads.matching import is_match
from web.forms.payloads.merging import ALTERNATIVES, flat_schema
from web.forms.payloads.words import spoken

SCALARS = frozenset({"string", "integer", "number", "select", "secret"})
COMPOSITES = frozenset({"object", "list"})
MAX_VARIANTS = 30
LONG_TEXT = 200
_JSON_TYPES = {"array": "list", "boolean": "select", "null": "select"}
_TYPE_NAMES = {
    "string": "Text",
    "integer": "Whole number",
    "number": "Number",
    "object": "Object",
    "list": "List",
    "secret": "Secret",
    "any": "JSON",
}


@dataclass(frozen=True)
class Option:
    """One value to choose: `value` is its canonical JSON text."""

    value: str
    label: str


@dataclass(frozen=True)
class Shape:
    """`kind`: one of SCALARS or COMPOSITES, "choice", "any" (edited as JSON) or "never" (no value fits).

    `options` belong to "select", `variants` to "choice"; `is_nullable` scalars may be null besides.
    """

    kind: str
    schema: dict[str, Any]
    root: dict[str, Any] = field(repr=False)
    options: tuple[Option, ...] = ()
    variants: tuple[Shape, ...] = ()
    is_nullable: bool = False

    @property
    def title(self) -> str:
        title = self.schema.get("title")
        return title if isinstance(title, str) else ""

    @property
    def description(self) -> str:
        description = self.schema.get("description")
        return description if isinstance(description, str) else ""

    @property
    def type_name(self) -> str:
        """How a variant of this shape is called when it has no title."""
        fixed = self.schema.get("const")
        return str(fixed) if isinstance(fixed, str) else _TYPE_NAMES.get(self.kind, "Value")

    @property
    def is_open(self) -> bool:
        """Whether an object names none of its members, so that only JSON can say them."""
        return not self.properties and not self.has_rows and self.schema.get("additionalProperties", True) is not False

    @property
    def properties(self) -> dict[str, Any]:
        found: dict[str, Any] = self.schema.get("properties", {})
        return found

    @property
    def required(self) -> list[str]:
        found: list[str] = self.schema.get("required", [])
        return found

    @property
    def has_rows(self) -> bool:
        """Whether members whose names are free have a schema: they are rows of a name and a value."""
        return bool(self.schema.get("patternProperties")) or isinstance(self.schema.get("additionalProperties"), dict)

    @property
    def member_names(self) -> list[str]:
        """The names in `properties` as a form shows them: what is required first and in that order, small before large.

        The database keeps the names of an object in an order of its own, and a list as it was written.
        """
        sizes = {name: self.member(name).size for name in self.properties}
        required = {name: place for place, name in enumerate(self.required)}
        return sorted(sizes, key=lambda name: (sizes[name], required.get(name, len(required))))

    @property
    def size(self) -> int:
        """How much of a form it takes: one field, several lines, parts of its own, or JSON."""
        return 3 if self.kind == "any" else 1 if self.has_lines else 0 if self.kind in SCALARS else 2

    @property
    def has_lines(self) -> bool:
        """Whether its text may be so long that it gets several lines."""
        return self.kind == "string" and int(self.schema.get("maxLength", 0)) > LONG_TEXT

    def member(self, name: str) -> Shape:
        """The shape of a member that `properties` names."""
        return shape_of(self.properties[name], self.root)

    def row(self, name: str) -> Shape:
        """The shape of a member with a free name."""
        for pattern, schema in self.schema.get("patternProperties", {}).items():
            if is_match(pattern, name):
                return shape_of(schema, self.root)
        rest = self.schema.get("additionalProperties", True)
        if not isinstance(rest, dict) and not name:
            rest = next(iter(self.schema.get("patternProperties", {}).values()), rest)
        return shape_of(rest, self.root)

    def item(self, index: int) -> Shape:
        first = self.schema.get("prefixItems", [])
        return shape_of(first[index] if index < len(first) else self.schema.get("items", True), self.root)


def shape_of(schema: Any, root: dict[str, Any]) -> Shape:
    """The shape of a subschema of `root`. Members are looked at only when they are asked for, so recursion ends."""
    flat = flat_schema(schema, root)
    if flat is None:
        return Shape("never", {}, root)
    if flat.get("x-secret") is True:
        return Shape("secret", flat, root, is_nullable="null" in _types(flat))
    if "const" in flat:
        return Shape("select", flat, root, (_option(flat["const"]),))
    if isinstance(flat.get("enum"), list):
        return Shape("select", flat, root, tuple(_option(value) for value in flat["enum"]))
    alternatives = next((word for word in ALTERNATIVES if flat.get(word)), None)
    return _choice(flat, alternatives, root) if alternatives else _typed(flat, root)


def _choice(flat: dict[str, Any], word: str, root: dict[str, Any]) -> Shape:
    rest = {key: value for key, value in flat.items() if key not in (word, "title", "description", "default")}
    found: list[Shape] = []
    for alternative in flat[word]:
        shape = shape_of({"allOf": [rest, alternative]}, root)
        found += shape.variants if shape.kind == "choice" else [shape]
    return _either(flat, [shape for shape in found if shape.kind != "never"], root)


def _either(flat: dict[str, Any], found: list[Shape], root: dict[str, Any]) -> Shape:
    if not found or len(found) > MAX_VARIANTS:
        return Shape("any", flat, root)
    if all(shape.kind == "select" for shape in found):
        options = {option.value: option for shape in found for option in _titled(shape)}
        return Shape("select", flat, root, tuple(options.values()))
    others = [shape for shape in found if not _is_null(shape)]
    if len(others) == 1 and (others[0].kind in SCALARS or len(found) == 1):
        about: dict[str, Any] = {key: flat[key] for key in ("title", "description", "default") if key in flat}
        only = replace(others[0], schema={**others[0].schema, **about})
        return _nullable(only) if len(found) > 1 else only
    return Shape("choice", flat, root, variants=tuple(found))


def _typed(flat: dict[str, Any], root: dict[str, Any]) -> Shape:
    types = _types(flat)
    if len(types) > 1:
        about = ("title", "description", "default")
        rest = {key: value for key, value in flat.items() if key not in about}
        return _either(flat, [_typed({**rest, "type": name}, root) for name in types], root)
    kind = types[0] if types else "object" if "properties" in flat else "any"
    shape = Shape(_JSON_TYPES.get(kind, kind), flat, root)
    if kind == "boolean":
        return replace(shape, options=(Option("true", "Yes"), Option("false", "No")))
    if kind == "null":
        return replace(shape, options=(_option(None),))
    return replace(shape, kind="any") if kind == "object" and shape.is_open else shape


def _nullable(shape: Shape) -> Shape:
    if shape.kind == "select":
        return replace(shape, options=(*shape.options, _option(None)))
    return replace(shape, is_nullable=True)


def _types(flat: dict[str, Any]) -> list[str]:
    names = flat.get("type", [])
    return [names] if isinstance(names, str) else list(names)


def _is_null(shape: Shape) -> bool:
    return shape.kind == "select" and [option.value for option in shape.options] == ["null"]


def _titled(shape: Shape) -> Iterator[Option]:
    if len(shape.options) == 1 and shape.title:
        yield replace(shape.options[0], label=shape.title)
    else:
        yield from shape.options


def _option(value: Any) -> Option:
    return Option(strict_json.dumps(value), spoken(value))
