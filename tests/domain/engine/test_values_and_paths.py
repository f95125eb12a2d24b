"""The form in which values are recorded, and the places where they can be put."""

from __future__ import annotations

import json

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.engine.assign_paths import BadPath, assigned, parse_path
from domain.engine.failures import MESSAGE_MAX_CHARACTERS, StepFailed
from domain.engine.recorded_values import MAX_RECORDED_BYTES, settled

numbers = st.one_of(
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(1e15, 1e20).map(float.__floor__).map(float),
)
texts = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=8)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=12,
)


@settings(max_examples=40, deadline=None)
@given(st.lists(values, min_size=20, max_size=20))
def test_a_recorded_value_comes_back_from_postgresql_exactly_as_it_was_used(connection, many):
    used, _ = settled(many)
    [stored] = connection.execute("SELECT CAST(%s AS jsonb)", [json.dumps(used)]).fetchone()
    read, _ = settled(stored)
    assert repr(read) == repr(used)  # the order of keys and the type of numbers included


@pytest.fixture(scope="module")
def connection(database_url):
    with psycopg.connect(database_url) as connection:
        yield connection


def test_a_recorded_value_shares_nothing_with_what_it_was_made_of():
    original = {"a": [1, {"b": 2}]}
    copy, _ = settled(original)
    original["a"][1]["b"] = 3
    original["a"].append(4)
    assert copy == {"a": [1, {"b": 2}]}


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("x" * MAX_RECORDED_BYTES, "VALUE_TOO_LARGE"),
        (["é" * 1_000] * 150, "VALUE_TOO_LARGE"),
        ("\x00", "VALUE_NOT_JSON"),
        ({"\ud800": 1}, "VALUE_NOT_JSON"),
        (float("nan"), "VALUE_NOT_JSON"),
        (10**400, "VALUE_NOT_JSON"),
        ({1: 2}, "VALUE_NOT_JSON"),
        ({"a": {1, 2}}, "VALUE_NOT_JSON"),
        (json.loads("[" * 70 + "]" * 70), "VALUE_TOO_DEEP"),
    ],
)
def test_what_cannot_be_recorded_is_refused(value, code):
    with pytest.raises(StepFailed) as failed:
        settled(value)
    assert (failed.value.code, failed.value.category) == (code, "ValidationError")


def test_the_largest_value_is_measured_in_bytes_of_json():
    assert settled("x" * (MAX_RECORDED_BYTES - 2))[0]
    with pytest.raises(StepFailed):
        settled("x" * (MAX_RECORDED_BYTES - 1))


def test_a_message_of_an_action_is_cut_and_made_storable():
    failure = StepFailed("a\x00\ud800" + "x" * 5_000, "CODE")
    assert failure.message.startswith("a?x")
    assert len(failure.message) == MESSAGE_MAX_CHARACTERS


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("total", "vars.total"),
        ("vars.total", "vars.total"),
        ("result.total", "vars.result.total"),
        ("payload.customer.name", "payload.customer.name"),
        ("vars.größe_2-x", "vars.größe_2-x"),
    ],
)
def test_a_place_is_read(written, meant):
    assert str(parse_path(written)) == meant


@pytest.mark.parametrize(
    "written",
    ["", " ", None, 5, "vars", "payload", "vars.", ".a", "a..b", "vars.a.", "meta.state", "error.x", "local.item", "system.a",
     "/a/b", "vars.__proto__", "constructor", "a.prototype.b", "vars.0", "a b", "a[0]", "vars." + "x" * 65,
     "vars." + ".".join("a" * 11), "a\n", "$a"],
)  # fmt: skip
def test_what_is_no_place_is_refused(written):
    with pytest.raises(BadPath):
        parse_path(written)


def test_putting_a_value_copies_only_the_way_to_it():
    tree = {"a": {"b": 1}, "other": {"c": 2}}
    changed = assigned(tree, parse_path("vars.a.d"), 5)
    assert (tree["a"], changed["a"]) == ({"b": 1}, {"b": 1, "d": 5})
    assert changed["other"] is tree["other"]


def test_null_on_the_way_counts_as_nothing_there():
    assert assigned({"a": None}, parse_path("vars.a.b"), 1) == {"a": {"b": 1}}
