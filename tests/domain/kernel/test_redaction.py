"""Hidden texts are taken out however a remote side writes them back."""

from __future__ import annotations

import base64
import html
import json
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.kernel.redaction import MASK, redacted, redacted_text, texts_to_hide
from tests.promptness import promptly

SECRET = 'p/ss"wörd & <1234>\n'
HIDDEN = texts_to_hide(SECRET)

SPELLINGS = {
    "plain": SECRET,
    "without its line break": SECRET.strip(),
    "JSON": json.dumps(SECRET),
    "JSON without ASCII escapes": json.dumps(SECRET, ensure_ascii=False),
    "JSON with escaped slashes": json.dumps(SECRET).replace("/", "\\/"),
    "JSON inside JSON": json.dumps(json.dumps({"a": SECRET})),
    "JSON in JSON in JSON": json.dumps(json.dumps(json.dumps({"a": SECRET}))),
    "the source of a Python text": repr({"a": SECRET}),
    "JSON in the source of a Python text": repr(json.dumps({"a": SECRET}, ensure_ascii=False)),
    "JSON for HTML": json.dumps(SECRET).replace("<", "\\u003c").replace("&", "\\u0026"),
    "JSON in a URL": quote(json.dumps({"a": SECRET})),
    "URL": quote(SECRET, safe=""),
    "URL with slashes": quote(SECRET),
    "URL in small letters": quote(SECRET, safe="").replace("%C3%B6", "%c3%b6").lower(),
    "form": quote_plus(SECRET),
    "HTML": html.escape(SECRET),
    "HTML with numbers": html.escape(SECRET).replace("&quot;", "&#34;"),
    "JSON in HTML": html.escape(json.dumps({"a": SECRET})),
    "JSON in HTML in JSON": json.dumps(html.escape(json.dumps({"a": SECRET}, ensure_ascii=False))),
    "hex": SECRET.encode().hex(),
    "HEX": SECRET.encode().hex().upper(),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_is_masked_inside_longer_texts(spelling: str) -> None:
    clean = redacted_text(f"before {SPELLINGS[spelling]} after", HIDDEN)

    assert MASK in clean
    assert clean.startswith("before ") and clean.endswith(" after")
    assert "1234" not in clean and "31323334" not in clean


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("before", ["", "u", "us", "user:"])
def test_base64_is_masked_wherever_the_secret_begins(before: str, encode: Any) -> None:
    encoded = encode(f"{before}{SECRET} and more".encode()).decode()

    clean = redacted_text(f"Basic {encoded}", HIDDEN)

    assert MASK in clean
    # What stays is what its neighbours decide too: less than one character on either side.
    assert len(clean) < len(f"Basic {encoded}") - len(SECRET)


@pytest.mark.parametrize("written", [json.dumps, quote, quote_plus, html.escape])
def test_an_encoded_body_or_query_is_masked_where_it_carries_the_secret(written: Any) -> None:
    for before in ("", "{", '{"'):
        said = f"{before}{written(SECRET)} and more".encode()
        for encoded in (base64.b64encode(said).decode(), said.hex()):
            clean = redacted_text(encoded, HIDDEN)
            assert MASK in clean and len(clean) < len(encoded) - len(SECRET)


@given(secret=st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=4, max_size=40), data=st.data())
def test_no_secret_survives(secret: str, data: st.DataObject) -> None:
    hidden = texts_to_hide(secret)
    around = st.text("xyz \n", max_size=5)
    before, after = data.draw(around), data.draw(around)
    for written in (secret, json.dumps(secret)[1:-1], quote(secret, safe=""), secret.encode().hex()):
        clean = redacted_text(f"{before}{written}{after}{written}", hidden)
        assert written not in clean.replace(MASK, "\x00") or not secret.strip()


def test_keys_lists_and_numbers_are_masked_too() -> None:
    value = {"token-hunter2": 1, "list": [["xhunter2x"], 4815162342, 4815162342.0, True, None]}

    clean = redacted(value, texts_to_hide(["hunter2", 4815162342]))

    assert clean == {"token-***": 1, "list": [["x***x"], MASK, MASK, True, None]}


def test_keys_that_become_the_same_are_both_kept() -> None:
    assert redacted({"hunter2": 1, "swordfish": 2}, ("hunter2", "swordfish")) == {"***": 1, "*** (2)": 2}


def test_characters_outside_the_first_plane_are_found_as_surrogates() -> None:
    hidden = texts_to_hide("key-\U0001f511-key")

    assert redacted_text(json.dumps(json.dumps("key-\U0001f511-key")), hidden) == '"\\"***\\""'


def test_long_secrets_and_runs_of_backslashes_are_found_in_a_moment() -> None:
    lines = "\n".join(f"{number:064}/" for number in range(150))
    with promptly():
        for text in ("\\" * 250_000, json.dumps(json.dumps(lines)) * 10, '"' * 250_000):
            redacted_text(text, texts_to_hide([lines, '""""']))

        assert MASK in redacted_text(json.dumps(json.dumps(lines)), texts_to_hide(lines))


@pytest.mark.parametrize(
    ("secret", "answered"),
    [
        ("\\\\\\\\server\\share", "\\" * 300_000),
        ('pass\\"\\"\\"word', "pass" + "\\" * 300_000),
        ('"' * 2_000 + "x", '"' * 200_000 + "\\"),
        ("\\" * 500 + "word", "\\u005c" * 30_000),
        ("\\".join("ab" * 200), "\\u0061\\u0062" * 20_000),
    ],
)
def test_no_answer_makes_looking_for_a_secret_slow(secret: str, answered: str) -> None:
    hidden = texts_to_hide(secret)

    with promptly():
        redacted_text(answered, hidden)
        assert MASK in redacted_text(json.dumps(json.dumps(secret)), hidden)


@given(
    secret=st.text(st.sampled_from('\\"\n\t/<u0041nab\U0001f511'), min_size=4, max_size=20),
    times=st.integers(1, 5),
    escapes_all=st.booleans(),
)
def test_no_secret_survives_being_written_into_json_again_and_again(secret: str, times: int, escapes_all: bool) -> None:
    secret = f"key-{secret}-key"
    written = secret
    for _ in range(times):
        written = json.dumps(written, ensure_ascii=escapes_all)

    assert MASK in redacted_text(f"before {written} after", texts_to_hide(secret))
    assert "-key" not in redacted_text(f"before {written} after", texts_to_hide(secret))


def test_only_the_secret_goes_out_of_an_escaped_text() -> None:
    said = json.dumps({"path": "C:\\new", "a": 'hush"hush', "b": "\n\U0001f511"})

    assert redacted_text(said, ('hush"hush',)) == said.replace('hush\\"hush', MASK)


def test_hidden_texts_that_overlap_go_together() -> None:
    assert redacted_text("x abcd1234xyz y", ("abcd1234", "1234xyz")) == "x *** y"
    assert redacted_text("ababab", ("abab",)) == MASK
    assert redacted_text("abcdeabcdeab!", ("abcdeab",)) == "***!"


def test_a_text_that_was_cut_inside_a_secret_does_not_end_with_its_beginning() -> None:
    assert redacted_text("The server said swordfi…", ("swordfish",)) == "The server said ***…"
    assert redacted_text("x" * 100 + "swordf", ("swordfish",)) == "x" * 100 + MASK
    assert redacted_text("word: sword", ("swordfish",)) == "word: sword"


def test_what_is_hidden_of_a_value_are_its_longer_texts_and_numbers() -> None:
    value = {
        "user": "alice",
        "pin": 1234,
        "deep": [{"x": " key-material "}],
        "short": "abc",
        "flag": True,
        "none": None,
    }

    assert set(texts_to_hide(value)) == {"alice", "1234", "key-material", " key-material "}
    assert texts_to_hide("abc") == ()
    assert redacted("anything", ()) == "anything"


def test_texts_of_one_letter_cost_no_more_than_others() -> None:
    with promptly():
        assert redacted("a" * 250_000, ("a" * 10_000,)) == MASK
