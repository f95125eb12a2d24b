"""The catalogue of actions: what steps can call, with schemas and examples, and what was left out."""

from __future__ import annotations

from html import unescape
from typing import Any

import pytest

from domain.engine.actions import registry
from domain.engine.actions.action import EFFECTS
from domain.engine.actions.installed import Rejected
from domain.engine.actions.registry import ACTIONS, actions_page, find_action
from tests.statements import counted
from tests.web.cast import Browser
from web.actions import EFFECTS as EFFECT_LABELS
from web.actions import PROMISES
from web.schema_words import FieldWords, fields_in_words, type_in_words


def test_every_action_is_listed_by_category_with_its_effect(bob: Browser) -> None:
    page = unescape(bob.get("/actions").text)

    for action in ACTIONS.values():
        assert f'href="/actions/show?id={action.id}&version={action.version}"' in page
        assert action.description in page
    for effect in EFFECTS:
        assert EFFECT_LABELS[effect].word in page and PROMISES[effect] in page
    places = [page.index(f'class="group">{category}</th>') for category in ("Email", "HTTP", "Store", "Transform")]
    assert places == sorted(places)


@pytest.mark.parametrize("action", actions_page(), ids=lambda action: f"{action.id}-{action.version}")
def test_every_action_has_a_page_with_inputs_outputs_example_and_schemas(bob: Browser, action: Any) -> None:
    page = unescape(bob.get(f"/actions/show?id={action.id}&version={action.version}").text)

    assert action.label in page and action.id in page and EFFECT_LABELS[action.effect].word in page
    for row in fields_in_words(action.input_schema) + fields_in_words(action.output_schema):
        assert f">{row.name}</span>" in page
        assert row.description in page
    assert '"inputMapping"' in page and '"additionalProperties"' in page


def test_a_search_finds_words_in_ids_labels_and_descriptions(alice: Browser) -> None:
    found = alice.get("/actions?q=json+parse", htmx=True).text
    assert "transform.parse_json" in found and "store.get" not in found
    assert found.lstrip().startswith('<div id="action-list"')
    assert "store.increment" in alice.get("/actions?q=COUNT", htmx=True).text
    assert "No action matches" in alice.get("/actions?q=nothing-like-it").text


@pytest.mark.parametrize(
    "asked",
    ["", "?id=no.such&version=1", "?id=store.get&version=99", "?id=store.get&version=x", "?id=store.get&version=²"],
)
def test_an_action_that_does_not_exist_is_not_found(alice: Browser, asked: str) -> None:
    assert alice.get(f"/actions/show{asked}").status_code == 404


def test_the_retry_hint_is_said_in_words(alice: Browser) -> None:
    page = alice.get("/actions/show?id=http.request&version=1").text
    assert "Tried up to 3 times after TransientError or TimeoutError, the first time after 2 s." in page
    assert "Not tried again unless the step says so." in alice.get("/actions/show?id=store.set&version=1").text


def test_installed_actions_name_their_package_and_what_was_left_out_says_why(
    alice: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry.PACKAGES, ("log.write", 1), "acme-actions 1.2")
    registry.REJECTED.append(Rejected("acme.<b>", "bad-actions 0.1", "RuntimeError: no licence"))
    try:
        page = alice.get("/actions").text
    finally:
        registry.REJECTED.pop()

    assert "acme-actions 1.2" in page
    assert "bad-actions 0.1" in page and "RuntimeError: no licence" in page and "acme.&lt;b&gt;" in page
    assert "acme-actions 1.2" in alice.get("/actions/show?id=log.write&version=1").text


def test_the_catalogue_costs_as_many_statements_as_any_page_without_rows(alice: Browser) -> None:
    alice.get("/actions")
    with counted() as listed:
        alice.get("/actions")
    with counted() as shown:
        alice.get("/actions/show?id=store.get&version=1")
    assert len(listed) == len(shown) <= 6


def test_the_settings_lead_to_the_catalogue(bob: Browser) -> None:
    assert 'href="/actions"' in bob.get("/settings").text


def test_a_stranger_is_asked_to_sign_in(client: Any) -> None:
    assert client.get("/actions").status_code == 303


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({}, "any value"),
        ({"type": "string"}, "text"),
        ({"type": ["string", "null"]}, "text or null"),
        ({"type": "array"}, "list"),
        ({"type": "array", "items": {"type": "object"}}, "list of objects"),
        ({"enum": ["a", 1]}, "one of a, 1"),
        ({"enum": list(range(20))}, "one of 0, 1, 2, 3, 4, 5, 6, 7 …"),
        ({"const": 1}, "1"),
    ],
)
def test_a_type_reads_as_words(schema: dict[str, Any], words: str) -> None:
    assert type_in_words(schema) == words


def test_fields_come_with_their_limits_and_with_those_inside_them() -> None:
    inner = {"type": "object", "properties": {"key": {"type": "string", "maxLength": 64}}, "required": ["key"]}
    schema = {
        "properties": {
            "limit": {"type": "integer", "minimum": 1, "maximum": 200, "description": "How many."},
            "items": {"type": "array", "items": inner, "minItems": 1},
        },
        "required": ["limit"],
    }
    assert fields_in_words(schema) == [
        FieldWords("limit", "whole number", True, "How many. 1 to 200."),
        FieldWords("items", "list of objects", False, "At least 1 items."),
        FieldWords("items[].key", "text", True, "At most 64 characters."),
    ]
    assert find_action("http.request", 1).input_schema["properties"].keys() == {
        row.name for row in fields_in_words(find_action("http.request", 1).input_schema) if "." not in row.name
    }
