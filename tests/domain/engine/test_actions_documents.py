"""transform.compose_text: how a document reads as Markdown, and how a step holds one."""

from __future__ import annotations

import pytest

from domain.engine.failures import StepFailed
from domain.engine.validation import definition_problems
from tests.domain.engine.engine_runs import run_steps
from tests.domain.engine.test_actions import called


def plain(text, *marks, **more):
    return {"type": "text", "text": text, **({"marks": list(marks)} if marks else {}), **more}


def value_of(path, **more):
    return {"type": "reference", "path": path, **more}


def block(kind, *children, **more):
    return {"type": kind, "children": list(children), **more}


def output(*blocks, key="text"):
    return {"id": f"o-{key}", "label": key, "stableKey": key, "document": {"version": 1, "blocks": list(blocks)}}


def composing(*outputs):
    config = {"actionId": "transform.compose_text", "version": 1, "outputs": list(outputs), "saveAs": "composed"}
    return {"type": "action.call", "config": config}


def composed(*blocks):
    return called("transform.compose_text", outputs=[output(*blocks)])["text"]


def test_every_block_has_its_sign():
    assert composed(
        block("heading", plain("Due"), level=2),
        block("paragraph", plain("one\ntwo")),
        block("bullet_list_item", plain("a")),
        block("bullet_list_item", plain("b\nc")),
        block("ordered_list_item", plain("x")),
        block("ordered_list_item", plain("y")),
        block("blockquote", plain("q\nr")),
        {"type": "code_block", "text": "x = 1"},
    ) == ("## Due\n\none  \ntwo\n\n- a\n- b  \n  c\n\n1. x\n2. y\n\n> q  \n> r\n\n```\nx = 1\n```")


def test_marks_stand_at_the_words_and_inside_each_other():
    assert composed(block("paragraph", plain(" a ", "bold"), plain("b", "italic", "bold"))) == " **a** _**b**_"
    assert composed(block("paragraph", plain("x`y", "code"), plain(" ", "bold"))) == "``x`y`` "
    link = plain("here", "link", "bold", href="https://example.com/?a=1")
    assert composed(block("paragraph", link)) == "[**here**](https://example.com/?a=1)"


def test_a_fence_is_longer_than_what_it_holds():
    assert composed({"type": "code_block", "text": "```\na"}) == "````\n```\na\n````"


@pytest.mark.parametrize(
    ("value", "text"), [("a", "a"), (1, "1"), (2.5, "2.5"), (True, "true"), ({"b": [1], "a": "é"}, '{"a":"é","b":[1]}')]
)
def test_a_value_reads_as_in_json(value, text):
    assert composed(block("paragraph", plain("= "), value_of("payload.x", value=value))) == f"= {text}"


def test_a_step_fills_in_what_its_references_name():
    text = block(
        "paragraph", plain("Dear "), value_of("payload.customer.name"), plain(", "), value_of("vars.lines[1].and")
    )
    result = run_steps(
        {"type": "transform.assign", "config": {"assign": {"vars.lines": [{"and": 1}, {"and": 2}]}}},
        composing(output(text, key="mail"), output(block("paragraph", plain("x")), key="title")),
        {"type": "control.return", "value": {"$expr": "composed"}},
        customer={"name": "Ada"},
    )
    assert result.output == {"mail": "Dear Ada, 2", "title": "x"}


@pytest.mark.parametrize("customer", [{}, {"name": None}])
def test_a_value_that_is_missing_fails_the_step(customer):
    result = run_steps(composing(output(block("paragraph", value_of("payload.customer.name")))), customer=customer)
    assert (result.error["code"], result.error["category"]) == ("MISSING_REFERENCE", "ValidationError")
    assert "payload.customer.name" in result.error["message"]


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        ("no list", "outputs must be"),
        ([], "outputs "),
        ([output(key="Bad Key")], "outputs.0.stableKey"),
        ([output(), output()], "Two outputs have the stableKey text"),
        ([output({"type": "table"})], "outputs.0.document.blocks.0"),
        ([output(block("heading", plain("x")))], "a heading needs a level"),
        ([output({"type": "paragraph", "text": "x"})], "a paragraph needs children"),
        ([output({"type": "code_block"})], "a code_block needs text"),
        ([output(block("paragraph", {"type": "text"}))], "a text needs text"),
        ([output(block("paragraph", value_of("1 + 1")))], "a reference needs a path"),
        ([output(block("paragraph", value_of("payload['x']")))], "a reference needs a path"),
        ([output(block("paragraph", plain("x", "link")))], "belong together"),
        ([output(block("paragraph", plain("x", href="https://a.b")))], "belong together"),
        ([output(block("paragraph", plain("x", "link", href="javascript:alert(1)")))], "a href begins with"),
        ([output(block("paragraph", plain("x", "link", href="https://a.b/)x")))], "a href begins with"),
    ],
)
def test_a_document_with_a_mistake_is_found_before_it_runs(outputs, said):
    step = {"id": "s", "type": "action.call"}
    step["config"] = {"actionId": "transform.compose_text", "version": 1, "outputs": outputs}
    problems = definition_problems({"steps": [step]})
    assert {problem.code for problem in problems if problem.severity == "error"} == {"INVALID_ACTION_CONFIG"}
    assert any(said in problem.message for problem in problems), problems
    if isinstance(outputs, list) and said[0] in "aT":
        with pytest.raises(StepFailed) as failed:
            called("transform.compose_text", outputs=outputs)
        assert failed.value.code == "INVALID_DOCUMENT"


def test_outputs_belong_to_the_action_that_composes():
    step = {"id": "s", "type": "action.call"}
    step["config"] = {
        "actionId": "transform.trim_text",
        "version": 1,
        "inputMapping": {"text": "a"},
        "outputs": [output()],
    }
    assert "UNKNOWN_INPUT" in {problem.code for problem in definition_problems({"steps": [step]})}
    step["config"] = {"actionId": "transform.compose_text", "version": 1}
    assert {problem.code for problem in definition_problems({"steps": [step]})} == {"MISSING_REQUIRED_MAPPING"}
