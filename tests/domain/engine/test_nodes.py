"""What each node type does."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from domain.engine import step_log
from domain.engine.actions.registry import ACTIONS
from domain.engine.compiled import compile_definition
from domain.engine.failures import StepFailed
from domain.engine.interpreter import interpret
from domain.engine.nodes import control_for_each
from domain.engine.running import Execution
from domain.engine.step_log import StepLog
from tests.domain.engine.engine_runs import (
    NOW,
    MemoryStore,
    a_claim,
    assign,
    call,
    expr,
    for_each,
    give_back,
    run_steps,
    run_to_end,
    set_state,
    when,
)


def test_a_run_without_steps_succeeds_without_output():
    result = run_steps()
    assert (result.status, result.output, result.state, result.error) == ("succeeded", None, None, None)


def test_return_ends_the_run_with_its_value():
    result = run_steps(
        give_back({"sum": expr("payload.a + payload.b"), "fixed": [1, None]}), set_state("never"), a=2, b=3
    )
    assert (result.status, result.output, result.state) == ("succeeded", {"sum": 5, "fixed": [1, None]}, None)


def test_return_inside_a_loop_ends_the_whole_run():
    result = run_steps(
        for_each([1, 2, 3], "n", when(expr("n = 2"), [give_back(expr("n"))])),
        give_back("not reached"),
    )
    assert result.output == 2


def test_state_labels_the_run_and_is_visible_as_meta_state():
    result = run_steps(set_state("begun"), set_state(expr('meta.state & " and done"')), give_back(expr("meta.state")))
    assert (result.state, result.output) == ("begun and done", "begun and done")


def test_a_state_that_is_no_text_fails_the_run():
    result = run_steps(set_state(expr("payload.n")), n=5)
    assert result.error["code"] == "INVALID_STATE"
    assert result.error["category"] == "ValidationError"


def test_later_entries_of_an_assign_see_the_earlier_ones():
    entries = {"subtotal": expr("payload.net * 2"), "vars.total": expr("subtotal + 1"), "payload.seen": True}
    result = run_steps(assign(**entries), give_back([expr("vars.total"), expr("payload.seen")]), net=10)
    assert result.output == [21, True]


def test_entries_of_an_assign_take_their_turns_by_name_however_they_were_written():
    result = run_steps(assign(**{"vars.b": expr("vars.a + 1"), "vars.a": 1}), give_back(expr("vars.b")))
    assert result.output == 2


def test_an_assign_makes_the_objects_on_its_way_and_leaves_their_neighbours():
    result = run_steps(
        assign(**{"payload.customer.address.city": "Oslo", "vars.a.b": 1}),
        assign(**{"vars.a.c": 2}),
        give_back({"customer": expr("payload.customer"), "a": expr("a")}),
        customer={"name": "Ada"},
    )
    assert result.output == {"customer": {"name": "Ada", "address": {"city": "Oslo"}}, "a": {"b": 1, "c": 2}}


def test_an_assign_through_something_that_is_no_object_fails_and_says_where():
    result = run_steps(assign(**{"vars.a": [1]}), assign(**{"vars.a.b": 1}))
    assert result.error["nodePath"] == "root.steps[1]"
    assert "vars.a is not an object" in result.error["message"]


def test_a_later_assign_does_not_change_what_an_earlier_step_recorded():
    store = MemoryStore()
    definition = {
        "steps": [
            {"id": "a", **assign(**{"vars.a": {"n": 1}})},
            {"id": "b", **assign(**{"vars.b": expr("vars.a")})},
            {"id": "c", **assign(**{"vars.b.n": 2, "payload.list": [9]})},
        ]
    }
    run_to_end(definition, {"list": [1]}, store)
    assert [row["output"] for row in store.rows][:2] == [{"vars.a": {"n": 1}}, {"vars.b": {"n": 1}}]


def test_an_assign_that_fails_half_way_assigns_nothing():
    step = {"id": "a", **assign(first=1, second=expr('"x" + 1'))}
    claim = a_claim()
    execution = Execution(claim, StepLog(claim, [], NOW, store=MemoryStore()))
    with pytest.raises(StepFailed):
        execution.run_steps(compile_definition({"steps": [step]}, is_pure=True).steps, "")
    assert execution.scopes()["vars"] == {}


@pytest.mark.parametrize(("amount", "expected"), [(150, "large"), (50, "small")])
def test_if_goes_the_way_of_its_condition(amount, expected):
    result = run_steps(
        when(expr("payload.amount > 100"), [assign(size="large")], [assign(size="small")]),
        give_back(expr("size")),
        amount=amount,
    )
    assert result.output == expected


def test_if_without_else_goes_on():
    assert run_steps(when(False, [give_back(1)]), give_back(2)).output == 2


@pytest.mark.parametrize("condition", ["payload.n", "payload.missing", '"true"', "[]"])
def test_a_condition_that_is_neither_true_nor_false_fails_the_run(condition):
    result = run_steps(when(expr(condition), []), n=1)
    assert result.status == "failed"
    assert result.error["code"] == "NOT_A_BOOLEAN"
    assert result.error["nodePath"] == "root.steps[0]"


def test_for_each_has_the_item_and_its_place_as_locals():
    shown = "[item, index, length, isFirst, isLast, letter, vars.letter, local.index]"
    result = run_steps(
        assign(**{"seen.items": []}),
        for_each(
            expr("payload.letters"),
            "letter",
            call("transform.append_array", "seen", items=expr("seen.items"), values=[expr(shown)]),
        ),
        give_back(expr("seen.items")),
        letters=["a", "b"],
    )
    assert result.output == [["a", 0, 2, True, False, "a", "a", 0], ["b", 1, 2, False, True, "b", "b", 1]]


def test_loops_inside_loops_have_their_own_locals_and_iterations():
    store = MemoryStore()
    inner = {"id": "i", **for_each([1, 2], "n", {"id": "x", **assign(last=expr("$string(outer) & $string(n)"))})}
    after = {"id": "y", **assign(place=expr("index"))}
    steps = [
        {"id": "o", **for_each(["a", "b"], "outer", inner, after)},
        {"id": "r", **give_back(expr("[last, place]"))},
    ]
    result = run_to_end({"steps": steps}, {}, store)
    assert result.output == ["b2", 1]
    inside = [row["iteration"] for row in store.rows if row["step_id"] == "x"]
    assert inside == ["0.0", "0.1", "1.0", "1.1"]
    assert store.places()[2] == ("root.steps[0].body.steps[0].body.steps[0]", "0.0")


def test_after_a_loop_a_shadowed_variable_is_what_it_was_and_the_locals_are_gone():
    result = run_steps(
        assign(n="before"),
        for_each([1], "n", assign(n="inside")),
        for_each([1], "fresh"),
        give_back({"n": expr("n"), "vars": expr("vars"), "local": expr("local")}),
    )
    assert result.output == {"n": "before", "vars": {"n": "before"}, "local": {}}


def test_items_that_are_no_list_fail_the_run():
    assert run_steps(for_each(expr("payload.one"), "n"), one=1).error["code"] == "NOT_A_LIST"


def test_a_loop_takes_a_bounded_number_of_items(monkeypatch):
    monkeypatch.setattr(control_for_each, "MAX_ITEMS", 3)
    assert run_steps(for_each([1, 2, 3], "n")).status == "succeeded"
    assert run_steps(for_each([1, 2, 3, 4], "n")).error["code"] == "TOO_MANY_ITEMS"


def test_a_run_takes_a_bounded_number_of_steps(monkeypatch):
    monkeypatch.setattr(step_log, "MAX_STEPS", 10)
    result = run_steps(for_each(list(range(20)), "n", assign(a=1)))
    assert result.error["code"] == "TOO_MANY_STEPS"
    assert result.error["nodePath"] == "root.steps[0].body.steps[0]"


def test_a_value_that_is_too_large_fails_the_step():
    result = run_steps(
        assign(text="x" * 200_000),
        call("transform.concat_text", "twice", values=[expr("text"), expr("text")]),
    )
    assert result.error["category"] == "ValidationError"
    assert result.error["code"] == "VALUE_TOO_LARGE"


def test_the_values_of_a_run_are_bounded_together(monkeypatch):
    monkeypatch.setattr(step_log, "MAX_RUN_CHARACTERS", 10_000)
    result = run_steps(for_each(list(range(20)), "n", assign(text="x" * 1_000)))
    assert result.error["code"] == "RUN_TOO_LARGE"


def test_an_action_gets_its_mapped_inputs_and_its_output_is_kept():
    result = run_steps(
        call("transform.concat_text", "payload.greeting", values=["Hello", expr("payload.name")], separator=" "),
        give_back(expr("payload.greeting.text")),
        name="Ada",
    )
    assert result.output == "Hello Ada"


def test_an_output_that_is_kept_nowhere_is_dropped():
    result = run_steps(call("transform.trim_text", text=" a "), give_back(expr("vars")))
    assert result.output == {}


def test_inputs_that_do_not_fit_fail_the_step_and_are_on_record():
    store = MemoryStore()
    steps = [{"id": "t", **call("transform.trim_text", text=expr("payload.n"))}]
    result = run_to_end({"steps": steps}, {"n": 5}, store)
    assert result.error["code"] == "INVALID_INPUT"
    assert "/text must be text" in result.error["message"]
    assert (store.rows[0]["status"], store.rows[0]["input"], store.rows[0]["error"]) == (
        "failed",
        {"text": 5},
        result.error,
    )


def test_a_failing_expression_fails_the_run_with_its_place():
    result = run_steps(assign(a=expr('"x" + 1')))
    assert result.error["category"] == "ExpressionError"
    assert result.error["nodePath"] == "root.steps[0]"
    assert "at character" in result.error["message"]


def test_expressions_know_which_run_they_are_in_and_when_it_started_but_not_what_time_it_is():
    result = run_steps(give_back(expr("meta")))
    assert result.output.keys() == {"runId", "workflowId", "workflowVersion", "trigger", "state", "startedAt"}
    assert result.output["startedAt"] == "2026-03-01T12:00:00+00:00"
    assert result.output["trigger"] == {"scheduleName": "Nightly"}


def test_roots_are_not_hidden_by_variables_of_the_same_name():
    result = run_steps(for_each([1], "item", assign(item=2)), give_back(expr("payload.n")), n=4)
    assert result.output == 4


def test_an_action_of_another_release_fails_the_step(monkeypatch):
    monkeypatch.delitem(ACTIONS, ("transform.trim_text", 1))
    definition = {"steps": [{"id": "t", **call("transform.trim_text", text="a")}]}
    result = run_to_end(definition, {}, MemoryStore())
    assert result.error["code"] == "UNKNOWN_ACTION"


def test_a_definition_of_another_release_fails_its_runs_and_nothing_else():
    compiled = compile_definition({"steps": [{"id": "a", "type": "control.teleport"}]}, is_pure=True)
    assert compiled.fault is not None
    claim = a_claim()
    result = interpret(compiled, claim, StepLog(claim, [], NOW, store=MemoryStore()))
    assert result.error["code"] == "INVALID_WORKFLOW_DEFINITION"
    assert "control.teleport" in result.error["message"]


def test_a_compiled_definition_can_be_run_by_any_number_of_threads():
    definition = {"steps": [{"id": "r", **give_back(expr("payload.n * 2"))}]}
    with ThreadPoolExecutor(4) as threads:
        results = threads.map(lambda n: run_to_end(definition, {"n": n}, MemoryStore()).output, range(200))
    assert list(results) == [n * 2 for n in range(200)]
