"""The form of a payload: which control each part of a schema gives, and what its buttons and its empty fields mean."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask, render_template
from werkzeug.datastructures import MultiDict

from domain.kernel.errors import Problem
from domain.workflows.schema_rules import payload_problems
from tests.web.payload_forms import drawing, drawn, posted, pressed
from web.forms.payloads import PayloadEditor

__all__ = ["drawing"]

ORDER = {
    "type": "object",
    "required": ["region", "customer"],
    "additionalProperties": False,
    "properties": {
        "region": {"enum": ["eu", "us", 3, None]},
        "batchSize": {"type": "integer", "minimum": 1, "maximum": 5000, "default": 500},
        "dryRun": {"type": "boolean"},
        "note": {"type": "string"},
        "key": {"type": "string", "x-secret": True, "title": "API key"},
        "customer": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
        "notify": {"type": "array", "items": {"type": "string", "format": "email"}, "maxItems": 5},
        "labels": {"type": "object", "additionalProperties": {"type": "integer"}},
        "delivery": {
            "oneOf": [
                {
                    "title": "Post",
                    "type": "object",
                    "properties": {"kind": {"const": "post"}, "street": {"type": "string"}},
                    "required": ["kind", "street"],
                },
                {
                    "title": "Shop",
                    "type": "object",
                    "properties": {
                        "kind": {"const": "shop"},
                        "shop": {"type": "integer"},
                        "street": {"type": "string"},
                    },
                    "required": ["kind"],
                },
            ]
        },
    },
}


def html_of(app: Flask, editor: PayloadEditor) -> str:
    with app.test_request_context("/"):
        return render_template("payloads/_fragment.html", editor=editor, fragment_url="/payload")


def control(html: str, name: str) -> str:
    """The start tag of a control and what is in it, if it is a list of options."""
    found = re.search(rf'<(?:input|select|textarea)[^>]* name="{re.escape(name)}"[^>]*>(?:<option.*?</select>)?', html)
    return found[0] if found else ""


def one_field(app: Flask, schema: Any, value: Any = None) -> str:
    """The control of an optional member with this schema."""
    whole = {"type": "object", "properties": {"it": schema}}
    editor = PayloadEditor(whole, {} if value is None else {"it": value})
    return control(html_of(app, editor), "payload/it")


@pytest.mark.parametrize(
    ("schema", "value", "said"),
    [
        ({"type": "string", "format": "date"}, "2026-11-21", 'type="date"'),
        ({"type": "string", "format": "date"}, "soon", 'type="text"'),
        (
            {"type": "string", "format": "date-time"},
            "2026-11-21T10:00:00Z",
            'type="datetime-local" value="2026-11-21T10:00:00"',
        ),
        ({"type": "string", "format": "date-time"}, "2026-11-21T10:00:00+01:00", 'type="text"'),
        ({"type": "string", "format": "email"}, None, 'type="email"'),
        ({"type": "string", "format": "uri"}, None, 'type="url"'),
        ({"type": "string", "format": "uuid"}, None, 'type="text"'),
        ({"type": "string", "maxLength": 5000}, None, "<textarea"),
        ({"type": "string"}, "two\nlines", "<textarea"),
        ({"type": "integer"}, 5, 'inputmode="numeric"'),
        ({"type": "number"}, 0.5, 'inputmode="decimal"'),
        ({"type": "integer", "default": 7}, None, 'placeholder="7"'),
        ({"type": "integer"}, "five", 'data-editor="json"'),
        ({"type": "string", "x-secret": True}, None, 'type="password"'),
        (True, None, 'data-editor="json"'),
        ({"type": "object"}, None, 'data-editor="json"'),
    ],
)
def test_each_kind_of_value_has_its_control(drawing: Flask, schema: Any, value: Any, said: str) -> None:
    assert said in one_field(drawing, schema, value)


def test_an_optional_boolean_can_be_left_out_and_a_choice_keeps_its_types(drawing: Flask) -> None:
    options = re.findall(r'value="([^"]*)">([^<]*)<', one_field(drawing, {"type": "boolean"}, True))
    assert options == [("", "Not set"), ("true", "Yes"), ("false", "No")]
    options = re.findall(r'value="([^"]*)">([^<]*)<', one_field(drawing, {"enum": ["1", 1, None, {"a": []}]}, 1))
    assert [value for value, _ in options] == ["", "&#34;1&#34;", "1", "null", "{&#34;a&#34;:[]}"]
    assert 'selected value="&#34;gone&#34;">gone (not allowed)' in one_field(drawing, {"enum": ["a"]}, "gone")


def test_titles_hints_and_marks_are_shown(drawing: Flask) -> None:
    html = html_of(drawing, PayloadEditor(ORDER))
    assert ">API key</label>" in html and ">Batch size</label>" in html
    assert "1 to 5,000. Default: 500" in html and "At most 5 items" in html
    assert re.search(r'for="payload-region"[^>]*>Region <span class="req"', html)
    assert 'value="500"' in control(html, "payload/batchSize")


def test_a_stored_payload_gets_no_defaults(drawing: Flask) -> None:
    page = drawn(drawing, PayloadEditor(ORDER, {"region": "eu"}))
    assert page.sent["payload/batchSize"] == ""
    assert PayloadEditor.from_form(ORDER, page.sent).value == {"region": "eu"}


def test_a_new_payload_begins_with_defaults_and_what_is_required(drawing: Flask) -> None:
    assert PayloadEditor(ORDER).value == {"batchSize": 500, "customer": {}}


def test_what_an_empty_field_means_is_said(drawing: Flask) -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": ["string", "null"]}, "b": {"type": "string", "minLength": 1}},
    }
    page = drawn(drawing, PayloadEditor(schema, {"a": "x"}))
    assert "payload-empty/b" not in page.sent
    for meaning, value in (("absent", {}), ("text", {"a": ""}), ("null", {"a": None})):
        form = posted(page, **{"payload/a": "", "payload__empty/a": meaning})
        assert PayloadEditor.from_form(schema, form).value == value


@pytest.mark.parametrize(("typed", "value"), [("12", 12), (" 12 ", 12), ("1e3", 1000.0), ("-0.5", -0.5), ("1.0", 1.0)])
def test_a_number_is_the_number_that_was_typed(drawing: Flask, typed: str, value: Any) -> None:
    form = posted(drawn(drawing, PayloadEditor(ORDER)), **{"payload/batchSize": typed})
    read = PayloadEditor.from_form(ORDER, form).value["batchSize"]
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize("typed", ["five", "1,000", "0x10", "NaN", "true", "9" * 30])
def test_what_is_no_number_is_said_at_its_field_and_stays(drawing: Flask, typed: str) -> None:
    form = posted(drawn(drawing, PayloadEditor(ORDER)), **{"payload/batchSize": typed})
    editor = PayloadEditor.from_form(ORDER, form)
    assert [(p.path, p.message) for p in editor.problems] == [("payload/batchSize", "Enter a whole number such as 12.")]
    assert editor.attach([*editor.problems, Problem("name", "Taken.")]) == [Problem("name", "Taken.")]
    html = html_of(drawing, editor)
    assert f'value="{typed}"' in control(html, "payload/batchSize")
    assert 'id="payload-batchSize--error">Enter a whole number' in html
    assert editor.summary == [("payload-batchSize", "Batch size: Enter a whole number such as 12.")]


def test_items_are_added_and_removed_and_what_was_typed_stays(drawing: Flask) -> None:
    editor = pressed(drawing, ORDER, PayloadEditor(ORDER, {}), "add", "/notify")
    editor = pressed(drawing, ORDER, editor, "add", "/notify", **{"payload/notify/0": "a@x.test"})
    editor = pressed(
        drawing, ORDER, editor, "add", "/notify", **{"payload/notify/1": "b@x.test", "payload/batchSize": "many"}
    )
    assert "autofocus" in control(html_of(drawing, editor), "payload/notify/2")
    editor = pressed(drawing, ORDER, editor, "remove", "/notify/0")
    assert editor.value["notify"] == ["b@x.test", ""]
    assert 'value="many"' in control(html_of(drawing, editor), "payload/batchSize")
    for _ in range(2):
        editor = pressed(drawing, ORDER, editor, "remove", "/notify/0")
    assert editor.value["notify"] == []
    assert "notify" not in pressed(drawing, ORDER, editor, "remove", "/notify").value


def test_an_empty_list_and_no_list_are_told_apart(drawing: Flask) -> None:
    editor = pressed(drawing, ORDER, PayloadEditor(ORDER, {}), "set", "/notify")
    assert editor.value == {"notify": []}
    assert PayloadEditor.from_form(ORDER, drawn(drawing, editor).sent).value == {"notify": []}


def test_an_optional_object_is_there_once_it_is_added(drawing: Flask) -> None:
    editor = PayloadEditor(ORDER, {"region": "eu"})
    assert "payload/customer/name" not in drawn(drawing, editor).sent
    editor = pressed(drawing, ORDER, editor, "add", "/customer")
    assert editor.value == {"region": "eu", "customer": {}}


def test_members_with_free_names_are_rows(drawing: Flask) -> None:
    editor = pressed(drawing, ORDER, PayloadEditor(ORDER, {"labels": {"a": 1}}), "add", "/labels")
    editor = pressed(
        drawing, ORDER, editor, "redraw", "", **{"payload__key/labels/~r1": "b", "payload/labels/~r1": "2"}
    )
    assert editor.value == {"labels": {"a": 1, "b": 2}}
    twice = posted(drawn(drawing, editor), **{"payload__key/labels/~r1": "a"})
    assert [p.message for p in PayloadEditor.from_form(ORDER, twice).problems] == ["The name a is used twice."]
    assert pressed(drawing, ORDER, editor, "remove", "/labels/~r0").value == {"labels": {"b": 2}}


def test_a_row_without_a_name_is_asked_for_one(drawing: Flask) -> None:
    editor = pressed(drawing, ORDER, PayloadEditor(ORDER, {"labels": {}}), "add", "/labels")
    form = posted(drawn(drawing, editor), **{"payload/labels/~r0": "2"})
    assert [p.message for p in PayloadEditor.from_form(ORDER, form).problems] == ["Give it a name."]


def test_a_choice_shows_the_fields_of_its_variant_and_going_back_brings_back_what_was_typed(drawing: Flask) -> None:
    editor = PayloadEditor(ORDER, {"delivery": {"kind": "post", "street": "Main"}})
    editor = pressed(drawing, ORDER, editor, "redraw", "/delivery", **{"payload__pick/delivery": "1"})
    assert editor.value == {"delivery": {"kind": "shop", "street": "Main"}}
    editor = pressed(
        drawing, ORDER, editor, "redraw", "/delivery", **{"payload__pick/delivery": "", "payload/delivery/shop": "4"}
    )
    assert editor.value == {}
    editor = pressed(drawing, ORDER, editor, "redraw", "/delivery", **{"payload__pick/delivery": "1"})
    assert editor.value == {"delivery": {"kind": "shop", "street": "Main", "shop": 4}}


def test_what_a_variant_lacks_is_said_at_its_fields(drawing: Flask) -> None:
    editor = PayloadEditor(ORDER, {"region": "eu", "customer": {"name": "A"}})
    editor = pressed(drawing, ORDER, editor, "redraw", "/delivery", **{"payload__pick/delivery": "0"})
    editor.attach(Problem(f"payload{p.path}", p.message, p.code) for p in payload_problems(ORDER, editor.value))
    assert editor.summary == [("payload-delivery-street", "Street is required")]


def test_recursion_opens_only_as_far_as_there_are_values(drawing: Flask) -> None:
    tree = {"type": "object", "properties": {"name": {"type": "string"}, "below": {"$ref": "#"}}}
    editor = PayloadEditor(tree, {"below": {"name": "x"}})
    names = [name for name in drawn(drawing, editor).sent if name.startswith("payload/")]
    assert names == ["payload/name", "payload/below/name"]
    editor = pressed(drawing, tree, editor, "add", "/below/below")
    assert editor.value == {"below": {"name": "x", "below": {}}}


def test_what_is_too_much_to_draw_is_json_in_place(drawing: Flask) -> None:
    schema = {
        "type": "object",
        "properties": {"many": {"type": "array", "items": {"type": "integer"}}, "deep": {"$ref": "#"}},
    }
    value: dict[str, Any] = {"many": list(range(500))}
    for _ in range(25):
        value = {"deep": value}
    page = drawn(drawing, PayloadEditor(schema, value))
    assert len(page.sent) < 100
    assert drawn(drawing, PayloadEditor.from_form(schema, page.sent)).sent.keys() == page.sent.keys()
    assert PayloadEditor.from_form(schema, page.sent).value == value


def test_members_that_the_schema_does_not_name_are_kept_and_listed(drawing: Flask) -> None:
    editor = PayloadEditor(ORDER, {"region": "eu", "old": 1, "customer": {"name": "A", "vip": True}})
    assert editor.unknown == ["/old", "/customer/vip"]
    assert "Kept as it is: vip" in html_of(drawing, editor)
    editor = pressed(drawing, ORDER, editor, "to", "json")
    assert "/old, /customer/vip" in html_of(drawing, editor)
    editor = PayloadEditor(ORDER, editor.value)
    editor.attach([Problem("payload/old", "old is not a known field", "ADDITIONAL_PROPERTIES")])
    assert editor.summary == [("payload-_7e_rest", "Not in the schema: old is not a known field")]


def test_a_hidden_member_cannot_be_written_twice(drawing: Flask) -> None:
    editor = PayloadEditor(ORDER, {"region": "eu", "old": 1})
    form = posted(drawn(drawing, editor), **{"payload/~rest": '{"region": "us"}'})
    assert [p.message for p in PayloadEditor.from_form(ORDER, form).problems] == ["region has a field of its own."]


def test_json_that_cannot_be_read_stays_and_says_why(drawing: Flask) -> None:
    page = drawn(drawing, PayloadEditor(ORDER, {"region": "eu"}, mode="json"))
    form = posted(page, payload='{"region": ', payload__to="form")
    editor = PayloadEditor.from_form(ORDER, form)
    assert (editor.mode, editor.text, editor.is_rearranged) == ("json", '{"region": ', True)
    assert "not valid JSON" in editor.errors[0]
    listed = PayloadEditor.from_form(ORDER, posted(page, payload="[1]", payload__to="form"))
    assert (listed.mode, listed.text) == ("json", "[1]") and listed.errors


def test_a_form_that_cannot_be_read_does_not_become_json(drawing: Flask) -> None:
    page = drawn(drawing, PayloadEditor(ORDER))
    editor = PayloadEditor.from_form(ORDER, posted(page, **{"payload/batchSize": "many", "payload__to": "json"}))
    assert editor.is_form and editor.summary[0][0] == "payload-batchSize"


def test_text_without_a_mode_is_json_as_scripts_send_it() -> None:
    editor = PayloadEditor.from_form(ORDER, MultiDict({"payload": '{"region": "eu"}'}))
    assert (editor.mode, editor.value, editor.is_rearranged) == ("json", {"region": "eu"}, False)
    editor.attach([Problem("payload/region", "must be one of us")])
    assert editor.errors == ["/region: must be one of us"]
    assert editor.summary == [("payload", "Payload: /region: must be one of us")]


def test_another_schema_shows_the_same_value(drawing: Flask) -> None:
    read = PayloadEditor.from_form(ORDER, drawn(drawing, PayloadEditor(ORDER, {"note": "x", "labels": {"a": 1}})).sent)
    other = read.under({"type": "object", "properties": {"note": {"type": "string"}}}, "2")
    assert (other.value, other.unknown, other.drawn_for) == ({"note": "x", "labels": {"a": 1}}, ["/labels"], "2")


def test_two_editors_share_a_page(drawing: Flask) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    one, other = PayloadEditor(schema, {"a": "1"}), PayloadEditor(schema, {"a": "2"}, prefix="answer", label="Answer")
    form = MultiDict([*drawn(drawing, one).sent.items(multi=True), *drawn(drawing, other).sent.items(multi=True)])
    assert PayloadEditor.from_form(schema, form).value == {"a": "1"}
    assert PayloadEditor.from_form(schema, form, "answer").value == {"a": "2"}


@pytest.mark.parametrize("path", ["", "/gone", "/notify/9", "/notify/~r0", "/a\x00b", "~", "/customer/name"])
@pytest.mark.parametrize("word", ["add", "set", "remove", "redraw", "to"])
def test_buttons_for_what_is_not_there_do_nothing(drawing: Flask, word: str, path: str) -> None:
    value = {"notify": ["a@x.test"], "customer": {"name": "A"}}
    form = drawn(drawing, PayloadEditor(ORDER, value)).sent
    form[f"payload-{word}"] = path
    assert PayloadEditor.from_form(ORDER, form).value == value


def test_a_row_can_hold_a_choice(drawing: Flask) -> None:
    free = {
        "oneOf": [
            {"title": "A", "type": "string"},
            {"title": "B", "type": "object", "properties": {"x": {"type": "integer"}}},
        ]
    }
    schema = {"type": "object", "additionalProperties": free}
    value = {"data": "0", "more": {"x": 1}}
    assert PayloadEditor.from_form(schema, drawn(drawing, PayloadEditor(schema, value)).sent).value == value


def test_what_is_required_comes_first_and_in_the_order_that_the_schema_names_it(drawing: Flask) -> None:
    kept = {"sum": {"type": "number"}, "note": {"type": "string"}, "orderId": {"type": "string"}}
    page = drawn(drawing, PayloadEditor({"type": "object", "required": ["orderId", "sum"], "properties": kept}))
    assert [label for label in page.labels if "empty" not in label] == [
        "payload-orderId",
        "payload-sum",
        "payload-note",
    ]
