"""Hostile schemas and hostile forms: the editor answers in a moment, or says that this is too much."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import RequestEntityTooLarge

from domain.workflows.schema_rules import check_schema
from tests.factories import a_published_workflow
from tests.promptness import promptly
from tests.web.cast import Browser
from tests.web.payload_forms import drawing
from tests.web.test_payload_form import html_of
from web.forms.payloads import PayloadEditor
from web.forms.payloads.reading import MAX_NODES_READ

__all__ = ["drawing"]

WIDE = {"type": "object", "properties": {f"p{number}": {"type": "string"} for number in range(400)}}
LISTED = {"type": "object", "properties": {"l": {"type": "array", "items": {"type": "array", "items": WIDE}}}}
NAMED = {"type": "object", "additionalProperties": {"type": "array", "items": WIDE}}
RECURSIVE = {"type": "object", "properties": {"a": {"$ref": "#"}, "b": {"type": "array", "items": {"$ref": "#"}}}}
FORM = {"payload-mode": "form", "payload-as": "object"}
ADD = ("payload-add", "/l")


def rows_of_lists() -> Iterator[tuple[str, str]]:
    yield "payload-as/l", "list"
    for outer in range(100):
        yield from (("payload-row/l", str(outer)), (f"payload-as/l/{outer}", "list"))
        yield from ((f"payload-row/l/{outer}", str(inner)) for inner in range(100))


def rows_by_name() -> Iterator[tuple[str, str]]:
    for number in range(100):
        yield from (("payload-row", str(number)), (f"payload-key/~r{number}", f"k{number}"))
        yield f"payload-as/~r{number}", "list"
        yield from ((f"payload-row/~r{number}", str(inner)) for inner in range(100))


@pytest.mark.parametrize(("schema", "sent"), [(LISTED, rows_of_lists()), (NAMED, rows_by_name())])
def test_a_short_form_that_stands_for_millions_of_fields_is_not_read(schema: Any, sent: Iterator[Any]) -> None:
    check_schema(schema)
    with promptly(), pytest.raises(RequestEntityTooLarge):
        PayloadEditor.from_form(schema, MultiDict([*FORM.items(), *sent]))


def test_objects_inside_objects_are_read_only_so_deep() -> None:
    sent = [(f"payload-as{'/a' * depth}", "object") for depth in range(500)]
    with promptly():
        editor = PayloadEditor.from_form(RECURSIVE, MultiDict([*FORM.items(), *sent]))
    assert str(editor.value).count("{") < 40


def test_as_many_fields_as_one_schema_can_have_are_drawn_and_read(drawing: Flask) -> None:
    schema = {"type": "object", "properties": {f"p{number}": {"type": "integer"} for number in range(490)}}
    check_schema(schema)
    typed = {f"payload/p{number}": str(number) for number in range(490)}
    with promptly():
        editor = PayloadEditor.from_form(schema, MultiDict(FORM | typed))
        html_of(drawing, editor)
    assert editor.value == {f"p{number}": number for number in range(490)}


def test_a_form_that_is_full_takes_no_more_rows() -> None:
    schema = {"type": "object", "properties": {"l": {"type": "array", "items": WIDE}}}

    def added_to(rows: int) -> PayloadEditor:
        listed = [("payload-row/l", str(number)) for number in range(rows)]
        return PayloadEditor.from_form(schema, MultiDict([*FORM.items(), *listed, ("payload-as/l", "list"), ADD]))

    assert len(added_to(2).value["l"]) == 3
    full = added_to(3)
    assert full.body is not None and len(full.value["l"]) == 3
    assert full.body.members["l"].errors == ["The form has no room for more. Add it as JSON."]
    assert sum(1 for _ in full.body.walk()) < MAX_NODES_READ


@pytest.mark.parametrize(
    "sent",
    [
        {"payload-row/b": "9" * 4_000, "payload-as/b": "list"},
        {"payload-row/b": "-1", "payload-as/b": "list", "payload-as/b/-1": "object"},
        {"payload-as/__proto__": "object", "payload/__proto__": "1", "payload-row": "__proto__"},
        {"payload-add": "/b/99999", "payload-as/b": "list"},
        {"payload-remove": "", "payload-set": "", "payload-add": "", "payload-redraw": ""},
        {"payload-remove": "/a/a/a", "payload-to": "nonsense"},
        {"payload/a/a": "x", "payload/a~1a": "x", "payload//": "x", "payload/~r0": "x", "payload-key/~r0": "a"},
        {"payload-pick": "99999", "payload-was": "-1", "payload-stash": "[" * 10_000},
        {"payload-mode": "form", "payload": "{", "payloadpayload-mode": "json", "payload-payload": "1"},
        {"payload-drawn": "\x00", "payload/a": "\ud800", "payload~rest": "{}", "payload/~rest": '{"a": ' * 500},
        {"payload/~rest": '{"a": 1e999, "b": 1, "b": 2}'},
    ],
)
def test_names_that_no_form_of_ours_has_do_no_harm(drawing: Flask, sent: dict[str, str]) -> None:
    for schema in (RECURSIVE, NAMED, {"oneOf": [RECURSIVE, {"type": "object", "required": ["x"]}]}):
        with promptly():
            editor = PayloadEditor.from_form(schema, MultiDict(FORM | sent))
            editor.attach(editor.problems)
            html_of(drawing, editor)


def test_what_is_too_much_is_said_on_the_page(alice: Browser, acme: Any, db: Any) -> None:
    workflow = a_published_workflow(acme, schema=LISTED)
    db.commit()
    sent = MultiDict([*FORM.items(), *rows_of_lists()])
    for address in (f"/workflows/{workflow.id}/run", f"/workflows/{workflow.id}/run/payload"):
        for htmx in (False, True):
            answer = alice.open(address, method="POST", data=sent, htmx=htmx)
            assert answer.status_code == 413 and "Send the payload as JSON" in answer.text
