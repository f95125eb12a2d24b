"""The outline's words: what each kind of step does, and what becomes of one that fails."""

from __future__ import annotations

from typing import Any

import pytest

from domain.engine.nodes.registry import NODE_TYPES
from domain.engine.problems import ERROR, WARNING, StepProblem
from web.workflows.steps import MAX_CHARACTERS, drawn_steps, failure_words, step_words, value_text

WORDS: list[tuple[dict[str, Any], str]] = [
    ({"type": "control.if", "condition": {"$expr": "payload.x > 1"}}, "if payload.x > 1"),
    ({"type": "control.forEach", "items": {"$expr": "vars.list"}, "itemVar": "one"}, "for each one of vars.list"),
    ({"type": "control.tryCatch"}, "if a step fails, the catch goes on"),
    ({"type": "control.tryCatch", "captureErrorAs": "bad"}, "if a step fails, its error is kept as bad"),
    (
        {"type": "control.callWorkflow", "workflowKey": "sync", "workflowVersion": 3},
        "runs sync, version 3, and waits for it",
    ),
    ({"type": "control.callWorkflow", "workflowKey": "sync"}, "runs sync, the published version, and waits for it"),
    ({"type": "control.return"}, "ends the run"),
    ({"type": "control.return", "value": {"a": 1, "b": 2}}, "ends the run with 2 values"),
    ({"type": "state.set", "config": {"state": "DONE"}}, "shows the state DONE"),
    (
        {"type": "transform.assign", "config": {"assign": dict.fromkeys("abcde", 1)}},
        "sets a, b, c and 2 more",
    ),
    (
        {"type": "action.call", "config": {"actionId": "store.get", "saveAs": "vars.x"}},
        "store.get, result in vars.x",
    ),
    (
        {
            "type": "event.wait",
            "config": {"eventName": "paid", "correlationKey": {"$expr": "payload.id"}, "timeoutMs": 3_600_000},
        },
        "waits for the event paid about payload.id, at most 1 h",
    ),
    ({"type": "time.wait", "config": {"mode": "duration", "durationMs": 1_500}}, "waits 1.5 s"),
    ({"type": "time.wait", "config": {"mode": "until", "until": {"$expr": "vars.t"}}}, "waits until vars.t"),
    ({"type": "human.task", "config": {"title": "Pay?", "timeoutMs": {"$expr": "vars.t"}}}, "asks a person: Pay?, at most vars.t"),
]  # fmt: skip


@pytest.mark.parametrize(("step", "words"), WORDS)
def test_a_step_says_what_it_does(step: dict[str, Any], words: str) -> None:
    assert step_words(step) == words


def test_every_kind_of_step_has_words() -> None:
    assert {step["type"] for step, _ in WORDS} == set(NODE_TYPES)
    assert all(step_words({"type": kind}) for kind in NODE_TYPES)


def test_a_step_says_what_becomes_of_a_failure() -> None:
    retried = {"type": "action.call", "retry": {"maxAttempts": 3}, "onError": "continue"}
    assert failure_words(retried) == "tried up to 3 times, goes on when it fails"
    assert failure_words({"type": "control.forEach", "onItemError": "continue"}) == "an item that fails is passed over"
    assert failure_words({"type": "action.call", "retry": {"maxAttempts": 1}}) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"$secret": "TOKEN"}, "the secret TOKEN"),
        ("plain", '"plain"'),
        (True, "true"),
        (1.5, "1.5"),
        (None, "…"),
        ([1], "1 value"),
    ],
)
def test_a_mapping_value_in_words(value: Any, text: str) -> None:
    assert value_text(value) == text


@pytest.mark.parametrize(
    "odd",
    [None, 1, "x", [], {}, {"$expr": 1}, {"deep": {"$expr": "x" * 500}}, True, -1, 2**62],
)
def test_no_draft_is_too_broken_to_draw(odd: Any) -> None:
    for kind in [*NODE_TYPES, "what.ever", odd]:
        names = (
            "condition",
            "items",
            "itemVar",
            "state",
            "assign",
            "title",
            "until",
            "durationMs",
            "timeoutMs",
            "retry",
        )
        step = {"type": kind, "id": odd, "name": odd, "then": odd, "onError": odd} | dict.fromkeys(names, odd)
        for config in (odd, step):
            (drawn,) = drawn_steps({"steps": [step | {"config": config}]})
            assert len(drawn.words) <= MAX_CHARACTERS
    assert drawn_steps(odd) == drawn_steps({"steps": odd}) == ()


def test_problems_and_lines_stand_at_their_step() -> None:
    inner = {"id": "b", "type": "state.set"}
    definition = {"steps": [7, {"id": "a", "type": "control.if", "then": [inner], "else": []}]}
    at = "root.steps[1].then.steps[0]"
    wrong = StepProblem(ERROR, at, "b", "X", "is wrong")
    odd = StepProblem(WARNING, "root.steps[1]", "a", "X", "is odd")

    (outer,) = drawn_steps(definition, [wrong, odd], {at: 9})

    (_, (drawn,)), (name, nothing) = outer.branches
    assert (drawn.problems, drawn.line, drawn.is_wrong) == ((wrong,), 9, True)
    assert (outer.problems, outer.line, outer.is_wrong) == ((odd,), None, False)
    assert (name, nothing) == ("else", ())
