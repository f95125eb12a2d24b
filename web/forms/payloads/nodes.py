"""The parts of a payload's form with what stands in them, as typed. Reading a node gives its value and what is unreadable."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from domain.kernel import strict_json
from domain.kernel.errors import Problem, Refused
from web.forms.payloads.fitting import KEPT, is_number
from web.forms.payloads.shapes import Option, Shape
from web.forms.payloads.words import spoken


class Absent:
    """The value of a member that is left out."""


ABSENT: Final = Absent()
ANSWERS = {"text": "", "null": None}
_HAS_SECONDS = re.compile(r"T[0-9]{2}:[0-9]{2}:[0-9]{2}")


@dataclass
class Node(ABC):
    """`may_be_absent`: it is a member of an object, required or not; items and rows always are there.

    `name` and `pointer` are given by `place`: where it stands in the form, and where its value does in the payload.
    """

    shape: Shape
    label: str
    may_be_absent: bool = True
    is_required: bool = False
    name: str = ""
    pointer: str = ""
    errors: list[str] = field(default_factory=list)
    is_focused: bool = False

    look: ClassVar[str] = ""

    def place(self, name: str, where: str) -> None:
        """Number this node and all inside it anew."""
        self.name, self.pointer = name, where

    def children(self) -> Iterator[Node]:
        """The nodes directly inside this one."""
        yield from ()

    def walk(self) -> Iterator[Node]:
        yield self
        for child in self.children():
            yield from child.walk()

    @abstractmethod
    def value(self, problems: list[Problem]) -> Any:
        """The JSON value, or ABSENT; what cannot be read is added to `problems` and stands for itself as text."""

    @property
    def has_to_be(self) -> bool:
        """Whether the payload is wrong without it."""
        return self.is_required or not self.may_be_absent

    def complain(self, problems: list[Problem], message: str, where: str | None = None) -> None:
        problems.append(Problem(self.pointer if where is None else where, message, "PAYLOAD_UNREADABLE"))


@dataclass
class TextNode(Node):
    """Text or a number in one field. `empty` says what an empty field means: absent, text or null.

    `is_utc`: the text is the local part of an instant in UTC, as a field for date and time holds it.
    """

    text: str = ""
    empty: str = ""
    is_utc: bool = False

    look = "text"

    @property
    def empties(self) -> list[str]:
        """What an empty field can mean here, the usual first."""
        is_text = self.shape.kind not in ("integer", "number")
        may_be_text = not self.may_be_absent or self.empty == "text" or _admits_empty(self.shape.schema)
        found = [("absent", self.may_be_absent), ("text", is_text and may_be_text), ("null", self.shape.is_nullable)]
        return [name for name, applies in found if applies]

    def value(self, problems: list[Problem]) -> Any:
        if not self.text.strip() if self.shape.kind in ("integer", "number") else not self.text:
            return self._emptiness(problems)
        if self.shape.kind in ("integer", "number"):
            return self._number(problems)
        if self.is_utc:
            return self.text + ("Z" if _HAS_SECONDS.search(self.text) else ":00Z")
        return self.text

    def _emptiness(self, problems: list[Problem]) -> Any:
        meaning = self.empty if self.empty in self.empties else next(iter(self.empties), "")
        if not meaning:
            self.complain(problems, "Enter a number.")
        return ABSENT if meaning == "absent" else ANSWERS.get(meaning)

    def _number(self, problems: list[Problem]) -> Any:
        try:
            number = strict_json.loads(self.text)
        except Refused:
            number = None
        if is_number(number):
            return number
        example = "a whole number such as 12" if self.shape.kind == "integer" else "a number such as 12 or 0.5"
        self.complain(problems, f"Enter {example}.")
        return self.text


@dataclass
class SecretNode(TextNode):
    """A masked value. `source`: typed, kept (what is stored stays) or named:<NAME>; `is_json`: what is typed is JSON."""

    source: str = "typed"
    has_kept: bool = False
    is_json: bool = False

    look = "secret"

    def value(self, problems: list[Problem]) -> Any:
        if self.source.startswith("named:"):
            return {"$secret": self.source.removeprefix("named:")}
        if self.source == "kept" and not self.text:
            return dict(KEPT)
        if not (self.text and self.is_json):
            return super().value(problems)
        try:
            return strict_json.loads(self.text)
        except Refused:
            self.complain(problems, "This is no JSON. Write text in double quotes, or a number.")
            return self.text


@dataclass
class SelectNode(Node):
    """One of several values. `chosen` is its canonical JSON text, empty for none."""

    chosen: str = ""

    look = "select"

    @property
    def options(self) -> list[Option]:
        """The values to choose; one that is no longer allowed stays visible."""
        known = list(self.shape.options)
        if self.chosen and self.chosen not in {option.value for option in known}:
            known.append(Option(self.chosen, f"{spoken(strict_json.loads(self.chosen))} (not allowed)"))
        return known

    @property
    def is_fixed(self) -> bool:
        """Whether there is nothing to choose: the only value there is, in a place that must have one."""
        return self.has_to_be and [option.value for option in self.shape.options] == [self.chosen]

    def value(self, problems: list[Problem]) -> Any:
        if self.chosen:
            return strict_json.loads(self.chosen)
        if not self.may_be_absent:
            self.complain(problems, "Choose one.")
        return ABSENT if self.may_be_absent else None


@dataclass
class JsonNode(Node):
    """What the form has no controls for, as JSON."""

    text: str = ""

    look = "json"

    def value(self, problems: list[Problem]) -> Any:
        if not self.text.strip() and self.may_be_absent:
            return ABSENT
        try:
            return strict_json.loads(self.text)
        except Refused as refused:
            self.complain(problems, refused.problems[0].message)
            return self.text


def _admits_empty(schema: dict[str, Any]) -> bool:
    return not schema.get("minLength") and "format" not in schema and "pattern" not in schema
