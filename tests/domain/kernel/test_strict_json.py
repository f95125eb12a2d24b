"""JSON at the border: what is accepted, and that every refusal is quick and says where and why."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.kernel import strict_json
from domain.kernel.errors import Refused
from tests.promptness import promptly

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(strict_json.MIN_INTEGER, strict_json.MAX_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)

HOSTILE = {
    "nothing": ("", "JSON_INVALID"),
    "only a quote": ('"', "JSON_INVALID"),
    "NaN": ('{"a": NaN}', "JSON_NUMBER"),
    "Infinity": ("[Infinity]", "JSON_NUMBER"),
    "-Infinity": ("[-Infinity]", "JSON_NUMBER"),
    "1e400": ("[1e400]", "JSON_NUMBER"),
    "an integer of 5,000 digits": ("9" * 5_000, "JSON_NUMBER"),
    "2 to the 63": ("9223372036854775808", "JSON_NUMBER"),
    "a repeated key": ('{"a": 1, "b": {"x": 1, "x": 2}}', "JSON_DUPLICATE_KEY"),
    "a key repeated through an escape": ('{"a": 1, "\\u0061": 2}', "JSON_DUPLICATE_KEY"),
    "100,000 open brackets": ("[" * 100_000, "JSON_TOO_DEEP"),
    "100,000 open objects": ('{"a":' * 50_000, "JSON_TOO_DEEP"),
    "33 levels": ("[" * 33 + "]" * 33, "JSON_TOO_DEEP"),
    "an escaped NUL": ('{"a": "\\u0000"}', "JSON_TEXT"),
    "an escaped NUL in a key": ('{"\\u0000": 1}', "JSON_TEXT"),
    "a raw NUL": ('"\x00"', "JSON_INVALID"),
    "a lone surrogate, escaped": ('["\\ud800"]', "JSON_TEXT"),
    "a lone surrogate, raw": ('["\ud800"]', "JSON_TEXT"),
    "bytes that are not UTF-8": (b'"\xff"', "JSON_TEXT"),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), "JSON_TEXT"),
    "more bytes than allowed": ('"' + "a" * 256_000 + '"', "JSON_TOO_LARGE"),
    "more bytes than characters": ('"' + "é" * 130_000 + '"', "JSON_TOO_LARGE"),
    "an open string full of escaped quotes": ('"' + '\\"' * 127_000, "JSON_INVALID"),
    "an open string full of backslashes": ('["' + "\\" * 255_000, "JSON_INVALID"),
    "a comment": ("{} // no", "JSON_INVALID"),
    "a trailing comma": ("[1,]", "JSON_INVALID"),
    "two values": ("1 2", "JSON_INVALID"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_is_refused_quickly_with_its_code(name: str) -> None:
    text, code = HOSTILE[name]
    with promptly(), pytest.raises(Refused) as refusal:
        strict_json.loads(text, path="payload")
    assert [(p.path, p.code) for p in refusal.value.problems] == [("payload", code)]


def test_a_syntax_error_names_its_line_and_column() -> None:
    with pytest.raises(Refused, match="line 2, column 8"):
        strict_json.loads('{"a": 1,\n "b": 2x}')


def test_a_repeated_key_is_named() -> None:
    with pytest.raises(Refused, match='"region" appears twice'):
        strict_json.loads('{"region": 1, "region": 2}')


def test_the_limits_are_inclusive() -> None:
    assert strict_json.loads("[" * 32 + "]" * 32)
    assert strict_json.loads('"' + "a" * 255_998 + '"')
    assert strict_json.loads("[9223372036854775807, -9223372036854775808]") == [2**63 - 1, -(2**63)]


def test_brackets_inside_strings_do_not_count_as_levels() -> None:
    assert strict_json.loads(json.dumps(["[" * 100, '\\"[[' * 50])) == ["[" * 100, '\\"[[' * 50]


def test_a_byte_order_mark_and_a_surrogate_pair_are_accepted() -> None:
    assert strict_json.loads(b"\xef\xbb\xbf[1]") == [1]
    assert strict_json.loads('"\\ud83d\\ude00"') == "😀"


@given(VALUES)
def test_what_is_written_is_read_back(value: object) -> None:
    assert strict_json.loads(strict_json.dumps(value)) == value
    assert strict_json.loads(strict_json.pretty(value)) == value
    strict_json.check_value(value)


@given(st.text(max_size=60) | st.text('{}[]",:\\0123456789eE.-+ntfu', max_size=60) | st.binary(max_size=60))
def test_no_text_raises_anything_but_a_refusal(text: str | bytes) -> None:
    try:
        value = strict_json.loads(text)
    except Refused:
        return
    assert strict_json.loads(strict_json.dumps(value)) == value


@pytest.mark.parametrize(
    ("value", "path", "code"),
    [
        ({"a": [1, float("nan")]}, "/a/1", "JSON_NUMBER"),
        ({"a": 2**63}, "/a", "JSON_NUMBER"),
        ({"a/b": {"c~d": "\x00"}}, "/a~1b/c~0d", "JSON_TEXT"),
        ({"a": {"\ud800": 1}}, "/a", "JSON_TEXT"),
        ({"a": {1: 2}}, "/a", "JSON_INVALID"),
        ({"a": (1, 2)}, "/a", "JSON_INVALID"),
        ([b"bytes"], "/0", "JSON_INVALID"),
        ("a" * 256_000, "", "JSON_TOO_LARGE"),
        ("\u00e9" * 130_000, "", "JSON_TOO_LARGE"),
    ],
)
def test_a_parsed_value_is_held_to_the_same_rules(value: object, path: str, code: str) -> None:
    with pytest.raises(Refused) as refusal:
        strict_json.check_value(value, path="/payload")
    assert [(p.path, p.code) for p in refusal.value.problems] == [("/payload" + path, code)]


def test_a_parsed_value_that_is_deep_shared_or_cyclic_is_refused() -> None:
    deep: list[object] = []
    for _ in range(32):
        deep = [deep]
    cyclic: list[object] = []
    cyclic.append(cyclic)
    doubled: list[object] = []
    for _ in range(30):
        doubled = [doubled, doubled]
    for value, code in ((deep, "JSON_TOO_DEEP"), (cyclic, "JSON_TOO_DEEP"), (doubled, "JSON_TOO_LARGE")):
        with pytest.raises(Refused) as refusal:
            strict_json.check_value(value)
        assert refusal.value.problems[0].code == code
    strict_json.check_value(deep[0])


def test_the_canonical_text_does_not_depend_on_the_order_of_keys() -> None:
    assert strict_json.dumps({"b": [1, "é"], "a": None}) == '{"a":null,"b":[1,"é"]}'
    assert strict_json.pretty({"b": 1}) == '{\n  "b": 1\n}'


def test_pointers_escape_tilde_and_slash() -> None:
    assert strict_json.pointer(["a/b", 0, "m~n", ""]) == "/a~1b/0/m~0n/"
    assert strict_json.pointer([]) == ""
