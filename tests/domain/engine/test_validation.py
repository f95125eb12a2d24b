"""What is wrong with a definition is found before it is published, and said where it is."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest

from domain.engine.known import Known, KnownWorkflow
from domain.engine.problems import StepProblem, problem_lines
from domain.engine.validation import definition_problems, has_errors, is_pure
from tests.domain.engine.engine_runs import assign, call, expr, for_each, give_back, set_state, when, with_ids


def attempt(steps, caught):
    return {"type": "control.tryCatch", "try": steps, "catch": caught}


def call_workflow(key):
    return {"type": "control.callWorkflow", "workflowKey": key}


def wait_for(name, correlation, **config):
    config |= {"eventName": name, "correlationKey": correlation}
    return {"type": "event.wait", "config": config}


def pause(mode, **config):
    return {"type": "time.wait", "config": {"mode": mode, **config}}


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
        (assign(a={"$secret": "TOKEN"}), "SECRET_NOT_ALLOWED", "assign.a"),
        (call("transform.trim_text", text={"$secret": "token"}), "INVALID_SECRET_NAME", "inputMapping.text"),
        (call("transform.trim_text", text={"$secret": "TOKEN", "x": 1}), "INVALID_SECRET_NAME", "exactly"),
        (when("yes", []), "INVALID_EXPR", "condition"),
        ({"type": "control.if", "then": []}, "INVALID_CONFIG", "condition is missing"),
        ({"type": "control.if", "condition": True, "then": {}}, "INVALID_STEP", "then must be a list"),
        (for_each("abc", "n"), "INVALID_EXPR", "items"),
        (for_each([], "1n"), "INVALID_CONFIG", "itemVar"),
        (for_each([], "payload"), "INVALID_CONFIG", "itemVar"),
        (for_each([], "n") | {"onItemError": "skip"}, "INVALID_CONFIG", "onItemError"),
        (for_each([], "n") | {"concurrency": 2}, "INVALID_CONFIG", "one after the other"),
        (attempt([], []) | {"captureErrorAs": "1n"}, "INVALID_CONFIG", "captureErrorAs"),
        ({"type": "control.tryCatch", "try": []}, "INVALID_CONFIG", "catch is missing"),
        (call_workflow("") | {"workflowVersion": 1}, "INVALID_CONFIG", "workflowKey"),
        (call_workflow("b") | {"workflowVersion": "2"}, "INVALID_CONFIG", "workflowVersion"),
        (call_workflow("b") | {"inputMapping": []}, "INVALID_CONFIG", "inputMapping"),
        (call_workflow("b") | {"outputMapping": {"meta.x": 1}}, "INVALID_ASSIGN_PATH", "outputMapping"),
        (wait_for("order.paid", None), "EVENT_WAIT_UNCORRELATABLE", "correlation"),
        (wait_for("order.paid", ""), "EVENT_WAIT_UNCORRELATABLE", "correlation"),
        (wait_for(" ", expr("payload.id")), "INVALID_CONFIG", "eventName"),
        (wait_for("order.paid", expr("payload.id"), filters=[{"path": "a", "op": "~"}]), "INVALID_CONFIG", "op"),
        (pause("forever"), "INVALID_CONFIG", "mode"),
        (pause("duration"), "INVALID_CONFIG", "durationMs"),
        (pause("until", until="tomorrow"), "INVALID_CONFIG", "until"),
        ({"type": "human.task", "config": {"title": "Approve"}}, "INVALID_CONFIG", "taskType"),
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


def test_an_event_trigger_belongs_into_the_settings():
    problem = only_problem(trigger={"type": "event", "eventName": "X"})
    assert problem.code == "TRIGGER_IN_SETTINGS"
    assert "settings" in problem.suggestion


RETRY = {
    "maxAttempts": 20,
    "backoffMs": 0,
    "backoffMultiplier": 1.5,
    "jitter": False,
    "maxDelayMs": 86_400_000,
    "retryOn": ["TransientError", "TimeoutError"],
}


@pytest.mark.parametrize(
    "step",
    [
        set_state("a"),
        assign(a=1),
        call("transform.trim_text", text="a"),
        when(True, []),
        for_each([], "n"),
        wait_for("order.paid", expr("payload.id")),
        pause("duration", durationMs=1),
        {"type": "human.task", "config": {"taskType": "approval", "title": "Approve"}},
        call_workflow("b"),
    ],
    ids=lambda step: step["type"],
)
def test_every_step_that_can_fail_may_say_what_then(step):
    assert problems_of(step | {"retry": RETRY, "onError": "continue"}) == []
    assert problems_of(step | {"retry": {"maxAttempts": 1}, "onError": "fail"}) == []
    assert problems_of(step | {"retry": None, "onError": None}) == []


@pytest.mark.parametrize("step", [give_back(1), attempt([], [])], ids=lambda step: step["type"])
def test_a_step_that_cannot_fail_has_neither_retry_nor_on_error(step):
    for key, value in (("retry", {"maxAttempts": 2}), ("onError", "continue")):
        problem = only_problem(step | {key: value})
        assert (problem.code, problem.suggestion) == ("UNKNOWN_KEY", f"Remove {key}.")


@pytest.mark.parametrize(
    ("retry", "words"),
    [
        (3, "an object"),
        ({}, "maxAttempts"),
        ({"maxAttempts": 0}, "maxAttempts"),
        ({"maxAttempts": 21}, "maxAttempts"),
        ({"maxAttempts": 2.0}, "maxAttempts"),
        ({"maxAttempts": True}, "maxAttempts"),
        ({"maxAttempts": 2, "backoffMs": -1}, "backoffMs"),
        ({"maxAttempts": 2, "backoffMs": 86_400_001}, "backoffMs"),
        ({"maxAttempts": 2, "maxDelayMs": "5"}, "maxDelayMs"),
        ({"maxAttempts": 2, "backoffMultiplier": 0.5}, "backoffMultiplier"),
        ({"maxAttempts": 2, "backoffMultiplier": 10.1}, "backoffMultiplier"),
        ({"maxAttempts": 2, "jitter": 1}, "jitter"),
        ({"maxAttempts": 2, "retryOn": []}, "retryOn"),
        ({"maxAttempts": 2, "retryOn": "TransientError"}, "retryOn"),
        ({"maxAttempts": 2, "retryOn": [["x"]]}, "retryOn"),
    ],
)
def test_a_retry_that_cannot_be_followed_is_refused(retry, words):
    problem = only_problem(set_state("a") | {"retry": retry})
    assert (problem.severity, problem.code, problem.step_path) == ("error", "INVALID_RETRY", "root.steps[0]")
    assert words in problem.message


def test_misspelt_parts_of_a_retry_are_mended_by_name():
    attempts = {"maxAttempts": 2}
    assert only_problem(set_state("a") | {"retry": attempts | {"backofMs": 1}}).suggestion == "Did you mean backoffMs?"
    assert only_problem(set_state("a") | {"retry": attempts | {"retryOn": ["TimeoutEror"]}}).suggestion == (
        "Did you mean TimeoutError?"
    )
    assert only_problem(set_state("a") | {"onError": "ignore"}).code == "INVALID_ON_ERROR"
    step = call("transform.trim_text", text="a")
    step["config"]["onError"] = "ignore"
    assert only_problem(step).code == "INVALID_ON_ERROR"


def test_names_of_the_tenant_are_judged_when_they_are_known():
    known = Known(
        workflows={"invoice-sync": KnownWorkflow(uuid4(), 1, frozenset({1}))},
        events={"order.paid": "payload.Empty.v1"},
        schema_refs=frozenset({"payload.Form.v1"}),
        secrets=frozenset({"TOKEN"}),
        own_key="mine",
    )
    task = {"type": "human.task", "config": {"taskType": "approval", "title": "Approve"}}
    steps = [
        call_workflow("invoice-snyc"),
        wait_for("order.payd", expr("payload.id")),
        task | {"config": task["config"] | {"formSchemaRef": "payload.From.v1"}},
        call("transform.trim_text", text={"$secret": "TOKE"}),
        for_each([], "n", call_workflow("mine")),
    ]
    definition = {"steps": [with_ids(step, f"s{index}") for index, step in enumerate(steps)]}

    found = [(one.severity, one.step_path, one.code, one.suggestion) for one in definition_problems(definition, known)]

    assert found == [
        ("error", "root.steps[0]", "UNKNOWN_WORKFLOW", "Did you mean invoice-sync?"),
        ("warning", "root.steps[1]", "UNKNOWN_EVENT", "Did you mean order.paid?"),
        ("error", "root.steps[2]", "UNKNOWN_PAYLOAD_SCHEMA_REF", "Did you mean payload.Form.v1?"),
        ("warning", "root.steps[3]", "SECRET_NOT_FOUND", "Did you mean TOKEN?"),
        ("error", "root.steps[4].body.steps[0]", "WORKFLOW_CALL_CYCLE", "Call a workflow that does not call this one."),
    ]
    assert [problem.code for problem in definition_problems(definition)] == []


def test_what_a_step_puts_into_variables_by_itself_is_known():
    task = {"type": "human.task", "config": {"taskType": "approval", "title": "Approve"}}
    assert problems_of(
        wait_for("order.paid", expr("payload.id"), assign={"total": expr("event.payload.total")}),
        task,
        pause("duration", durationMs=1),
        call_workflow("b") | {"outputMapping": {"vars.answer": expr("childRun.output")}},
        attempt([set_state("a")], [set_state(expr("broken.message"))]) | {"captureErrorAs": "broken"},
        give_back(expr("[total, task.answer, timeWait.dueAt, answer, eventName]")),
    ) == []  # fmt: skip


def test_an_unknown_name_in_a_catch_is_told_of_at_its_step():
    problem = only_problem(attempt([], [give_back(expr("totl"))]))
    assert (problem.code, problem.step_path) == ("UNKNOWN_REFERENCE", "root.steps[0].catch.steps[0]")


TEXT = """{
  "steps": [
    {"id": "a\\"{[", "type": "control.if", "condition": true, "then": [], "else": [
      {"id": "b", "type": "nope"}
    ]},

    {
      "type": "also.nope", "config": {"steps": [{}, {"then": [{}]}]},
      "id": "c"
    }
  ]
}"""


def test_a_problem_is_found_at_the_line_of_its_step():
    problems = definition_problems(json.loads(TEXT))

    assert [problem.step_path for problem in problems] == ["root.steps[0].else.steps[0]", "root.steps[1]"]
    assert problem_lines(TEXT, problems) == [4, 7]
    assert problem_lines(TEXT.replace("\n", "\r\n"), problems) == [4, 7]


def test_what_belongs_to_no_step_has_no_line():
    problems = definition_problems({"steps": [], "nmae": 1})
    assert problem_lines('{"steps": [], "nmae": 1}', problems) == [None]
    assert problem_lines("{", [StepProblem("error", "root.steps[0]", None, "X", "x")]) == [None]


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
