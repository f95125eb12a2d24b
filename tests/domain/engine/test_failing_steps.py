"""What becomes of a step that fails: it is tried again, left behind, caught, or it fails the run."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.engine import step_log
from domain.engine.failures import ACTION, TRANSIENT, UNKNOWN, VALIDATION
from domain.engine.retries import Retry
from tests.domain.engine.engine_runs import (
    MemoryStore,
    assign,
    call,
    expr,
    for_each,
    give_back,
    run_steps,
    run_to_end,
    test_actions,
    when,
    with_ids,
)

FAILS = assign(x=expr('"x" + 1'))


@pytest.fixture(autouse=True)
def actions():
    with test_actions():
        yield


def ran(*steps, store=None, **payload):
    """The result of a run in a store, without asking whether the steps could be published."""
    store = store or MemoryStore()
    definition = {"steps": [with_ids(step, f"s{index}") for index, step in enumerate(steps)]}
    return run_to_end(definition, payload, store)


def flaky(times, category=TRANSIENT, action="test.flaky", **more):
    return call(action, "answer", value=[times, category]) | more


def try_(steps, *caught, capture=None):
    named = {"captureErrorAs": capture} if capture else {}
    return {"type": "control.tryCatch", "try": steps, "catch": list(caught), **named}


RETRY = {"retry": {"maxAttempts": 3, "backoffMs": 1_000, "jitter": False}}
GO_ON = {"onError": "continue"}


@pytest.mark.parametrize("action", ["test.flaky", "test.flaky_here"])
def test_a_step_that_fails_is_tried_again_with_the_same_key_until_it_succeeds(action):
    store = MemoryStore()
    result = ran(flaky(2, action=action, **RETRY), give_back(expr("answer.attempts")), store=store)
    assert (result.status, result.output) == ("succeeded", 3)
    assert [(row["attempt"], row["status"]) for row in store.rows[:3]] == [
        (1, "failed"),
        (2, "failed"),
        (3, "succeeded"),
    ]
    assert len({key for _, _, (key, _) in store.outside}) == 1


def test_between_attempts_the_run_waits_longer_each_time():
    store = MemoryStore()
    ran(flaky(2, **RETRY), store=store)
    first, second = (opening.due_at for opening, _ in store.waits)
    starts = [row["finished_at"] for row in store.rows[:2]]
    assert [opening.kind for opening, _ in store.waits] == ["retry", "retry"]
    assert first.isoformat() > starts[0]
    assert second > first - timedelta(seconds=1)


def test_the_last_attempt_fails_the_run():
    store = MemoryStore()
    result = ran(flaky(9, **RETRY), store=store)
    assert (result.status, result.error["code"]) == ("failed", "NOT_YET")
    assert len(store.outside) == 3


def test_what_fails_the_same_way_each_time_is_not_tried_again():
    store = MemoryStore()
    result = ran(flaky(1, VALIDATION, **RETRY), store=store)
    assert (result.status, len(store.outside)) == ("failed", 1)


def test_only_the_categories_that_a_step_names_are_tried_again():
    named = {"retry": {"maxAttempts": 3, "retryOn": [ACTION]}}
    assert ran(flaky(1, TRANSIENT, **named)).status == "failed"
    assert ran(flaky(1, ACTION, **named)).status == "succeeded"


def test_a_hint_of_the_action_counts_where_the_step_says_nothing():
    assert ran(flaky(1, action="test.hinted")).status == "succeeded"
    assert ran(flaky(2, action="test.hinted")).status == "failed"
    assert ran(flaky(2, action="test.hinted", **RETRY)).status == "succeeded"


def test_a_pure_step_is_tried_again_too():
    store = MemoryStore()
    result = ran(FAILS | {"retry": {"maxAttempts": 2, "retryOn": ["ExpressionError"]}}, store=store)
    assert result.error["category"] == "ExpressionError"
    assert [row["attempt"] for row in store.rows] == [1, 2]


def test_a_step_may_fail_without_stopping_the_others():
    result = ran(FAILS | GO_ON, give_back(expr("error.category")))
    assert (result.status, result.output) == ("succeeded", "ExpressionError")


def test_a_step_is_tried_again_before_it_is_left_behind():
    store = MemoryStore()
    result = ran(flaky(9, **RETRY, **GO_ON), give_back(expr("error.code")), store=store)
    assert (result.output, len(store.outside)) == ("NOT_YET", 3)


def test_going_on_after_a_condition_that_fails_skips_both_branches_and_does_not_hide_what_fails_inside():
    broken = when(expr('"x" + 1'), [give_back(1)], [give_back(2)]) | GO_ON
    assert ran(broken, give_back(3)).output == 3
    assert ran(when(expr("true"), [FAILS]) | GO_ON, give_back(3)).status == "failed"


def test_the_innermost_handler_wins_and_knows_the_error():
    inner = try_([FAILS], assign(seen=expr("error.code"), told=expr("problem.nodePath")), capture="problem")
    result = ran(try_([inner, give_back(expr('seen & " at " & told'))], give_back("outer")))
    assert result.output == "EXPRESSION_FAILED at root.steps[0].try.steps[0].try.steps[0]"


def test_a_failure_while_handling_one_goes_to_the_next_handler():
    result = ran(try_([try_([FAILS], call("test.ask", value=3))], give_back(expr("error.code"))))
    assert result.output == "THREE"


def test_after_the_handler_the_error_is_what_it_was_before():
    result = ran(FAILS | GO_ON, try_([call("test.ask", value=3)], assign(a=1)), give_back(expr("error.code")))
    assert result.output == "EXPRESSION_FAILED"


def test_a_return_is_not_an_error():
    assert ran(try_([give_back(1)], give_back(2)), give_back(3)).output == 1


def test_an_item_that_fails_does_not_stop_the_next_ones():
    body = [call("test.ask", value=expr("n")), assign(done=expr("append(done, n)"))]
    loop = for_each(expr("payload.items"), "n", *body) | {"onItemError": "continue"}
    result = ran(loop, give_back(expr('{"done": done, "code": error.code}')), items=[1, 3, 5])
    assert result.output == {"done": [1, 5], "code": "THREE"}


def test_a_loop_inside_a_try_handles_its_items_itself():
    loop = for_each([1, 3, 5], "n", call("test.ask", value=expr("n"))) | {"onItemError": "continue"}
    assert ran(try_([loop, give_back("after")], give_back("caught"))).output == "after"
    plain = for_each([1, 3, 5], "n", call("test.ask", value=expr("n")))
    assert ran(try_([plain, give_back("after")], give_back(expr("error.code")))).output == "THREE"


def test_a_loop_left_by_an_error_gives_its_variable_back():
    loop = for_each([1, 3], "n", call("test.ask", value=expr("n")))
    assert ran(assign(n="mine"), try_([loop], assign(a=1)), give_back(expr("n"))).output == "mine"


def test_an_effect_that_cannot_be_repeated_is_not_begun_again_after_its_worker_was_lost():
    # The boundaries of the first attempt: its record (1 before, 2 after), then inside the action.
    store = MemoryStore(crash_at=(3,))
    result = ran(call("test.once", value=1), store=store)
    assert (result.status, result.error["category"], store.outside) == ("failed", UNKNOWN, [])
    [row] = store.rows
    assert (row["status"], row["attempt"]) == ("failed", 1)


def test_an_author_may_have_it_begun_again_all_the_same():
    store = MemoryStore(crash_at=(3,))
    again = {"retry": {"maxAttempts": 2, "retryOn": [UNKNOWN]}}
    assert ran(call("test.once", value=1) | again, store=store).status == "succeeded"


def test_a_run_that_goes_on_sees_the_time_and_the_chance_that_it_saw_first():
    told = assign(a=expr("system.now"), b=expr("system.random"), c=expr("system.uuid"))
    steps = (told, flaky(1, **RETRY), give_back(expr("[a, b, c]")))
    store = MemoryStore()
    result = ran(*steps, store=store)
    recorded = store.rows[0]["output"]
    assert result.output == [recorded["a"], recorded["b"], recorded["c"]]
    assert recorded["a"] == store.rows[0]["started_at"].replace(" ", "T")
    assert 0 <= recorded["b"] < 1


def test_each_step_and_item_has_a_chance_of_its_own():
    loop = for_each([1, 2], "n", assign(all=expr("append(all, system.random)")))
    first, second = run_steps(loop, give_back(expr("all"))).output
    assert first != second


@given(st.integers(1, 30), st.integers(0, 100_000), st.floats(1, 10), st.booleans(), st.floats(0, 1))
def test_a_delay_is_never_negative_and_never_longer_than_its_bound(attempt, backoff_ms, multiplier, jitter, roll):
    retry = Retry(30, backoff_ms, multiplier, jitter, max_delay_ms=5_000)
    delay = retry.delay_after(attempt, roll)
    assert timedelta(0) <= delay <= timedelta(seconds=5)
    if not jitter and attempt == 1:
        assert delay == min(timedelta(milliseconds=backoff_ms), timedelta(seconds=5))


def test_a_run_at_its_limit_ends_whatever_would_catch_its_errors(monkeypatch):
    monkeypatch.setattr(step_log, "MAX_STEPS", 20)
    inner = for_each(expr("[1..1000]"), "m", assign(a=1)) | {"onItemError": "continue"}
    outer = for_each(expr("[1..1000]"), "n", try_([inner], assign(b=1))) | {"onItemError": "continue"}
    store = MemoryStore()
    result = ran(outer | GO_ON, give_back("never"), store=store)
    assert (result.status, result.error["code"]) == ("failed", "TOO_MANY_STEPS")
    assert len(store.rows) <= 21


def test_a_key_of_the_authors_own_is_the_same_for_equal_values_and_fails_as_any_expression():
    store = MemoryStore()
    asked = call("test.ask", value=1)
    keyed = {**asked, "config": {**asked["config"], "idempotencyKey": expr("payload.order")}}
    ran(for_each([1, 2], "n", keyed), store=store, order="A-1")
    assert len({key for _, _, (key, _) in store.outside}) == 1
    broken = {**asked, "config": {**asked["config"], "idempotencyKey": expr('"x" + 1')}}
    assert ran(broken).error["category"] == "ExpressionError"
