"""Every action does what its example says, and refuses what it cannot do."""

from __future__ import annotations

import pytest

from domain.engine.actions.action import EFFECTS, PURE
from domain.engine.actions.registry import actions_page, find_action
from domain.engine.failures import StepFailed
from domain.workflows.schema_rules import check_schema, payload_problems
from tests.domain.engine.engine_runs import NOW

PURE_ACTIONS = [action for action in actions_page() if action.effect == PURE]


def called(action_id, **inputs):
    action = find_action(action_id, 1)
    action.check_inputs(inputs)
    return action.call(inputs, None)


@pytest.mark.parametrize("action", actions_page(), ids=lambda action: action.id)
def test_an_action_declares_itself_completely_and_its_example_fits(action):
    check_schema(action.input_schema)
    check_schema(action.output_schema)
    assert action.effect in EFFECTS
    assert action.label and action.description.endswith(".") and action.category == action.id.split(".")[0]
    assert payload_problems(action.input_schema, action.example.inputs) == []
    assert payload_problems(action.output_schema, action.example.output) == []


@pytest.mark.parametrize("action", PURE_ACTIONS, ids=lambda action: action.id)
def test_a_pure_action_gives_the_output_of_its_example(action):
    assert action.call(action.example.inputs, None) == action.example.output


@pytest.mark.parametrize("action", actions_page(), ids=lambda action: action.id)
def test_an_action_refuses_inputs_it_does_not_know(action):
    with pytest.raises(StepFailed) as failed:
        action.check_inputs(action.example.inputs | {"surprise": 1})
    assert failed.value.code == "INVALID_INPUT"
    assert "surprise" in failed.value.message


def test_an_output_that_is_not_as_declared_fails_the_step(monkeypatch):
    action = find_action("transform.trim_text", 1)
    monkeypatch.setitem(action.__dict__, "run", lambda inputs: {"text": 5})
    with pytest.raises(StepFailed) as failed:
        action.call({"text": "a"}, None)
    assert (failed.value.code, failed.value.category) == ("INVALID_OUTPUT", "ActionError")


def test_scalars_read_as_in_json_and_null_is_empty():
    assert called("transform.concat_text", values=["a", 1, 2.5, True, None, "z"]) == {"text": "a12.5truez"}
    assert called("transform.join_text", items=[1, None, "b"]) == {"text": "1,,b"}


def test_splitting_keeps_empty_parts_unless_told_otherwise():
    assert called("transform.split_text", text="a,,b", delimiter=",") == {"items": ["a", "", "b"]}


def test_all_occurrences_are_replaced_unless_told_otherwise():
    assert called("transform.replace_text", text="a-b-c", search="-", replacement="") == {"text": "abc"}


@pytest.mark.parametrize(
    ("strategy", "expected"), [("end", "abcd…"), ("start", "…wxyz"), ("middle", "ab…yz"), (None, "abcd…")]
)
def test_text_is_shortened_where_asked(strategy, expected):
    chosen = {"strategy": strategy} if strategy else {}
    assert called("transform.truncate_text", text="abcdefwxyz", maxLength=5, **chosen) == {"text": expected}


@pytest.mark.parametrize("strategy", ["end", "start", "middle"])
@pytest.mark.parametrize("length", range(8))
def test_a_shortened_text_has_exactly_the_length_asked_for(strategy, length):
    inputs = {"text": "abcdefgh", "maxLength": length, "strategy": strategy, "ellipsis": "[..]"}
    assert len(called("transform.truncate_text", **inputs)["text"]) == length


def test_short_text_stays_as_it_is():
    assert called("transform.truncate_text", text="abc", maxLength=3) == {"text": "abc"}


def test_nothing_present_among_the_candidates_is_null():
    assert called("transform.coalesce_value", candidates=[None]) == {"value": None, "matchedIndex": None}


@pytest.mark.parametrize("present", [False, 0, "", [], {}])
def test_what_is_false_or_empty_is_present_all_the_same(present):
    assert called("transform.coalesce_value", candidates=[None, present, 1]) == {"value": present, "matchedIndex": 1}


def test_zero_and_false_are_not_missing_when_empty_text_is():
    inputs = {"candidates": ["", 0], "treatEmptyStringAsMissing": True}
    assert called("transform.coalesce_value", **inputs) == {"value": 0, "matchedIndex": 1}


@pytest.mark.parametrize(
    ("source", "value", "kind"),
    [("[1]", [1], "array"), ("null", None, "null"), ("2.5", 2.5, "number"), ({"a": 1}, {"a": 1}, "object")],
)
def test_json_is_read_from_text_and_passed_on_when_it_is_read_already(source, value, kind):
    assert called("transform.parse_json", source=source) == {"value": value, "type": kind}


@pytest.mark.parametrize("source", ["{", "NaN", '{"a":1,"a":2}', "[" * 100 + "]" * 100, r'"\u0000"'])
def test_json_that_has_no_single_meaning_is_refused(source):
    with pytest.raises(StepFailed) as failed:
        called("transform.parse_json", source=source)
    assert (failed.value.code, failed.value.category) == ("INVALID_JSON", "ValidationError")


def test_json_is_written_with_as_much_space_as_asked_for():
    assert called("transform.stringify_json", source={"a": [1, "é"]}) == {"text": '{"a":[1,"é"]}'}
    assert called("transform.stringify_json", source={"a": 1}, spacing=2) == {"text": '{\n  "a": 1\n}'}


@pytest.mark.parametrize(
    ("action_id", "inputs"),
    [
        ("transform.replace_text", {"text": "a" * 100_000, "search": "a", "replacement": "b" * 100_000}),
        ("transform.concat_text", {"values": ["a"] * 100_000, "separator": "b" * 1_000}),
        ("transform.join_text", {"items": ["a"] * 100_000, "delimiter": "b" * 1_000}),
    ],
)
def test_a_text_that_would_be_too_long_is_never_built(action_id, inputs):
    with pytest.raises(StepFailed) as failed:
        called(action_id, **inputs)
    assert failed.value.code == "VALUE_TOO_LARGE"


def test_a_log_line_carries_the_ids_of_its_run_apart_from_what_the_author_wrote(capsys):
    from uuid import UUID

    import structlog

    from domain.engine.actions.action import ActionContext

    action = find_action("log.write", 1)
    ids = [UUID(int=n) for n in (1, 2, 3)]
    context = ActionContext(*ids, "root.steps[0]", "2", 1, "key", NOW)
    inputs = {"level": "warning", "message": "Low stock", "fields": {"run_id": "forged"}}
    with structlog.testing.capture_logs() as lines:
        assert action.call(inputs, context) == inputs
    assert lines == [
        {
            "event": "A workflow wrote to the log",
            "log_level": "warning",
            "message": "Low stock",
            "fields": {"run_id": "forged"},
            "run_id": str(ids[0]),
            "tenant_id": str(ids[1]),
            "workflow_id": str(ids[2]),
            "step_path": "root.steps[0]",
            "iteration": "2",
        }
    ]
