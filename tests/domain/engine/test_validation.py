"""What is wrong with a definition is found before it is published, and said where it is."""

from __future__ import annotations

import pytest

from domain.engine.validation import definition_problems, has_errors, is_pure
from tests.domain.engine.engine_runs import assign, call, expr, for_each, give_back, set_state, when, with_ids


def problems_of(*steps, **top):
    return definition_problems({"steps": [with_ids(step, f"s{index}") for index, step in enumerate(steps)], **top})


def only_problem(*steps, **top):
    problems = problems_of(*steps, **top)
    assert len(problems) == 1, problems
    return problems[0]


def test_a_sound_definition_has_no_problems():
    problems = problems_of(
        set_state("begun"),
        assign(**{"vars.total": expr("payload.n"), "note": {"deep": [expr("meta.runId"), None]}}),
        when(expr("total > 1"), [for_each(expr("payload.lines"), "line", assign(last=expr("line.id & index")))], []),
        call("transform.trim_text", "name", text=expr("note.deep[0]")) | {"name": "Tidy up"},
        give_back(expr("name.text")),
        id="wf-1",
        version=1,
        name="Sound",
        description=None,
        payloadSchemaRef="payload.Empty.v1",
        trigger=None,
    )
    assert problems == []


def test_an_empty_list_of_steps_is_sound():
    assert definition_problems({"steps": []}) == []


@pytest.mark.parametrize(
    "definition", [None, [], "x", {}, {"steps": None}, {"steps": {}}, {"steps": [], "x": float("nan")}]
)
def test_what_is_no_definition_is_refused(definition):
    assert {problem.code for problem in definition_problems(definition)} == {"INVALID_WORKFLOW_DEFINITION"}


@pytest.mark.parametrize(
    ("step", "code", "words"),
    [
        ("x", "INVALID_STEP", "object"),
        ({"type": "control.return", "id": ""}, "INVALID_STEP_ID", "id"),
        ({"type": "control.return", "id": "a b"}, "INVALID_STEP_ID", "id"),
        ({"type": "control.return", "id": 5}, "INVALID_STEP_ID", "id"),
        ({"type": "control.return", "name": "n" * 129}, "INVALID_STEP", "name"),
        ({}, "UNKNOWN_NODE_TYPE", "type"),
        ({"type": ["x"]}, "UNKNOWN_NODE_TYPE", "type"),
        ({"type": "control.return", "retry": 1}, "UNKNOWN_KEY", "retry"),
        ({"type": "state.set"}, "INVALID_CONFIG", "config is missing"),
        ({"type": "state.set", "config": []}, "INVALID_CONFIG", "object"),
        ({"type": "state.set", "config": {}}, "INVALID_CONFIG", "state is missing"),
        (set_state(" "), "INVALID_CONFIG", "not empty"),
        (set_state("x" * 201), "INVALID_CONFIG", "200"),
        (assign(), "INVALID_CONFIG", "assign"),
        ({"type": "transform.assign", "config": {"assign": [1]}}, "INVALID_CONFIG", "assign"),
        (assign(**{"meta.state": 1}), "INVALID_ASSIGN_PATH", "meta cannot be changed"),
        (assign(__proto__=1), "INVALID_ASSIGN_PATH", "__proto__"),
        (assign(**{"a..b": 1}), "INVALID_ASSIGN_PATH", "empty"),
        (assign(a=expr("")), "EMPTY_EXPRESSION", "assign.a"),
        (assign(a=expr("1 +")), "INVALID_EXPRESSION", "assign.a"),
        (assign(a=expr("$eval('1')")), "INVALID_EXPRESSION", "assign.a"),
        (assign(a={"b": [{"$expr": 5}]}), "INVALID_EXPR", "assign.a.b.0"),
        (assign(a={"$expr": "1", "more": 1}), "INVALID_EXPR", "exactly"),
        (assign(a={"$secret": "TOKEN"}), "SECRETS_NOT_AVAILABLE", "secrets are not available yet"),
        (when("yes", []), "INVALID_EXPR", "condition"),
        ({"type": "control.if", "then": []}, "INVALID_CONFIG", "condition is missing"),
        ({"type": "control.if", "condition": True, "then": {}}, "INVALID_STEP", "then must be a list"),
        (for_each("abc", "n"), "INVALID_EXPR", "items"),
        (for_each([], "1n"), "INVALID_CONFIG", "itemVar"),
        (for_each([], "payload"), "INVALID_CONFIG", "itemVar"),
        (for_each([], "n") | {"onItemError": "continue"}, "NOT_AVAILABLE_YET", "onItemError"),
        (for_each([], "n") | {"concurrency": 2}, "NOT_AVAILABLE_YET", "one after the other"),
        (set_state("a") | {"retry": {"maxAttempts": 3}}, "NOT_AVAILABLE_YET", "retry"),
        (set_state("a") | {"onError": "continue"}, "NOT_AVAILABLE_YET", "onError"),
        ({"type": "control.tryCatch", "try": [], "catch": []}, "NOT_AVAILABLE_YET", "control.tryCatch"),
        ({"type": "human.task", "config": {}}, "NOT_AVAILABLE_YET", "human.task"),
        (call("transform.trim_text", text=5), "MAPPING_TYPE_INCOMPATIBLE", "inputMapping.text must be text"),
        (call("transform.trim_text"), "MISSING_REQUIRED_MAPPING", "text"),
        (call("transform.trim_text", "meta.x", text="a"), "INVALID_ASSIGN_PATH", "saveAs"),
        ({"type": "action.call", "config": {"actionId": "log.write", "version": "1"}}, "INVALID_ACTION_CONFIG", "version"),
        ({"type": "action.call", "config": {"actionId": "log.write", "version": 1, "inputMapping": []}},
         "INVALID_ACTION_CONFIG", "inputMapping"),
    ],
)  # fmt: skip
def test_a_bad_step_is_reported_with_its_code(step, code, words):
    problem = only_problem(step) if isinstance(step, dict) else definition_problems({"steps": [step]})[0]
    assert (problem.severity, problem.code, problem.step_path) == ("error", code, "root.steps[0]")
    assert words in problem.message


@pytest.mark.parametrize(
    ("step", "suggestion"),
    [
        ({"type": "control.iff"}, "Did you mean control.if?"),
        (set_state("a") | {"confg": {}}, "Did you mean config?"),
        (call("transform.trim_txt", text="a"), "Did you mean transform.trim_text?"),
        (call("transform.trim_text", text="a", txt="b"), "Did you mean text?"),
        ({"type": "action.call", "config": {"actionId": "store.get", "version": 9, "inputMapping": {"key": "a"}}},
         "Known versions: 1."),
    ],
)  # fmt: skip
def test_the_nearest_known_name_is_suggested(step, suggestion):
    assert only_problem(step).suggestion == suggestion


def test_a_problem_names_the_step_it_is_in():
    inner = {"id": "deep", **assign(a=expr("1 +"))}
    problem = only_problem(set_state("a"), when(True, [], [for_each([], "n", set_state("b"), inner)]))
    assert (problem.step_path, problem.step_id) == ("root.steps[1].else.steps[0].body.steps[1]", "deep")


def test_ids_are_unique_across_all_branches():
    problem = only_problem({"id": "x", **set_state("a")}, when(True, [{"id": "x", **set_state("b")}]))
    assert (problem.code, problem.step_path) == ("DUPLICATE_STEP_ID", "root.steps[1].then.steps[0]")
    assert "root.steps[0]" in problem.message


def test_unknown_keys_of_the_definition_are_refused():
    problem = only_problem(nmae="x")
    assert (problem.code, problem.suggestion) == ("UNKNOWN_KEY", "Did you mean name?")


@pytest.mark.parametrize("kind", ["schedule", "recurring"])
def test_time_triggers_are_refused_and_schedules_recommended(kind):
    problem = only_problem(trigger={"type": kind})
    assert problem.code == "TIME_TRIGGER_IN_DEFINITION"
    assert "schedule" in problem.suggestion


def test_event_triggers_are_refused_until_there_are_events():
    assert only_problem(trigger={"type": "event", "eventName": "X"}).code == "TRIGGER_UNSUPPORTED"


def test_the_number_of_steps_is_bounded():
    assert problems_of(*[set_state("a")] * 500) == []
    assert only_problem(*[set_state("a")] * 501).code == "TOO_MANY_STEPS"


def nested(levels):
    step = set_state("inside")
    for _ in range(levels - 1):
        step = when(True, [step])
    return step


def test_the_nesting_of_steps_is_bounded():
    assert problems_of(nested(20)) == []
    assert only_problem(nested(21)).code == "TOO_DEEP"
    assert problems_of(nested(200))[0].code == "INVALID_WORKFLOW_DEFINITION"


def test_the_size_of_a_definition_is_bounded():
    assert only_problem(assign(a="x" * 256_000)).code == "INVALID_WORKFLOW_DEFINITION"


def test_names_that_nothing_gives_a_value_are_warned_of():
    problem = only_problem(assign(total=expr("payload.n")), when(True, [give_back(expr("totl + index"))]))
    assert (problem.severity, problem.code, problem.suggestion) == (
        "warning",
        "UNKNOWN_REFERENCE",
        "Did you mean total?",
    )
    assert problem.step_path == "root.steps[1].then.steps[0]"
    assert not has_errors([problem])


def test_unreachable_steps_and_unknown_special_keys_are_warned_of():
    assert only_problem(give_back(1), set_state("a")).code == "UNREACHABLE"
    assert only_problem(assign(a={"$exp": "x"})).code == "UNKNOWN_SPECIAL_KEY"


def test_entries_of_an_assign_that_build_on_each_other_are_warned_of():
    problem = only_problem(assign(**{"vars.net": 1, "gross": expr("vars.net * 2")}))
    assert (problem.severity, problem.code) == ("warning", "ASSIGN_ORDER")
    assert "assign.gross reads what assign.vars.net puts" in problem.message
    assert problems_of(assign(count=expr("$coalesce(count, 0) + 1"), label=expr('"count"'))) == []


def test_what_a_visual_editor_keeps_in_a_step_is_let_through():
    step = call("transform.trim_text", text="a")
    step["config"]["designerTileKind"] = "tile"
    assert problems_of(step, for_each([], "n") | {"concurrency": 1}) == []


def test_several_problems_are_all_reported():
    codes = [problem.code for problem in problems_of({"type": "x"}, assign(a=expr("")), call("nope"))]
    assert codes == ["UNKNOWN_NODE_TYPE", "EMPTY_EXPRESSION", "UNKNOWN_ACTION"]


def test_warnings_never_crowd_out_an_error():
    entries = {f"a{index}": expr(f"unknown{index}") for index in range(2_000)}
    problems = problems_of(assign(**entries), set_state(" "))
    assert [problem.severity for problem in problems].count("warning") == 100
    assert [problem.code for problem in problems if problem.severity == "error"] == ["INVALID_CONFIG"]


def test_a_definition_is_pure_when_no_step_at_any_depth_touches_anything():
    log_line = call("log.write", message="x")
    assert is_pure({"steps": [for_each([], "n", call("transform.trim_text", text="a")), give_back(1)]})
    assert not is_pure({"steps": [for_each([], "n", when(True, [], [log_line]))]})
    assert is_pure({"steps": []})
