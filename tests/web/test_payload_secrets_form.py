"""Secret members of a payload: masked, kept when untouched, taken from a named secret when one is chosen."""

from __future__ import annotations

from typing import Any

from flask import Flask

from tests.web.payload_forms import drawing, drawn, posted, pressed
from tests.web.test_payload_form import control, html_of
from web.forms.payloads import PayloadEditor

__all__ = ["drawing"]

SECRET = {"type": "string", "x-secret": True}
SCHEMA = {"type": "object", "properties": {"key": SECRET, "keys": {"type": "array", "items": SECRET}}}
KEPT = {"$kept": True}


def editor_of(value: Any) -> PayloadEditor:
    return PayloadEditor(SCHEMA, value, secret_names=["SHOP_KEY"])


def test_a_stored_secret_is_kept_until_another_is_typed(drawing: Flask) -> None:
    page = drawn(drawing, editor_of({"key": KEPT}))
    assert (page.sent["payload-from/key"], page.sent["payload/key"]) == ("kept", "")
    assert PayloadEditor.from_form(SCHEMA, page.sent).value == {"key": KEPT}
    assert PayloadEditor.from_form(SCHEMA, posted(page, **{"payload/key": "new"})).value == {"key": "new"}
    named = posted(page, **{"payload__from/key": "named:SHOP_KEY", "payload/key": "ignored"})
    assert PayloadEditor.from_form(SCHEMA, named).value == {"key": {"$secret": "SHOP_KEY"}}
    assert PayloadEditor.from_form(SCHEMA, posted(page, **{"payload__from/key": "typed"})).value == {}


def test_the_named_secrets_are_offered_and_one_that_is_gone_stays_visible(drawing: Flask) -> None:
    assert "Secret SHOP_KEY" in control(html_of(drawing, editor_of({})), "payload-from/key")
    html = html_of(drawing, editor_of({"key": {"$secret": "OLD"}}))
    assert 'selected value="named:OLD"' in control(html, "payload-from/key")
    assert "Keep what is stored" not in html


def test_what_was_typed_is_masked_and_does_not_get_lost_on_the_way(drawing: Flask) -> None:
    editor = pressed(drawing, SCHEMA, editor_of({}), "add", "/keys", **{"payload/key": "hush"})
    assert 'type="password" value="hush"' in control(html_of(drawing, editor), "payload/key")
    assert html_of(drawing, editor).count("hush") == 1


def test_a_stored_secret_that_moves_up_in_its_list_has_to_be_typed_again(drawing: Flask) -> None:
    editor = pressed(drawing, SCHEMA, editor_of({"keys": [KEPT, KEPT]}), "remove", "/keys/0")
    assert editor.value == {"keys": [""]}
    assert "Its place in the list changed. Enter it again." in html_of(drawing, editor)
