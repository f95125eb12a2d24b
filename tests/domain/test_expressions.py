"""Expressions: what they mean, what they may not do, and that none of them can hold up a worker."""

from __future__ import annotations

import copy
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonata.jsonata import Jsonata

from domain import expressions
from domain.expressions import ExpressionError, limits, parse, referenced_roots
from domain.expressions.limits import exported
from domain.expressions.machine import Machine
from domain.expressions.shortcuts import shortcut
from domain.kernel.errors import DomainError
from tests.promptness import promptly

SCOPES: dict[str, Any] = {
    "payload": {
        "customer": {"name": "Ada", "tags": ["a", "b"], "none": None},
        "lines": [{"sku": "x", "price": 2, "n": 3}, {"sku": "y", "price": 10, "n": 1}],
        "single": [7],
        "empty": [],
        "text": "Größe 42",
        "on": True,
    },
    "vars": {"total": 16.5, "count": 3},
    "meta": {"runId": "r1"},
}

MEANINGS = {
    "payload.customer.name": "Ada",
    "payload.customer.none": None,
    "payload.customer.missing": None,
    "payload.missing.deeper": None,
    "payload.lines.sku": ["x", "y"],
    "payload.lines[0].sku": "x",
    "payload.lines[-1].sku": "y",
    "payload.lines[5]": None,
    "payload.lines[price > 5]": {"sku": "y", "price": 10, "n": 1},
    "payload.lines[price > 5][]": [{"sku": "y", "price": 10, "n": 1}],
    "payload.lines[price > 50]": None,
    "payload.lines.(price * n)": [6, 10],
    "$sum(payload.lines.(price * n))": 16,
    "payload.lines^(>price).sku": ["y", "x"],
    "payload.lines{sku: price}": {"x": 2, "y": 10},
    "payload.empty{sku: price}": {},
    "payload.single": [7],
    "payload.empty": [],
    "vars.total + 1": 17.5,
    "vars.count * 2 - 1": 5,
    "7 % 2.5": 2,
    "5.5 % 2": 1.5,
    "vars.missing + 1": None,
    "-vars.count": -3,
    "'n=' & vars.count & ', ' & payload.customer.missing & '.'": "n=3, .",
    "payload.customer.none & '!'": "null!",
    "vars.count = 3 and payload.on": True,
    "vars.count == 3": True,
    "vars.count=='=='": False,
    "vars.count != 3": False,
    "payload.customer.none = null": True,
    "payload.customer.missing = null": False,
    "payload.missing > 3": None,
    "'b' in payload.customer.tags": True,
    "1 in [true]": False,
    "payload.on ? 'yes' : 'no'": "yes",
    "payload.off ? 'yes'": None,
    "payload.missing ?: 'default'": "default",
    "payload.customer.none ?? 'default'": None,
    "coalesce(payload.customer.none, payload.missing, 'last')": "last",
    "$coalesce(payload.missing)": None,
    "[len(payload.text), $len(payload.lines), $len(payload), $len(payload.missing)]": [8, 2, 0, 0],
    "toString(payload.customer.none) & toString(3) & toString(payload.missing)": "3",
    "append(payload.customer.tags, 'c')": ["a", "b", "c"],
    "[1..3]": [1, 2, 3],
    "[3..1]": [],
    "$count([1..10000])": 10_000,
    "{'a': payload.missing, 'b': payload.customer.none}": {"b": None},
    "$uppercase(payload.text)": "GRÖSSE 42",
    "$lowercase('STRASSE ß')": "strasse ß",
    "payload.text ~> $substringBefore(' ')": "Größe",
    "$replace('a.b.c', '.', '-', 1)": "a-b.c",
    "$replace('2026-11-20', /(\\d+)-(\\d+)-(\\d+)/, '$3.$2.$1 $0 $$ $x $9')": "20.11.2026 2026-11-20 $ $x ",
    "$split('a1b22c', /[0-9]+/)": ["a", "b", "c"],
    "$split('a1b22c', /([0-9])/, 3)": ["a", "1", "b"],
    "$match('a1b22', /[0-9]+/).match": ["1", "22"],
    "$contains(payload.text, /größe/i)": True,
    "$join(['a', 'b'], '-')": "a-b",
    "$pad('7', -3, '0')": "007",
    "$distinct([1, 1.0, true, '1', {'a': 1}, {'a': 1.0}])": [1, True, "1", {"a": 1}],
    "$distinct([null, null])": [None],
    "$distinct(payload.lines.(1))": 1,
    "$distinct([[1], [true], [1.0]])": [[1], [True]],
    "[1] in [[1], [2]]": True,
    "$keys(payload.lines)": ["sku", "price", "n"],
    "$merge([{'a': 1}, {'b': 2}])": {"a": 1, "b": 2},
    "$spread({'a': 1, 'b': 2})": [{"a": 1}, {"b": 2}],
    "$lookup(payload.lines, 'n')": [3, 1],
    "$formatNumber(1234.5, '#,##0.00')": "1,234.50",
    "$toMillis('2026-11-20T00:00:00Z')": 1795132800000,
    "$fromMillis(0)": "1970-01-01T00:00:00.000Z",
    "$power(10, 300)": 1e300,
    "$string({'a': [1, null]})": '{"a":[1,null]}',
    "payload.customer.*": ["Ada", "a", "b", None],
    "$count(payload.**)": 17,
    "$$.vars.count": 3,
    "($; vars.count)": 3,
    "/* why */ 1": 1,
    "null": None,
    "`payload`.customer.`name`": "Ada",
}


@pytest.mark.parametrize("text", MEANINGS)
def test_an_expression_means_what_jsonata_says(text: str) -> None:
    before = copy.deepcopy(SCOPES)
    result = parse(text).evaluate(SCOPES)
    assert (type(result), result) == (type(MEANINGS[text]), MEANINGS[text])
    assert before == SCOPES


FORBIDDEN = {
    "function($x){$x}(1)": "Functions are called by name",
    "(function($x){$x})": "cannot be defined",
    "λ($x){$x}": "",
    "($f := 1; $f)": "cannot be set with :=",
    "$substring(?, 1)": "cannot be applied in part",
    "payload ~> |$|{'a': 1}|": "transform",
    "|payload|{'a': 1}|": "transform operator",
    "payload.lines@$l.sku": "@, # and %",
    "payload.lines#$i.sku": "@, # and %",
    "payload.lines[0]#$i": "@, # and %",
    "payload.lines.%.on": "@, # and %",
    "%": "parent",
    "$x": "no variable $x",
    "$sum": "no variable $sum",
    "payload.lines ~> $sum": "a function must be called",
    "$map(payload.lines, $string)": "$map is not available",
    "payload.f(1)": "f is not available",
    "('a')('b')": "called by name",
    "/a/": "may only be an argument",
    "1 & /a/": "may only be an argument",
    "$string(/a/)": "may only be an argument",
    "$contains('a', /(?=a)/)": "look-around",
    "$contains('a', /(a)\\1/)": "look-around",
    "$contains('a', /((a{100}){100}){100}/)": "cannot be used",
    "nowIso(1)": "nowIso is not available",
} | {
    f"${name}()": f"${name} is not available"
    for name in [
        "eval",
        "now",
        "millis",
        "random",
        "shuffle",
        "map",
        "filter",
        "reduce",
        "sift",
        "each",
        "single",
        "clone",
        "formatBase",
        "formatInteger",
        "parseInteger",
        "__class__",
        "__evaluate_entry",
    ]
}


@pytest.mark.parametrize("text", FORBIDDEN)
def test_what_is_impure_or_unbounded_is_refused_when_it_is_read(text: str) -> None:
    with pytest.raises(ExpressionError) as error:
        parse(text)
    assert FORBIDDEN[text] in error.value.message


BROKEN = [
    "",
    "  ",
    "a.",
    "(",
    "[1",
    "{'a'",
    "'open",
    '"\\x"',
    "`open",
    "/*",
    "/* open",
    "a b",
    "1..",
    "? :",
    "$f(",
    "&",
    "a[",
    "/",
]


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_expression_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(ExpressionError) as error:
        parse(text)
    assert error.value.message and error.value.position is not None
    assert isinstance(error.value, DomainError)


@pytest.mark.parametrize(
    ("text", "message", "position"),
    [
        ("vars.count + 'x'", "+ operator must evaluate to a number", 14),
        ("1 / (vars.count - 3)", "Division by zero", None),
        ("vars.count % 0", "Division by zero", None),
        ("'a' < 1", "same data type", None),
        ("$number('abc')", "cannot be computed", None),
        ("$sum(payload.lines)", "must be an array of", None),
        ("$error('stop here')", "stop here", 6),
        ("$assert(false, 'not so')", "not so", None),
        ("9e307 * 10", "out of range", None),
        ("$power(10, 999)", "too large", None),
        ("$toMillis('x', '[Y]')", "no picture", None),
        ("$formatNumber(1, '0', {'exponent-separator': '(a+)+'})", "takes a number and a picture", None),
        ("$split('abc', /x*/)", "matches an empty text", None),
        ("'\\u0000'", "NUL", None),
        ("'\\ud800'", "half of a character", None),
        ("[1..10001]", "at most 10,000 numbers", None),
        ("$string", "no variable", None),
    ],
)
def test_a_failing_evaluation_says_why_and_where(text: str, message: str, position: int | None) -> None:
    with pytest.raises(ExpressionError) as error:
        parse(text).evaluate(SCOPES)
    assert message in error.value.message
    assert error.value.position is not None
    assert position is None or abs(error.value.position - position) <= 3


BIG: dict[str, Any] = {
    "text": "é" * 200_000,
    "a": "a" * 200_000,
    "items": [{"p": n, "n": f"x{n}"} for n in range(8_000)],
    "nums": list(range(40_000)),
    "tree": {"x": [{"k": "v" * 10}] * 2_000},
    "wide": {str(n): [n] for n in range(30_000)},
}
BOMBS = [
    "[1..10000000]",
    "[1..10000].[1..10000]",
    "[1..10000].($$.tree)",
    "$string([1..10000].($$.tree))",
    "'' & [1..10000].($$.tree)",
    "{'a': [1..10000].($$.tree)}.**",
    "[1..10000].($$.tree) = [1..10000].($$.tree)",
    "[[1..10000].($$.tree)].x",
    "[[1..10000].($$.wide)].*",
    "$keys([1..10000].($$.wide))",
    "$spread([1..10000].($$.wide))",
    "$merge([1..10000].($$.wide))",
    "$lookup([[1..10000].($$.wide)], '7')",
    "$distinct([1..10000].($$.wide))",
    "$zip(nums, nums, nums, nums, nums, nums)",
    "items[$count($$.items[p > 3]) > 2]",
    "nums[$ in $$.nums]",
    "nums[$ > 0][$ > 0][$ > 0][$ > 0][$ > 0][$ > 0][$ > 0][$ > 0][$ > 0]",
    "$pad('x', 1e9)",
    "$pad('x', -1e300)",
    "$join([1..10000].($$.a))",
    "$join($split(a, ''), a)",
    "$replace(a, 'a', a)",
    "$replace(a, /a/, '$0$0$0$0$0$0')",
    "$replace(a, /(a+)/, '$1$1$1$1$1$1$1$1$1$1')",
    "$split(text, /é/)",
    "$match(text, /é/)",
    "a & a",
    "a&a&a&a&a&a&a&a&a",
    "$encodeUrlComponent(text)",
    "nums",
    "nums[[1..10000]]",
]


@pytest.mark.parametrize("text", BOMBS)
def test_an_expression_that_makes_much_out_of_little_is_stopped(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "EVALUATION_SECONDS", 0.2)
    expression = parse(text)
    with promptly(), pytest.raises(ExpressionError):
        expression.evaluate(BIG if text != "nums" else {"nums": list(range(200_000))})


def test_an_expression_ends_after_a_second_of_computing() -> None:
    started = time.thread_time()
    with promptly(), pytest.raises(ExpressionError, match="longer than 1 s"):
        parse("items[$count($$.items[p > 3]) > 2]").evaluate(BIG)
    assert time.thread_time() - started > 0.9


LONG = {
    "4,001 characters": "1" + " " * 4_000,
    "1,000 brackets": "(" * 1_000 + "1" + ")" * 1_000,
    "3,999 minus signs": "-" * 3_999 + "1",
    "1,900 ampersands": "&".join(["a"] * 1_900),
    "1,300 conditions": "a?1:" * 950 + "1",
    "defaults inside defaults": "(" * 90 + "a" + " ?: b)" * 90,
    "nested arrays": "[" * 101 + "]" * 101,
    "nested filters": "a[" * 101 + "1" + "]" * 101,
}


@pytest.mark.parametrize("name", LONG)
def test_an_expression_too_long_or_too_deep_is_refused_at_once(name: str) -> None:
    with promptly(), pytest.raises(ExpressionError):
        parse(LONG[name])


def test_a_catastrophic_regular_expression_takes_no_time() -> None:
    with promptly():
        assert parse("$contains(a & '!', /^(a+)+$/)").evaluate({"a": "a" * 100_000}) is False


def test_the_result_may_be_as_large_and_deep_as_a_payload_and_no_more() -> None:
    text = "a" * expressions.MAX_OUTPUT_CHARACTERS
    assert parse("a").evaluate({"a": text}) == text
    deep: Any = []
    for _ in range(31):
        deep = [deep]
    assert parse("a").evaluate({"a": deep}) == deep
    for too_much in (text + "a", [deep]):
        with pytest.raises(ExpressionError):
            parse("a").evaluate({"a": too_much})


def test_the_result_shares_nothing_with_the_scopes() -> None:
    scopes = {"payload": {"list": [{"a": 1}]}}
    result = parse("payload").evaluate(scopes)
    result["list"][0]["a"] = 2
    assert scopes == {"payload": {"list": [{"a": 1}]}}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("payload.customer.name", {"payload"}),
        ("vars.a + local.b & meta.c", {"vars", "local", "meta"}),
        ("items[price > limit].name", {"items"}),
        ("items[price > $$.vars.limit]", {"items", "vars"}),
        ("$.payload.x", {"payload"}),
        ("payload.lines.(price * vars)", {"payload"}),
        ("{'a': payload.x, meta.k: [system.y]}", {"payload", "meta", "system"}),
        ("error ? $string(error.message) : item", {"error", "item"}),
        ("payload.lines^(price){sku: n}", {"payload"}),
        ("coalesce(payload.a, other)", {"payload", "other"}),
        ("payload.x ~> $append(vars.y)", {"payload", "vars"}),
        ("(payload; vars).x", {"payload", "vars"}),
        ("'payload'", set()),
        ("-unknown", {"unknown"}),
    ],
)
def test_the_names_an_expression_reads_are_known_before_it_runs(text: str, names: set[str]) -> None:
    assert referenced_roots(parse(text)) == names


def test_the_same_text_is_read_once() -> None:
    for text in ("payload.once", "payload.once" + " " * 1_000):
        assert parse(text) is parse(text)


def test_eight_threads_compute_what_one_does() -> None:
    texts = [text for text in MEANINGS if "**" not in text] * 4
    barrier = threading.Barrier(8)

    def compute_all(offset: int) -> list[tuple[str, Any]]:
        barrier.wait(10)
        mine = texts[offset * 7 :] + texts[: offset * 7]
        results = []
        for text in mine:
            fresh = text + " " * offset
            results.append((text, parse(fresh).evaluate(SCOPES)))
        return results

    with ThreadPoolExecutor(8) as pool:
        for results in pool.map(compute_all, range(8)):
            assert all(result == MEANINGS[text] for text, result in results)


def test_an_error_in_one_thread_leaves_the_others_alone() -> None:
    def compute(number: int) -> Any:
        if number % 2:
            with pytest.raises(ExpressionError):
                parse("payload.n + 'x'").evaluate({"payload": {"n": number}})
            return None
        return parse("$string(payload.n) & payload.m").evaluate({"payload": {"n": number}})

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(compute, range(400))) == [None if n % 2 else str(n) for n in range(400)]


NAMES = st.sampled_from(["a", "b", "c"])
SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 2.0, "", "a", "x y"])
MEMBERS = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(st.fixed_dictionaries({"b": inner}, optional={"c": inner}), min_size=1, max_size=3)
        | st.fixed_dictionaries({"b": inner}, optional={"c": inner, "a": inner})
    ),
    max_leaves=8,
)
DATA = st.fixed_dictionaries({"a": MEMBERS}, optional={"b": MEMBERS, "c": MEMBERS})
STEPS = st.builds(lambda name, index: name + index, NAMES, st.sampled_from(["", "", "", "[0]", "[1]", "[-1]"]))
PATHS = st.lists(STEPS, min_size=1, max_size=3).map(".".join)
LITERALS = st.sampled_from(["1", "-2", "0.5", "'a'", "''", "true", "false", "null"])
SIMPLE = st.recursive(
    PATHS | LITERALS,
    lambda inner: (
        st.builds(
            "({} {} {})".format,
            inner,
            st.sampled_from(["+", "-", "*", "/", "&", "=", "!=", "<", "<=", ">", ">=", "and", "or"]),
            inner,
        )
        | st.builds("({} ? {} : {})".format, inner, inner, inner)
    ),
    max_leaves=4,
)


def outcome(compute: Any) -> tuple[str, Any]:
    try:
        return ("value", compute())
    except Exception:
        return ("error", None)


def library_value(text: str, data: dict[str, Any]) -> Any:
    return Jsonata(text).evaluate(copy.deepcopy(data))


def strictly(value: Any) -> Any:
    """A form in which 1, 1.0 and true differ."""
    if isinstance(value, dict):
        return {key: strictly(member) for key, member in value.items()}
    return [strictly(member) for member in value] if isinstance(value, list) else (type(value).__name__, value)


@settings(max_examples=300, deadline=None)
@given(SIMPLE, DATA)
@example("a.b", {"a": [{"b": 1}, {"b": [2, None]}]})
@example("a[0].b", {"a": [[{"b": 1}]]})
@example("a[0]", {"a": [[1, 2]]})
@example("(a.b = 1)", {"a": [{"b": 1}]})
@example("a.b.c", {"a": {"b": [{"c": []}, {"c": [3]}]}})
@example("a[0].b", {"a": {"b": 1}})
@example("(a.b & 'x')", {"a": {"b": []}})
def test_a_shortcut_gives_what_the_evaluator_and_the_library_give(text: str, data: dict[str, Any]) -> None:
    expression = parse(text)
    assert expression._shortcut is not None
    kind, value = outcome(lambda: expression.evaluate(data))
    full_kind, full = outcome(lambda: exported(Machine().run(expression._tree, data)))
    library_kind, library = outcome(lambda: library_value(text, data))
    assert (kind, strictly(value)) == (full_kind, strictly(full))
    assert (kind, strictly(value)) == (library_kind, strictly(library))


OTHERS = st.sampled_from(
    """a.b.c|a[b > 0]|a[b].c|a.(b & c)|[a, b.c]|{'k': a, 'm': b.c}|$count(a)|$sum(a.b)|a^(b)|$string(a)|$keys(a)
    |$append(a, b)|$exists(a.b)|a[]|a.b[]|$reverse(a)|a{'k': b}|$type(a)|a ?: b|$not(a)|$boolean(a.b)
    |$merge(a)|a.b ~> $count()|$lookup(a, 'b')|[a.b][0]|(a; b).c|$join(a, '-')|a.[b, c]|**.b""".replace("\n", "").split(
        "|"
    )
).map(str.strip)


@settings(max_examples=250, deadline=None)
@given(OTHERS, DATA)
def test_the_bounded_evaluator_gives_what_the_library_gives(text: str, data: dict[str, Any]) -> None:
    kind, value = outcome(lambda: parse(text).evaluate(data))
    library_kind, library = outcome(lambda: library_value(text, data))
    if kind == library_kind == "value":
        assert strictly(value) == strictly(library)
    else:
        assert kind == library_kind


@given(st.text("abpayloadvrs.$()[]{}'\"`/*&|?:;,<>=!~@#%^-+ 0123\\\n", max_size=40))
def test_no_text_raises_anything_but_an_expression_error(text: str) -> None:
    try:
        parse(text).evaluate(SCOPES)
    except ExpressionError:
        return


def test_only_what_is_simple_takes_a_shortcut() -> None:
    for text in (
        "payload.lines[price > 1]",
        "payload.*",
        "$sum(a)",
        "a.b[]",
        "[1]",
        "{'a': 1}",
        "a.b{c: d}",
        "a[0][0]",
    ):
        assert shortcut(parse(text)._tree) is None


@pytest.mark.parametrize("text", ["nowIso()", "$nowIso()", "coalesce(missing, nowIso())"])
def test_the_only_time_is_the_recorded_start_of_the_step(text):
    expression = parse(text)
    assert expression.evaluate({"system": {"now": "2026-03-01T12:00:00+00:00"}}) == "2026-03-01T12:00:00+00:00"
    assert "system" in referenced_roots(expression)
