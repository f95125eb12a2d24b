"""How a definition is shown: its outline, its order of keys, its hash."""

from __future__ import annotations

import json
from typing import Any

import pytest

from domain.engine.validation import definition_problems
from domain.workflows.definitions import definition_hash, outline, readable, starter_definition

NESTED = {
    "steps": [
        {
            "id": "each",
            "type": "control.forEach",
            "itemVar": "invoice",
            "items": {"$expr": "payload.invoices"},
            "body": [
                {"id": "if", "type": "control.if", "condition": {"$expr": "invoice.open"}, "then": [], "else": []}
            ],
        },
        {"id": "end", "type": "control.return"},
    ]
}


def test_the_starter_can_be_published_as_it_is() -> None:
    assert definition_problems(starter_definition('Quote " and $ and {{x}}')) == []


def test_the_outline_has_the_paths_that_problems_and_the_step_log_name() -> None:
    each, end = outline(NESTED)
    ((body, (choice,)),) = each.branches

    assert (each.path, each.says, body) == ("root.steps[0]", "invoice", "body")
    assert (choice.path, choice.says) == ("root.steps[0].body.steps[0]", "invoice.open")
    assert choice.branches == (("then", ()), ("else", ()))
    assert (end.path, end.id, end.type, end.branches) == ("root.steps[1]", "end", "control.return", ())


@pytest.mark.parametrize(
    "broken",
    [None, [], "text", {}, {"steps": None}, {"steps": {"id": "a"}}, {"steps": [None, 1, "x", []]},
     {"steps": [{"id": 7, "type": ["x"], "name": {"a": 1}, "then": 3, "config": "no"}]}],
)  # fmt: skip
def test_a_broken_draft_has_an_outline_too(broken: Any) -> None:
    assert all(step.id == step.type == step.says == "" for step in outline(broken))


def test_a_long_name_is_cut_in_the_outline() -> None:
    (step,) = outline({"steps": [{"id": "a", "type": "state.set", "name": "x" * 500}]})

    assert step.says == "x" * 79 + "…"


def test_a_definition_is_shown_in_the_order_in_which_people_write_it() -> None:
    mixed = {
        "steps": [{"then": [], "zeta": 1, "config": {"b": 1, "a": 2}, "type": "t", "alpha": 0, "id": "i"}],
        "name": "n",
    }

    shown = readable(mixed)

    assert shown == mixed
    assert json.dumps(shown) == json.dumps(
        {
            "name": "n",
            "steps": [{"id": "i", "type": "t", "config": {"a": 2, "b": 1}, "then": [], "alpha": 0, "zeta": 1}],
        }
    )


def test_the_hash_ignores_layout_and_nothing_else() -> None:
    first = json.loads('{"a": 1, "b": [true]}')

    assert definition_hash(first) == definition_hash({"b": [True], "a": 1})
    assert len({definition_hash(first), definition_hash({"a": 1, "b": [1]}), definition_hash({"a": 1})}) == 3
