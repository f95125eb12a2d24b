"""The words in which bodies and answers are declared: JSON Schema 2020-12, in the form that OpenAPI 3.1 takes.

A record or a body with a title is written once, under that title, and referred to everywhere else.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

Json = dict[str, Any]

TEXT: Json = {"type": "string"}
FLAG: Json = {"type": "boolean"}
WHOLE: Json = {"type": "integer"}
NUMBER: Json = {"type": "number"}
ID: Json = {"type": "string", "format": "uuid"}
INSTANT: Json = {"type": "string", "format": "date-time"}
OBJECT: Json = {"type": "object"}
AN_ID = "01a1fb80-25f1-7000-9878-3cc29d3900f9"
ANY: Json = {}
"""Whatever JSON can hold."""


def choice(allowed: Collection[str]) -> Json:
    """One of these texts."""
    return {"type": "string", "enum": list(allowed)}


def counted(least: int, most: int) -> Json:
    return {"type": "integer", "minimum": least, "maximum": most}


def text(most: int) -> Json:
    """At most this many characters."""
    return {"type": "string", "maxLength": most}


def listed(of: Json) -> Json:
    return {"type": "array", "items": of}


def by_name(of: Json) -> Json:
    """An object whose members, whatever they are called, are alike."""
    return {"type": "object", "additionalProperties": of}


def maybe(of: Json) -> Json:
    """That, or null."""
    if not isinstance(of.get("type"), str) or "title" in of:
        return {"anyOf": [of, {"type": "null"}]}
    nullable: Json = {**of, "type": [of["type"], "null"]}
    if "enum" in of:
        nullable["enum"] = [*of["enum"], None]
    return nullable


def record(title: str, /, **members: Json) -> Json:
    """What is answered: all of these members, and no others."""
    return {
        "title": title,
        "type": "object",
        "properties": members,
        "required": list(members),
        "additionalProperties": False,
    }


def body(title: str, /, needs: Collection[str] = (), **members: Json) -> Json:
    """What is sent: any of these members, those that it `needs`, and no others."""
    said: Json = {"title": title, "type": "object", "properties": members, "additionalProperties": False}
    return {**said, "required": list(needs)} if needs else said


def shown_by(example: Json, of: Json) -> Json:
    """A body with an example of it."""
    return {**of, "examples": [example]}


def more(title: str, of: Json, /, **members: Json) -> Json:
    """A record with the members of another one and these."""
    return record(title, **{**of["properties"], **members})


def page_of(of: Json) -> Json:
    """One page of a list."""
    return record(f"{of['title']}Page", items=listed(of), nextCursor=maybe(TEXT))


FAULT = record("Fault", path=TEXT, message=TEXT, code=TEXT)
"""Something that is wrong, or that one should know: where, what, and a code that stays."""
