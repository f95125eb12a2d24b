"""Whatever a payload is: drawn as a form and posted by a browser it is the same payload, and so it is through JSON."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings

from tests.web.payload_forms import ANY, PAYLOADS, drawing, drawn, is_same, pressed
from web.forms.payloads import PayloadEditor
from web.forms.payloads.controls import control_id

__all__ = ["drawing"]

TEMPLATES = Path(__file__).parents[2] / "templates"

often = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def sent_back(app: Flask, schema: Any, editor: PayloadEditor) -> PayloadEditor:
    page = drawn(app, editor)
    assert len(page.ids) == len(set(page.ids)), "an id is used twice"
    assert set(page.labels) <= set(page.ids), "a label leads nowhere"
    return PayloadEditor.from_form(schema, page.sent, secret_names=["API_KEY"])


@often
@given(pair=PAYLOADS)
def test_a_payload_comes_back_from_its_form_exactly(drawing: Flask, pair: Any) -> None:
    schema, value = pair
    editor = PayloadEditor(schema, value)
    for _ in range(2):
        editor = sent_back(drawing, schema, editor)
        assert editor.problems == []
        assert is_same(editor.value, value), (schema, value, editor.value)


OWN_IDS = set(re.findall(r'id="\{\{ editor\.prefix \}\}-([a-z]+)"', (TEMPLATES / "payloads/_editor.html").read_text()))


@pytest.mark.parametrize("name", sorted(OWN_IDS))
def test_a_field_may_be_called_like_a_part_of_the_editor(drawing: Flask, name: str) -> None:
    schema = {"type": "object", "properties": {name: {"type": "string", "description": "A hint."}}}
    editor = sent_back(drawing, schema, PayloadEditor(schema, {name: "kept"}))
    assert editor.value == {name: "kept"}
    assert control_id("payload", f"/{name}") != f"payload-{name}"


def test_the_parts_of_the_editor_are_found() -> None:
    assert {"editor", "name", "error", "hint"} <= OWN_IDS


@often
@given(pair=PAYLOADS)
def test_switching_between_form_and_json_loses_nothing(drawing: Flask, pair: Any) -> None:
    schema, value = pair
    editor = PayloadEditor(schema, value)
    for mode in ("json", "form", "json") if editor.has_form else ():
        editor = pressed(drawing, schema, editor, "to", mode)
        assert (editor.mode, editor.is_rearranged, editor.errors) == (mode, True, []), (schema, value, editor.problems)
        assert is_same(editor.value, value), (schema, value, editor.value)
    assert is_same(sent_back(drawing, schema, editor).value, value)


@often
@given(pair=PAYLOADS, value=ANY)
def test_a_payload_that_does_not_fit_is_kept_as_it_is(drawing: Flask, pair: Any, value: Any) -> None:
    schema = pair[0]
    payload = dict.fromkeys(schema["properties"], value) | {"other": value}
    editor = sent_back(drawing, schema, PayloadEditor(schema, payload))
    assert is_same(editor.value, payload)
