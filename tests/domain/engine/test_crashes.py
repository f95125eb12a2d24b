"""Whatever a run is and wherever it crashes, it comes to the same end, and nothing on record is done again."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.engine import step_log
from domain.engine.validation import definition_problems, has_errors
from tests.domain.engine.engine_runs import (
    MemoryStore,
    assign,
    call,
    expr,
    for_each,
    give_back,
    run_to_end,
    set_state,
    test_actions,
    when,
    with_ids,
)
from tests.domain.engine.reference_model import CODES, expected

NAMES = ("a", "b", "item", "n")
OBJECTS = ("o", "p")


@pytest.fixture(autouse=True, scope="module")
def _actions():
    with test_actions():
        yield


numbers = st.recursive(
    st.one_of(
        st.tuples(st.just("lit"), st.integers(0, 8)),
        st.just(("payload",)),
        st.just(("index",)),
        st.just(("error",)),
        st.tuples(st.just("var"), st.sampled_from(NAMES)),
        st.tuples(st.just("of"), st.sampled_from(OBJECTS), st.sampled_from(("count", "answer"))),
    ),
    lambda inner: st.tuples(st.just("plus"), inner, st.integers(0, 3)),
    max_leaves=2,
)
conditions = st.tuples(st.just("more"), numbers, numbers)
lists = st.tuples(st.just("list"), st.lists(numbers, min_size=1, max_size=3))
simple = st.one_of(
    st.tuples(st.just("state"), st.sampled_from(("begun", "halfway"))),
    st.tuples(st.just("assign"), st.lists(st.tuples(st.sampled_from(NAMES), numbers), min_size=1, max_size=3, unique_by=lambda entry: entry[0])),
    st.tuples(st.sampled_from(("pure", "local", "outside")), numbers, st.sampled_from(OBJECTS)),
    st.tuples(st.sampled_from(("local", "outside")), numbers, st.sampled_from(OBJECTS)),
    # Lost attempts count too: so that a crash decides nothing, a flaky step succeeds in time or never.
    st.tuples(st.just("flaky"), st.sampled_from((0, 1, 1, 99)), st.just(3), st.sampled_from(OBJECTS)),
    st.just(("wait",)),
)  # fmt: skip
failing = st.one_of(
    st.just(("broken",)),
    st.tuples(st.just("outside"), st.just(("lit", 3)), st.sampled_from(OBJECTS)),
    st.tuples(st.just("local"), st.just(("lit", 7)), st.sampled_from(OBJECTS)),
    st.tuples(st.just("flaky"), st.just(99), st.just(2), st.sampled_from(OBJECTS)),
)
left_behind = st.tuples(st.just("go on"), failing)
ending = st.one_of(st.tuples(st.just("return"), numbers), st.just(("broken",)))


def _nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    blocks = st.lists(st.one_of(inner, inner, inner, left_behind, ending), max_size=3)
    return st.one_of(
        inner,
        st.tuples(st.just("if"), conditions, blocks, blocks),
        st.tuples(st.just("each"), st.sampled_from(NAMES), lists, blocks, st.booleans()),
        st.tuples(st.just("try"), st.tuples(blocks, failing).map(lambda found: [*found[0], found[1]]), blocks),
        st.tuples(st.just("try"), blocks, blocks),
    )


steps = st.recursive(simple, _nested, max_leaves=6)
programs = st.lists(steps, min_size=1, max_size=5)


def _text(e: Any) -> str:
    match e:
        case ("lit", n):
            return str(n)
        case ("payload",):
            return "payload.n"
        case ("index",):
            return "$coalesce(local.index, 0)"
        case ("var", name):
            return f'($type(vars.{name}) = "number" ? vars.{name} : 0)'
        case ("of", name, member):
            return f"$coalesce(vars.{name}.{member}, 0)"
        case ("error",):
            return "$coalesce($lookup(" + json.dumps(CODES) + ", $coalesce(error.code, '-')), 0)"
        case ("plus", inner, n):
            return f"({_text(inner)} + {n})"
        case ("more", a, b):
            return f"{_text(a)} > {_text(b)}"
        case _:
            return f"[{', '.join(_text(item) for item in e[1])}]"


def _step(node: Any) -> dict[str, Any]:
    match node:
        case ("state", text):
            return set_state(text)
        case ("assign", entries):
            return assign(**{f"vars.{name}": expr(_text(e)) for name, e in entries})
        case ("if", condition, then, otherwise):
            return when(expr(_text(condition)), [*map(_step, then)], [*map(_step, otherwise)])
        case ("each", name, items, body, goes_on):
            policy = {"onItemError": "continue"} if goes_on else {}
            return for_each(expr(_text(items)), name, *map(_step, body)) | policy
        case ("try", tried, caught):
            return {"type": "control.tryCatch", "try": [*map(_step, tried)], "catch": [*map(_step, caught)]}
        case ("go on", inner):
            return _step(inner) | {"onError": "continue"}
        case ("wait",):
            return {"type": "time.wait", "config": {"mode": "duration", "durationMs": 60_000}}
        case ("flaky", times, attempts, name):
            return call("test.flaky", name, value=[times, "TransientError"]) | {"retry": {"maxAttempts": attempts}}
        case ("return", e):
            return give_back(expr(_text(e)))
        case ("broken",):
            return when(expr("payload.n"), [])
        case (kind, e, name):
            action = {"local": "test.count", "outside": "test.ask"}.get(kind)
            return (
                call(action, name, value=expr(_text(e)))
                if action
                else call("transform.build_array", name, items=[expr(_text(e))])
            )


def _definition(program: list[Any]) -> dict[str, Any]:
    return {"steps": [with_ids(_step(node), f"s{index}") for index, node in enumerate(program)]}


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(programs, st.integers(0, 8), st.sets(st.integers(1, 40), max_size=4), st.integers(1, 3))
def test_a_run_that_crashes_anywhere_ends_as_if_it_had_not(program, number, crashes, commit_after):
    definition = _definition(program)
    assert not has_errors(definition_problems(definition))
    store = MemoryStore(tuple(crashes))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(step_log, "COMMIT_AFTER_STEPS", commit_after)
        result = run_to_end(definition, {"n": number}, store)
    outcome = expected(program, number)

    assert (result.status, result.output, result.state) == (outcome.status, outcome.output, outcome.state)
    assert ((result.error or {}).get("code"), (result.error or {}).get("nodePath")) == (outcome.code, outcome.where)
    assert store.places() == outcome.places
    assert (store.count, store.local) == (outcome.count, outcome.local)
    _assert_outside_is_asked_with_one_key(store, outcome.outside)


def _assert_outside_is_asked_with_one_key(store: MemoryStore, places: list[tuple[str, str]]) -> None:
    asked = list(dict.fromkeys((path, iteration) for path, iteration, _ in store.outside))
    assert asked == places
    # One key and one input per place, and no key twice.
    told = {(path, iteration): (key, value) for path, iteration, (key, value) in store.outside}
    assert all(told[path, iteration] == said for path, iteration, said in store.outside)
    assert len({key for key, _ in told.values()}) == len(places)
    # Nothing that was recorded as done is asked again: every attempt but the last was lost.
    attempts = Counter((row["step_path"], row["iteration"]) for row in store.rows if row["idempotency_key"])
    for place in places:
        rows = [row for row in store.rows if (row["step_path"], row["iteration"]) == place]
        assert [row["attempt"] for row in rows] == list(range(1, attempts[place] + 1))
        assert all(row["error"]["code"] in ("OUTCOME_UNKNOWN", "NOT_YET") for row in rows[:-1])


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(programs, st.integers(0, 8), st.integers(0, 6))
def test_a_canceled_run_begins_no_effect_and_records_what_was_done(program, number, commits):
    store = MemoryStore(cancel_after=commits)
    result = run_to_end(_definition(program), {"n": number}, store)
    outcome = expected(program, number)
    assert store.places() == outcome.places[: len(store.places())]
    assert store.local == outcome.local[: len(store.local)]
    # An outside step takes two commits, a local one takes one.
    assert len(store.local) + len(store.outside) <= commits
    if result.status != "canceled":
        assert (result.status, result.output) == (outcome.status, outcome.output)
        assert len(store.local) == len(outcome.local)


def test_every_boundary_of_a_run_can_be_the_last_of_its_process():
    program = [
        ("assign", [("a", ("payload",))]),
        ("each", "n", ("list", [("lit", 1), ("lit", 2)]), [("local", ("var", "n"), "o"), ("outside", ("var", "a"), "p")], False),
        ("wait",),
        ("try", [("flaky", 1, 3, "o"), ("go on", ("broken",)), ("broken",)], [("local", ("error",), "o")]),
        ("outside", ("plus", ("of", "o", "count"), 1), "p"),
        ("return", ("of", "p", "answer")),
    ]  # fmt: skip
    whole = MemoryStore()
    assert run_to_end(_definition(program), {"n": 1}, whole).output == 40
    assert whole.boundaries > 20
    for boundary in range(1, whole.boundaries + 1):
        store = MemoryStore((boundary,))
        assert run_to_end(_definition(program), {"n": 1}, store).output == 40
        assert (store.count, store.places()) == (3, whole.places())


@pytest.mark.parametrize("boundary", range(1, 9))
def test_a_value_read_back_from_the_record_reads_as_it_did_before_the_crash(boundary, monkeypatch):
    monkeypatch.setattr(step_log, "COMMIT_AFTER_STEPS", 1)
    steps = [
        assign(shape=expr('{"width": 1, "id": 2.50, "é": 1e21, "b": 0}')),
        call("transform.stringify_json", "written", source=expr("shape")),
        give_back(expr('written.text & $string(shape.id)')),
    ]  # fmt: skip
    definition = {"steps": [with_ids(step, f"s{index}") for index, step in enumerate(steps)]}
    undisturbed = run_to_end(definition, {}, MemoryStore())
    assert undisturbed.output == '{"b":0,"id":2.5,"é":1e+21,"width":1}2.5'
    assert run_to_end(definition, {}, MemoryStore((boundary,))) == undisturbed


def test_an_answer_on_record_is_used_although_the_other_side_would_answer_differently_now(monkeypatch):
    from tests.domain.engine import engine_runs

    answers = iter("abcdef")

    def ask(inputs, context):
        engine_runs.WORLDS[context.run_id].boundary()
        return {"answer": next(answers)}

    monkeypatch.setitem(engine_runs.ACTIONS, ("test.ask", 1), engine_runs._action("test.ask", "outside", ask))
    definition = {"steps": [{"id": "q", **call("test.ask", "p", value=1)}, {"id": "r", **give_back(expr("p.answer"))}]}
    # Boundaries: begin (before, after its commit), the action, end (before, after its commit), the end of the run.
    assert run_to_end(definition, {}, MemoryStore()).output == "a"
    store = MemoryStore((5,))
    assert run_to_end(definition, {}, store).output == "b"
    store = MemoryStore((4,))
    assert run_to_end(definition, {}, store).output == "d"
    assert [row["attempt"] for row in store.rows if row["node_type"] == "action.call"] == [1, 2]


@pytest.mark.parametrize("action", ["test.count", "test.ask"])
def test_what_was_done_before_a_cancel_is_on_record(action):
    steps = [{"id": "a", **assign(x=1)}, {"id": "b", **call(action, value=1)}]
    store = MemoryStore(cancel_after=0)
    result = run_to_end({"steps": steps}, {}, store)
    assert (result.status, result.error["code"]) == ("canceled", "CANCELED")
    assert [(row["step_id"], row["status"]) for row in store.rows] == [("a", "succeeded")]
    assert (store.count, store.outside) == (0, [])


def test_an_outside_effect_that_a_cancel_overtakes_is_recorded_with_its_answer():
    steps = [{"id": "a", **call("test.ask", value=1)}, {"id": "b", **call("test.ask", value=2)}]
    store = MemoryStore(cancel_after=1)
    assert run_to_end({"steps": steps}, {}, store).status == "canceled"
    assert [(row["step_id"], row["status"], row["output"]) for row in store.rows] == [
        ("a", "succeeded", {"answer": 10})
    ]


@pytest.mark.parametrize("action", ["test.count", "test.ask"])
def test_an_action_whose_output_could_not_be_kept_is_not_called(action):
    steps = [{"id": "a", **assign(x=[1])}, {"id": "b", **call(action, "x.y", value=1)}]
    store = MemoryStore()
    assert run_to_end({"steps": steps}, {}, store).error["code"] == "NOT_AN_OBJECT"
    assert (store.count, store.outside) == (0, [])
