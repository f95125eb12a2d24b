"""Patterns and queries: they mean what authors expect, and none of them runs long."""

from __future__ import annotations

import pytest

from domain.engine.failures import StepFailed
from tests.domain.engine.test_actions import called
from tests.promptness import promptly


@pytest.mark.parametrize(
    ("flags", "text", "matched"),
    [("", "Invoice", False), ("i", "Invoice", True), ("gui", "INVOICE", True), ("s", "x\ninvoice", True)],
)
def test_flags_of_a_pattern_mean_what_they_mean_in_javascript(flags, text, matched):
    pattern = "x.invoice" if "\n" in text else "invoice"
    assert called("transform.regex_match", text=text, pattern=pattern, flags=flags)["matched"] is matched
    if "\n" in text:
        assert called("transform.regex_match", text=text, pattern=pattern)["matched"] is False


def test_every_line_begins_anew_with_the_flag_for_it():
    lines = {"text": "a1\na2", "pattern": "^a[0-9]$"}
    assert called("transform.regex_extract", **lines)["count"] == 0
    assert called("transform.regex_extract", **lines, flags="m")["count"] == 2


def test_places_count_characters_and_groups_without_part_are_null():
    found = called("transform.regex_match", text="äöü €5", pattern="€([0-9]+)(x)?")
    assert (found["index"], found["groups"]) == (4, ["5", None])


def test_as_many_places_are_given_as_asked_for():
    inputs = {"text": "a" * 2_000, "pattern": "a"}
    assert called("transform.regex_extract", **inputs)["count"] == 100
    assert called("transform.regex_extract", **inputs, maxMatches=1_000)["count"] == 1_000
    with pytest.raises(StepFailed):
        called("transform.regex_extract", **inputs, maxMatches=1_001)


@pytest.mark.parametrize("name", ["match", "extract"])
def test_a_required_match_that_is_not_there_fails_the_step(name):
    inputs = {"text": "abc", "pattern": "x"}
    assert called(f"transform.regex_{name}", **inputs)["matched"] is False
    with pytest.raises(StepFailed) as failed:
        called(f"transform.regex_{name}", **inputs, requireMatch=True)
    assert (failed.value.code, failed.value.category) == ("NO_MATCH", "ValidationError")


@pytest.mark.parametrize(
    ("replacement", "expected"),
    [
        ("[$1]", "[ab]-[cd]"),
        ("$$1", "$1-$1"),
        ("$&$0", "abab-cdcd"),
        ("$<word>!", "ab!-cd!"),
        ("$12", "ab2-cd2"),
        ("$7 $x $<none>", "$7 $x $<none>-$7 $x $<none>"),
        ("\\1", "\\1-\\1"),
    ],
)
def test_a_replacement_names_groups(replacement, expected):
    inputs = {"text": "ab-cd", "pattern": "(?P<word>[a-z]+)", "replacement": replacement}
    assert called("transform.regex_replace", **inputs) == {"text": expected, "replacementCount": 2}


def test_only_the_first_place_is_replaced_when_asked():
    inputs = {"text": "aaa", "pattern": "a", "replacement": "b", "replaceAll": False}
    assert called("transform.regex_replace", **inputs) == {"text": "baa", "replacementCount": 1}
    assert called("transform.regex_replace", text="ab", pattern="x*", replacement="-")["text"] == "-a-b-"


@pytest.mark.parametrize("pattern", ["(", "a(?=b)", r"(a)\1", "(?<!x)y", "a{1001}", "[z-a]", "(((a{100}){100}){100})"])
def test_a_pattern_that_cannot_run_in_linear_time_is_refused(pattern):
    with pytest.raises(StepFailed) as failed:
        called("transform.regex_match", text="a", pattern=pattern)
    assert (failed.value.code, failed.value.category) == ("INVALID_PATTERN", "ValidationError")


def test_patterns_that_hang_elsewhere_end_here():
    text = "a" * 99_999
    for pattern in ("(a+)+$", "(a|aa)+b", "(.*)*x", "(a*)*(a*)*b"):
        with promptly():
            called("transform.regex_match", text=text, pattern=pattern)
            called("transform.regex_replace", text=text + "b", pattern=pattern, replacement="")


def test_a_text_that_would_grow_too_long_is_never_built():
    with pytest.raises(StepFailed) as failed:
        called("transform.regex_replace", text="a" * 100_000, pattern="a", replacement="b" * 10_000)
    assert failed.value.code == "VALUE_TOO_LARGE"


def test_a_query_sees_the_source_and_nothing_else():
    source = [{"n": 1}, {"n": 2}]
    assert called("transform.query_json", source=source, expression="source[n > 1].n") == {"value": 2}
    assert called("transform.query_json", source=source, expression="payload") == {"value": None}
    for wrong in ("source[", "$now()", "$sum(source)"):
        with pytest.raises(StepFailed) as failed:
            called("transform.query_json", source=source, expression=wrong)
        assert failed.value.category == "ExpressionError"
